# SPDX-License-Identifier: Apache-2.0
"""How often one resource may cause a play, however often it or what it depends on is changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from immich_operator.kube.resources import NamespacedName

FORGET_AT = 1000
"""Resources that are remembered before those that were quiet for long enough are forgotten."""


class Throttle:
    """A bucket of plays per resource: full at first, it gets one more each `interval_s`. Thread-safe.

    It goes by the name, so that a resource which is deleted and made again is the same. `interval_s` 0 is no limit.
    """

    def __init__(self, *, burst: int, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: dict[NamespacedName, float] = {}

    def take(self, ref: NamespacedName) -> float:
        """0.0 if it may have a play now, which is counted; otherwise the seconds until it may."""
        with self._lock:
            now = self._clock()
            full_at = max(self._full_at.get(ref, now), now) + self._interval_s
            wait_s = full_at - now - self._burst * self._interval_s
            if wait_s > 0:
                return wait_s
            self._full_at[ref] = full_at
            if len(self._full_at) > FORGET_AT:
                self._full_at = {other: at for other, at in self._full_at.items() if at > now}
            return 0.0
