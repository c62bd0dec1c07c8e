# SPDX-License-Identifier: Apache-2.0
"""A resource has a burst of plays, and then one now and then."""

from __future__ import annotations

import pytest

from immich_operator.kube.resources import NamespacedName
from immich_operator.passes.throttle import FORGET_AT, Throttle

ONE, OTHER = NamespacedName("family", "one"), NamespacedName("family", "other")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_free_and_then_each_play_waits_for_its_turn(clock):
    throttle = Throttle(burst=3, interval_s=10, clock=clock)

    assert [throttle.take(ONE) for _ in range(5)] == [0, 0, 0, 10, 10]
    clock.now += 4
    assert throttle.take(ONE) == 6
    clock.now += 6
    assert [throttle.take(ONE), throttle.take(ONE)] == [0, 10]


def test_who_was_quiet_has_the_whole_burst_again_and_no_more(clock):
    throttle = Throttle(burst=3, interval_s=10, clock=clock)
    for _ in range(3):
        throttle.take(ONE)

    clock.now += 1_000_000

    assert [throttle.take(ONE) for _ in range(4)] == [0, 0, 0, 10]


def test_resources_do_not_slow_each_other(clock):
    throttle = Throttle(burst=1, interval_s=10, clock=clock)

    assert [throttle.take(ONE), throttle.take(OTHER), throttle.take(ONE)] == [0, 0, 10]


def test_no_interval_is_no_limit(clock):
    throttle = Throttle(burst=1, interval_s=0, clock=clock)

    assert {throttle.take(ONE) for _ in range(1000)} == {0}


def test_resources_that_are_quiet_are_forgotten(clock):
    throttle = Throttle(burst=1, interval_s=10, clock=clock)
    for number in range(100 * FORGET_AT):
        clock.now += 1
        throttle.take(NamespacedName("family", f"n{number}"))

    assert len(throttle._full_at) <= FORGET_AT + 1
