# SPDX-License-Identifier: Apache-2.0
"""Which kinds the API server serves, and under which plural."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .api_error import Malformed, NotFound
from .resource_paths import Resource, group_path

if TYPE_CHECKING:
    from .transport import Transport

__all__ = ["Discovery"]


class Discovery:
    """Thread-safe. What was found is kept until `forget`; what was not found is requested again each time."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Resource] = {}

    def find(self, api_version: str, kind: str) -> Resource | None:
        """How a kind is served, None while it is not. One request per version of a group.

        Kinds that cannot be watched are skipped: they are actions ("Eviction"), not objects.
        Raises: TransportError other than NotFound.
        """
        with self._lock:
            if found := self._known.get((api_version, kind)):
                return found
        subject = f"the kinds of {api_version}"
        try:
            answer = self._transport.request("GET", group_path(api_version), subject=subject)
        except NotFound:
            return None
        resources = answer.get("resources")
        if not isinstance(resources, list):
            raise Malformed(f"{subject}: the answer lists no resources")
        with self._lock:
            for entry in resources:
                name = str(entry.get("name", ""))
                if name and "/" not in name and "watch" in (entry.get("verbs") or ()):
                    served = Resource(name, namespaced=entry.get("namespaced") is True)
                    self._known.setdefault((api_version, str(entry.get("kind"))), served)
            return self._known.get((api_version, kind))

    def forget(self, api_version: str, kind: str) -> None:
        """Ask again next time: the API server answered 404."""
        with self._lock:
            self._known.pop((api_version, kind), None)
