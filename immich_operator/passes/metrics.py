# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics in a registry of their own, named as controller-runtime and the Operator SDK name theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from immich_operator import __version__
from immich_operator.kube.client import seconds_of
from immich_operator.kube.resources import Kind, Manifest, NamespacedName, mapping, metadata_of, ref_of
from immich_operator.passes.workqueue import Observer

# plays take 0.1 s to several minutes: controller-runtime's buckets, thinned out and extended to ten minutes
DURATION_BUCKETS: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 20, 30, 60, 120, 300, 600)
WAIT_BUCKETS: Final = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_GVK: Final = ("group", "version", "kind")
MAX_CONDITIONS: Final = 32  # of one object that are shown; whoever may write its status could make any number of them
_STATUSES: Final = {"True": 1.0, "False": 0.0, "Unknown": -1.0}


class Metrics:
    """All metrics of one operator; thread-safe."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Gauge("ansible_operator_build_info", "Build information.", ("commit", "version"), registry=registry)
        build.labels("", __version__).set(1)
        # the SDK's is a gauge too, although it only grows: dashboards ask for this name without _total
        self._results = Gauge(
            "ansible_operator_reconcile_result", "Finished passes.", (*_GVK, "result"), registry=registry
        )
        self._plays = Histogram(
            "ansible_operator_reconciles",
            "Time from the start of a play to its end, in seconds.",
            _GVK,
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._skipped = Counter(
            "operator_passes_skipped_total",
            "Passes that were due but not run, because nothing had changed since the last good one.",
            _GVK,
            registry=registry,
        )
        self._created = Gauge(
            "resource_created_at_seconds", "When it was created, Unix time.", ("name", "namespace", *_GVK),
            registry=registry,
        )  # fmt: skip
        self._reconciles = Counter(
            "controller_runtime_reconcile_total", "Finished passes.", ("controller", "result"), registry=registry
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors_total", "Failed passes.", ("controller",), registry=registry
        )
        self._panics = Counter(
            "controller_runtime_reconcile_panics_total",
            "Passes ended by an internal error of the operator.",
            ("controller",),
            registry=registry,
        )
        self._times = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of a whole pass.",
            ("controller",),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._max_workers = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Passes that may run at the same time, over all kinds.",
            ("controller",),
            registry=registry,
        )
        self._active = Gauge(
            "controller_runtime_active_workers", "Passes that are running.", ("controller",), registry=registry
        )
        self._requests = Counter(
            "rest_client_requests_total", "Answers of the API server to the operator's own requests.",
            ("code", "method", "host"), registry=registry,
        )  # fmt: skip
        self._conditions = _Conditions()
        registry.register(self._conditions)
        self._leader = Gauge(
            "leader_election_master_status", "1 while this process leads.", ("name",), registry=registry
        )

    def controller_started(self, controller: str, workers: int) -> None:
        """Make all series of a controller exist, so that rates begin at zero."""
        for result in ("success", "error", "requeue_after"):
            self._reconciles.labels(controller, result)
        self._errors.labels(controller)
        self._panics.labels(controller)
        self._max_workers.labels(controller).set(workers)
        self._active.labels(controller).set(0)

    def pass_started(self, controller: str) -> None:
        self._active.labels(controller).inc()

    def pass_finished(self, controller: str, result: str, took_s: float) -> None:
        """`result`: success, requeue_after or error."""
        self._active.labels(controller).dec()
        self._reconciles.labels(controller, result).inc()
        self._times.labels(controller).observe(took_s)
        if result == "error":
            self._errors.labels(controller).inc()

    def fault(self, controller: str) -> None:
        self._panics.labels(controller).inc()

    def play_finished(self, kind: Kind, *, ok: bool, took_s: float) -> None:
        gvk = (kind.group, kind.version, kind.kind)
        self._results.labels(*gvk, "succeeded" if ok else "failed").inc()
        self._plays.labels(*gvk).observe(took_s)

    def pass_skipped(self, kind: Kind) -> None:
        self._skipped.labels(kind.group, kind.version, kind.kind).inc()

    def object_seen(self, kind: Kind, ref: NamespacedName, obj: Manifest) -> None:
        created = seconds_of(metadata_of(obj).get("creationTimestamp"))
        if created is not None:
            self._created.labels(ref.name, ref.namespace, kind.group, kind.version, kind.kind).set(created)

    def object_gone(self, kind: Kind, ref: NamespacedName) -> None:
        self._created.remove_by_labels(
            {
                "name": ref.name,
                "namespace": ref.namespace,
                "group": kind.group,
                "version": kind.version,
                "kind": kind.kind,
            }
        )

    def conditions_of(self, kind: Kind, objects: Callable[[], Iterable[Manifest]]) -> None:
        """Show the conditions of what `objects` gives, which is asked whenever metrics are read."""
        self._conditions.sources.append((kind, objects))

    def leader(self, name: str, *, leading: bool) -> None:
        self._leader.labels(name).set(int(leading))

    def requests(self, host: str) -> Callable[[str, str], None]:
        """Counts an answer of one API server by method and status code."""
        return lambda method, code: self._requests.labels(code, method, host).inc()

    def queue(self, name: str) -> QueueMetrics:
        """workqueue_* of one queue."""
        return QueueMetrics(self.registry, name)


class QueueMetrics(Observer):
    """What client-go reports about a work queue."""

    def __init__(self, registry: CollectorRegistry, name: str) -> None:
        def counter(title: str, text: str) -> Counter:
            return Counter(title, text, ("name",), registry=registry).labels(name)

        def gauge(title: str, text: str) -> Gauge:
            return Gauge(title, text, ("name",), registry=registry).labels(name)

        self._adds = counter("workqueue_adds_total", "Keys added to the queue.")
        self._retries = counter("workqueue_retries_total", "Passes retried after a failure.")
        self._depth = gauge("workqueue_depth", "Keys that are waiting.")
        self._unfinished = gauge("workqueue_unfinished_work_seconds", "Total time so far of all running passes.")
        self._longest = gauge("workqueue_longest_running_processor_seconds", "Age of the oldest running pass.")
        self._wait = Histogram(
            "workqueue_queue_duration_seconds", "Time a key waited, including the settle time.", ("name",),
            buckets=WAIT_BUCKETS, registry=registry,
        ).labels(name)  # fmt: skip
        self._work = Histogram(
            "workqueue_work_duration_seconds", "Time a pass took.", ("name",),
            buckets=DURATION_BUCKETS, registry=registry,
        ).labels(name)  # fmt: skip

    def ages(self, running: Callable[[], list[float]]) -> None:
        """Where to get the ages of running passes, in seconds, when metrics are scraped."""
        self._unfinished.set_function(lambda: sum(running()))
        self._longest.set_function(lambda: max(running(), default=0.0))

    def added(self) -> None:
        self._adds.inc()

    def depth(self, keys: int) -> None:
        self._depth.set(keys)

    def started(self, waited_s: float) -> None:
        self._wait.observe(waited_s)

    def finished(self, took_s: float) -> None:
        self._work.observe(took_s)

    def retried(self) -> None:
        self._retries.inc()


class _Conditions(Collector):
    """A gauge per object and condition, read off the cache: of what is gone there is nothing to remove."""

    def __init__(self) -> None:
        self.sources: list[tuple[Kind, Callable[[], Iterable[Manifest]]]] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "resource_condition",
            "Conditions of custom resources: 1 is True, 0 is False, -1 is Unknown.",
            labels=("name", "namespace", *_GVK, "condition"),
        )
        for kind, objects in self.sources:
            for obj in objects():
                if (ref := ref_of(obj)) is not None:
                    for type_, value in _conditions(obj).items():
                        labels = (ref.name, ref.namespace, kind.group, kind.version, kind.kind, type_)
                        family.add_metric(labels, value)
        yield family


def _conditions(obj: Manifest) -> dict[str, float]:
    """{type: value}; what has another form is left out."""
    entries = mapping(obj.get("status")).get("conditions")
    found = {
        str(entry["type"]): _STATUSES[str(entry.get("status"))]
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and entry.get("type") and str(entry.get("status")) in _STATUSES
    }
    return dict(list(found.items())[:MAX_CONDITIONS])
