# SPDX-License-Identifier: Apache-2.0
"""Waiting for what comes true by itself and tells nobody. Where there is a watch or a condition variable, use that."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_S = 90.0  # only a failing test takes this long, or one on a machine that is busy with others
FIRST_S = 0.01
GROWTH = 1.5


def eventually(
    what: str,
    look: Callable[[], T | None],
    *,
    every: float = 0.25,
    within: float = DEADLINE_S,
    beside: Callable[[], str] = str,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """What `look` returns as soon as it is truthy; asked at once, then in short intervals that grow to `every` seconds.

    The last look begins when `within` seconds are over, so that a machine that stood still meanwhile fails nobody.

    Raises:
        AssertionError: it never was; with what was awaited, what was seen last, and the text of `beside`.
    """
    end, interval = clock() + within, FIRST_S
    while True:
        left = end - clock()
        if seen := look():
            return seen
        if left <= 0:
            raise AssertionError(f"{what}: not within {within:g} s; last seen: {seen!r}\n{beside()}".rstrip())
        pause(max(0.0, min(interval, every, end - clock())))
        interval *= GROWTH
