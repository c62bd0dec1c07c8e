# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes alone takes: the objects of instances, applied by a script that has them ready and reads nothing.

No operator can be faster, so it is the baseline for one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ansible_collections.media.immich.plugins.plugin_utils.components.images import images_from_environment
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import connect
from ansible_collections.media.immich.plugins.plugin_utils.passes.offline import offline_plan
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete
from bench.bed import BenchError, an_instance, kubernetes_cpu_s, latest_version, make_namespaces
from bench.figures import Figure, Key
from localcluster.api import Manifest
from localcluster.testing import Cluster

__all__ = ["create"]

PODS_PER_INSTANCE = 4


def create(cluster: Cluster, names: list[str], timeout_s: float) -> list[Figure]:
    """Times until all objects exist and until all pods are ready, and the CPU that the cluster has used for it."""
    objects = [manifest for name in names for manifest in _objects_of(name)]
    make_namespaces(cluster, names)
    version = latest_version(cluster, "/api/v1/pods")
    cpu_before, start = kubernetes_cpu_s(cluster), time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        watcher = pool.submit(_wait_until_ready, cluster, len(names) * PODS_PER_INSTANCE, version, timeout_s)
        settings = ConnectionSettings.from_arguments({"kubeconfig": str(cluster.kubeconfig)}, {})
        with connect(settings, {}) as transport:
            apply = ApiObjects(transport).apply
            transport.parallel(partial(apply, manifest) for manifest in objects)
        applied_s = time.monotonic() - start
        watcher.result()
    ready_s, cpu_s = time.monotonic() - start, kubernetes_cpu_s(cluster) - cpu_before
    crs = len(names)
    return [
        Figure(Key("Creation", "all objects exist", "s", crs), applied_s),
        Figure(Key("Creation", "ready", "s", crs), ready_s),
        Figure(Key("Requests per instance", "until all objects exist", "", crs), len(objects) / crs),
        Figure(Key("Effort per instance", "CPU of Kubernetes", "s", crs), cpu_s / crs),
    ]


def _objects_of(name: str) -> Iterable[Manifest]:
    cr, problems = complete(an_instance(name))
    if problems:
        raise BenchError(f"{name}: {'; '.join(map(str, problems))}")
    images = images_from_environment(os.environ, fall_back=True)
    plan = offline_plan(cr, images=images, password="only-for-the-bench")  # noqa: S106
    for step in plan.as_dict()["steps"]:
        manifest = dict(step["object"])
        # There is no custom resource that could own it.
        manifest["metadata"] = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
        yield manifest


def _wait_until_ready(cluster: Cluster, pods: int, version: str, timeout_s: float) -> None:
    ready: set[str] = set()
    for _, pod in cluster.api.watch("Pod", since=version, timeout=timeout_s):
        conditions = (pod.get("status") or {}).get("conditions") or ()
        if any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions):
            ready.add(pod["metadata"]["uid"])
            if len(ready) == pods:
                return
    raise BenchError(f"{len(ready)} of {pods} pods are ready after {timeout_s:.0f} s")
