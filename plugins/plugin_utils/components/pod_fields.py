# SPDX-License-Identifier: Apache-2.0
"""What a user adds to the pods of a component: volumes, containers, scheduling, and the times of probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kube.values import dig
from ..spec import names
from ..spec.fields import Workload
from ..spec.names import Component
from ..spec.references import pod_references
from .instance import Cluster, Instance, Part
from .reasons import Reason
from .required import Used, explain_missing

__all__ = ["check", "extended", "own_annotations", "scheduling", "used"]

PROBES = ("startup", "readiness", "liveness")
SHORTEST_END_OF_A_DATABASE_S = 60
"""What a checkpoint of a small database may take on a slow disk."""


def scheduling(settings: Workload, selector: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a PodSpec, null where the user says nothing; `selector` finds the component's pods."""
    own = {"labelSelector": {"matchLabels": dict(selector)}}
    return {
        "priorityClassName": settings.priority_class_name or None,
        "runtimeClassName": settings.runtime_class_name or None,
        "serviceAccountName": settings.service_account_name or None,
        "topologySpreadConstraints": [{**own, **entry} for entry in settings.topology_spread_constraints] or None,
        "hostAliases": list(settings.host_aliases) or None,
        "dnsPolicy": settings.dns_policy or None,
        "dnsConfig": settings.dns_config or None,
        "resourceClaims": list(settings.resource_claims) or None,
    }


def extended(pod: Mapping[str, Any], settings: Workload) -> dict[str, Any]:
    """The operator's part of a PodSpec with the user's volumes, mounts and containers, and other times.

    The user's init containers run first, so that what looks at a volume sees it as the component is going to find it. The
    component's own container stays the first one.
    """
    main, *others = pod["containers"]
    result = {**pod, "containers": [_main(main, settings), *others, *settings.extra_containers]}
    for key, first, then in (
        ("initContainers", settings.init_containers, pod.get("initContainers") or ()),
        ("volumes", pod.get("volumes") or (), settings.volumes),
    ):
        if first or then:
            result[key] = [*first, *then]
    if settings.termination_grace_period_seconds is not None:
        result["terminationGracePeriodSeconds"] = settings.termination_grace_period_seconds
    return result


def own_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Those that say nothing to the operator itself."""
    return {key: value for key, value in annotations.items() if not key.startswith(f"{names.GROUP}/")}


def used(settings: Workload) -> list[Used]:
    """The Secrets and ConfigMaps that the user's containers and volumes take values from."""
    return [
        Used(found.kind, found.name, found.key)
        for found in pod_references(settings)
        if found.kind != "PersistentVolumeClaim"
    ]


def check(part: Part, instance: Instance, cluster: Cluster, settings: Workload, path: str) -> None:
    """Report what the pods wait for because it is missing, and what the user should know of. `path` is that of `settings`."""
    for found in pod_references(settings):
        where = f"{path}.{found.path}"
        if found.is_optional:
            continue
        if found.kind == "PersistentVolumeClaim":
            if cluster.is_known_missing(found.kind, found.name):
                part.explains(
                    Reason.CLAIM_NOT_FOUND,
                    f"PersistentVolumeClaim {found.name} named in {where} does not exist in namespace "
                    f"{instance.namespace}; create it or correct the name",
                )
            continue
        explain_missing(part, instance, cluster, found.kind, found.name, found.key, where)
    period = settings.termination_grace_period_seconds
    if part.component == Component.POSTGRES and period is not None and period < SHORTEST_END_OF_A_DATABASE_S:
        part.warns(
            Reason.SAFEGUARD_REMOVED,
            f"{path}.terminationGracePeriodSeconds is {period}: PostgreSQL may be killed while it writes its last checkpoint, "
            f"and then recovers at its next start, which takes longer. Set {SHORTEST_END_OF_A_DATABASE_S} or more",
        )
    for key in settings.annotations:
        if key not in own_annotations({key: ""}):
            part.warns(
                Reason.SETTING_IGNORED,
                f"{path}.annotations: {key} has no effect, because the operator sets it itself; remove it",
            )


def _main(container: Mapping[str, Any], settings: Workload) -> dict[str, Any]:
    result = dict(container)
    for probe in PROBES:
        times = dig(settings.probes, probe, default={})
        if times and f"{probe}Probe" in result:
            result[f"{probe}Probe"] = {**result[f"{probe}Probe"], **times}
    if settings.volume_mounts:
        result["volumeMounts"] = [*(container.get("volumeMounts") or ()), *settings.volume_mounts]
    return result
