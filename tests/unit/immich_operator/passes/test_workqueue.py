# SPDX-License-Identifier: Apache-2.0
"""The work queue, with a clock that only moves when a test says so."""

import heapq
import math
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_operator.passes.workqueue import MAX_REASONS, Pace, Queue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue[str]:
    return Queue(Pace(jitter=0), clock=clock)


def namespace(key: str) -> str:
    """a, of a/1"""
    return key.partition("/")[0]


def run_all(queue: Queue[str]) -> list[str]:
    """Hand out and give back everything that is due."""
    found = []
    while (item := queue.take()) is not None:
        found.append(item.key)
        queue.done(item.key)
    return found


def test_a_burst_of_events_becomes_one_pass_that_knows_all_reasons(queue, clock):
    for reason in ("created", "Pod a changed", "created"):
        queue.add("photos", reason)
    clock.move(0.1)

    item = queue.take()

    assert item.reasons == ("created", "Pod a changed")
    queue.done("photos")
    assert queue.take() is None


def test_a_pass_starts_100_ms_after_the_last_event(queue, clock):
    queue.add("photos", "first")
    clock.move(0.08)
    queue.add("photos", "second")

    clock.move(0.08)
    assert queue.take() is None, "0.16 s after the first event, 0.08 s after the last one"

    clock.move(0.021)
    assert queue.take().key == "photos"


def test_a_stream_of_events_cannot_hold_a_pass_back_for_more_than_a_second(queue, clock):
    for _ in range(19):
        queue.add("photos", "Pod changed")
        assert queue.take() is None
        clock.move(0.05)
    queue.add("photos", "Pod changed")
    clock.move(0.051)

    assert queue.take().key == "photos"


def test_what_somebody_waits_for_is_due_at_once_and_stays_so(queue, clock):
    queue.add("photos", "Pod changed")
    clock.move(0.05)
    queue.add("photos", "generation 1 -> 2", at_once=True)
    queue.add("photos", "Service changed")

    assert queue.take().reasons == ("Pod changed", "generation 1 -> 2", "Service changed")
    queue.done("photos")
    clock.move(1)
    assert queue.take() is None


def test_a_key_that_is_due_again_and_again_keeps_its_place_while_its_lane_is_full(lanes, clock):
    lanes.add("a/0", "created", at_once=True)
    lanes.take()
    lanes.add("a/noisy", "generation 1 -> 2", at_once=True)
    assert lanes.take() is None
    clock.move(1)
    lanes.add("a/other", "created", at_once=True)
    clock.move(1)
    lanes.add("a/noisy", "generation 2 -> 3", at_once=True)

    lanes.done("a/0")

    assert lanes.take().key == "a/noisy"


def test_what_is_due_at_once_during_a_pass_waits_for_its_end_only(queue, clock):
    queue.add("photos", "created", at_once=True)
    queue.take()
    queue.add("photos", "generation 1 -> 2", at_once=True)

    assert queue.take() is None
    queue.done("photos")

    assert queue.take().reasons == ("generation 1 -> 2",)


def test_a_key_is_never_handed_out_twice_at_a_time(queue, clock):
    queue.add("photos", "created")
    clock.move(0.2)
    queue.take()

    queue.add("photos", "generation 1 -> 2")
    clock.move(10)

    assert queue.take() is None


def test_an_event_during_a_pass_leads_to_one_more_pass_right_after_it(queue, clock):
    queue.add("photos", "created")
    clock.move(0.2)
    queue.take()
    queue.add("photos", "generation 1 -> 2")
    queue.add("photos", "generation 2 -> 3")
    clock.move(5)

    queue.done("photos")

    assert queue.take().reasons == ("generation 1 -> 2", "generation 2 -> 3")
    queue.done("photos")
    assert queue.take() is None


def test_a_noisy_key_goes_behind_those_that_wait(queue, clock):
    queue.add("noisy", "event")
    clock.move(0.2)
    queue.take()
    queue.add("noisy", "event during its own pass")
    clock.move(1)
    queue.add("quiet", "a later event")
    clock.move(5)
    queue.done("noisy")

    order = run_all(queue)

    assert order == ["quiet", "noisy"]


def test_keys_are_handed_out_in_the_order_in_which_they_became_due(queue, clock):
    for key in "cab":
        queue.add(key, "event")
        clock.move(0.01)
    clock.move(1)

    assert run_all(queue) == ["c", "a", "b"]


def test_retries_double_up_to_five_minutes(queue):
    delays = [queue.retry("photos") for _ in range(11)]

    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_key_that_fails_forever_does_not_overflow():
    assert Pace().retry_delay(10**6, random.Random(1)) == 300  # noqa: S311


@given(st.integers(min_value=1, max_value=8), st.integers())
def test_jitter_only_makes_a_retry_later(failures, seed):
    delay = Pace().retry_delay(failures, random.Random(seed))  # noqa: S311

    assert 2 ** (failures - 1) <= delay <= 2 ** (failures - 1) * 1.2


def test_a_success_resets_the_delays(queue):
    queue.retry("photos")
    queue.retry("photos")

    queue.succeeded("photos")

    assert queue.retry("photos") == 1


def test_a_retry_names_its_number_as_the_reason(queue, clock):
    queue.retry("photos")
    clock.move(1.01)

    assert queue.take().reasons == ("retry 1",)


def test_a_scheduled_pass_is_due_when_its_time_has_come_and_not_before(queue, clock):
    queue.schedule("photos", 600, "period")

    clock.move(599)
    assert queue.take() is None

    clock.move(1)
    assert queue.take().reasons == ("period",)


def test_of_two_schedules_the_earlier_one_holds(queue, clock):
    queue.schedule("photos", 600, "period")
    queue.schedule("photos", 5, "requeue_after")
    queue.schedule("photos", 300, "later")
    clock.move(5)

    assert queue.take().reasons == ("requeue_after",)


def test_a_pass_makes_the_schedule_before_it_void(queue, clock):
    queue.schedule("photos", 600, "period")
    queue.add("photos", "generation 1 -> 2")
    clock.move(0.2)
    assert run_all(queue) == ["photos"]

    clock.move(1000)

    assert queue.take() is None


def test_what_is_scheduled_for_now_during_a_pass_is_due_after_it(queue, clock):
    queue.add("photos", "created")
    clock.move(0.2)
    queue.take()
    queue.schedule("photos", 0, "requeue_after")
    assert queue.take() is None

    queue.done("photos")

    assert queue.take().reasons == ("requeue_after",)


def test_forgetting_drops_failures_and_schedule_but_no_event(queue, clock):
    queue.retry("photos")
    queue.add("photos", "created again")

    queue.forget("photos")
    clock.move(10)

    assert queue.take().reasons == ("created again",)
    assert queue.retry("photos") == 1


def test_the_reasons_of_one_pass_are_limited(queue, clock):
    for number in range(1000):
        queue.add("photos", f"Pod {number} changed")
    clock.move(1)

    reasons = queue.take().reasons

    assert (len(reasons), reasons[-1]) == (MAX_REASONS + 1, f"{1000 - MAX_REASONS} more events")


def test_a_closed_queue_hands_out_nothing_and_lets_waiting_workers_go():
    queue: Queue[str] = Queue()
    found: list[object] = ["unset"]
    worker = threading.Thread(target=lambda: found.append(queue.get()))
    worker.start()

    queue.close()
    worker.join(5)

    assert found == ["unset", None]


def test_a_waiting_worker_gets_a_key_as_soon_as_it_is_due():
    queue: Queue[str] = Queue(Pace(window_s=0.01))
    found: list[str] = []
    worker = threading.Thread(target=lambda: found.append(queue.get().key))
    worker.start()

    queue.add("photos", "created")
    worker.join(5)

    assert found == ["photos"]


def test_running_passes_show_their_age(queue, clock):
    queue.add("photos", "created")
    clock.move(0.2)
    queue.take()
    clock.move(7)

    assert queue.running() == {"photos": 7}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "schedule", "retry", "take", "done", "forget", "move"]),
            st.sampled_from(["a/1", "a/2", "a/3", "b/1", "c/1"]),
        ),
        max_size=60,
    ),
    st.sampled_from([1, 2, 3, math.inf]),
)
def test_whatever_happens_every_event_is_followed_by_a_pass_that_starts_after_it(steps, workers):
    clock = Clock()
    queue: Queue[str] = Queue(Pace(jitter=0), clock=clock, tenant=namespace, workers=workers)
    running: list[str] = []
    unseen: set[str] = set()
    for step, key in steps:
        match step:
            case "add":
                queue.add(key, "event")
                unseen.add(key)
            case "schedule":
                queue.schedule(key, 3, "period")
            case "retry":
                queue.retry(key)
            case "forget":
                queue.forget(key)
            case "take" if len(running) < workers:
                if (item := queue.take()) is not None:
                    assert item.key not in running
                    running.append(item.key)
                    unseen.discard(item.key)
            case "done" if running:
                queue.done(running.pop(0))
            case _:
                clock.move(0.5)

    while running:
        queue.done(running.pop())
    clock.move(1000)

    assert unseen <= set(run_all(queue))
    assert len(queue) == 0


@pytest.fixture
def lanes(clock: Clock) -> Queue[str]:
    """Keys such as "a/1": at most one of lane a is handed out at a time."""
    return Queue(Pace(jitter=0), clock=clock, lane=lambda key: (key[0], 1 if key[0] == "a" else 9))


def test_a_full_lane_keeps_its_own_keys_waiting_and_no_others(lanes, clock):
    for key in ("a/1", "a/2", "b/1"):
        lanes.add(key, "created")
    clock.move(0.1)

    assert [lanes.take().key, lanes.take().key] == ["a/1", "b/1"]
    assert lanes.take() is None

    lanes.done("a/1")

    assert lanes.take().key == "a/2"


def test_what_happens_to_a_key_while_its_lane_is_full_is_one_pass(lanes, clock):
    for key in ("a/1", "a/2"):
        lanes.add(key, "created")
    clock.move(0.1)
    assert lanes.take().key == "a/1"
    assert lanes.take() is None
    lanes.add("a/2", "changed")
    clock.move(0.1)
    assert lanes.take() is None

    lanes.done("a/1")

    assert lanes.take().reasons == ("created", "changed")
    lanes.done("a/2")
    assert lanes.take() is None


def tenants(clock: Clock, workers: float = math.inf) -> Queue[str]:
    """Keys such as "a/1", of tenant a."""
    return Queue(Pace(jitter=0, window_s=0), clock=clock, tenant=namespace, workers=workers)


def test_tenants_take_turns_however_many_keys_one_has(clock):
    queue = tenants(clock)
    for number in range(5):
        queue.add(f"noisy/{number}", "created")
    for key in ("a/1", "b/1", "a/2"):
        queue.add(key, "created")

    assert run_all(queue) == ["noisy/0", "a/1", "b/1", "noisy/1", "a/2", "noisy/2", "noisy/3", "noisy/4"]


def test_a_tenant_with_a_pass_running_comes_after_those_with_none(clock):
    queue = tenants(clock)
    queue.add("slow/1", "created")
    assert queue.take().key == "slow/1"
    for key in ("slow/2", "a/1"):
        queue.add(key, "created")

    assert queue.take().key == "a/1"
    assert queue.take().key == "slow/2"


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_no_tenant_gets_the_last_worker_while_there_are_others(workers, clock):
    queue = tenants(clock, workers)
    queue.schedule("quiet/1", 3600, "period")
    for number in range(workers):
        queue.add(f"slow/{number}", "created")

    taken = [queue.take() for _ in range(workers)]

    assert [item is not None for item in taken] == [True] * (workers - 1) + [False]
    queue.add("quiet/1", "changed")
    assert queue.take().key == "quiet/1", "which need not wait for a pass of another one"


def test_a_tenant_that_is_alone_gets_every_worker(clock):
    queue = tenants(clock, workers=2)
    for key in ("only/1", "only/2", "left/1"):
        queue.add(key, "created")
    run_all(queue)
    queue.forget("left/1")
    for key in ("only/1", "only/2"):
        queue.add(key, "changed")

    assert [queue.take().key, queue.take().key] == ["only/1", "only/2"]


def test_a_single_worker_serves_every_tenant(clock):
    queue = tenants(clock, workers=1)
    for key in ("a/1", "a/2", "b/1"):
        queue.add(key, "created")

    assert run_all(queue) == ["a/1", "b/1", "a/2"]


def time_to_the_end_of_a_pass(workers: int, noisy: int, noisy_s: float) -> float:
    """The longest time from a change of "quiet/1", once a minute, to the end of its pass of a second, while each of so many
    keys of another tenant is due all the time and takes `noisy_s`."""
    clock = Clock()
    queue = tenants(clock, workers)
    ends: list[tuple[float, str]] = []
    longest, asked, next_change = 0.0, 0.0, clock.now
    for number in range(noisy):
        queue.add(f"noisy/{number}", "created")
    while clock.now < 500:
        if clock.now >= next_change:
            queue.add("quiet/1", "changed")
            asked, next_change = clock.now, clock.now + 60
        while len(ends) < workers and (item := queue.take()) is not None:
            heapq.heappush(ends, (clock.now + (1 if item.key == "quiet/1" else noisy_s), item.key))
        clock.now = min(next_change, ends[0][0]) if ends else next_change
        while ends and ends[0][0] <= clock.now:
            _, key = heapq.heappop(ends)
            queue.done(key)
            if key == "quiet/1":
                longest = max(longest, clock.now - asked)
            else:
                queue.add(key, "changed again")
    return longest


@pytest.mark.parametrize("noisy", [1, 10, 1_000])
@pytest.mark.parametrize("noisy_s", [0.5, 1, 55])
@pytest.mark.parametrize("workers", [2, 4])
def test_a_noisy_tenant_does_not_delay_another_one(workers, noisy, noisy_s):
    assert time_to_the_end_of_a_pass(workers, noisy, noisy_s) == time_to_the_end_of_a_pass(workers, 0, noisy_s)


@pytest.mark.parametrize("noisy", [1, 1_000])
def test_a_single_worker_delays_a_tenant_by_one_pass_of_another_one_at_most(noisy):
    assert time_to_the_end_of_a_pass(1, noisy, 1) <= 2 * time_to_the_end_of_a_pass(1, 0, 1)


def test_how_long_it_takes_to_find_whose_turn_it_is_does_not_grow_with_the_number_of_tenants(clock):
    asked = []

    def tenant(key: str) -> str:
        asked.append(key)
        return namespace(key)

    def calls(tenants: int) -> float:
        queue: Queue[str] = Queue(Pace(window_s=0), clock=clock, tenant=tenant, workers=4)
        for number in range(tenants):
            queue.add(f"{number}/1", "found at start")
        asked.clear()
        assert len(run_all(queue)) == tenants
        return len(asked) / tenants

    assert calls(1_000) <= 2 * calls(10)
