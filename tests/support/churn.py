# SPDX-License-Identifier: Apache-2.0
"""Changes to many instances at random, each followed until the operator has done what it asks for."""

from __future__ import annotations

import base64
import itertools
import random
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.bed import API_VERSION, KIND, Bed, make_namespaces, namespace_of
from bench.traffic import instance_of
from localcluster.api import Api, Manifest
from localcluster.errors import ApiError

from .following import CONFIGURATION, Follower, Looks

__all__ = ["AT_ONCE", "Churn", "Instance", "Times", "login_of"]

AT_ONCE = 4
"""Changes that have not taken effect yet: twice the workers of the machines in CI, so that there is always one to do."""
AT_ONCE_FIRST = 16
"""While the first instances are made, which nothing is timed of."""
GONE_AT_MOST = 0.05
"""Share of the instances, so that their number is about the same all the time."""
OVERTAKE = 0.1
"""Chance that a change comes before the one before it, of the same instance, has taken effect."""
STUCK_S = 600.0
"""A change that takes longer has been lost; longer than the longest delay before a pass is tried again."""
FOREIGN = "registry.example.com/not-ours:1"
IMAGES = ("ghcr.io/immich-app/immich-server:v3.3.1", "registry.example.com/immich-app/immich-server:v3.3.1")

Arrived = Callable[[Looks], bool]


@dataclass(slots=True)
class Instance:
    """What is wanted of one instance at present."""

    name: str
    spec: dict[str, Any]
    login: str = ""
    """Value of the Secret that its settings name; "" if they name none."""
    exists: bool = False

    @property
    def namespace(self) -> str:
        return namespace_of(self.name)

    @property
    def configuration(self) -> tuple[str, str]:
        """(kind, name) of the object with Immich's settings."""
        return "Secret" if self.login else "ConfigMap", f"{self.name}-immich-config"

    def manifest(self) -> Manifest:
        metadata = {"name": self.name, "namespace": self.namespace}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": self.spec}


def an_instance(number: int) -> Instance:
    """Every other one's settings name a Secret."""
    name = f"photos-{number:04}"
    settings: dict[str, Any] = {"trash": {"enabled": True, "days": 30}}
    if number % 2:
        return Instance(name, {"immich": {"configuration": settings}})
    reference = {"name": f"{name}-login", "key": "client-secret"}
    settings["oauth"] = {"enabled": True, "issuerUrl": "https://login.example.com", "clientId": "immich",
                         "clientSecretRef": reference}  # fmt: skip
    return Instance(name, {"immich": {"configuration": settings}}, login="first")


def login_of(instance: Instance) -> Manifest:
    """The Secret that its settings name."""
    data = {"client-secret": base64.b64encode(instance.login.encode()).decode()}
    metadata = {"name": f"{instance.name}-login", "namespace": instance.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


class Times:
    """{kind of change: seconds until it has taken effect}"""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.overtaken: defaultdict[str, int] = defaultdict(int)

    def table(self) -> list[str]:
        """A line per kind: number, median, 99th percentile and longest; and how many were overtaken, which are not timed."""
        kinds = sorted(self.seconds.keys() | self.overtaken.keys())
        width = max(map(len, kinds), default=0)
        lines = [f"{'change':{width}}  number  p50 s  p99 s  longest s  overtaken"]
        for kind in kinds:
            times = sorted(self.seconds[kind]) or [float("nan")]
            p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
            number, overtaken = len(self.seconds[kind]), self.overtaken[kind]
            lines.append(
                f"{kind:{width}}  {number:6}  {statistics.median(times):5.1f}  {p99:5.1f}  {times[-1]:9.1f}  {overtaken:9}"
            )
        return lines


@dataclass(frozen=True, slots=True)
class _Outstanding:
    kind: str
    since: float
    arrived: Arrived


@dataclass(slots=True)
class Churn:
    """Instances, and changes to them at random."""

    bed: Bed
    chance: random.Random
    times: Times = field(default_factory=Times)
    instances: list[Instance] = field(default_factory=list)
    follower: Follower = field(init=False)
    _outstanding: dict[str, _Outstanding] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _numbers: Any = field(default_factory=itertools.count)
    _gone: list[Instance] = field(default_factory=list)
    _values: Any = field(default_factory=lambda: itertools.count(100))

    def __post_init__(self) -> None:
        self.follower = Follower(self.bed.api, self._look)

    def __enter__(self) -> Churn:
        return self

    def __exit__(self, *_: object) -> None:
        self.follower.close()

    @property
    def _api(self) -> Api:
        return self.bed.api

    def fill(self, number: int) -> None:
        """Make so many instances, and wait until all are ready."""
        for _ in range(number):
            self._wait(lambda: len(self._outstanding) < AT_ONCE_FIRST)
            self._create_another("")
        self.settle()

    def run(self, seconds: float) -> None:
        """Change instances, as fast as the changes take effect."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._wait(lambda: len(self._outstanding) < AT_ONCE)
            self._change()

    def settle(self) -> None:
        """Until all changes have taken effect."""
        self._wait(lambda: not self._outstanding)

    def _change(self) -> None:
        if len(self._gone) > GONE_AT_MOST * len(self.instances):
            if self.chance.random() < 0.5:
                self._create(self._gone.pop(0), "created again")
            else:
                self._gone.pop(0)
                self._create_another("created")
            return
        with self._changed:
            busy = sorted(self._outstanding)
        names = {instance.name: instance for instance in self.instances if instance.exists}
        overtakes = [names[name] for name in busy if name in names]
        if overtakes and self.chance.random() < OVERTAKE:
            instance = self.chance.choice(overtakes)
        else:
            instance = self.chance.choice([one for name, one in names.items() if name not in busy])
        change = self.chance.choice(
            [self._edit_settings, self._edit_replicas, self._edit_image, self._delete, self._delete_deployment,
             self._edit_deployment, self._rotate_secret if instance.login else self._edit_config_map]
        )  # fmt: skip
        try:
            change(instance)
        except ApiError as error:
            if error.status != 404:  # what it was about is not there yet, or not there again
                raise

    def _create_another(self, kind: str) -> None:
        instance = an_instance(next(self._numbers))
        make_namespaces(self.bed.cluster, [instance.name])
        if instance.login:
            self._api.apply(login_of(instance))
        self.instances.append(instance)
        self._create(instance, kind)

    def _create(self, instance: Instance, kind: str) -> None:
        since = time.monotonic()
        uid = self._api.create(instance.manifest())["metadata"]["uid"]
        instance.exists = True
        self._expect(instance, kind, since, lambda look: _is_up(look, instance, uid))

    def _delete(self, instance: Instance) -> None:
        since = time.monotonic()
        self._api.delete(KIND, instance.name, instance.namespace)
        instance.exists = False
        self._gone.append(instance)
        mine = ((KIND, instance.name), ("Deployment", f"{instance.name}-server"), instance.configuration)
        self._expect(instance, "deleted", since, lambda look: all(look(*one) is None for one in mine))

    def _edit_settings(self, instance: Instance) -> None:
        days = next(self._values)
        asked = self._edit(instance, {"immich": {"configuration": {"trash": {"days": days}}}})
        instance.spec["immich"]["configuration"]["trash"]["days"] = days

        def arrived(look: Looks) -> bool:
            held = look(*instance.configuration)
            return held is not None and f"days: {days}\n" in (held.text or "")

        self._expect_edit(instance, "settings edited", asked, arrived)

    def _edit_replicas(self, instance: Instance) -> None:
        learning = instance.spec.setdefault("machineLearning", {})
        replicas = 1 + learning.get("replicas", 1) % 2
        asked = self._edit(instance, {"machineLearning": {"replicas": replicas}})
        learning["replicas"] = replicas

        def arrived(look: Looks) -> bool:
            live = look("Deployment", f"{instance.name}-machine-learning")
            return live is not None and live.ready and live.replicas == replicas

        self._expect_edit(instance, "replicas edited", asked, arrived)

    def _edit_image(self, instance: Instance) -> None:
        server = instance.spec.setdefault("server", {})
        image = IMAGES[1 - IMAGES.index(server.get("image", IMAGES[0]))]
        asked = self._edit(instance, {"server": {"image": image}})
        server["image"] = image

        def arrived(look: Looks) -> bool:
            live = look("Deployment", f"{instance.name}-server")
            return live is not None and live.ready and live.image == image

        self._expect_edit(instance, "image edited", asked, arrived)

    def _edit(self, instance: Instance, spec: dict[str, Any]) -> tuple[float, Manifest]:
        since = time.monotonic()
        return since, self._api.merge_patch(KIND, instance.name, instance.namespace, {"spec": spec})

    def _expect_edit(self, instance: Instance, kind: str, asked: tuple[float, Manifest], arrived: Arrived) -> None:
        since, cr = asked
        uid, generation = cr["metadata"]["uid"], cr["metadata"]["generation"]
        self._expect(
            instance, kind, since, lambda look: arrived(look) and _is_up(look, instance, uid, generation=generation)
        )

    def _delete_deployment(self, instance: Instance) -> None:
        name = f"{instance.name}-server"
        before = self._api.get("Deployment", name, instance.namespace)["metadata"]["uid"]
        since = time.monotonic()
        self._api.delete("Deployment", name, instance.namespace)

        def arrived(look: Looks) -> bool:
            live = look("Deployment", name)
            return live is not None and live.uid != before and live.ready and _is_up(look, instance)

        self._expect(instance, "Deployment deleted", since, arrived)

    def _edit_deployment(self, instance: Instance) -> None:
        name, since = f"{instance.name}-server", time.monotonic()
        wanted = instance.spec.get("server", {}).get("image", IMAGES[0])
        changed = self._api.request(
            "PATCH",
            f"/apis/apps/v1/namespaces/{instance.namespace}/deployments/{name}",
            body=[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": FOREIGN}],
            headers={"Content-Type": "application/json-patch+json"},
        )
        version = int(changed["metadata"]["resourceVersion"])

        def arrived(look: Looks) -> bool:
            live = look("Deployment", name)
            return live is not None and live.version > version and live.image == wanted and live.ready

        self._expect(instance, "Deployment edited", since, arrived)

    def _edit_config_map(self, instance: Instance) -> None:
        kind, name = instance.configuration
        days, since = instance.spec["immich"]["configuration"]["trash"]["days"], time.monotonic()
        changed = self._api.merge_patch(kind, name, instance.namespace, {"data": {CONFIGURATION: "{}"}})
        version = int(changed["metadata"]["resourceVersion"])

        def arrived(look: Looks) -> bool:
            live = look(kind, name)
            return live is not None and live.version > version and f"days: {days}\n" in (live.text or "")

        self._expect(instance, "ConfigMap edited", since, arrived)

    def _rotate_secret(self, instance: Instance) -> None:
        instance.login, since = f"value-{next(self._values)}", time.monotonic()
        self._api.apply(login_of(instance))
        login = instance.login

        def arrived(look: Looks) -> bool:
            held = look(*instance.configuration)
            server = look("Deployment", f"{instance.name}-server")
            return held is not None and login in (held.text or "") and server is not None and server.ready

        self._expect(instance, "Secret rotated", since, arrived)

    def _expect(self, instance: Instance, kind: str, since: float, arrived: Arrived) -> None:
        with self._changed:
            if before := self._outstanding.get(instance.name):
                self.times.overtaken[before.kind] += 1
            self._outstanding[instance.name] = _Outstanding(kind, since, arrived)
        self._look(instance.namespace, instance.name)

    def _look(self, namespace: str, name: str) -> None:
        """Something is new about an object: has the change that its instance waits for taken effect?"""
        owner = instance_of(name)
        with self._changed:
            waits = self._outstanding.get(owner)
            if waits is None or not waits.arrived(self.follower.looks(namespace)):
                return
            del self._outstanding[owner]
            if waits.kind:
                self.times.seconds[waits.kind].append(time.monotonic() - waits.since)
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            while not condition():
                self._changed.wait(1.0)
                self._find_faults()

    def _find_faults(self) -> None:
        assert self.follower.fault is None, f"a watch of this test has ended: {self.follower.fault}"
        assert self.bed.operator.process.poll() is None, f"the operator has ended:\n{self.bed.operator.tail()}"
        late = {name: one.kind for name, one in self._outstanding.items() if time.monotonic() - one.since > STUCK_S}
        assert not late, f"changes that took no effect within {STUCK_S:g} s: {late}\n{self.bed.operator.tail(40)}"


def _is_up(look: Looks, instance: Instance, uid: str = "", *, generation: int = 1) -> bool:
    cr = look(KIND, instance.name)
    return (
        cr is not None
        and cr.uid in {uid, *([] if uid else [cr.uid])}
        and cr.generation >= generation
        and cr.observed == cr.generation
        and cr.ready
    )
