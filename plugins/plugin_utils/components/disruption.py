# SPDX-License-Identifier: Apache-2.0
"""PodDisruptionBudgets, for components of several pods only: with a single pod, one would hold up the drain of its node."""

from __future__ import annotations

from ..kube.kinds import named
from ..kube.values import dig
from ..spec import names
from ..spec.fields import ImmichWorkload
from ..spec.names import Component
from . import autoscaling
from .description import Wanted
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason
from .rollout import AT_FIRST

KIND = "PodDisruptionBudget"
SEVERAL = 2


def is_wanted(component: Component) -> Wanted:
    def wanted(instance: Instance, cluster: Cluster, _draft: Draft) -> bool:
        return _is_asked_for(instance, component) and _at_least(instance, cluster, component) >= SEVERAL

    return wanted


def plan(instance: Instance, cluster: Cluster, component: Component) -> Part:
    part = Part(component)
    if not _is_asked_for(instance, component):
        return part
    path, count = f"spec.{names.spec_key(component)}", _at_least(instance, cluster, component)
    name = names.workload_name(instance.name, component)
    if count < SEVERAL:
        remedy = _how_to_have_more(instance, component, path)
        part.warns(
            Reason.DISRUPTION_NOT_BOUNDED,
            f"{KIND} {name} is not made: {component} has {'one pod' if count else 'no pod'}, which a budget could only keep a "
            f"node from being drained with. {remedy}set {path}.podDisruptionBudget.enabled to false",
        )
        return part
    manifest = instance.manifest(named(KIND).api_version, KIND, name, component)
    manifest["spec"] = {
        "maxUnavailable": instance.settings(component).pod_disruption_budget.max_unavailable,
        "selector": {"matchLabels": names.selector(instance.name, component)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",  # what is broken anyway holds up no drain
    }
    part.apply(manifest)
    return part


def _is_asked_for(instance: Instance, component: Component) -> bool:
    return instance.is_enabled(component) and instance.settings(component).pod_disruption_budget.enabled


def _at_least(instance: Instance, cluster: Cluster, component: Component) -> int:
    """The number of pods; the smallest one that an autoscaler of ours may choose."""
    settings = instance.settings(component)
    if not isinstance(settings, ImmichWorkload):
        return 1
    asked = autoscaling.replicas(settings)
    if asked is not None:
        return asked
    live = cluster.deployment(instance, component)
    fewest = autoscaling.at_first(settings)
    present = dig(live, "spec", "replicas") if fewest is None else fewest
    return AT_FIRST if present is None else int(present)


def _how_to_have_more(instance: Instance, component: Component, path: str) -> str:
    settings = instance.settings(component)
    if not isinstance(settings, ImmichWorkload):
        return ""
    return f"Set {path}.{'autoscaling.minReplicas' if settings.autoscaling.enabled else 'replicas'} to 2 or more, or "
