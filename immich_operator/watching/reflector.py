# SPDX-License-Identifier: Apache-2.0
"""Keeps a store equal to what the API server holds of one kind in one scope: list once, then watch.

Every way a watch can end has one answer: the server's timeout -> watch on from the last version; 410 -> list again;
404 on the collection -> the API is gone, empty the store and look for it periodically; anything else -> back off, then
watch on, or list again if nobody was reached or the server keeps refusing. If RBAC does not allow a kind, it is retried
forever, and the missing rule is reported.

An API server that was restored to an older state accepts a watch from a version that it has not reached yet, and is silent
until it has. So a watch that broke goes on only after a look at the version that the server has now. While nobody was
reached it may have been restored and have passed our version already, so then a list is the only way to know.

Whoever may write one object decides what is in it. So whatever comes of one, it is named in the log, and the others go on.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from immich_operator.errors import ApiError, Forbidden, Gone, Malformed, NotFound, TransportError, Unreachable
from immich_operator.kube.client import ApiObjects, ObjectRef, WatchStream, whole_number
from immich_operator.kube.resources import Kind, Manifest, NamespacedName, metadata_of, ref_of
from immich_operator.watching.faults import Faults
from immich_operator.watching.outage import Outage

T = TypeVar("T")
SHORT_WATCH_S: Final = 1.0  # a watch that ends sooner without any event is an error, not a timeout
RELIST_AFTER: Final = 3  # consecutive refusals after which the version itself is suspect
LONGEST_RETRY_AFTER_S: Final = 120.0  # what a server may ask for at most; it then counts as a problem anyway
FAILING_S: Final = 120.0  # how long failures are tolerated before they count as a problem


class Sink(Protocol):
    """Where a reflector puts what it reads; a `cache.Store` is one."""

    def put(self, obj: Manifest) -> None: ...
    def remove(self, obj: Manifest) -> None: ...
    def retain(self, refs: Container[NamespacedName]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to watch. `namespace` None = all; `optional` = the API need not exist."""

    kind: Kind
    namespace: str | None = None
    selector: str = ""
    metadata_only: bool = True
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.kind}" + (f" in {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. A watch lasts a random time in its range, so that many do not end together."""

    backoff_first_s: float = 1.0
    backoff_max_s: float = 30.0
    discovery_s: float = 30.0
    watch_s: tuple[int, int] = (300, 600)


def _nothing(*_: object) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """`on_api(scope, served)`: the API of a kind appeared or went away. `on_attempt()`: the first list succeeded or
    failed. `on_restored()`: a list has shown an older state than was known. Called in the reflector's thread."""

    on_api: Callable[[Scope, bool], None] = _nothing
    on_attempt: Callable[[], None] = _nothing
    on_restored: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What reflectors need."""

    objects: ApiObjects
    stop: threading.Event
    log: logging.Logger
    outage: Outage
    whose_role: str = "the operator's"
    """Who has to get a missing permission, as messages put it."""
    timing: Timing = field(default_factory=Timing)
    random_: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.monotonic


class Reflector:
    """Run it in a thread of its own; all other methods may be called from any thread."""

    def __init__(self, scope: Scope, sink: Sink, tools: Tools, hooks: Hooks | None = None) -> None:
        self.scope = scope
        self._sink = sink
        self._objects = tools.objects
        self._ref = ObjectRef(*scope.kind, namespace=scope.namespace or "")
        self._stop = tools.stop
        self._log = tools.log
        self._outage = tools.outage
        self._whose_role = tools.whose_role
        self._timing = tools.timing
        self._random = tools.random_
        self._clock = tools.clock
        self._hooks = hooks or Hooks()
        self._faults = Faults(str(scope), tools.log)
        self._attempted = threading.Event()
        self._synced = threading.Event()
        self._problem = "first list not done"
        self._logged = ""
        self._failures = 0
        self._refusals = 0
        self._failing_since: float | None = None
        self._opened: float | None = None
        self._version = ""
        self._newest = ""  # version that was ever known
        self._broken = False  # the last watch did not end well
        self._was_open = False  # the last watch was opened at all
        self._relisted = False  # because of a 410, and no watch has worked since
        self._plural: str | None = None
        self._served: bool | None = None
        self._stream: WatchStream | None = None

    def problem(self) -> str | None:
        """Why the store cannot be relied on, None if it can (including an optional kind that is not served).

        Short failures do not count.
        """
        fine = self._synced.is_set() and not self._failing(FAILING_S)
        return None if fine else f"{self.scope}: {self._problem}"

    def reliable(self) -> bool:
        """Whether the store follows the cluster at this moment."""
        return self._synced.is_set() and not self._failing()

    def attempted(self) -> bool:
        """Whether the first list has succeeded or failed, so that there is no more to wait for."""
        return self._attempted.is_set()

    def run(self) -> None:
        """Work until `stop` is set and `wake` was called."""
        while not self._stop.is_set():
            self._was_open = False
            try:
                resource = self._objects.discovery.find(*self.scope.kind)
                if resource is None:
                    self._version = ""
                    self._api_missing()
                    self._stop.wait(self._timing.discovery_s)
                    continue
                self._plural = resource.plural
                if self._version and self._broken:
                    if is_older(self._reached(), self._version):
                        self._version = ""
                    self._outage.answered(self.scope)  # a watch may be silent for a minute
                if not self._version:
                    self._version = self._list()
                self._broken = False
                self._watch()
            except Gone as exc:
                if self._relisted:
                    self._back_off(exc)
                else:
                    self._log.info("watch is too far behind, listing again", extra={"kind": str(self.scope)})
                    # every watcher in the cluster may get a 410 at once; they need not all list in the same instant
                    self._stop.wait(self._timing.backoff_first_s * self._random.random())
                self._relisted = True
                self._version = ""
            except NotFound as exc:
                self._objects.discovery.forget(*self.scope.kind)
                self._back_off(exc)
                self._version = ""
            except TransportError as exc:
                nobody_there = isinstance(exc, Unreachable) and not self._was_open
                self._broken = True
                self._back_off(exc)
                if nobody_there or self._refusals >= RELIST_AFTER:
                    self._version = ""

    def wake(self) -> None:
        """Make `run` notice that `stop` is set."""
        if stream := self._stream:
            stream.close()

    def _reached(self) -> str:
        """The version that the API server's storage has reached."""
        pages = self._objects.pages(self._ref, metadata_only=True, limit=1)
        return next(self._as_answers(pages)).resource_version

    def _list(self) -> str:
        scope = self.scope
        present: set[NamespacedName] = set()
        version, unusable = "", 0
        pages = self._objects.pages(self._ref, selector=scope.selector, metadata_only=scope.metadata_only)
        for page in self._as_answers(pages):
            version = page.resource_version
            for obj in page.items:
                if (ref := ref_of(obj)) is None:
                    unusable += 1
                else:
                    present.add(ref)
                    self._take(self._sink.put, obj)
        if unusable:
            self._log.warning("skipped entries without a usable name", extra={"kind": str(scope), "count": unusable})
        try:
            self._sink.retain(present)
        except Exception as exc:
            self._faults.failed(None, exc)
        if scope.optional and not self._served:
            # Before the first attempt is announced: from then on passes may begin.
            self._hooks.on_api(scope, True)
        if not self._refusals:  # otherwise it is the watch that has to work again
            self._recovered()
        self._synced.set()
        self._mark_attempted()
        if self._served is False:
            self._log.info("API is served now, watching it", extra={"kind": str(scope)})
        self._served = True
        if is_older(version, self._newest):
            self._log.warning("the API server was restored to an older state", extra={"kind": str(scope)})
            self._hooks.on_restored()
        self._newest = version
        return version

    def _watch(self) -> None:
        """Follow one watch to its end; `_version` is then the one to go on from.

        Raises: TransportError.
        """
        scope = self.scope
        stream = self._stream = self._objects.watch(
            self._ref,
            resource_version=self._version,
            timeout_s=self._random.randint(*self._timing.watch_s),
            selector=scope.selector,
            metadata_only=scope.metadata_only,
        )
        if self._stop.is_set():  # set before `wake` could see the stream
            stream.close()
        opened = self._opened = self._clock()
        self._was_open = True
        heard = False
        try:
            for event in self._as_answers(stream):
                subject = event["object"]
                if event["type"] in {"ADDED", "MODIFIED"}:
                    self._take(self._sink.put, subject)
                elif event["type"] == "DELETED":
                    self._take(self._sink.remove, subject)
                self._version = self._newest = str(metadata_of(subject).get("resourceVersion") or self._version)
                heard, self._relisted = True, False
                self._recovered()
        except Unreachable:
            if self._clock() - opened >= SHORT_WATCH_S:  # it worked until the connection was cut
                self._failures, self._failing_since = 0, None
            raise
        else:
            if not heard and self._clock() - opened < SHORT_WATCH_S:
                raise Unreachable(f"{self._ref}: the watch ended as soon as it began")
            self._recovered()
        finally:
            if self._clock() - opened >= SHORT_WATCH_S:
                self._relisted = False
            self._stream = self._opened = None

    def _as_answers(self, answers: Iterable[T]) -> Iterator[T]:
        """The same. What reading them raises that nobody has thought of becomes Malformed, and they are asked for again."""
        try:
            yield from answers
        except TransportError:
            raise
        except Exception as exc:
            self._log.exception("an answer could not be read", extra={"kind": str(self.scope)})
            raise Malformed(f"{self._ref}: the answer could not be read ({type(exc).__name__})") from exc

    def _take(self, put_or_remove: Callable[[Manifest], None], obj: Manifest) -> None:
        try:
            put_or_remove(obj)
        except Exception as exc:
            self._faults.failed(ref_of(obj), exc)
        else:
            self._faults.succeeded(ref_of(obj))

    def _api_missing(self) -> None:
        scope = self.scope
        self._outage.answered(scope)
        if self._served is not False:
            if self._served:
                self._log.info("API is no longer served", extra={"kind": str(scope)})
                self._sink.retain(())
                self._hooks.on_api(scope, False)
            elif not scope.optional:
                self._log.error(
                    "the API server does not serve this kind: install its CRD; waiting for it",
                    extra={"kind": str(scope), "apiVersion": scope.kind.api_version},
                )
            self._served = False
        self._failures, self._refusals, self._failing_since, self._logged = 0, 0, None, ""
        if scope.optional:
            self._synced.set()
        else:
            self._synced.clear()
            self._problem = "the API server does not serve this kind"
        self._mark_attempted()

    def _mark_attempted(self) -> None:
        if not self._attempted.is_set():
            self._attempted.set()
            self._hooks.on_attempt()

    def _failing(self, for_s: float = 0.0) -> bool:
        """Whether nothing has worked for that long. A watch that is open and silent works."""
        since, opened, now = self._failing_since, self._opened, self._clock()
        is_open = opened is not None and now - opened >= SHORT_WATCH_S
        return since is not None and not is_open and now - since >= for_s

    def _recovered(self) -> None:
        self._outage.answered(self.scope)
        if self._logged:
            self._log.info("watch works again", extra={"kind": str(self.scope)})
        self._failures, self._refusals, self._failing_since, self._logged = 0, 0, None, ""

    def _back_off(self, exc: TransportError) -> None:
        """Report and wait; the delay doubles with each consecutive failure and ends early on a stop."""
        if self._stop.is_set():
            return
        self._failures += 1
        if self._version:  # it was the watch
            self._refusals = self._refusals + 1 if isinstance(exc, ApiError | Malformed) else 0
        if self._failing_since is None:
            self._failing_since = self._clock()
        ceiling = min(self._timing.backoff_max_s, self._timing.backoff_first_s * 2.0 ** min(self._failures - 1, 30))
        delay_s = ceiling * self._random.uniform(0.5, 1.0)
        if isinstance(exc, ApiError):
            delay_s = max(delay_s, min(exc.retry_after_s, LONGEST_RETRY_AFTER_S))
        forbidden = isinstance(exc, Forbidden)
        self._problem = missing_rule(self.scope, self._plural, self._whose_role) if forbidden else str(exc)
        level = logging.ERROR if forbidden else logging.WARNING
        if isinstance(exc, Unreachable):
            self._outage.failed(self.scope, self._problem)  # which reports it for all watches
            level = logging.DEBUG
        else:
            self._outage.answered(self.scope)
            if self._problem == self._logged:
                level = logging.DEBUG  # logged once, not every 30 seconds: a repeated problem is only debug output
            self._logged = self._problem
        sentence = "operator lacks a permission" if forbidden else "watch interrupted, retrying"
        fields = {"kind": str(self.scope), "error": self._problem, "retry_in_s": round(delay_s, 1)}
        self._log.log(level, sentence, extra=fields)
        self._mark_attempted()
        self._stop.wait(delay_s)


def is_older(version: str, than: str) -> bool:
    """Whether one resource version came before another. Versions of the same storage can be compared as numbers
    (Kubernetes promises it since 1.35); of what is none, nothing is known."""
    mine, other = whole_number(version, 20), whole_number(than, 20)
    return mine is not None and other is not None and mine < other


def missing_rule(scope: Scope, plural: str | None = None, whose_role: str = "the operator's") -> str:
    """The RBAC rule to add, as a person would write it into a Role or ClusterRole."""
    role = f"Role in namespace {scope.namespace}" if scope.namespace else "ClusterRole"
    resource = plural or scope.kind.kind.lower() + "s"
    return (
        f"not allowed to list and watch {scope.kind}: add to {whose_role} {role} the rule "
        f'{{apiGroups: ["{scope.kind.group}"], resources: ["{resource}"], verbs: ["list", "watch"]}}'
    )
