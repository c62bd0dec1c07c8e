# SPDX-License-Identifier: Apache-2.0
"""One log line for all watches while the API server can't be reached, at growing intervals, instead of one per watch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 2.0
LONGEST_S: Final = 300.0


class Outage:
    """Thread-safe. `who` is what tries to reach the server: the scope of a watch, which is hashable."""

    def __init__(self, server: str, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._without: set[object] = set()
        self._since = 0.0
        self._next = 0.0
        self._pause_s = FIRST_S

    def is_on(self) -> bool:
        """Whether anybody is waiting for an answer."""
        with self._lock:
            return bool(self._without)

    def failed(self, who: object, error: str) -> None:
        """A request of `who` found no server, or its connection broke."""
        with self._lock:
            now = self._clock()
            if not self._without:
                self._since, self._next, self._pause_s = now, now, FIRST_S
            self._without.add(who)
            if now < self._next:
                return
            self._next = now + self._pause_s
            self._pause_s = min(LONGEST_S, 2 * self._pause_s)
            fields = {"server": self._server, "error": error, "for_s": round(now - self._since)}
        self._log.warning("no connection to the API server, retrying", extra=fields)

    def answered(self, who: object) -> None:
        """The server has answered `who`, possibly with an error."""
        with self._lock:
            if who not in self._without:
                return
            self._without.discard(who)
            is_over, lasted_s = not self._without, round(self._clock() - self._since)
        if is_over:
            self._log.info("the API server answers again", extra={"server": self._server, "after_s": lasted_s})
