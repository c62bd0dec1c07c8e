# SPDX-License-Identifier: Apache-2.0
"""Leader election: who may take the Lease and when, without any real time passing."""

import copy
import logging
import math
import threading
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import refusal
from immich_operator.errors import LeaseLostError, Unreachable
from immich_operator.kube.client import ObjectRef
from immich_operator.process.election import Elector, Sighting, Terms, Times, claim, may_take, released, sighting
from support.waiting import eventually

WALL = "2026-01-01T00:00:00.000000Z"


class LeaseServer:
    """The one Lease of an API server: optimistic locking, and faults on demand."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.requests: list[str] = []
        self.down = False
        self._version = 0

    def within(self, _seconds: float) -> "LeaseServer":
        return self

    def find(self, ref: ObjectRef) -> dict[str, Any] | None:
        self._request("GET")
        assert ref == ObjectRef("coordination.k8s.io/v1", "Lease", "lease", "ns")
        return copy.deepcopy(self.lease)

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.write("POST", body)

    def replace(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.write("PUT", body)

    def write(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        self._request(method)
        exists = self.lease is not None
        version = self.lease["metadata"]["resourceVersion"] if self.lease is not None else None
        if (method == "POST") == exists or (exists and body["metadata"].get("resourceVersion") != version):
            raise refusal(409, "", {}, "Lease")
        self._version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self._version)}
        self.lease = {**copy.deepcopy(body), "metadata": metadata}
        return copy.deepcopy(self.lease)

    def _request(self, method: str) -> None:
        self.requests.append(method)
        if self.down:
            raise Unreachable(method)


class Waits(threading.Event):
    """Stands for `finish`: each wait moves the clock instead of taking time; set after `limit` waits."""

    def __init__(self, clock: "Clock", limit: int) -> None:
        super().__init__()
        self._clock, self._left = clock, limit

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += timeout or 0.0
        self._left -= 1
        return self.is_set() or self._left < 0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


def an_elector(
    server: LeaseServer,
    clock: Clock,
    identity: str = "me",
    changes: list[bool] | None = None,
    permits: list[float] | None = None,
) -> Elector:
    return Elector(
        server,  # type: ignore[arg-type]
        Terms(namespace="ns", name="lease", identity=identity),
        stop=threading.Event(),
        log=logging.getLogger("test"),
        on_change=(changes if changes is not None else []).append,
        permit=(permits if permits is not None else []).append,
        times=Times(monotonic=clock, wall=lambda: WALL, chance=lambda: 0.0),
    )


@pytest.mark.parametrize(
    ("spec", "now", "allowed"),
    [
        pytest.param({}, 0, True, id="empty-record"),
        pytest.param({"holderIdentity": "", "leaseDurationSeconds": 1}, 0, True, id="released"),
        pytest.param({"holderIdentity": "me", "leaseDurationSeconds": 15}, 0, True, id="mine"),
        pytest.param({"holderIdentity": "other", "leaseDurationSeconds": 15}, 15, False, id="held"),
        pytest.param({"holderIdentity": "other", "leaseDurationSeconds": 15}, 15.1, True, id="silent"),
        pytest.param({"holderIdentity": "other", "leaseDurationSeconds": 60}, 30, False, id="by-the-holders-duration"),
        pytest.param({"holderIdentity": "other", "leaseDurationSeconds": "x"}, 0.1, True, id="nonsense-duration"),
        pytest.param({"holderIdentity": "other", "leaseDurationSeconds": 2**31 - 1}, 3600, False, id="an-hour"),
        pytest.param({"holderIdentity": "other", "leaseDurationSeconds": 2**31 - 1}, 3600.1, True, id="for-ever"),
        pytest.param({"holderIdentity": "other", "leaseDurationSeconds": 10**400}, 3600.1, True, id="beyond-numbers"),
    ],
)
def test_a_lease_may_be_taken_when_nobody_has_it_or_its_holder_is_silent(spec, now, allowed):
    assert may_take(Sighting(spec, at=0), "me", now) is allowed


def test_silence_is_measured_by_the_own_clock_from_the_last_change_seen():
    record = {"holderIdentity": "other", "renewTime": "1970-01-01T00:00:00Z"}

    first = sighting(None, record, 5.0)

    assert sighting(first, dict(record), 9.0).at == 5.0, "the old time in the record means nothing"
    assert sighting(first, {**record, "renewTime": "later"}, 9.0).at == 9.0


def test_a_hand_over_counts_a_transition_and_a_renewal_does_not():
    terms = Terms(namespace="ns", name="lease", identity="me")
    other = {"holderIdentity": "other", "leaseTransitions": 4, "acquireTime": "before"}

    taken = claim(other, terms, WALL)
    renewed = claim(taken, terms, "later")

    assert (taken["leaseTransitions"], taken["acquireTime"], taken["renewTime"]) == (5, WALL, WALL)
    assert (renewed["leaseTransitions"], renewed["acquireTime"], renewed["renewTime"]) == (5, WALL, "later")
    assert claim({}, terms, WALL)["leaseTransitions"] == 0, "the first holder takes over from nobody"


@pytest.mark.parametrize("count", [2**31 - 1, 2**31, -1, "many"])
def test_a_count_that_the_api_server_would_not_take_begins_again(count):
    terms = Terms(namespace="ns", name="lease", identity="me")

    assert claim({"holderIdentity": "other", "leaseTransitions": count}, terms, WALL)["leaseTransitions"] == 1


def test_a_released_lease_names_nobody_and_keeps_the_count():
    assert released({"holderIdentity": "me", "leaseTransitions": 4}, WALL) == {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": WALL,
        "renewTime": WALL,
        "leaseTransitions": 4,
    }


def test_the_first_candidate_creates_the_lease_and_renews_it_with_one_request_each(server, clock):
    elector = an_elector(server, clock)

    assert elector.attempt(10)
    assert elector.attempt(10)

    assert server.requests == ["GET", "POST", "PUT"]
    assert server.lease["spec"]["leaseDurationSeconds"] == 15


def test_a_standby_takes_over_only_when_the_holder_has_been_silent_for_the_whole_duration(server, clock):
    an_elector(server, clock, "other").attempt(10)
    standby = an_elector(server, clock)

    attempts = []
    for _ in range(9):
        attempts.append((clock.now - 1000, standby.attempt(10)))
        clock.now += 2

    assert attempts[:8] == [(2 * step, False) for step in range(8)]
    assert attempts[8] == (16, True)
    assert server.lease["spec"]["leaseTransitions"] == 1


def test_a_released_lease_is_taken_at_once(server, clock):
    changes: list[bool] = []
    leader, standby = an_elector(server, clock, "other", changes), an_elector(server, clock)
    leader._finished = Waits(clock, limit=1)
    leader.run()
    assert not standby.attempt(10)

    leader.finish()

    assert standby.attempt(10)
    assert changes == [True, False]


def test_a_server_that_stays_away_is_told_once_and_again_after_it_was_there(server, clock, caplog):
    elector = an_elector(server, clock)

    for down in (True, True, True, False, True):
        server.down = down
        elector.attempt(1.0)

    said = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in said] == ["the Lease could not be read or written"] * 2


def test_of_two_candidates_at_the_same_moment_one_gets_the_lease(server, clock):
    first, second = an_elector(server, clock, "first"), an_elector(server, clock, "second")
    original = server.find

    def get_while_the_other_is_quicker(*args: Any, **kwargs: Any) -> dict[str, Any]:
        server.find = original  # type: ignore[method-assign]
        try:
            return original(*args, **kwargs)
        finally:
            assert second.attempt(10)

    server.find = get_while_the_other_is_quicker  # type: ignore[method-assign]

    assert not first.attempt(10)
    assert server.lease["spec"]["holderIdentity"] == "second"


def test_a_leader_that_cannot_renew_ends_before_another_may_begin(server, clock):
    changes: list[bool] = []
    elector = an_elector(server, clock, changes=changes)
    elector._finished = Waits(clock, limit=1000)
    started = clock.now

    def lose_the_server(leading: bool) -> None:
        changes.append(leading)
        server.down = True

    elector._on_change = lose_the_server
    with pytest.raises(LeaseLostError, match="Lease ns/lease was lost"):
        elector.run()

    assert changes == [True, False]
    assert 10 <= clock.now - started < 15, "after the renew deadline, before the Lease expires"


def test_writes_are_permitted_until_the_renew_deadline_of_the_last_renewal_and_not_after_the_end(server, clock):
    permits: list[float] = []
    elector = an_elector(server, clock, permits=permits)
    elector._finished = Waits(clock, limit=2)
    elector.run()

    elector.finish()

    assert permits == [1010, 1012, 1014, -math.inf]


def test_a_leader_that_stood_still_too_long_permits_nothing_when_it_finds_another(server, clock):
    permits: list[float] = []
    elector = an_elector(server, clock, permits=permits)
    elector._finished = Waits(clock, limit=1000)

    def stand_still(leading: bool) -> None:
        if leading:
            clock.now += 20
            spec = {**server.lease["spec"], "holderIdentity": "other"}
            server.lease = {**server.lease, "spec": spec}
            server.lease["metadata"]["resourceVersion"] = "other"

    elector._on_change = stand_still
    with pytest.raises(LeaseLostError):
        elector.run()

    assert permits == [1010, -math.inf]


def test_a_renewal_that_never_ends_does_not_keep_a_leader_beyond_its_deadline(server, clock):
    """Each part of a request has its time limit; a request whose answer comes in drops as a whole has none."""
    changes: list[bool] = []
    elector = an_elector(server, clock, changes=changes)
    elector._terms = Terms(namespace="ns", name="lease", identity="me", renew_deadline_s=0.3, retry_s=0.1)
    elector._finished = Waits(clock, limit=1000)
    send, is_over = server.write, threading.Event()

    def answers_in_drops(*args: Any, **kwargs: Any) -> dict[str, Any]:
        clock.now += 10
        assert is_over.wait(30), "the elector waits for the answer"
        return send(*args, **kwargs)

    def as_leader(leading: bool) -> None:
        changes.append(leading)
        if leading:
            server.write = answers_in_drops  # type: ignore[method-assign]

    elector._on_change = as_leader
    try:
        with pytest.raises(LeaseLostError, match="Lease ns/lease was lost"):
            elector.run()
    finally:
        is_over.set()

    assert changes == [True, False]


def test_a_machine_without_a_thread_for_one_renewal_does_not_end_the_leader(server, clock, monkeypatch):
    changes: list[bool] = []
    elector = an_elector(server, clock, changes=changes)
    elector._finished = Waits(clock, limit=3)
    start, refused = threading.Thread.start, iter([True])

    def refused_once(thread: threading.Thread) -> None:
        if next(refused, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused_once)

    elector.run()

    assert changes == [True]
    assert server.requests == ["GET", "POST", "PUT", "PUT"], "two of three renewals"


def test_a_lease_that_took_too_long_to_get_is_renewed_before_anybody_leads(server, clock):
    elector = an_elector(server, clock)
    elector._finished = Waits(clock, limit=2)
    send = server.write

    def slow_once(*args: Any, **kwargs: Any) -> dict[str, Any]:
        server.write = send  # type: ignore[method-assign]
        clock.now += 11  # others count from when it was written, and may take it soon
        return send(*args, **kwargs)

    server.write = slow_once  # type: ignore[method-assign]
    requests: list[str] = []
    elector._on_change = lambda _leading: requests.extend(server.requests)

    elector.run()

    assert requests == ["GET", "POST", "PUT"]


def test_an_unexpected_error_ends_the_leading_too(server, clock):
    changes: list[bool] = []
    elector = an_elector(server, clock)
    elector._finished = Waits(clock, limit=1000)

    def broken(*_: Any, **__: Any) -> dict[str, Any]:
        raise MemoryError

    def as_leader(leading: bool) -> None:
        changes.append(leading)
        server.write = broken  # type: ignore[method-assign]

    elector._on_change = as_leader
    with pytest.raises(MemoryError):
        elector.run()

    assert changes == [True, False]
    assert not elector.leading.is_set()


def test_the_lease_lasts_for_others_at_least_as_long_as_its_holder_relies_on_it():
    terms = Terms(namespace="ns", name="lease", identity="me", lease_s=15.9)

    assert claim({}, terms, WALL)["leaseDurationSeconds"] == 16


def test_a_leader_whose_lease_somebody_else_has_written_ends_at_once(server, clock):
    elector = an_elector(server, clock)
    elector._finished = Waits(clock, limit=1000)

    def robbed(leading: bool) -> None:
        spec = {**server.lease["spec"], "holderIdentity": "thief", "leaseDurationSeconds": 15}
        server.lease = {**server.lease, "spec": spec}
        server.lease["metadata"]["resourceVersion"] = "other"

    elector._on_change = robbed
    with pytest.raises(LeaseLostError, match="was lost"):
        elector.run()

    assert clock.now == 1002, "at the first renewal"


def test_a_standby_that_is_told_to_stop_leaves_the_lease_alone(server, clock):
    an_elector(server, clock, "other").attempt(10)
    standby = an_elector(server, clock)
    standby._finished = Waits(clock, limit=1)

    standby.run()
    standby.finish()

    assert server.lease["spec"]["holderIdentity"] == "other"


def written_by_somebody(server: LeaseServer) -> None:
    """A change that leaves the holder as it is, by `kubectl annotate`, say."""
    metadata = {**server.lease["metadata"], "resourceVersion": "other"}
    server.lease = {**server.lease, "metadata": metadata}


def test_a_conflict_whose_cause_cannot_be_read_yet_is_no_loss(server, clock):
    elector = an_elector(server, clock)
    elector._finished = Waits(clock, limit=3)
    read = server.find

    def unreadable_once(*_: Any) -> dict[str, Any]:
        server.find = read  # type: ignore[method-assign]
        raise Unreachable("Lease")

    def as_leader(leading: bool) -> None:
        written_by_somebody(server)
        server.find = unreadable_once  # type: ignore[method-assign]

    elector._on_change = as_leader

    elector.run()

    assert elector.leading.is_set()
    assert server.lease["spec"]["holderIdentity"] == "me"


def test_a_renewal_under_way_does_not_take_back_a_released_lease(server, clock):
    elector = an_elector(server, clock)
    elector._finished = threading.Event()
    elector._terms = Terms(namespace="ns", name="lease", identity="me", retry_s=5.0)
    assert elector.attempt(10)
    elector.leading.set()
    send, begun, go_on = server.write, threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> dict[str, Any]:
        server.write = send  # type: ignore[method-assign]
        begun.set()
        assert go_on.wait(10)
        return send(*args, **kwargs)

    server.write = slow  # type: ignore[method-assign]
    renewal = threading.Thread(target=elector.attempt, args=(10,))
    renewal.start()
    assert begun.wait(10)
    end = threading.Thread(target=elector.finish)
    end.start()
    eventually("`finish` on its way to the Lease", lambda: not elector.leading.is_set())
    go_on.set()
    renewal.join()
    end.join()

    assert server.lease["spec"]["holderIdentity"] == ""
    assert not elector.attempt(10), "and it is not taken again"


def test_a_lease_that_is_not_given_up_runs_out(server, clock):
    elector = an_elector(server, clock)
    elector._finished = Waits(clock, limit=1)
    elector.run()

    elector.finish(release=False)

    assert not elector.leading.is_set()
    assert server.lease["spec"]["holderIdentity"] == "me"
