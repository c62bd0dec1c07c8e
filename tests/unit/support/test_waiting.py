# SPDX-License-Identifier: Apache-2.0
"""`eventually`: what a test says when it waits for something that tells nobody."""

from __future__ import annotations

import pytest

from support.waiting import eventually


class Time:
    """A clock that moves only by pauses, and by what a look takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def wait(time: Time, look, **arguments):
    return eventually("the pod gone", look, clock=lambda: time.now, pause=time.pause, **arguments)


def test_what_is_true_already_is_returned_without_a_pause(time):
    assert wait(time, lambda: ["pod"]) == ["pod"]
    assert time.pauses == []


def test_it_looks_until_the_value_is_truthy_and_returns_that_value(time):
    seen = iter([None, [], 0, "", {"ready": True}])

    assert wait(time, lambda: next(seen)) == {"ready": True}


def test_intervals_begin_short_and_grow_to_the_given_one(time):
    wait(time, lambda: time.now > 5, every=0.25)

    assert time.pauses[:3] == pytest.approx([0.01, 0.015, 0.0225])
    assert time.pauses == sorted(time.pauses)
    assert time.pauses[-1] == 0.25


def test_a_failure_says_what_was_awaited_how_long_and_what_was_seen_last(time):
    seen = iter([["one", "two"], ["one"]])
    names: list[str] = []

    def none_left() -> bool | None:
        names[:] = next(seen, names)
        return None if names else True

    with pytest.raises(AssertionError, match=r"^the pod gone: not within 2\.5 s; last seen: None\nleft: one$"):
        wait(time, none_left, within=2.5, beside=lambda: f"left: {', '.join(names)}")

    assert time.now == 2.5


def test_a_falsy_value_is_shown_as_it_was_seen(time):
    with pytest.raises(AssertionError, match=r"last seen: \{\}$"):
        wait(time, dict)


@pytest.mark.parametrize("stalled", ["look", "pause"])
def test_a_machine_that_stands_still_until_the_time_is_over_leads_to_one_more_look(time, stalled):
    looks = []

    def look() -> bool:
        looks.append(time.now)
        time.now += 100 if stalled == "look" else 0
        return len(looks) > 1

    def pause(_seconds: float) -> None:
        time.now += 100 if stalled == "pause" else 0

    assert eventually("it", look, within=30, clock=lambda: time.now, pause=pause)
    assert looks == [0.0, 100.0]


def test_the_time_over_there_is_no_further_look(time):
    looks = []

    with pytest.raises(AssertionError):
        wait(time, lambda: looks.append(time.now), within=1.0)

    assert looks[-1] == 1.0
    assert looks.count(1.0) == 1


def test_what_a_look_raises_is_not_swallowed(time):
    with pytest.raises(ZeroDivisionError):
        wait(time, lambda: 1 / 0)
