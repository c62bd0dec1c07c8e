# SPDX-License-Identifier: Apache-2.0
"""Writes what `status` decides to the API server, for entries of watches.yaml with `manageStatus`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from immich_operator import status
from immich_operator.discovery import Discovery
from immich_operator.engine.base import PlayResult
from immich_operator.errors import ClusterError, ConflictError, NotFoundError
from immich_operator.finalizers import object_path, object_title
from immich_operator.kube import Client
from immich_operator.resources import Manifest, mapping
from immich_operator.watches import Watch

Decide = Callable[[Mapping[str, Any]], list[status.Condition]]


class StatusWriter:
    """Does nothing when the role keeps the status itself. A status that cannot be written is a warning, not a failure
    of the pass: the objects are what matters, and a CRD may lack the status subresource."""

    def __init__(
        self,
        watch: Watch,
        client: Client,
        discovery: Discovery,
        log: logging.Logger,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._watch = watch
        self._client = client
        self._discovery = discovery
        self._log = log
        self._wall = wall

    def running(self, cr: Manifest) -> None:
        """A pass begins."""
        if (
            self._watch.manage_status
            and status.patch(cr, status.running(mapping(cr.get("status")), self._wall())) is not None
        ):
            self._write(cr, lambda present: status.running(present, self._wall()))

    def finished(self, cr: Manifest, result: PlayResult) -> None:
        """A play has ended."""
        self._write(cr, lambda present: status.finished(present, result, self._wall()))

    def failed(self, cr: Manifest, message: str) -> None:
        """No play could be started."""
        self._write(cr, lambda present: status.failed(present, message, self._wall()))

    def _write(self, cr: Manifest, decide: Decide) -> None:
        if not self._watch.manage_status:
            return
        title = object_title(cr)
        try:
            path = object_path(cr, self._discovery.find(self._watch.kind), title)
            try:
                self._attempt(path, title, decide)
            except ConflictError:
                self._attempt(path, title, decide)  # the role wrote its own status meanwhile: read that and try again
        except NotFoundError:
            self._log.debug("no status written, the object is gone", extra={"object": title})
        except ClusterError as exc:
            self._log.warning("status could not be written", extra={"object": title, "error": str(exc)})

    def _attempt(self, path: str, title: str, decide: Decide) -> None:
        live = self._client.get(path, what=f"get {title}")
        change = status.patch(live, decide(mapping(live.get("status"))))
        if change is not None:
            self._client.send(
                "PATCH",
                f"{path}/status",
                change,
                what=f"write the status of {title}",
                content_type="application/merge-patch+json",
            )
