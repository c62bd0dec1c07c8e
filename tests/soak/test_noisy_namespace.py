# SPDX-License-Identifier: Apache-2.0
"""What one namespace does, however much it is, delays the changes of another one by less than twice."""

from __future__ import annotations

import itertools
import random
import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from bench.bed import API_VERSION, KIND, Bed
from bench.traffic import Request, instance_of
from localcluster.api import USER_AGENT as BENCH
from localcluster.api import Manifest
from support.following import CONFIGURATION
from support.waiting import eventually

NOISY, QUIET = "soak-noisy", "soak-quiet"
LARGE, MISSING = 2, 2
"""Of the noisy instances: with settings of `LARGE_BYTES`, and with a Secret that is not there."""
LARGE_BYTES = 400 * 1024
PAUSE_S = 0.5
"""After each round of noisy changes. The programs that make changes need the machine too, and are not measured."""
WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Taken:
    """One change of the quiet namespace. Times in seconds, by the clock of the API server."""

    whole: float
    """From the request with which somebody asks for it to the last write of the operator that it takes."""
    before: float
    """Of that, until the play's first request."""
    asked: float
    """Of that, during which a request of the play was being answered."""


class Noise:
    """Somebody who changes all instances of a namespace again and again."""

    def __init__(self, bed: Bed, chance: random.Random, instances: int) -> None:
        self._bed, self._chance = bed, chance
        self._names = [f"noisy-{number:04}" for number in range(instances)]
        self._days = itertools.count(100)
        self.changes = 0
        for number, name in enumerate(self._names):
            bed.api.create(_an_instance(NOISY, name, _noisy_settings(number)))

    @contextmanager
    def on(self) -> Iterator[None]:
        """During the block; it begins when the operator is busy with it."""
        ended, faults = threading.Event(), []

        def make() -> None:
            try:
                while not ended.wait(PAUSE_S):
                    self._change()
            except Exception as error:
                faults.append(error)

        thread = threading.Thread(target=make, name="noise")
        thread.start()
        try:
            eventually("the operator is busy", lambda: faults or self._bed.counters().busy > LARGE)
            yield
        finally:
            ended.set()
            thread.join()
        assert not faults, faults

    def _change(self) -> None:
        """An edit, an annotation, and now and then a large edit."""
        days = next(self._days)
        edited, annotated = self._chance.choice(self._names), self._chance.choice(self._names)
        if days % 10 == 0:
            edited = self._names[days // 10 % LARGE]
        settings = {"immich": {"configuration": {"trash": {"days": days}}}}
        self._bed.api.merge_patch(KIND, edited, NOISY, {"spec": settings})
        self._bed.api.merge_patch(KIND, annotated, NOISY, {"metadata": {"annotations": {"soak/noise": str(days)}}})
        self.changes += 2


def test_a_noisy_namespace_delays_another_one_by_less_than_twice(
    bed: Bed, chance: random.Random, say: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    pairs = request.config.getoption("pairs")
    for namespace in (NOISY, QUIET):
        bed.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        bed.api.wait_for("ServiceAccount", "default", namespace, lambda _: True)
    noise = Noise(bed, chance, request.config.getoption("noisy"))
    _edit(bed, _create(bed, 0), 30)  # the first play of each sort teaches the engine what plays need
    _quieten(bed)
    begin, days = bed.cluster.audit.mark(), itertools.count(100)

    for number in range(1, 2 * pairs + 1, 2):
        # In turn, so that whatever else the machine does meets both alike.
        _quieten(bed)
        _edit(bed, _create(bed, number), next(days))
        with noise.on():
            _edit(bed, _create(bed, number + 1), next(days))

    requests = bed.requests(begin)
    ratios = {}
    for change, find in (("edit", _edits), ("creation", _creations)):
        taken = find(requests)
        alone, beside = taken[0::2], taken[1::2]
        assert len(alone) == len(beside) == pairs
        ratios[change] = _median(beside, "whole") / _median(alone, "whole")
        for title, some in (("alone", alone), ("beside a noisy namespace", beside)):
            say(f"{change} {title}: median of {pairs} {_median(some, 'whole'):.2f} s, of that until the play asks "
                f"{_median(some, 'before'):.2f} s, waiting for the API server {_median(some, 'asked'):.2f} s")  # fmt: skip
        say(f"{change}: {ratios[change]:.2f} times as long beside a noisy namespace")
    assert max(ratios.values()) < request.config.getoption("times")


def _quieten(bed: Bed) -> None:
    """Until nothing is due. What fails is tried again ever more seldom."""
    bed.wait_quiet(timeout_s=600)


def _create(bed: Bed, number: int) -> str:
    """A new instance of the quiet namespace; on return it is ready."""
    name = f"quiet-{number:04}"
    bed.api.create(_an_instance(QUIET, name, _settings(30)))
    bed.api.wait_for(KIND, name, QUIET, lambda cr: bool(cr["status"]["ready"]), WITHIN_S)
    return name


def _edit(bed: Bed, name: str, days: int) -> None:
    """On return its settings are in force."""
    bed.api.merge_patch(KIND, name, QUIET, {"spec": _settings(days)})
    wanted = f"days: {days}\n"
    held = f"{name}-immich-config"
    bed.api.wait_for("ConfigMap", held, QUIET, lambda live: wanted in live["data"][CONFIGURATION], WITHIN_S)


def _creations(requests: Sequence[Request]) -> list[Taken]:
    """In the order in which somebody asked for them: until all objects of an instance were there."""
    asked = [
        one for one in requests if one.agent.startswith(BENCH) and one.resource == "immiches" and one.verb == "create"
    ]
    found = []
    for one in asked:
        mine = [other for other in _of_plays(requests, one.name) if other.received >= one.received]
        found.append(_taken(one, mine, [other for other in mine if other.code == 201 and other.resource != "events"]))
    return found


def _edits(requests: Sequence[Request]) -> list[Taken]:
    """The same of edits: until the settings were stored, from where Immich reads them."""
    asked = [
        one
        for one in requests
        if one.agent.startswith(BENCH)
        and one.resource == "immiches"
        and one.verb == "patch"
        and one.name.startswith("quiet")
    ]
    found = []
    for one in asked:
        mine = [other for other in _of_plays(requests, one.name) if other.received >= one.received]
        writes = [other for other in mine if other.resource == "configmaps" and other.is_write]
        found.append(_taken(one, mine, writes[:1]))
    return found


def _of_plays(requests: Sequence[Request], instance: str) -> list[Request]:
    """Those that name it, and those that ask for all objects of its kind in the namespace."""
    return [
        one
        for one in requests
        if one.is_about_instances and one.namespace == QUIET and instance_of(one.name) in {"", instance}
    ]


def _taken(asked: Request, mine: Sequence[Request], writes: Sequence[Request]) -> Taken:
    end = max(one.completed for one in writes)
    until = sorted((one.received, one.completed) for one in mine if one.completed <= end)
    busy, covered = 0.0, 0.0
    for received, completed in until:
        busy += max(0.0, completed - max(received, covered))
        covered = max(covered, completed)
    return Taken(end - asked.received, until[0][0] - asked.received, busy)


def _median(some: Sequence[Taken], part: str) -> float:
    return statistics.median(getattr(one, part) for one in some)


def _settings(days: int) -> dict[str, Any]:
    return {"immich": {"configuration": {"trash": {"enabled": True, "days": days}}}}


def _noisy_settings(number: int) -> dict[str, Any]:
    spec = _settings(30)
    if number < LARGE:
        spec["immich"]["configuration"]["server"] = {"loginPageMessage": "x" * LARGE_BYTES}
    elif number < LARGE + MISSING:
        missing = {"name": "is-not-there", "key": "password"}
        spec["server"] = {"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": missing}}]}
    return spec


def _an_instance(namespace: str, name: str, spec: dict[str, Any]) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
