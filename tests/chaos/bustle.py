# SPDX-License-Identifier: Apache-2.0
"""Instances that people create, edit, delete and disturb all the time, and what must have become of them in the end."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from localcluster.api import Api
from localcluster.errors import ApiError, LocalClusterError
from localcluster.testing import Cluster
from support.operating import Instances, environment
from support.waiting import eventually

__all__ = ["Bustle", "Passwords", "watched_passwords"]

Where = tuple[str, str]
"""Namespace and name of an instance."""
VARIABLE = "ROUND"
"""Set in the server's pods by each edit, so that they tell which edit they are of."""
DRIFTS = ("no Service", "no Deployment", "other image", "no replicas")
WATCH_S = 3.0
END_S = 400.0
"""Kept free for the end of a busy run: only a failing test takes as long."""


class Bustle:
    """A model of some instances: each change to the cluster is noted here first."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str], chance: random.Random, *, each: int) -> None:
        """`each` instances per namespace; none of them is there at first."""
        self._cluster = cluster
        self._api = Api(cluster.kubeconfig)
        self._chance = chance
        self._numbers = itertools.count(1)
        self._wanted: dict[Where, dict[str, Any] | None] = {
            (namespace, f"photos-{number}"): None for namespace in namespaces for number in range(each)
        }
        self._had_machine_learning: set[Where] = set()
        self._failures: list[BaseException] = []
        self._stop = threading.Event()

    def create_all(self) -> None:
        """So that there is something to disturb from the first moment on."""
        for where in self._wanted:
            self._create(where)

    def act(self) -> None:
        """One change to one of the instances."""
        where = self._chance.choice(list(self._wanted))
        if self._wanted[where] is None:
            self._create(where)
        elif (what := self._chance.random()) < 0.1:
            self._wanted[where] = None
            self._api.delete("Immich", where[1], where[0])
        elif what < 0.65:
            self._edit(where)
        else:
            self._disturb(where, self._chance.choice(DRIFTS))

    @contextmanager
    def going_on(self, *, pause_s: float) -> Iterator[None]:
        """Act every `pause_s` seconds meanwhile. Raises at the end what went wrong."""
        thread = threading.Thread(target=self._go_on, args=(pause_s,), name="bustle")
        self._stop.clear()
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        assert not self._failures, self._failures

    def wait_right(self, *, words: Any = str) -> None:
        """Until each instance is Ready as it was written last, with exactly its objects, and what was deleted is gone."""
        eventually(
            "each instance as it was written last",
            lambda: not self.wrong(),
            every=2.0,
            within=END_S,
            beside=lambda: "\n".join([*self.wrong(), words()]),
        )

    def wrong(self) -> list[str]:
        """What is not as it was written last, in words."""
        return [problem for where, spec in self._wanted.items() for problem in self._problems(where, spec)]

    def _problems(self, where: Where, spec: Mapping[str, Any] | None) -> list[str]:
        instances, title = Instances(self._cluster, where[0]), "/".join(where)
        cr = instances.get("Immich", where[1])
        found = instances.owned(where[1])
        if spec is None:
            owned = [key for key, manifest in found.items() if manifest["metadata"].get("ownerReferences")]
            return [f"{title}: {what} is still there" for what in ([title] if cr else []) + owned]
        status = (cr or {}).get("status") or {}
        if cr is None or not status.get("ready") or status.get("observedGeneration") != cr["metadata"]["generation"]:
            return [f"{title}: not ready: {[c for c in status.get('conditions', ()) if c['type'] == 'Ready']}"]
        wanted = _objects_of(where[1], machine_learning=spec["machineLearning"]["enabled"])
        stays = {_cache(where[1])} if where in self._had_machine_learning else set()
        problems = [f"{title}: {key} is missing" for key in wanted - found.keys()]
        problems += [f"{title}: {key} is too much" for key in found.keys() - wanted - stays]
        server = found.get(("Deployment", f"{where[1]}-server"))
        if server is not None:
            told, image = (
                environment(server).get(VARIABLE),
                server["spec"]["template"]["spec"]["containers"][0]["image"],
            )
            if told != spec["server"]["env"][0]["value"] or "drift" in image or server["spec"]["replicas"] != 1:
                problems.append(f"{title}: server of {told}, image {image}, not as in {spec}")
        return problems

    def _go_on(self, pause_s: float) -> None:
        while not self._stop.wait(self._chance.uniform(0, 2 * pause_s)):
            try:
                self.act()
            except BaseException as failure:
                self._failures.append(failure)
                return

    def _create(self, where: Where) -> None:
        spec = {"server": self._server(), "machineLearning": {"enabled": self._chance.random() < 0.5}}
        # Its predecessor may be on its way out: nothing holds it back, but the answer to the delete comes first.
        self._api.wait_gone("Immich", where[1], where[0])
        self._note(where, spec)
        self._api.create(Instances(self._cluster, where[0]).cr(spec, where[1]))

    def _edit(self, where: Where) -> None:
        spec = {**(self._wanted[where] or {}), "server": self._server()}
        if self._chance.random() < 0.3:
            spec["machineLearning"] = {"enabled": not spec["machineLearning"]["enabled"]}
        self._note(where, spec)
        self._api.merge_patch("Immich", where[1], where[0], {"spec": spec})

    def _disturb(self, where: Where, drift: str) -> None:
        name = f"{where[1]}-server"
        container = {"name": "server", "image": "example.com/drift"}
        patches = {
            "other image": {"spec": {"template": {"spec": {"containers": [container]}}}},
            "no replicas": {"spec": {"replicas": 0}},
        }
        try:
            if drift in patches:
                self._api.merge_patch("Deployment", name, where[0], patches[drift])
            else:
                self._api.delete(drift.removeprefix("no "), name, where[0])
        except (ApiError, LocalClusterError):  # it has not been made yet
            return

    def _server(self) -> dict[str, Any]:
        return {"env": [{"name": VARIABLE, "value": str(next(self._numbers))}]}

    def _note(self, where: Where, spec: dict[str, Any]) -> None:
        self._wanted[where] = spec
        if spec["machineLearning"]["enabled"]:
            self._had_machine_learning.add(where)


def _objects_of(name: str, *, machine_learning: bool) -> set[tuple[str, str]]:
    """Kind and name of what an instance of Bustle consists of."""
    both = {
        "Secret": ("checksum-key", "postgres-credentials"),
        "ConfigMap": ("immich-config",),
        "PersistentVolumeClaim": ("library",),
        "StatefulSet": ("postgres",),
        "Deployment": ("server", "valkey"),
        "Service": ("server", "valkey", "postgres"),
    }
    found = {(kind, f"{name}-{part}") for kind, parts in both.items() for part in parts}
    found.add(("PersistentVolumeClaim", f"data-{name}-postgres-0"))
    learning = {("Deployment", f"{name}-machine-learning"), ("Service", f"{name}-machine-learning")}
    return found | learning | {_cache(name)} if machine_learning else found


def _cache(name: str) -> tuple[str, str]:
    """It stays when machine learning is switched off."""
    return "PersistentVolumeClaim", f"{name}-ml-cache"


class Passwords:
    """What a watch of all Secrets tells of the generated passwords of databases."""

    def __init__(self, api: Api, namespaces: Sequence[str]) -> None:
        self._namespaces = frozenset(namespaces)  # others may be on their way out, with all Secrets
        self.changes: list[str] = []
        """A line for each Secret that was replaced, emptied or changed; without values."""
        self.count = 0
        self._first: dict[Where, tuple[str, Any]] = {}
        self._api = api
        self._version = api.request("GET", "/api/v1/secrets", query={"limit": "1"})["metadata"]["resourceVersion"]
        self._stop = threading.Event()

    def run(self) -> None:
        """Until `end`."""
        while not self._stop.is_set():
            try:
                self._follow()
            except ApiError as error:
                if error.status == 410:  # something was missed
                    raise

    def _follow(self) -> None:
        for event, secret in self._api.watch("Secret", since=self._version, timeout=WATCH_S):
            self._version = secret["metadata"]["resourceVersion"]
            if secret["metadata"]["name"].endswith("-postgres-credentials"):
                self._look(event, secret)
            if self._stop.is_set():
                return

    def end(self) -> None:
        self._stop.set()

    def _look(self, event: str, secret: Mapping[str, Any]) -> None:
        where = (secret["metadata"]["namespace"], secret["metadata"]["name"])
        if where[0] not in self._namespaces:
            return
        seen = (secret["metadata"]["uid"], secret.get("data"))
        if event == "DELETED":
            self.changes.append(f"{where} was deleted")
        elif where not in self._first:
            self._first[where] = seen
            self.count += 1
            if not (secret.get("data") or {}).get("password"):
                self.changes.append(f"{where} was made without a password")
        elif seen != self._first[where]:
            self.changes.append(f"{where} has {'another uid' if seen[0] != self._first[where][0] else 'other content'}")


@contextmanager
def watched_passwords(cluster: Cluster, namespaces: Sequence[str]) -> Iterator[Passwords]:
    """Watch all generated passwords in the namespaces meanwhile; each has to stay what it was at first."""
    passwords = Passwords(Api(cluster.kubeconfig), namespaces)
    thread = threading.Thread(target=passwords.run, name="watch passwords", daemon=True)
    thread.start()
    try:
        yield passwords
    finally:
        was_alive = thread.is_alive()
        passwords.end()
        thread.join()
    assert was_alive, "the watch of the passwords has ended early"
