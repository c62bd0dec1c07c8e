# SPDX-License-Identifier: Apache-2.0
"""The work queue: which object is due for a pass, when, and why.

Rules, for each key:
- a key is in the queue once, however many events name it; the reasons are collected;
- a burst becomes one pass: due `window_s` after its last event, at the latest `window_max_s` after its first;
- what somebody is waiting for is due at once, together with what has accumulated;
- only so many keys of one lane are handed out at a time; the others wait without blocking anybody;
- a key is never handed out twice at a time; what arrives during its pass makes it due again afterwards;
- of several tenants it is the turn of the one with the fewest passes running, and of these the one that has waited longest;
  no tenant gets the last worker while there are others, so none has to wait for the pass of another one to end;
- of one tenant keys are handed out in the order in which they became due, so a noisy one queues behind the others each time;
- a pass may be scheduled for later (period, retry); there is one schedule per key, the earliest wins, and the start
  of any pass clears it, because the end of that pass decides again.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
LONGEST_WAIT_S = 3600.0  # of one wait; a lock refuses waits of thousands of years, which an annotation may ask for
MAX_REASONS = 20  # in one log line; a burst of thousands of events needs no more to be understood


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How soon keys become due; all in seconds."""

    window_s: float = 0.1
    window_max_s: float = 1.0
    retry_first_s: float = 1.0
    retry_max_s: float = 300.0
    jitter: float = 0.2  # share of a retry's delay by which it may be longer

    def retry_delay(self, failures: int, random_: random.Random) -> float:
        """Delay before the retry after the given number of consecutive failures (1 or more)."""
        # 2**30 s is far beyond any cap; the limit keeps the float finite for a key that fails for months
        delay = self.retry_first_s * 2.0 ** min(failures - 1, 30)
        return min(self.retry_max_s, delay * random_.uniform(1, 1 + self.jitter))


@dataclass(frozen=True, slots=True)
class Item(Generic[K]):
    """A key handed out for a pass; give it back with `Queue.done`."""

    key: K
    reasons: tuple[str, ...]
    waited_s: float


@dataclass(slots=True)
class _Pending:
    first: float
    due: float
    at_once: bool = False
    reasons: list[str] = field(default_factory=list)
    more: int = 0  # events whose reason was not kept


class Observer:
    """What the queue reports to its metrics; this one ignores everything. Called under the queue's lock: be quick."""

    def added(self) -> None: ...
    def depth(self, keys: int) -> None: ...
    def started(self, waited_s: float) -> None: ...
    def finished(self, took_s: float) -> None: ...
    def retried(self) -> None: ...


class Queue(Generic[K]):
    """Thread-safe. `clock` is monotonic seconds."""

    def __init__(
        self,
        pace: Pace | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        random_: random.Random | None = None,
        observer: Observer | None = None,
        lane: Callable[[K], tuple[str, float]] = lambda _key: ("", math.inf),
        tenant: Callable[[K], str] = lambda _key: "",
        workers: float = math.inf,
    ) -> None:
        """`lane` gives the lane of a key, and how many keys of that lane may be in a pass at a time; `tenant` says who shares
        the `workers`, all those that take keys."""
        self._pace = pace or Pace()
        self._clock = clock
        self._random = random_ or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._observer = observer or Observer()
        self._lane = lane
        self._tenant = tenant
        self._workers = workers
        self._keys_of: defaultdict[str, set[K]] = defaultdict(set)  # by tenant
        self._ready: defaultdict[tuple[str, str], deque[K]] = defaultdict(deque)
        """What is due, by tenant and lane; first those that have waited longest for their turn."""
        self._waiting: set[K] = set()  # all that is in `_ready`
        self._changed = threading.Condition()
        self._pending: dict[K, _Pending] = {}
        self._running: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._scheduled: dict[K, tuple[float, str]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = itertools.count()
        self._closed = False

    def add(self, key: K, reason: str, *, at_once: bool = False) -> None:
        """Something happened to `key`: a pass is due soon, or at once."""
        with self._changed:
            self._add(key, reason, self._clock(), debounce=not at_once)
            self._changed.notify()

    def schedule(self, key: K, delay_s: float, reason: str) -> None:
        """Look at `key` after `delay_s`, unless a pass starts before."""
        with self._changed:
            self._schedule(key, delay_s, reason)
            self._changed.notify()

    def retry(self, key: K) -> float:
        """Schedule `key` after a failure; returns the delay in seconds, which doubles with each consecutive failure."""
        with self._changed:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay_s = self._pace.retry_delay(failures, self._random)
            self._schedule(key, delay_s, f"retry {failures}")
            self._observer.retried()
            self._changed.notify()
            return delay_s

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        with self._changed:
            self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """`key` is gone: drop its failures and its schedule. Events that arrived since are kept."""
        with self._changed:
            self._failures.pop(key, None)
            self._scheduled.pop(key, None)
            if key not in self._pending:
                self._leave(key)

    def get(self) -> Item[K] | None:
        """Wait for the next due key; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                item, wait_s = self._take()
                if item is not None:
                    return item
                self._changed.wait(None if wait_s is None else min(wait_s, LONGEST_WAIT_S))
            return None

    def take(self) -> Item[K] | None:
        """The next due key, or None if there is none right now."""
        with self._changed:
            return None if self._closed else self._take()[0]

    def done(self, key: K) -> None:
        """The pass over `key` is finished."""
        with self._changed:
            now = self._clock()
            self._observer.finished(now - self._running.pop(key))
            if pending := self._pending.get(key):
                pending.due = max(pending.due, now)  # behind those that have become due in the meantime
                self._push(pending.due, key)
            if scheduled := self._scheduled.get(key):
                self._push(scheduled[0], key)
            self._changed.notify()

    def close(self) -> None:
        """Hand out nothing more; running passes may still be returned."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def running(self) -> dict[K, float]:
        """Keys in a pass, with the seconds each has taken so far."""
        with self._changed:
            now = self._clock()
            return {key: now - since for key, since in self._running.items()}

    def __len__(self) -> int:
        """Keys waiting for a pass because something happened; scheduled ones do not count."""
        with self._changed:
            return len(self._pending)

    def _add(self, key: K, reason: str, now: float, *, debounce: bool) -> None:
        if self._closed:
            return
        self._keys_of[self._tenant(key)].add(key)
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(first=now, due=now)
            self._observer.added()
            self._observer.depth(len(self._pending))
            if key not in self._running:
                self._push(now, key)  # `_take` postpones the entry while the burst lasts
        if not debounce:
            pending.at_once, pending.due = True, min(pending.due, now)
            if key not in self._running:
                self._push(now, key)
        elif not pending.at_once:
            pending.due = min(now + self._pace.window_s, pending.first + self._pace.window_max_s)
        if reason in pending.reasons:
            return
        if len(pending.reasons) < MAX_REASONS:
            pending.reasons.append(reason)
        else:
            pending.more += 1

    def _schedule(self, key: K, delay_s: float, reason: str) -> None:
        self._keys_of[self._tenant(key)].add(key)
        at = self._clock() + delay_s
        known = self._scheduled.get(key)
        if known is None or at < known[0]:
            self._scheduled[key] = (at, reason)
            self._push(at, key)

    def _push(self, due: float, key: K) -> None:
        heapq.heappush(self._heap, (due, next(self._sequence), key))

    def _take(self) -> tuple[Item[K] | None, float | None]:
        """(item, None), or (None, seconds until something may be due; None = nothing is waiting)."""
        now = self._clock()
        self._gather(now)
        while (turn := self._turn()) is not None:
            keys = self._ready.pop(turn)
            key = keys.popleft()
            if keys:
                self._ready[turn] = keys  # behind those of the others
            self._waiting.discard(key)
            pending = self._pending.get(key)
            if pending is None or key in self._running:
                continue  # `done` pushes it again
            if pending.due > now:
                self._push(pending.due, key)  # more events have postponed it while it waited
                continue
            return self._start(key, pending, now), None
        return None, self._heap[0][0] - now if self._heap else None

    def _gather(self, now: float) -> None:
        """Put what has become due to the others that are ready."""
        while self._heap and self._heap[0][0] <= now:
            key = heapq.heappop(self._heap)[2]
            if key in self._running:
                continue  # `done` pushes it again
            scheduled = self._scheduled.get(key)
            if scheduled and scheduled[0] <= now:
                del self._scheduled[key]
                self._add(key, scheduled[1], now, debounce=False)
            pending = self._pending.get(key)
            if pending is None or key in self._waiting:
                continue  # an entry left over from an earlier pass, or one of several
            if pending.due > now:
                self._push(pending.due, key)  # more events have postponed it since this entry was made
                continue
            self._waiting.add(key)
            self._ready[self._tenant(key), self._lane(key)[0]].append(key)

    def _turn(self) -> tuple[str, str] | None:
        """The tenant and lane whose turn it is, None if none may have another pass now."""
        busy, full = Counter(map(self._tenant, self._running)), Counter(self._lane(key)[0] for key in self._running)
        most = max(1, self._workers - 1) if len(self._keys_of) > 1 else math.inf
        best: tuple[str, str] | None = None
        for (tenant, lane), keys in self._ready.items():
            if busy[tenant] >= most or full[lane] >= self._lane(keys[0])[1]:
                continue
            if best is None or busy[tenant] < busy[best[0]]:
                best = (tenant, lane)
                if not busy[tenant]:
                    break
        return best

    def _leave(self, key: K) -> None:
        tenant = self._tenant(key)
        self._keys_of[tenant].discard(key)
        if not self._keys_of[tenant]:
            del self._keys_of[tenant]

    def _start(self, key: K, pending: _Pending, now: float) -> Item[K]:
        del self._pending[key]
        self._scheduled.pop(key, None)
        self._running[key] = now
        waited_s = now - pending.first
        self._observer.depth(len(self._pending))
        self._observer.started(waited_s)
        more = [f"{pending.more} more events"] if pending.more else []
        return Item(key, (*pending.reasons, *more), waited_s)
