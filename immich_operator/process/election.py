# SPDX-License-Identifier: Apache-2.0
"""Leader election by Lease, field for field as client-go does it, so that Go and Python pods can share it.

A Lease counts as held until its record has not changed for its duration *as seen by this process's own clock*:
the times written in it come from other machines and are never compared. (client-go, tools/leaderelection.)
"""

from __future__ import annotations

import datetime
import logging
import math
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Literal

from immich_operator.config.settings import LONGEST_LEASE_S
from immich_operator.errors import Conflict, LeaseLostError, TransportError
from immich_operator.kube.client import ApiObjects, ObjectRef, clock, named
from immich_operator.kube.resources import Manifest, mapping

LEASE: Final = named("Lease")
JITTER: Final = 1.2  # client-go's JitterFactor of the retry period while waiting
MAX_TRANSITIONS: Final = 2**31 - 1  # the API server takes no more
MIN_TIMEOUT_S: Final = 0.5  # the last attempt before the deadline gets at least this long


def now_text() -> str:
    """The time as metav1.MicroTime."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Name and times of the Lease; seconds."""

    namespace: str
    name: str
    identity: str
    lease_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """The last changed record seen, and when (monotonic seconds)."""

    spec: Mapping[str, Any]
    at: float


def sighting(last: Sighting | None, spec: Mapping[str, Any], now: float) -> Sighting:
    """Keep the time when an unchanged record was first seen."""
    return last if last is not None and last.spec == spec else Sighting(spec, now)


def may_take(seen: Sighting, identity: str, now: float) -> bool:
    """Whether `identity` may write itself into the Lease: it holds the Lease, nobody does, or the holder is silent."""
    holder = seen.spec.get("holderIdentity") or ""
    duration = seen.spec.get("leaseDurationSeconds")
    lasts_s = min(duration, LONGEST_LEASE_S) if isinstance(duration, int | float) else 0.0
    return holder in ("", identity) or seen.at + lasts_s < now


def claim(old: Mapping[str, Any], terms: Terms, wall: str) -> dict[str, Any]:
    """The record that says this process holds the Lease; `wall` is the time as RFC 3339 with microseconds."""
    mine = old.get("holderIdentity") == terms.identity
    transitions = old.get("leaseTransitions")
    transitions = transitions if isinstance(transitions, int) and 0 <= transitions < MAX_TRANSITIONS else 0
    return {
        "holderIdentity": terms.identity,
        "leaseDurationSeconds": math.ceil(terms.lease_s),  # never less than this process relies on
        "acquireTime": old.get("acquireTime", wall) if mine else wall,
        "renewTime": wall,
        # client-go counts a hand-over, not the very first holder
        "leaseTransitions": transitions + (1 if old and not mine else 0),
    }


def released(old: Mapping[str, Any], wall: str) -> dict[str, Any]:
    """The record that lets the next candidate take over at once."""
    return {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": wall,
        "renewTime": wall,
        "leaseTransitions": old.get("leaseTransitions", 0),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Clocks and randomness; replaced in tests."""

    monotonic: Callable[[], float] = clock
    wall: Callable[[], str] = now_text
    chance: Callable[[], float] = random.random  # 0 <= x < 1; spreads load, no security


class Elector:
    """Run `run` in a thread; `leading` tells whether this process may work.

    `permit` is told until when (on the clock of `times`) this process may write at most: the renew deadline. It is long
    over when others may take the Lease, so that requests on their way have ended, too.
    """

    def __init__(
        self,
        objects: ApiObjects,
        terms: Terms,
        *,
        stop: threading.Event,
        log: logging.Logger,
        on_change: Callable[[bool], None],
        permit: Callable[[float], None],
        times: Times | None = None,
    ) -> None:
        self.leading = threading.Event()
        self._objects = objects
        self._terms = terms
        self._stop = stop
        self._log = log
        self._on_change = on_change
        self._permit = permit
        times = times or Times()
        self._clock = times.monotonic
        self._wall = times.wall
        self._chance = times.chance
        self._finished = threading.Event()
        self._writing = threading.Lock()  # held for a whole attempt: `finish` must not be undone by one under way
        self._lease: Manifest = {}
        self._seen: Sighting | None = None
        self._timeout_s = terms.renew_deadline_s
        self._told = ""  # the last error that was logged

    def run(self) -> None:
        """Wait for the Lease, hold it until `finish`; returns early only if it is lost.

        Raises:
            LeaseLostError: it could not be renewed in time, or somebody else has it: the process has to end.
        """
        while True:
            renewed = self._clock()  # the others count from when it was written, at the earliest
            if self.attempt(self._terms.renew_deadline_s) and self._left(renewed):
                break
            # a standby candidate ends with the operator; a leader continues until `finish`
            if self._wait(self._terms.retry_s * (1 + (JITTER - 1) * self._chance())) or self._stop.is_set():
                return
        self._log.info("leading", extra=self._fields())
        self._permit_until(renewed)
        self.leading.set()
        self._on_change(True)
        try:
            self._hold(renewed)
        except BaseException:
            self._permit(-math.inf)
            self.leading.clear()
            self._on_change(False)
            raise

    def attempt(self, timeout_s: float) -> bool:
        """One attempt to get or renew the Lease; each of its one to three requests may take `timeout_s`.

        Also False if there is nothing left to try for.
        """
        with self._writing:
            if self._finished.is_set():
                return False
            self._timeout_s = max(MIN_TIMEOUT_S, timeout_s)
            try:
                is_mine = self._renew() or self._take()
            except Conflict:
                return False  # another candidate was quicker
            except TransportError as exc:
                error = str(exc)
                # logged once: a standby tries every few seconds
                level = logging.DEBUG if error == self._told else logging.WARNING
                self._told = error
                self._log.log(level, "the Lease could not be read or written", extra={**self._fields(), "error": error})
                return False
            self._told = ""
            return is_mine

    def finish(self, *, release: bool = True) -> None:
        """Stop holding the Lease.

        `release`: give it up, so that the next candidate need not wait. Only if nothing writes any more; otherwise it
        expires.
        """
        self._finished.set()
        self._permit(-math.inf)
        if not self.leading.is_set():
            return
        self.leading.clear()
        self._on_change(False)
        if not release:
            return
        if not self._writing.acquire(timeout=self._terms.retry_s):
            self._log.warning("the Lease could not be released", extra={**self._fields(), "error": "a renewal hangs"})
            return
        try:
            self._timeout_s = self._terms.retry_s
            self._write(released(self._spec(), self._wall()))
        except TransportError as exc:
            self._log.warning("the Lease could not be released", extra={**self._fields(), "error": str(exc)})
        else:
            self._log.info("Lease released", extra=self._fields())
        finally:
            self._writing.release()

    def _hold(self, renewed: float) -> None:
        """Renew the Lease, last done at `renewed`, until `finish`. Raises LeaseLostError when it is lost."""
        while not self._wait(min(self._terms.retry_s, self._left(renewed))):
            started = self._clock()
            if self._attempt_in_time(self._left(renewed)):
                renewed = started
                self._permit_until(renewed)
            elif self._finished.is_set():
                return
            elif not self._left(renewed) or self._is_somebody_elses():
                raise LeaseLostError(
                    f"Lease {self._terms.namespace}/{self._terms.name} was lost; this process must stop writing"
                )

    def _attempt_in_time(self, seconds: float) -> bool:
        """`attempt`, but False after that time at the latest.

        A request has time limits only for its parts: an answer that trickles in never reaches one. So the attempt runs
        in a thread that may be abandoned.
        """
        result: Future[bool] = Future()

        def work() -> None:
            try:
                result.set_result(self.attempt(seconds))
            except BaseException as exc:
                result.set_exception(exc)

        try:
            threading.Thread(target=work, name="renew the Lease", daemon=True).start()
        except RuntimeError as exc:  # no thread is left on this machine: perhaps at the next attempt
            self._log.warning("the Lease could not be renewed", extra={**self._fields(), "error": str(exc)})
            return False
        try:
            return result.result(max(MIN_TIMEOUT_S, seconds))
        except TimeoutError:
            self._log.warning("the Lease could not be renewed in time", extra=self._fields())
            return False

    def _renew(self) -> bool:
        """Write to the Lease as it was when last seen. False if it was not ours then, or somebody has written to it."""
        if self._spec().get("holderIdentity") != self._terms.identity:
            return False
        try:
            return self._write(claim(self._spec(), self._terms, self._wall()))
        except Conflict:
            return False

    def _take(self) -> bool:
        terms = self._terms
        ref = ObjectRef(LEASE.api_version, LEASE.kind, terms.name, terms.namespace)
        self._lease = self._objects.within(self._timeout_s).find(ref) or {}
        if not self._lease:
            return self._write(claim({}, terms, self._wall()))
        now = self._clock()
        self._seen = sighting(self._seen, self._spec(), now)
        if not may_take(self._seen, terms.identity, now):
            return False
        return self._write(claim(self._spec(), terms, self._wall()))

    def _write(self, spec: dict[str, Any]) -> Literal[True]:
        terms = self._terms
        metadata = dict(mapping(self._lease.get("metadata"))) or {"name": terms.name, "namespace": terms.namespace}
        lease = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
        objects = self._objects.within(self._timeout_s)
        self._lease = objects.replace(lease) if self._lease else objects.post(lease)
        self._seen = sighting(self._seen, self._spec(), self._clock())
        return True

    def _spec(self) -> Mapping[str, Any]:
        return mapping(self._lease.get("spec"))

    def _is_somebody_elses(self) -> bool:
        """Based on what was read last: a failed read proves nothing."""
        return self._spec().get("holderIdentity") not in (None, "", self._terms.identity)

    def _permit_until(self, renewed: float) -> None:
        self._permit(renewed + self._terms.renew_deadline_s)
        if self._finished.is_set():  # meanwhile
            self._permit(-math.inf)

    def _left(self, renewed: float) -> float:
        """Seconds until the renew deadline, 0.0 if it has passed."""
        return max(0.0, renewed + self._terms.renew_deadline_s - self._clock())

    def _wait(self, seconds: float) -> bool:
        return self._finished.wait(seconds)

    def _fields(self) -> dict[str, str]:
        return {"lease": f"{self._terms.namespace}/{self._terms.name}", "identity": self._terms.identity}
