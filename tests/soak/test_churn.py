# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed of many instances, they end as they are wanted, and the operator's memory stays as it was."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench import processes
from bench.bed import KIND, Bed
from support.as_planned import OWN_KINDS, deviations
from support.churn import Churn, Instance

LIMIT_MIB = 768
"""Memory limit of the operator in config/manager."""
FLAT = 1.1
"""Memory in the last quarter of the changes, in terms of that in the second one."""
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
    filled = time.monotonic()
    before, cpu, mark = bed.counters(), bed.cpu_s(), bed.cluster.audit.mark()

    with _memory(bed) as samples:
        churn.run(seconds)
    changed = time.monotonic()
    churn.settle()
    after = bed.wait_quiet(timeout_s=600)

    spent = {who: at - cpu[who] for who, at in bed.cpu_s().items()}
    quarters = _quarters(samples, filled, changed)
    growth, most = quarters[3] / quarters[1], max(mib for _, mib in samples)
    passes, plays = after.passes - before.passes, after.plays - before.plays
    requests = [one for one in bed.requests(mark) if one.is_about_instances]
    for line in churn.times.table():
        say(line)
    say(f"instances {number}, made in {filled - began:.0f} s; changes for {changed - filled:.0f} s, seen in "
        f"{time.monotonic() - changed:.0f} s more")  # fmt: skip
    say(f"passes {passes:.0f}, of these plays {plays:.0f}; requests per play {len(requests) / plays:.1f}; processor time per "
        f"play: operator {1000 * spent['the operator'] / plays:.0f} ms, Kubernetes "
        f"{1000 * spent['Kubernetes'] / plays:.0f} ms")  # fmt: skip
    say("memory (PSS), median of each quarter: " + ", ".join(f"{mib:.0f}" for mib in quarters)
        + f" MiB, at most {most:.0f}; last to second quarter {growth:.3f}")  # fmt: skip
    assert not _wrong(bed, churn.instances)
    assert not _lost(bed, kept)
    assert [line for line in bed.operator.lines() if line.get("msg") == "pass failed"] == []
    assert growth < FLAT
    assert most < LIMIT_MIB


@contextmanager
def _memory(bed: Bed) -> Iterator[list[tuple[float, float]]]:
    """[(when, MiB of the operator and its plays)], which grows until the end of the block."""
    samples: list[tuple[float, float]] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(LOOK_AGAIN_S):
            samples.append((time.monotonic(), processes.pss_mib(bed.family())))

    thread = threading.Thread(target=sample, name="measure memory")
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _quarters(samples: list[tuple[float, float]], begin: float, end: float) -> list[float]:
    """The median of each."""
    found: list[list[float]] = [[] for _ in range(4)]
    for at, mib in samples:
        found[min(3, int(4 * (at - begin) / (end - begin)))].append(mib)
    return [statistics.median(quarter) for quarter in found]


def _kept(bed: Bed) -> dict[tuple[str, str, str], Any]:
    """What outlives an instance: {(kind, namespace, name): uid, of a Secret its content}."""
    claims = bed.api.list("PersistentVolumeClaim", labels="app.kubernetes.io/name=immich")
    found = {("claim", *_name(live)): live["metadata"]["uid"] for live in claims}
    for live in bed.api.list("Secret", labels="app.kubernetes.io/component=postgres"):
        found["password", *_name(live)] = live["data"]
    assert any(key[0] == "password" for key in found)
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
