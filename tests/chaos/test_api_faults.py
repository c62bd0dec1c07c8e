# SPDX-License-Identifier: Apache-2.0
"""The answers of the API server fail in many ways: afterwards all is as people wrote it, and meanwhile it is not pestered.

A proxy between operator and API server does what can't be asked of a real one.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcluster.testing import Cluster, another_cluster
from support.ledger import Ledger
from support.operating import Operator, install_crd
from support.proxy import CUT, SILENT, Fault, Proxy, Request
from tests.chaos.bustle import Bustle, watched_passwords
from tests.chaos.conftest import TimesOf

EACH = 3
"""Instances at work."""
FLAGS = ("--retry-max=10s", "--health-probe-bind-address=127.0.0.1:0")
BACKOFF_FIRST_S = 1.0
"""Of a watch that fails, as docs/explanation/reliability.md promises. Half of each delay is the shortest that chance makes
of it."""
REQUESTS_OF_AN_ATTEMPT = 3
"""A look at the server's version, a list of one page, a watch."""
BUSY_REQUESTS = (40, 120)
"""So many requests of the operator may a fault last, which is what a moment is in these tests."""
LONGEST_S = 25.0


@dataclass
class World:
    """A cluster, an operator behind a proxy, and instances at which people work."""

    cluster: Cluster
    namespace: str
    proxy: Proxy
    operator: Operator
    family: Bustle

    def words(self) -> str:
        return self.operator.tail(15)

    def wait_right(self) -> float:
        """Until all is as it was written last; in how many seconds."""
        began = time.monotonic()
        self.family.wait_right(words=self.words)
        assert self.operator.process.poll() is None, self.words()
        return time.monotonic() - began


@pytest.fixture(scope="module")
def control() -> Iterator[Cluster]:
    with another_cluster("apifaults") as running:
        install_crd(running)
        yield running


@contextlib.contextmanager
def a_world(
    cluster: Cluster,
    seed: str,
    folder: Path,
) -> Iterator[World]:
    """An operator behind a proxy, with instances that are Ready. All is gone at the end."""
    with cluster.namespace("apifaults") as namespace, Proxy(cluster.kubeconfig) as proxy:
        config = proxy.kubeconfig(folder)
        operator = Operator(
            cluster, folder, *FLAGS, f"--leader-election-namespace={namespace}",
            environment={"WATCH_NAMESPACE": namespace, "KUBECONFIG": str(config)},
        )  # fmt: skip
        try:
            operator.wait_line("passes begin")
            people = random.Random(f"{seed} people")  # noqa: S311 - repeatable, not secret
            world = World(cluster, namespace, proxy, operator, Bustle(cluster, [namespace], people, each=EACH))
            world.family.create_all()
            world.wait_right()
            yield world
        finally:
            operator.end()


@pytest.fixture(scope="module")
def shared(
    control: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One for all tests that need no other settings: it has to survive them all."""
    with a_world(control, request.config.getoption("seed"), tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The shared one; a test that fails leaves it without a fault."""
    yield shared
    shared.proxy.lift()
    shared.proxy.resume()


def sometimes(chance: random.Random, share: float, fault: Callable[[], Fault]) -> Callable[[Request], Fault | None]:
    """A share of all requests."""
    return lambda _request: fault() if chance.random() < share else None


def writes(request: Request) -> bool:
    return request.method != "GET"


FAULTS: dict[str, Callable[[random.Random], Callable[[Request], Fault | None]]] = {
    "connection cut": lambda c: sometimes(c, 0.2, lambda: Fault(cut_after=int(c.expovariate(1 / 1000)))),
    "answer truncated": lambda c: sometimes(c, 0.2, lambda: Fault(short_after=int(c.expovariate(1 / 1000)))),
    "answer slow": lambda c: sometimes(c, 0.3, lambda: Fault(pause_s=c.uniform(0.01, 0.1), part_bytes=500)),
    "409": lambda c: lambda request: Fault(status=409) if writes(request) and c.random() < 0.3 else None,
    "429 with Retry-After": lambda c: sometimes(c, 0.3, lambda: Fault(status=429, retry_after_s=c.randint(1, 3))),
    "500, 502, 503, 504": lambda c: sometimes(c, 0.3, lambda: Fault(status=c.choice((500, 502, 503, 504)))),
    "410, expired": lambda c: sometimes(c, 0.5, lambda: Fault(expired=True)),
    "half-open": lambda c: sometimes(c, 0.05, lambda: SILENT),
    "all of these": lambda c: sometimes(
        c,
        0.2,
        lambda: c.choice(
            (CUT, Fault(cut_after=700), Fault(short_after=500), Fault(status=429, retry_after_s=1), Fault(status=500),
             Fault(expired=True), Fault(pause_s=0.05, part_bytes=300))
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_at_random_moments_ends_in_the_right_state(
    name: str, world: World, chance: random.Random, times: TimesOf, ledger: Ledger
) -> None:
    with watched_passwords(world.cluster) as passwords:
        for _ in range(times(8)):
            hits, mark, began = 0, len(world.proxy.requests), time.monotonic()
            decide = FAULTS[name](chance)

            def counted(request: Request, decide: Any = decide) -> Fault | None:
                nonlocal hits
                fault = decide(request)
                hits += fault is not None
                return fault

            with world.family.going_on(pause_s=0.3):
                world.proxy.fault = counted
                for _ in range(2):
                    world.proxy.cut()  # so that the fault meets watches, too
                    world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
                assert_bounded(world.proxy.requests[mark:], time.monotonic() - began)
                world.proxy.lift()
            ledger.count(name, tried=hits, seconds=[world.wait_right()])
        assert passwords.changes == []


def assert_bounded(requests: list[Request], seconds: float) -> None:
    """However often a watch fails: an attempt, then at least half of the first delay."""
    of_loop = [request for request in requests if not request.is_of_a_pass]
    per_kind = Counter(resource_of(request) for request in of_loop if request.method == "GET")
    most = REQUESTS_OF_AN_ATTEMPT * (1 + seconds / (BACKOFF_FIRST_S / 2))
    too_many = {resource: count for resource, count in per_kind.items() if count > most}
    assert not too_many, f"more than {most:.0f} requests in {seconds:.1f} s: {too_many}"


def resource_of(request: Request) -> str:
    """Path of the collection that a request is about."""
    return request.path.partition("?")[0]
