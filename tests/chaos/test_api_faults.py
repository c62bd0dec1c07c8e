# SPDX-License-Identifier: Apache-2.0
"""The API server fails in every way that it can: afterwards all is as people wrote it, and meanwhile it is not pestered.

Each test works on a cluster of its own, because API server and etcd are killed; what can't be asked of the real ones does
a proxy between them and the operator.
"""

from __future__ import annotations

import contextlib
import copy
import random
import re
import shutil
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcluster.credentials import Authority
from localcluster.testing import Cluster, another_cluster
from support.control_plane import ControlPlane
from support.ledger import Ledger
from support.operating import Operator, install_crd
from support.proxy import CUT, SILENT, Fault, Proxy, Request
from support.waiting import eventually
from tests.chaos.bustle import Bustle, watched_passwords
from tests.chaos.conftest import TimesOf
from tests.chaos.machine import CLOCK, Clock

EACH = 3
"""Instances at work."""
FLAGS = ("--retry-max=10s", "--health-probe-bind-address=127.0.0.1:0")
BACKOFF_FIRST_S, BACKOFF_MAX_S = 1.0, 30.0
"""Of a watch that fails, as docs/explanation/reliability.md promises. Half of each delay is the shortest that chance makes
of it."""
REQUESTS_OF_AN_ATTEMPT = 3
"""A look at the server's version, a list of one page, a watch."""
ATTEMPTS_OF_A_READ = 4
READS_OF_A_PASS = 40
BUSY_REQUESTS = (40, 120)
"""So many requests of the operator may a fault last, which is what a moment is in these tests."""
LONGEST_S = 25.0
GROWTH = 0.05
"""How much more memory the loop may have after hundreds of cut watches, as a share of what it had after the first ones."""


class Family(Bustle):
    """Instances of which an earlier state can become what is wanted again."""

    def noted(self) -> Any:
        return copy.deepcopy((self._wanted, self._had_machine_learning))

    def is_back_to(self, noted: Any) -> None:
        self._wanted, self._had_machine_learning = copy.deepcopy(noted)


@dataclass
class World:
    """A cluster, an operator behind a proxy, and instances at which people work."""

    cluster: Cluster
    namespace: str
    proxy: Proxy
    operator: Operator
    family: Family

    def words(self) -> str:
        return self.operator.tail(15)

    def wait_right(self) -> float:
        """Until all is as it was written last; in how many seconds."""
        began = time.monotonic()
        self.family.wait_right(words=self.words)
        assert self.operator.process.poll() is None, self.words()
        return time.monotonic() - began

    def data(self) -> dict[tuple[str, str], Any]:
        """What people can't replace, and what outlives an instance: {(kind, name): uid, and content} of passwords and claims."""
        return {
            (kind, manifest["metadata"]["name"]): (manifest["metadata"]["uid"], manifest.get("data"))
            for kind in ("Secret", "PersistentVolumeClaim")
            for manifest in self.cluster.api.list(kind, self.namespace, labels="app.kubernetes.io/instance")
            if not manifest["metadata"].get("ownerReferences")
        }


@pytest.fixture(scope="module")
def control() -> Iterator[tuple[Cluster, ControlPlane]]:
    with another_cluster("apifaults") as running:
        install_crd(running)
        yield running, ControlPlane(running)


@contextlib.contextmanager
def a_world(
    cluster: Cluster,
    seed: str,
    folder: Path,
    *args: str,
    tls: ssl.SSLContext | None = None,
    user: Mapping[str, str] | None = None,
    ca: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[World]:
    """An operator behind a proxy, with instances that are Ready. All is gone at the end."""
    with cluster.namespace("apifaults") as namespace, Proxy(cluster.kubeconfig, tls=tls) as proxy:
        config = proxy.kubeconfig(folder, user=user, **({"certificate-authority": ca} if ca else {}))
        operator = Operator(
            cluster, folder, *FLAGS, f"--leader-election-namespace={namespace}", *args,
            environment={"WATCH_NAMESPACE": namespace, "KUBECONFIG": str(config), **(environment or {})},
        )  # fmt: skip
        try:
            operator.wait_line("passes begin")
            people = random.Random(f"{seed} people")  # noqa: S311 - repeatable, not secret
            world = World(cluster, namespace, proxy, operator, Family(cluster, [namespace], people, each=EACH))
            world.family.create_all()
            world.wait_right()
            yield world
        finally:
            operator.end()


@pytest.fixture(scope="module")
def shared(
    control: tuple[Cluster, ControlPlane], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One for all tests that need no other settings: it has to survive them all."""
    with a_world(control[0], request.config.getoption("seed"), tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The shared one; a test that fails leaves it without a fault."""
    yield shared
    shared.proxy.lift()
    shared.proxy.resume()


Begin = Callable[..., World]


@pytest.fixture
def begin(control: tuple[Cluster, ControlPlane], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Begin]:
    """Start a world of the test's own."""
    with contextlib.ExitStack() as stack:
        seed = f"{request.config.getoption('seed')} {request.node.name}"
        yield lambda *args, **options: stack.enter_context(a_world(control[0], seed, tmp_path, *args, **options))


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


def test_a_server_that_refuses_connections_ends_in_the_right_state(
    world: World, chance: random.Random, times: TimesOf, ledger: Ledger
) -> None:
    for _ in range(times(8)):
        with world.family.going_on(pause_s=0.3):
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
            world.proxy.interrupt()
            world.proxy.wait_requests(1, chance.uniform(0.1, 10.0))  # none comes: it is a wait
            world.proxy.resume()
        ledger.count("connection refused", seconds=[world.wait_right()])


LASTING: dict[str, Fault] = {
    "500": Fault(status=500),
    "429 with Retry-After: 5": Fault(status=429, retry_after_s=5),
    "410 for each watch": Fault(expired=True),
    "connection cut": CUT,
    "401": Fault(status=401),
}
PASSES_BETWEEN_S = 1.0


@pytest.mark.parametrize("name", LASTING)
def test_requests_during_a_fault_that_lasts_become_fewer_and_fewer(
    name: str, world: World, times: TimesOf, ledger: Ledger
) -> None:
    seconds = 6.0 * times(10)
    watched = {resource_of(request) for request in world.proxy.requests if request.is_watch}
    mark = len(world.proxy.requests)

    world.proxy.fault = lambda _request: LASTING[name]
    world.proxy.cut()
    world.family.act()
    world.proxy.wait_requests(10**6, seconds)

    requests = world.proxy.requests[mark:]
    per_kind = Counter(resource_of(request) for request in requests if not request.is_of_a_pass)
    most = attempts_within(seconds) * REQUESTS_OF_AN_ATTEMPT
    assert {kind: count for kind, count in per_kind.items() if kind in watched and count > most} == {}
    of_passes = sum(request.is_of_a_pass for request in requests)
    assert of_passes <= EACH * passes_within(seconds) * READS_OF_A_PASS * ATTEMPTS_OF_A_READ
    ledger.count(f"requests while all get {name}", tried=len(requests), seconds=[seconds])
    world.proxy.lift()
    ledger.count(f"after all got {name}", seconds=[world.wait_right()])


def attempts_within(seconds: float) -> int:
    """How often a watch is tried in that time at most: at once, then after delays that double up to a bound."""
    attempts, at, delay = 1, 0.0, BACKOFF_FIRST_S
    while (at := at + delay / 2) <= seconds:
        attempts, delay = attempts + 1, min(BACKOFF_MAX_S, 2 * delay)
    return attempts + 1  # a watch that had been open for a while begins anew


def passes_within(seconds: float) -> int:
    """How often a pass of one instance is tried: because of the change, then as `--retry-first` and `--retry-max` say."""
    passes, at, delay = 2, 0.0, PASSES_BETWEEN_S
    while (at := at + delay) <= seconds:
        passes, delay = passes + 1, min(10.0, 2 * delay)
    return passes


def test_an_api_server_that_is_killed_at_any_moment_ends_in_the_right_state(
    world: World, control: tuple[Cluster, ControlPlane], chance: random.Random, times: TimesOf, ledger: Ledger
) -> None:
    plane = control[1]
    for _ in range(times(10)):
        before = world.data()
        for _ in range(chance.randint(1, 4)):
            world.family.act()
        world.proxy.wait_requests(chance.randint(1, 60), 1.0)  # in the middle of a pass, mostly
        with plane.api_server_away():
            world.proxy.wait_requests(chance.randint(1, 60), chance.uniform(0.0, 6.0))
        ledger.count("API server killed", seconds=[world.wait_right()])
        assert before.items() <= world.data().items()


def test_an_api_server_that_is_restored_to_an_older_state_ends_in_the_right_state(
    world: World,
    control: tuple[Cluster, ControlPlane],
    chance: random.Random,
    times: TimesOf,
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    """In half of the cases people go on with their work before the operator is back."""
    plane = control[1]
    for number in range(times(10)):
        snapshot, then = plane.snapshot(tmp_path / str(number)), world.family.noted()
        world.wait_right()
        data = world.data()
        for _ in range(chance.randint(2, 8)):
            world.family.act()
        world.wait_right()
        people_first = chance.random() < 0.5
        if people_first:
            world.proxy.interrupt()
        with plane.restored(snapshot):
            pass
        world.family.is_back_to(then)
        if people_first:
            for _ in range(chance.randint(1, 4)):
                world.family.act()
            world.proxy.resume()
        ledger.count("older state of etcd restored", seconds=[world.wait_right()])
        assert data.items() <= world.data().items(), "what people can't replace is what it was"
        shutil.rmtree(tmp_path / str(number))


def test_a_token_that_is_replaced_is_read_again(
    begin: Begin, chance: random.Random, times: TimesOf, ledger: Ledger, tmp_path: Path
) -> None:
    """The old one is not valid any more from that moment on, for the loop and for plays that are under way."""
    file, valid = tmp_path / "token", ""

    def rotate() -> None:
        nonlocal valid
        valid = f"token-{chance.getrandbits(64):016x}"
        fresh = file.with_suffix(".new")
        fresh.write_text(valid)
        fresh.rename(file)

    rotate()
    world = begin(user={"tokenFile": str(file)})
    world.proxy.knows = lambda headers, _connection: headers.get("Authorization", "").lower() == f"bearer {valid}"
    for _ in range(times(20)):
        mark = len(world.proxy.requests)
        with world.family.going_on(pause_s=0.3):
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
            rotate()
            world.proxy.cut()
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
        ledger.count("token replaced", seconds=[world.wait_right()])
        refused = [r for r in world.proxy.requests[mark:] if r.status == 401 and not r.is_of_a_pass]
        assert len(refused) <= len(watches_of(world)) + 4, "each watch may meet it once, and what else was on its way"


def watches_of(world: World) -> set[str]:
    return {resource_of(request) for request in world.proxy.requests if request.is_watch}


class Identity:
    """Certificates of a server and of the operator, and the authority of both, in files that are replaced together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.ca, self.certificate, self.key = (folder / name for name in ("ca.crt", "client.crt", "client.key"))
        self.server = self.replace()

    def replace(self, *, files: bool = True) -> ssl.SSLContext:
        """Another authority, and what a server needs to be known by it. Without `files` the client learns of it later."""
        self._number += 1
        place = self._folder / str(self._number)
        place.mkdir()
        authority = Authority.create(place)
        certificate, key = authority.issue("server", "server", hosts=("127.0.0.1",))
        self._next = (authority.path, *authority.issue("client", "operator"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(authority.path)
        context.verify_mode = ssl.CERT_REQUIRED
        if files:
            self.tell()
        return context

    def tell(self) -> None:
        """Put the client's files in place."""
        for source, target in zip(self._next, (self.ca, self.certificate, self.key), strict=True):
            fresh = target.with_suffix(".new")
            shutil.copy(source, fresh)
            fresh.rename(target)


def test_certificates_and_authorities_that_are_replaced_are_read_again(
    begin: Begin, chance: random.Random, times: TimesOf, ledger: Ledger, tmp_path: Path
) -> None:
    """In half of the cases the operator's files come later than the server's. What the server no longer knows gets a 401."""
    identity = Identity(tmp_path)
    user = {"client-certificate": str(identity.certificate), "client-key": str(identity.key)}
    world = begin(tls=identity.server, user=user, ca=str(identity.ca))
    world.proxy.knows = lambda _headers, connection: connection.context is world.proxy.tls
    for _ in range(times(20)):
        at_once = chance.random() < 0.5
        with world.family.going_on(pause_s=0.3):
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
            world.proxy.tls = identity.replace(files=at_once)
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), 5.0)
            identity.tell()
            world.proxy.cut()
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
        ledger.count("certificates and authority replaced", seconds=[world.wait_right()])


def test_watches_that_are_cut_by_the_hundred_cost_no_memory(world: World, times: TimesOf, ledger: Ledger) -> None:
    loop = world.operator.process.pid
    kinds = len(watches_of(world))
    rounds = max(20, times(200))  # at least 200 watches

    def cut(count: int) -> None:
        for _ in range(count):
            mark = len(world.proxy.requests)
            world.proxy.cut()
            eventually(
                "each watch is open again",
                lambda mark=mark: len({resource_of(r) for r in world.proxy.requests[mark:] if r.is_watch}) >= kinds,
            )

    cut(8)
    before = memory_of(loop)
    cut(rounds)
    after = memory_of(loop)

    ledger.count("watches cut, memory of the loop compared", tried=kinds * (8 + rounds))
    assert after <= before * (1 + GROWTH), f"{before} KiB before, {after} KiB after {kinds * rounds} cut watches"
    world.wait_right()


def memory_of(pid: int) -> int:
    """KiB of a process: its share of what it has in common with others included."""
    [kibibytes] = re.findall(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(kibibytes)


PATIENT_LEASE = ("--leader-elect-lease-duration=60s", "--leader-elect-renew-deadline=40s")
"""For machines that are busy with other tests."""


@pytest.mark.skipif(not CLOCK, reason="a clock that jumps needs Debian's package libfaketime")
def test_a_clock_that_jumps_by_hours_and_days_changes_nothing(
    begin: Begin, chance: random.Random, times: TimesOf, ledger: Ledger, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    world = begin("--leader-elect", *PATIENT_LEASE, environment=clock.environment)
    for _ in range(times(20)):
        with world.family.going_on(pause_s=0.3):
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
            clock.jump(f"{chance.choice('+-')}{chance.randint(1, 48)}{chance.choice('hd')}")
            world.proxy.wait_requests(chance.randint(*BUSY_REQUESTS), LONGEST_S)
        ledger.count("clock of the operator jumps", seconds=[world.wait_right()])
    assert [line for line in world.operator.lines() if "was lost" in str(line)] == []
    clock.jump("+0")
