# SPDX-License-Identifier: Apache-2.0
"""Which kinds the API server serves, and under which plural."""

from __future__ import annotations

import threading

from immich_operator.errors import MalformedAnswerError, NotFoundError
from immich_operator.kube.client import Client
from immich_operator.kube.resources import Kind, Resource, mapping


class Discovery:
    """Thread-safe. What was found is kept until `forget`; what was not is asked for again each time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[Kind, Resource] = {}

    def find(self, kind: Kind) -> Resource | None:
        """The resource of a kind, None while the API server does not serve it.

        Raises: ClusterError other than NotFoundError.
        """
        with self._lock:
            if found := self._known.get(kind):
                return found
        try:
            answer = self._client.get(kind.discovery_path, what=f"discover {kind.api_version}")
        except NotFoundError:
            return None
        resources = answer.get("resources")
        if not isinstance(resources, list):
            raise MalformedAnswerError(f"discover {kind.api_version}: the answer lists no resources")
        with self._lock:
            for entry in map(mapping, resources):
                name = str(entry.get("name", ""))
                if name and "/" not in name and "watch" in (entry.get("verbs") or ()):
                    served = Kind(kind.api_version, str(entry.get("kind")))
                    self._known.setdefault(served, Resource(served, name, entry.get("namespaced") is True))
            return self._known.get(kind)

    def forget(self, kind: Kind) -> None:
        """Ask again next time: the API server answered 404."""
        with self._lock:
            self._known.pop(kind, None)
