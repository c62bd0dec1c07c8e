# SPDX-License-Identifier: Apache-2.0
"""Where the operator is measured: a separate local Kubernetes with simulated nodes, and the operator next to it."""

from __future__ import annotations

import datetime
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench import processes, traffic
from localcluster.api import Manifest
from localcluster.audit import Mark
from localcluster.cluster import LocalCluster, take_down_orphans
from localcluster.ports import free_ports
from localcluster.processes import identify
from localcluster.state import Folder, default_state
from localcluster.testing import Cluster
from tests.support.operating import Operator, install_crd

__all__ = [
    "QUIET_S",
    "Bed",
    "BenchError",
    "Counters",
    "a_bed",
    "a_cluster",
    "an_instance",
    "kubernetes_cpu_s",
    "latest_version",
    "make_namespaces",
    "namespace_of",
]

API_VERSION, KIND = "media.rm3l.org/v1alpha1", "Immich"
INSTANCES = f"/apis/{API_VERSION}/immiches"
PER_NAMESPACE = 10
"""Instances. The work of Kubernetes' controllers, and of a pass, grows with what else is in a namespace."""
LEASE_NAMESPACE = "default"
LOOK_AGAIN_S = 0.5
"""Nothing is timed by these looks, and with a thousand instances the metrics are long."""
QUIET_S = 1.5
"""Longer than the first retry of a failed pass takes to come (1 to 1.2 s)."""
REST_S = 1.0
REST_CPU = 0.03
"""Share of a core: below this the operator is idle, including its engine, which loads Ansible in the background."""
CREATORS = 4
"""Custom resources are created by so many threads: fast enough to be "at once", few enough not to starve the rest."""


class BenchError(Exception):
    """A measurement that cannot be finished; the message has the end of the operator's log where that helps."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the operator's /metrics say."""

    passes: float
    plays: float
    failed_plays: float
    skipped: float
    pass_seconds: float
    busy: float
    """Keys that wait for a pass, and passes that run."""


class Bed:
    """A cluster with the kind Immich, and the operator as it is deployed: leader election and metrics on."""

    def __init__(self, cluster: Cluster, scratch: Path, engine: str) -> None:
        self.cluster, self.api = cluster, cluster.api
        self._scratch, self._engine = scratch, engine
        self.operator = self.start_operator()

    def start_operator(self) -> Operator:
        """Start it and return at once; always with the same folders, or its digest would be another program's."""
        folder = self._scratch / "operator"
        folder.mkdir(exist_ok=True)
        self._metrics = f"127.0.0.1:{free_ports(('metrics',))['metrics']}"
        self.operator = Operator(
            self.cluster,
            folder,
            "--leader-elect=true",
            f"--leader-election-namespace={LEASE_NAMESPACE}",
            f"--metrics-bind-address={self._metrics}",
            engine=self._engine,
        )
        return self.operator

    def family(self) -> list[int]:
        """The processes of the operator."""
        return processes.family(self.operator.process.pid)

    def cpu_s(self) -> dict[str, float]:
        """CPU that the operator and the rest of the cluster have used so far; the bench's own is in neither."""
        return {"the operator": processes.cpu_s(self.family()), "Kubernetes": kubernetes_cpu_s(self.cluster)}

    def counters(self) -> Counters:
        """BenchError if the operator does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except OSError as error:
            raise BenchError(f"no metrics: {error}\n{self.operator.tail()}") from error
        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                result = sample.labels.get("result", "")
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
                totals[f"{sample.name} {result}"] = totals.get(f"{sample.name} {result}", 0.0) + sample.value
        return Counters(
            passes=totals.get("controller_runtime_reconcile_total", 0.0),
            plays=totals.get("ansible_operator_reconcile_result", 0.0),
            failed_plays=totals.get("ansible_operator_reconcile_result failed", 0.0),
            skipped=totals.get("operator_passes_skipped_total", 0.0),
            pass_seconds=totals.get("controller_runtime_reconcile_time_seconds_sum", 0.0),
            busy=totals.get("workqueue_depth", 0.0) + totals.get("controller_runtime_active_workers", 0.0),
        )

    def wait_begun(self, timeout_s: float = 60.0) -> None:
        """Until the operator has filled its caches and leads."""
        for _ in self.looks("passes to begin", timeout_s):
            if any(line.get("msg") == "passes begin" for line in self.operator.lines()):
                return

    def wait_rest(self, timeout_s: float = 120.0) -> None:
        """Wait until the operator does nothing, not even what its metrics don't show."""
        for _ in self.looks("the operator to rest", timeout_s):
            before = processes.cpu_s(self.family())
            time.sleep(REST_S)
            if processes.cpu_s(self.family()) - before < REST_CPU * REST_S:
                return

    def wait_quiet(self, *, passes: float = 0.0, timeout_s: float = 120.0) -> Counters:
        """Until no pass is due or running for QUIET_S, and there have been `passes` since its start."""
        since, last = time.monotonic(), -1.0
        for _ in self.looks("the operator to have nothing to do", timeout_s):
            now = self.counters()
            if now.busy or now.passes != last or now.passes < passes:
                since, last = time.monotonic(), now.passes
            elif time.monotonic() - since >= QUIET_S:
                return now
        raise AssertionError("unreachable: the looks raise when time is over")

    def last_pass(self) -> dict[str, Any]:
        """The log line of the pass that ended last."""
        return [line for line in self.operator.lines() if str(line.get("msg", "")).startswith("pass ")][-1]

    def last_pass_at(self) -> float:
        """When it ended, in seconds since 1970."""
        return datetime.datetime.fromisoformat(self.last_pass()["ts"]).timestamp()

    def create(self, names: Sequence[str], timeout_s: float) -> dict[str, float]:
        """Create custom resources without any spec at once; {name: when it was ready, in seconds since 1970}."""
        make_namespaces(self.cluster, names)
        version = latest_version(self.cluster, INSTANCES)
        with ThreadPoolExecutor(CREATORS + 1) as pool:
            watcher = pool.submit(self._watch, set(names), version, timeout_s)
            list(pool.map(self._create, names))
            ready_at = watcher.result()
        if len(ready_at) < len(names):
            late = sorted(set(names) - ready_at.keys())
            raise BenchError(f"not ready after {timeout_s:.0f} s: {', '.join(late[:10])}\n{self.operator.tail()}")
        return ready_at

    def requests(self, begin: Mark) -> list[traffic.Request]:
        """What operator and bench have requested since the mark."""
        return traffic.read(self.cluster.local.folder.audit_log, begin, self.cluster.audit.mark())

    def _create(self, name: str) -> None:
        self.api.create(an_instance(name))

    def _watch(self, names: set[str], version: str, timeout_s: float) -> dict[str, float]:
        ready_at: dict[str, float] = {}
        for _, cr in self.api.watch(KIND, since=version, timeout=timeout_s):
            name, status = cr["metadata"]["name"], cr.get("status") or {}
            if name in names and status.get("ready"):
                ready_at.setdefault(name, time.time())
                if len(ready_at) == len(names):
                    break
        return ready_at

    def looks(self, what: str, timeout_s: float) -> Iterator[None]:
        """One turn per look, LOOK_AGAIN_S apart."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.operator.process.poll() is not None:
                raise BenchError(f"The operator has ended while the bench waited for {what}:\n{self.operator.tail()}")
            yield
            time.sleep(LOOK_AGAIN_S)
        raise BenchError(f"Waited {timeout_s:.0f} s for {what}:\n{self.operator.tail()}")


def an_instance(name: str) -> Manifest:
    """A custom resource without any spec."""
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "namespace": namespace_of(name)}}


def namespace_of(instance: str) -> str:
    """ "bench-photos-3" for photos-0031."""
    stem, _, number = instance.rpartition("-")
    return f"bench-{stem}-{int(number) // PER_NAMESPACE}"


def make_namespaces(cluster: Cluster, instances: Iterable[str]) -> None:
    """Those of the instances, ready for pods."""
    for name in dict.fromkeys(map(namespace_of, instances)):
        cluster.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        # Pods are refused until the controller-manager has created it.
        cluster.api.wait_for("ServiceAccount", "default", name, lambda _: True)


def latest_version(cluster: Cluster, path: str) -> str:
    """The resource version from which a watch of the collection at the path reports what comes from now on."""
    return str(cluster.api.request("GET", path, query={"limit": "1"})["metadata"]["resourceVersion"])


def kubernetes_cpu_s(cluster: Cluster) -> float:
    """CPU that the components of the cluster have used so far."""
    return processes.cpu_s(component.pid for component in cluster.local.status())


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """A new cluster with the kind Immich; nothing is left of it afterwards."""
    state = default_state()
    take_down_orphans(state)
    local = LocalCluster(Folder(state, f"bench-{os.getpid()}"))
    try:
        local.up(owner=identify(os.getpid()))
        cluster = Cluster(local)
        install_crd(cluster)
        yield cluster
        cluster.api.close()
    finally:
        local.down()


@contextmanager
def a_bed(engine: str) -> Iterator[Bed]:
    """A new cluster with an idle operator; nothing is left of them afterwards."""
    with a_cluster() as cluster, tempfile.TemporaryDirectory(prefix="immich-bench-") as scratch:
        bed = Bed(cluster, Path(scratch), engine)
        try:
            bed.wait_begun()
            bed.wait_rest()
            yield bed
        finally:
            bed.operator.stop()
