# SPDX-License-Identifier: Apache-2.0
"""What tests of load know of thousands of objects: a few facts of each, as a watch tells them."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcluster.api import Api
from localcluster.errors import ApiError

__all__ = ["CONFIGURATION", "Facts", "Follower", "Looks"]

CONFIGURATION = "immich-config.yaml"
WATCH_S = 10.0
"""How long the end of a follower may take."""
OURS = "app.kubernetes.io/name=immich"
WATCHED = {
    "Immich": ("/apis/media.rm3l.org/v1alpha1/immiches", ""),
    "Deployment": ("/apis/apps/v1/deployments", OURS),
    "ConfigMap": ("/api/v1/configmaps", OURS),
    "Secret": ("/api/v1/secrets", OURS),
}
"""{kind: (path, labels)}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one object; what its kind has not is None. Of a kind, a higher version is a later one."""

    version: int
    uid: str
    generation: int
    observed: int | None = None
    ready: bool = False
    """Of a Deployment: all its pods are those of its present template."""
    image: str | None = None
    replicas: int | None = None
    text: str | None = None

    @classmethod
    def of(cls, live: Mapping[str, Any]) -> Facts:
        metadata, spec, status = live["metadata"], live.get("spec") or {}, live.get("status") or {}
        found: dict[str, Any] = {}
        match live["kind"]:
            case "Immich":
                found = {"observed": status.get("observedGeneration"), "ready": bool(status.get("ready"))}
            case "Deployment":
                counts = ("replicas", "updatedReplicas", "availableReplicas")
                found = {
                    "observed": status.get("observedGeneration"),
                    "ready": status.get("observedGeneration") == metadata["generation"]
                    and all(status.get(count, 0) == spec["replicas"] for count in counts),
                    "image": spec["template"]["spec"]["containers"][0]["image"],
                    "replicas": spec["replicas"],
                }
            case "ConfigMap":
                found = {"text": (live.get("data") or {}).get(CONFIGURATION)}
            case "Secret":
                found = {"text": base64.b64decode((live.get("data") or {}).get(CONFIGURATION, "")).decode()}
        version, generation = int(metadata["resourceVersion"]), metadata.get("generation", 0)
        return cls(version=version, uid=metadata["uid"], generation=generation, **found)


Looks = Callable[[str, str], Facts | None]
"""(kind, name) -> what is known of that object in one namespace; None if there is none."""


class Follower:
    """Follows the instances of all namespaces and their objects until it is closed."""

    def __init__(self, api: Api, told: Callable[[str, str], None]) -> None:
        """`told` is called with namespace and name of each object that has changed, from several threads."""
        self._api, self._told = api, told
        self._known: dict[str, dict[tuple[str, str], Facts]] = {kind: {} for kind in WATCHED}
        self._closed = threading.Event()
        self.fault: Exception | None = None
        self._threads = [
            threading.Thread(target=self._follow, args=(kind, labels), name=f"follow {kind}", daemon=True)
            for kind, (_, labels) in WATCHED.items()
        ]
        for thread in self._threads:
            thread.start()

    def looks(self, namespace: str) -> Looks:
        """At one namespace."""
        return lambda kind, name: self._known[kind].get((namespace, name))

    def close(self) -> None:
        """Nothing is told any more afterwards."""
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, kind: str, labels: str) -> None:
        since = ""
        while not self._closed.is_set():
            try:
                since = self._watch(kind, labels, since or self._list(kind, labels))
            except ApiError as error:
                if error.status != 410:
                    self.fault = error
                    return
                since = ""

    def _list(self, kind: str, labels: str) -> str:
        known = self._known[kind]
        since = self._api.request("GET", WATCHED[kind][0], query={"limit": "1"})["metadata"]["resourceVersion"]
        # What changes between the two requests is told twice, which does no harm.
        found = {self._key(live): Facts.of(live) for live in self._api.list(kind, labels=labels)}
        for gone in known.keys() - found.keys():
            del known[gone]
        known.update(found)
        return str(since)

    def _watch(self, kind: str, labels: str, since: str) -> str:
        known = self._known[kind]
        for event, live in self._api.watch(kind, since=since, timeout=WATCH_S, labels=labels):
            key, since = self._key(live), live["metadata"]["resourceVersion"]
            if event == "DELETED":
                known.pop(key, None)
            else:
                known[key] = Facts.of(live)
            self._told(*key)
        return since

    @staticmethod
    def _key(live: Mapping[str, Any]) -> tuple[str, str]:
        return live["metadata"]["namespace"], live["metadata"]["name"]
