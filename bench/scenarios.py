# SPDX-License-Identifier: Apache-2.0
"""What is measured of a running operator; each function leaves it with nothing to do."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench import processes
from bench.bed import KIND, QUIET_S, Bed, BenchError, namespace_of
from bench.figures import Figure, Key, medians
from bench.traffic import Request, creation, repair_s, verbs
from localcluster.api import Manifest

__all__ = [
    "WARM_UP",
    "create_at_once",
    "create_one_by_one",
    "drift",
    "endurance",
    "idle",
    "many",
    "restart",
    "singles",
    "timeout_s",
    "unchanged",
    "warm_up",
]

WARM_UP = "warm-0000"
ENDURING = 50
"""Instances that get many passes each."""
LEFT_OUT_PERIOD = "100ms"
LEFT_OUT_S = 5.0
TOUCHED = "bench/touched"
PERIOD = "ansible.sdk.operatorframework.io/reconcile-period"


@dataclass(frozen=True, slots=True)
class Harm:
    """A way to break an object of an instance, and how to see that it is repaired; `change` None deletes it."""

    kind: str
    resource: str
    suffix: str
    change: Mapping[str, Any] | None = None

    def is_repaired(self, before: Manifest) -> Callable[[Manifest], bool]:
        """A predicate of the live object."""
        if self.change is None:
            return lambda live: bool(live["metadata"]["uid"] != before["metadata"]["uid"])
        (part,) = self.change
        return lambda live: bool(live[part] == before[part])


HARMS = (
    Harm("Deployment", "deployments", "server"),
    Harm("StatefulSet", "statefulsets", "postgres"),
    Harm("Service", "services", "server"),
    Harm("ConfigMap", "configmaps", "immich-config"),
    Harm("Service", "services", "valkey", {"spec": {"selector": {"app.kubernetes.io/component": "elsewhere"}}}),
    Harm("ConfigMap", "configmaps", "immich-config", {"data": {"immich-config.yaml": "{}"}}),
)
"""The Secret is not among them: the operator generates no password for a database that has one."""


def warm_up(bed: Bed) -> None:
    """One instance that is not counted: the first play teaches the engine which modules plays need."""
    bed.create([WARM_UP], timeout_s(1))
    bed.wait_quiet(passes=1)
    bed.wait_rest()


def create_one_by_one(bed: Bed, repeats: int) -> tuple[str, list[Figure]]:
    """The last one's name, and medians over `repeats` custom resources, each created while the operator rests."""
    names = singles(repeats)
    return names[-1], medians([_create(bed, [name]) for name in names])


def create_at_once(bed: Bed, crs: int) -> list[Figure]:
    """`crs` custom resources, created while the operator rests."""
    return _create(bed, many(crs))


def singles(repeats: int) -> list[str]:
    """Names of instances that are created one after the other."""
    return [f"single-{number:04}" for number in range(repeats)]


def many(crs: int) -> list[str]:
    """Names of so many instances."""
    return [f"photos-{number:04}" for number in range(crs)]


def drift(bed: Bed, name: str, repeats: int) -> list[Figure]:
    """Time to repair what somebody has deleted or changed of the instance `name`; medians."""
    return medians([[_harm(bed, name, harm) for harm in HARMS] for _ in range(repeats)])


def unchanged(bed: Bed, name: str, repeats: int) -> list[Figure]:
    """Passes over the instance `name`, of which nothing has changed: run, and left out."""
    return [*medians([_needless_pass(bed, name, str(number)) for number in range(repeats)]), *_left_out(bed, name)]


def idle(bed: Bed, crs: int, seconds: float) -> list[Figure]:
    """CPU and memory while nothing happens."""
    bed.wait_rest()
    mark, before, start = bed.cluster.audit.mark(), processes.cpu_s(bed.family()), time.monotonic()
    time.sleep(seconds)
    family = bed.family()
    share = (processes.cpu_s(family) - before) / (time.monotonic() - start)
    asked = [request for request in bed.requests(mark) if request.is_about_instances]
    return [
        Figure(Key("Idle", "CPU", "% of a core", crs), 100 * share),
        Figure(Key("Idle", "memory (PSS)", "MiB", crs), processes.pss_mib(family)),
        Figure(Key("Idle", "requests besides watches and the Lease", "per min", crs), 60 * len(asked) / seconds),
    ]


def restart(bed: Bed, crs: int) -> list[Figure]:
    """A new operator finds `crs` instances that need nothing."""
    bed.operator.stop()
    mark, start = bed.cluster.audit.mark(), time.time()
    bed.start_operator()
    bed.wait_begun()
    counters = bed.wait_quiet(passes=crs, timeout_s=timeout_s(crs))
    until = time.time() - QUIET_S  # there may have been no play whose end could tell
    asked = [request for request in bed.requests(mark) if request.is_about_instances]
    return [
        Figure(Key("Restart", "until no pass is due", "s", crs), until - start),
        Figure(Key("Restart", "plays", "", crs), counters.plays),
        Figure(Key("Restart", "reads", "", crs), sum(not request.is_write for request in asked)),
        Figure(Key("Restart", "writes", "", crs), sum(request.is_write for request in asked)),
    ]


def endurance(bed: Bed, passes: int) -> list[Figure]:
    """Memory after a tenth, half and all of so many passes that are run and find nothing to do."""
    warm_up(bed)
    names = many(ENDURING)
    bed.create(names, timeout_s(ENDURING))
    bed.wait_quiet(passes=ENDURING)
    start, figures = bed.counters(), []
    for share in (0.1, 0.5, 1.0):
        while (done := bed.counters().plays - start.plays) < share * passes:
            for name in names:
                _annotate(bed, name, TOUCHED, f"{done:.0f}")
            for _ in bed.looks("the instances to be looked after", 60):
                if bed.counters().plays - start.plays >= done + ENDURING:
                    break
        bed.wait_rest()
        key = Key("Endurance", f"memory (PSS) after {share * passes:,.0f} passes", "MiB")
        figures.append(Figure(key, processes.pss_mib(bed.family())))
    failed = bed.counters().failed_plays - start.failed_plays
    for line in bed.operator.lines():
        if line.get("msg") == "pass failed":
            print(json.dumps(line), file=sys.stderr)  # the log goes with the bed
    return [*figures, Figure(Key("Endurance", "passes that failed", ""), failed)]


def timeout_s(crs: int) -> float:
    """For a number of custom resources; generous, it only ends what would never end."""
    return 120.0 + 15.0 * crs


def _create(bed: Bed, names: list[str]) -> list[Figure]:
    crs = len(names)
    bed.wait_rest()
    before, cpu_before, mark = bed.counters(), bed.cpu_s(), bed.cluster.audit.mark()
    ready_at = bed.create(names, timeout_s(crs))
    after = bed.wait_quiet(passes=before.passes + crs, timeout_s=timeout_s(crs))
    spent = {who: seconds - cpu_before[who] for who, seconds in bed.cpu_s().items()}
    if after.failed_plays > before.failed_plays:
        raise BenchError(f"{after.failed_plays - before.failed_plays:.0f} passes have failed\n{bed.operator.tail()}")
    figures = creation(bed.requests(mark), ready_at=ready_at, settled_at=bed.last_pass_at(), crs=crs)
    return [
        *figures,
        *(Figure(Key("Effort per instance", f"CPU of {who}", "s", crs), cpu / crs) for who, cpu in spent.items()),
        Figure(Key("Effort per instance", "plays", "", crs), (after.plays - before.plays) / crs),
    ]


def _harm(bed: Bed, instance: str, harm: Harm) -> Figure:
    name, namespace = f"{instance}-{harm.suffix}", namespace_of(instance)
    bed.wait_rest()
    mark, before = bed.cluster.audit.mark(), bed.api.get(harm.kind, name, namespace)
    if harm.change is None:
        bed.api.delete(harm.kind, name, namespace)
    else:
        bed.api.merge_patch(harm.kind, name, namespace, dict(harm.change))
    bed.api.wait_for(harm.kind, name, namespace, harm.is_repaired(before))
    bed.wait_quiet()
    took_s = repair_s(bed.requests(mark), harm.resource, name)
    return Figure(Key("Repair", f"{harm.kind} {'deleted' if harm.change is None else 'changed'}", "s"), took_s)


def _needless_pass(bed: Bed, name: str, mark_: str) -> list[Figure]:
    """An annotation may mean anything to a role, so the pass is run; it finds nothing to do."""
    bed.wait_rest()
    before, mark = bed.counters(), bed.cluster.audit.mark()
    _annotate(bed, name, TOUCHED, mark_)
    bed.wait_quiet(passes=before.passes + 1)
    asked = [request for request in bed.requests(mark) if request.is_about_instances]
    return [
        Figure(Key("Pass without a change", "play", "s"), bed.last_pass()["duration_s"]),
        Figure(Key("Pass without a change", "reads", ""), sum(not request.is_write for request in asked)),
        Figure(Key("Pass without a change", "writes", ""), sum(request.is_write for request in asked)),
        *_by_verb("Pass without a change", asked),
    ]


def _left_out(bed: Bed, name: str) -> list[Figure]:
    """What a pass costs that is due by its period, while nothing has changed since the last one."""
    before = bed.counters()
    _annotate(bed, name, PERIOD, LEFT_OUT_PERIOD)
    for _ in bed.looks("passes to be left out", 60):
        if bed.counters().skipped > before.skipped:
            break
    before, mark = bed.counters(), bed.cluster.audit.mark()
    time.sleep(LEFT_OUT_S)
    after, asked = bed.counters(), [request for request in bed.requests(mark) if request.is_about_instances]
    _annotate(bed, name, PERIOD, None)
    bed.wait_quiet()
    passes = after.skipped - before.skipped
    return [
        Figure(Key("Pass left out", "time", "ms"), 1000 * (after.pass_seconds - before.pass_seconds) / passes),
        Figure(Key("Pass left out", "requests", ""), len(asked)),
    ]


def _by_verb(section: str, requests: list[Request]) -> list[Figure]:
    return [Figure(Key(section, f"of these, {verb}", ""), count) for verb, count in verbs(requests).items()]


def _annotate(bed: Bed, name: str, annotation: str, value: str | None) -> None:
    bed.api.merge_patch(KIND, name, namespace_of(name), {"metadata": {"annotations": {annotation: value}}})
