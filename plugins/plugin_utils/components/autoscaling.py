# SPDX-License-Identifier: Apache-2.0
"""HorizontalPodAutoscalers of the operator's own, and who says how many pods there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kube.kinds import named
from ..kube.timestamps import seconds_of
from ..kube.values import Manifest, dig, in_one_line, without_none
from ..spec import names
from ..spec.fields import ImmichWorkload
from ..spec.names import Component
from .description import Wanted
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason

KIND = "HorizontalPodAutoscaler"
CPU_PERCENT = 80
"""What Kubernetes aims at, too, where an autoscaler names no metric."""
METRICS_WITHIN_S = 300.0
"""How long metrics may be missing: those of a pod that has just started are, and so they are while a cluster starts."""
ARCHITECTURE = "kubernetes.io/arch"
"""The label by which kubelet says what its node is."""


def is_on(instance: Instance, component: Component) -> bool:
    settings = instance.settings(component)
    return settings.enabled and isinstance(settings, ImmichWorkload) and settings.autoscaling.enabled


def is_wanted(component: Component) -> Wanted:
    def wanted(instance: Instance, _cluster: Cluster, _draft: Draft) -> bool:
        return is_on(instance, component)

    return wanted


def replicas(settings: ImmichWorkload) -> int | None:
    """What the Deployment says; None leaves it to who scales. None at all is always what the custom resource says."""
    return None if settings.autoscaling.enabled and settings.replicas != 0 else settings.replicas


def at_first(settings: ImmichWorkload) -> int | None:
    """The number of pods with which an autoscaler of ours begins; None without one."""
    return settings.autoscaling.min_replicas if settings.autoscaling.enabled else None


def at_most(settings: ImmichWorkload, count: int | None) -> int:
    """How many pods there may be, where there are `count` now."""
    return max(
        count or 0, settings.autoscaling.max_replicas if replicas(settings) is None and at_first(settings) else 0
    )


def plan(instance: Instance, cluster: Cluster, component: Component) -> Part:
    part = Part(component)
    settings, path = instance.settings(component), f"spec.{names.spec_key(component)}"
    if not isinstance(settings, ImmichWorkload) or not is_on(instance, component):
        return part
    if settings.replicas:
        part.warns(
            Reason.SETTING_IGNORED,
            f"{path}.replicas is not used, because {path}.autoscaling.enabled is true; remove it",
        )
    metrics = _metrics(settings)
    for resource in _not_requested(cluster, component, metrics):
        part.warns(
            Reason.NOT_AUTOSCALED,
            f"{KIND} {names.workload_name(instance.name, component)} can't tell how much of its {resource} {component} uses, "
            f"because the pods request none: set {path}.resources.requests.{resource}",
        )
    part.apply(_manifest(instance, component, settings, metrics))
    return part


def _metrics(settings: ImmichWorkload) -> dict[str, int]:
    """{resource: percent of what is requested}"""
    wanted = settings.autoscaling
    cpu, memory = wanted.target_cpu_utilization_percentage, wanted.target_memory_utilization_percentage
    return without_none({"cpu": cpu or (None if memory else CPU_PERCENT), "memory": memory or None})


def _not_requested(cluster: Cluster, component: Component, resources: Mapping[str, int]) -> list[str]:
    """What its pods do not request, although a LimitRange may add what the custom resource lacks."""
    requests = [
        dig(container, "resources", "requests", default={})
        for pod in cluster.pods
        if dig(pod, "metadata", "labels", default={}).get("app.kubernetes.io/component") == component
        for container in dig(pod, "spec", "containers", default=[])
        if container.get("name") == component
    ]
    return [resource for resource in resources if requests and not any(resource in given for given in requests)]


def _manifest(
    instance: Instance, component: Component, settings: ImmichWorkload, metrics: Mapping[str, int]
) -> Manifest:
    name = names.workload_name(instance.name, component)
    manifest = instance.manifest(named(KIND).api_version, KIND, name, component)
    manifest["spec"] = without_none(
        {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": settings.autoscaling.min_replicas,
            "maxReplicas": settings.autoscaling.max_replicas,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": resource, "target": {"type": "Utilization", "averageUtilization": percent}},
                }
                for resource, percent in metrics.items()
            ],
            "behavior": settings.autoscaling.behavior or None,
        }
    )
    return manifest


def idle(live: Manifest | None) -> list[tuple[str, float]]:
    """[(message, when it begins to be worth one, in seconds since the epoch)] of an autoscaler that can't work."""
    for entry in dig(live, "status", "conditions", default=[]):
        if (entry.get("type"), entry.get("status")) == ("ScalingActive", "False") and live:
            if entry.get("reason") == "ScalingDisabled":  # there are no pods, as requested
                continue
            words = in_one_line(f"{entry.get('reason') or ''}: {entry.get('message') or ''}")
            since = seconds_of(entry.get("lastTransitionTime")) or 0.0
            message = (
                f"{KIND} {live['metadata']['name']} does not know how busy the pods are, so their number stays: {words}; see "
                "whether kubectl top pods works, which needs metrics-server or the like"
            )
            return [(message, since + METRICS_WITHIN_S)]
    return []


def keep_to_one_architecture(template: dict[str, Any], instance: Instance, settings: ImmichWorkload) -> None:
    """Have all servers on nodes of one architecture, unless the custom resource chooses nodes by it.

    The builds of a version for amd64 and arm64 serve different files for the browser, under the same address:
    https://github.com/immich-app/immich/issues/27803. The first pod may go anywhere, because it is its own companion.
    """
    if at_most(settings, None) < 2 or ARCHITECTURE in str((settings.node_selector, settings.affinity)):
        return
    term = {
        "topologyKey": ARCHITECTURE,
        "labelSelector": {"matchLabels": names.selector(instance.name, Component.SERVER)},
    }
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    affinity = dict(template["spec"].get("affinity") or {})
    beside = dict(affinity.get("podAffinity") or {})
    affinity["podAffinity"] = {**beside, key: [*(beside.get(key) or ()), term]}
    template["spec"]["affinity"] = affinity
