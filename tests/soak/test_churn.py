# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed of many instances, they end as they are wanted, and the operator's memory stays as it was."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from bench import processes
from bench.bed import KIND, Bed
from support.as_planned import OWN_KINDS, deviations
from support.churn import Churn, Instance

LIMIT_MIB = 768
"""Memory limit of the operator in config/manager."""
FLAT = 1.1
"""Memory in the last quarter of the changes, in terms of that in the second one, while there were as many processes."""
DATA = "library, postgres"
LOOK_AGAIN_S = 2.0


@pytest.fixture
def churn(bed: Bed, chance: random.Random) -> Iterator[Churn]:
    with Churn(bed, chance) as made:
        yield made


def test_all_instances_end_as_they_are_wanted_and_memory_stays_flat(
    bed: Bed, churn: Churn, say: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    number, seconds = request.config.getoption("instances"), 60 * request.config.getoption("minutes")
    began = time.monotonic()
    churn.fill(number)
    bed.wait_quiet(timeout_s=600)
    kept = _kept(bed)
    assert len(kept) == 3 * number, "the claims of library and database, and the password, of each"
    filled = time.monotonic()
    before, cpu, mark = bed.counters(), bed.cpu_s(), bed.cluster.audit.mark()

    with _memory(bed) as samples:
        churn.run(seconds)
    changed = time.monotonic()
    churn.settle()
    after = bed.wait_quiet(timeout_s=600)

    spent = {who: at - cpu[who] for who, at in bed.cpu_s().items()}
    quarters = _quarters(samples, filled, changed)
    medians = [statistics.median(mib for _, mib in quarter) for quarter in quarters]
    growth, most = _growth(quarters[1], quarters[3]), max(sample.mib for sample in samples)
    passes, plays = after.passes - before.passes, after.plays - before.plays
    requests = [one for one in bed.requests(mark) if one.is_about_instances]
    for line in churn.times.table():
        say(line)
    say(f"instances {number}, made in {filled - began:.0f} s; changes for {changed - filled:.0f} s, seen in "
        f"{time.monotonic() - changed:.0f} s more")  # fmt: skip
    say(f"passes {passes:.0f}, of these plays {plays:.0f}; requests per play {len(requests) / plays:.1f}; processor time per "
        f"play: operator {1000 * spent['the operator'] / plays:.0f} ms, Kubernetes "
        f"{1000 * spent['Kubernetes'] / plays:.0f} ms")  # fmt: skip
    say("memory (PSS), median of each quarter: " + ", ".join(f"{mib:.0f}" for mib in medians)
        + f" MiB, at most {most:.0f}; last to second quarter, with as many plays, {growth:.3f}")  # fmt: skip
    assert not _wrong(bed, churn.instances)
    assert not _lost(bed, kept)
    assert [line for line in bed.operator.lines() if line.get("msg") == "pass failed"] == []
    assert growth < FLAT
    assert most < LIMIT_MIB


class _Sample(NamedTuple):
    """Memory of the operator and its plays."""

    at: float
    processes: int
    mib: float


@contextmanager
def _memory(bed: Bed) -> Iterator[list[_Sample]]:
    """Samples, which become more until the end of the block."""
    samples: list[_Sample] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(LOOK_AGAIN_S):
            family = bed.family()
            samples.append(_Sample(time.monotonic(), len(family), processes.pss_mib(family)))

    thread = threading.Thread(target=sample, name="measure memory")
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _quarters(samples: list[_Sample], begin: float, end: float) -> list[list[tuple[int, float]]]:
    """[(processes, MiB)] of each quarter."""
    found: list[list[tuple[int, float]]] = [[] for _ in range(4)]
    for at, number, mib in samples:
        found[min(3, int(4 * (at - begin) / (end - begin)))].append((number, mib))
    return found


def _growth(early: list[tuple[int, float]], late: list[tuple[int, float]]) -> float:
    """The ratio of the medians while so many plays ran as most often in both: a play has memory of its own."""
    counts = [Counter(number for number, _ in quarter) for quarter in (early, late)]
    shared = counts[0] & counts[1]
    assert shared, f"there were never as many plays: {counts}"
    usual = max(shared, key=lambda number: shared[number])
    before, after = ([mib for number, mib in quarter if number == usual] for quarter in (early, late))
    return statistics.median(after) / statistics.median(before)


def _kept(bed: Bed) -> dict[tuple[str, str, str], Any]:
    """What outlives an instance: {(what, namespace, name): uid, of a Secret its content}. A cache does not."""
    claims = bed.api.list("PersistentVolumeClaim", labels=f"app.kubernetes.io/component in ({DATA})")
    found = {("claim", *_name(live)): live["metadata"]["uid"] for live in claims}
    for live in bed.api.list("Secret", labels="app.kubernetes.io/component=postgres"):
        found["password", *_name(live)] = live["data"]
    return found


def _lost(bed: Bed, kept: dict[tuple[str, str, str], Any]) -> list[tuple[str, str, str]]:
    now = _kept(bed)
    return [key for key, value in kept.items() if now.get(key) != value]


def _name(live: dict[str, Any]) -> tuple[str, str]:
    return live["metadata"]["namespace"], live["metadata"]["name"]


def _wrong(bed: Bed, instances: list[Instance]) -> dict[str, list[str]]:
    """{instance: what is not as it is wanted}"""
    found = {}
    for namespace in dict.fromkeys(instance.namespace for instance in instances):
        live: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for kind in OWN_KINDS:
            for one in bed.api.list(kind, namespace, labels="app.kubernetes.io/name=immich"):
                live[one["metadata"]["labels"]["app.kubernetes.io/instance"]].append(one)
        stored = {cr["metadata"]["name"]: cr for cr in bed.api.list(KIND, namespace)}
        for instance in instances:
            if instance.namespace == namespace:
                found[instance.name] = _is_wrong(instance, stored.get(instance.name), live[instance.name])
    return {name: wrong for name, wrong in found.items() if wrong}


def _is_wrong(instance: Instance, cr: dict[str, Any] | None, live: list[dict[str, Any]]) -> list[str]:
    if not instance.exists:
        left = {f"{one['kind']} {one['metadata']['name']}" for one in live}
        stays = {f"PersistentVolumeClaim {instance.name}-library", f"PersistentVolumeClaim data-{instance.name}-postgres-0",
                 f"Secret {instance.name}-postgres-credentials"}  # fmt: skip
        return [*(["it is there"] if cr else []), *sorted(left ^ stays)]
    if cr is None:
        return ["it is not there"]
    status = cr.get("status") or {}
    if status.get("observedGeneration") != cr["metadata"]["generation"] or not status.get("ready"):
        return [f"its status: {status}"]
    return deviations(instance.manifest(), [cr, *live], {f"{instance.name}-login": instance.login})
