# SPDX-License-Identifier: Apache-2.0
"""Writes what `conditions` decides to the API server: everything for entries of watches.yaml with `manageStatus`, else only
that an object was refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from immich_operator.config.watches import Watch
from immich_operator.engine.base import PlayResult
from immich_operator.errors import Conflict, NotFound, TransportError
from immich_operator.kube.client import ApiObjects, ObjectRef, post_events, text_of
from immich_operator.kube.resources import Manifest, mapping, metadata_of
from immich_operator.passes import conditions

Decide = Callable[[Mapping[str, Any]], list[conditions.Condition]]


class StatusWriter:
    """If the role keeps the status itself, this only reports what the role can't know. A status that cannot be
    written is a warning, not a failure of the pass: the objects are what matters, and a CRD may lack the status
    subresource."""

    def __init__(
        self,
        watch: Watch,
        objects: ApiObjects,
        log: logging.Logger,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._watch = watch
        self._objects = objects
        self._log = log
        self._wall = wall

    def running(self, cr: Manifest) -> None:
        """A pass begins."""
        if (
            self._watch.manage_status
            and conditions.patch(cr, conditions.running(mapping(cr.get("status")), self._wall())) is not None
        ):
            self._write(cr, lambda present: conditions.running(present, self._wall()))
        elif self._watch.announce and not mapping(cr.get("status")).get("conditions"):
            self._write(cr, lambda present: conditions.announced(present, self._wall()))

    def finished(self, cr: Manifest, result: PlayResult) -> None:
        """A play has ended."""
        if self._watch.manage_status:
            self._write(cr, lambda present: conditions.finished(present, result, self._wall()))
        elif conditions.patch(cr, conditions.without_refusal(mapping(cr.get("status")))) is not None:
            self._write(cr, conditions.without_refusal)

    def refused(self, cr: Manifest, message: str) -> None:
        """No play can be built from the object; `message` names what to change."""
        if self._watch.manage_status:
            self._write(cr, lambda present: conditions.failed(present, message, self._wall()))
            return
        generation = metadata_of(cr).get("generation")
        if self._write(
            cr, lambda present: conditions.refused(present, message, generation, self._wall()), unready=True
        ):
            self.warn(cr, conditions.REFUSED_REASON, conditions.REFUSED + message)

    def warn(self, cr: Manifest, reason: str, message: str) -> bool:
        """An Event about the object, for those who can't read the log. Whether it was posted."""
        event = {"type": "Warning", "reason": reason, "message": message}
        problems = post_events(cr, [event], self._objects, now=text_of(self._wall()))
        for problem in problems:
            self._log.warning("event could not be posted", extra={"object": str(ObjectRef.of(cr)), "error": problem})
        return not problems

    def _write(self, cr: Manifest, decide: Decide, *, unready: bool = False) -> bool:
        """Whether something was written."""
        title = str(ObjectRef.of(cr))
        try:
            try:
                return self._attempt(cr, decide, unready)
            except Conflict:
                # the role has written its own status in the meantime: read that and retry
                return self._attempt(cr, decide, unready)
        except NotFound:
            self._log.debug("no status written, the object is gone", extra={"object": title})
        except TransportError as exc:
            self._log.warning("status could not be written", extra={"object": title, "error": str(exc)})
        return False

    def _attempt(self, cr: Manifest, decide: Decide, unready: bool) -> bool:
        ref = ObjectRef.of(cr)
        live = self._objects.find(ref)
        if live is None or metadata_of(live).get("uid") != metadata_of(cr).get("uid"):
            return False  # gone, or recreated under the same name: it will get its own pass
        change = conditions.patch(live, decide(mapping(live.get("status"))), unready=unready)
        if change is None:
            return False
        self._objects.merge(ref, change, subresource="status")
        return True
