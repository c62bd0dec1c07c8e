# SPDX-License-Identifier: Apache-2.0
"""Which kinds the API server serves, and under which plural."""

from __future__ import annotations

import threading
from concurrent.futures import Future
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
        self._on_its_way: dict[str, Future[None]] = {}
        """By apiVersion: requests that somebody is waiting for."""

    def find(self, api_version: str, kind: str) -> Resource | None:
        """How a kind is served, None while it is not. One request per version of a group, however many ask at the same time.

        Kinds that cannot be watched are skipped: they are actions ("Eviction"), not objects.
        Raises: TransportError other than NotFound.
        """
        with self._lock:
            if found := self._known.get((api_version, kind)):
                return found
            answered = self._on_its_way.get(api_version)
            is_mine = answered is None
            if answered is None:
                answered = self._on_its_way[api_version] = Future()
        if is_mine:
            self._ask(api_version, answered)
        answered.result()
        with self._lock:
            return self._known.get((api_version, kind))

    def _ask(self, api_version: str, answered: Future[None]) -> None:
        """Learn the kinds of a version, and tell all who wait for it, also of an error."""
        served: dict[str, Resource] = {}
        problem = None
        try:
            served = self._served(api_version)
        except BaseException as exc:
            problem = exc
        with self._lock:
            del self._on_its_way[api_version]
            for kind, resource in served.items():
                self._known.setdefault((api_version, kind), resource)
        if problem:
            answered.set_exception(problem)
        else:
            answered.set_result(None)

    def _served(self, api_version: str) -> dict[str, Resource]:
        """{kind: resource} of a version; none while it is not served."""
        subject = f"the kinds of {api_version}"
        try:
            answer = self._transport.request("GET", group_path(api_version), subject=subject)
        except NotFound:
            return {}
        resources = answer.get("resources")
        if not isinstance(resources, list):
            raise Malformed(f"{subject}: the answer lists no resources")
        served: dict[str, Resource] = {}
        for entry in resources:
            name = str(entry.get("name", ""))
            if name and "/" not in name and "watch" in (entry.get("verbs") or ()):
                served.setdefault(str(entry.get("kind")), Resource(name, namespaced=entry.get("namespaced") is True))
        return served

    def forget(self, api_version: str, kind: str) -> None:
        """Ask again next time: the API server answered 404."""
        with self._lock:
            self._known.pop((api_version, kind), None)
