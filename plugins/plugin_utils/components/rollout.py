# SPDX-License-Identifier: Apache-2.0
"""Changes to live workloads that server-side apply alone, or their controller alone, can't make."""

from __future__ import annotations

from ..kube.ownership import taken_from
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.fields import ImmichWorkload
from .instance import Cluster, Instance, Part
from .reasons import Reason


def apply_deployment(part: Part, cluster: Cluster, deployment: Manifest, *, autoscaled_from: int | None = None) -> None:
    """Apply a Deployment, switching the strategy of a live one first.

    One without `replicas` keeps as many pods as an autoscaler or `kubectl scale` has given it. `autoscaled_from` is the
    number with which an autoscaler of ours begins where there are no pods yet. Until it has changed the number of a live
    Deployment, that is ours, and what we leave out becomes 1: so it is said again, and once the autoscaler is gone, too.

    Coming from RollingUpdate, the API server refuses `type: Recreate` by apply alone, with or without
    `rollingUpdate: null`: the defaulted field stays and is then not allowed. A merge patch removes it.
    """
    live = cluster.live("Deployment", deployment["metadata"]["name"])
    if "replicas" not in deployment["spec"]:
        is_kept = autoscaled_from is not None or names.AUTOSCALED_ANNOTATION in dig(
            live, "metadata", "annotations", default={}
        )
        if not _is_scaled(live):
            number = dig(live, "spec", "replicas") if is_kept else None
            deployment = {
                **deployment,
                "spec": {"replicas": number or autoscaled_from or AT_FIRST, **deployment["spec"]},
            }
        if is_kept:
            metadata = deployment["metadata"]
            annotations = {**metadata.get("annotations", {}), names.AUTOSCALED_ANNOTATION: "true"}
            deployment = {**deployment, "metadata": {**metadata, "annotations": annotations}}
    is_recreated = deployment["spec"]["strategy"]["type"] == "Recreate"
    if live and is_recreated and dig(live, "spec", "strategy", "rollingUpdate") and not taken_from(live, deployment):
        part.merge(live, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}, stage=1)
    part.apply(deployment, stage=2)


AT_FIRST = 1
"""Pods of a component for which nobody has said how many."""


def _is_scaled(live: Manifest | None) -> bool:
    """Whether the number of pods is from the subresource `scale`, which autoscalers and `kubectl scale` write to.

    None at all does not count: that is how somebody ends a pod whose volume is to be rescued, and it has to come back.
    """
    return bool(dig(live, "spec", "replicas")) and any(
        entry.get("subresource") == "scale" and dig(entry, "fieldsV1", "f:spec", "f:replicas") is not None
        for entry in dig(live, "metadata", "managedFields", default=[])
    )


def is_recreated(part: Part, path: str, settings: ImmichWorkload, claim: str | None) -> bool:
    """Whether the pods end before new ones start. `claim` is theirs, if pods on several nodes can't use it at once."""
    if settings.strategy == "RollingUpdate" and claim:
        part.warns(
            Reason.VOLUME_NOT_SHARED,
            f"{path}.strategy is RollingUpdate, but PersistentVolumeClaim {claim} is not ReadWriteMany: a rollout does not "
            f"end unless the new pod gets onto the node of the old one. Use Auto, or a ReadWriteMany claim",
        )
    return settings.strategy == "Recreate" or (settings.strategy != "RollingUpdate" and claim is not None)


def tell_of_several(
    part: Part, instance: Instance, settings: ImmichWorkload, count: int, claim: str, remedy: str
) -> None:
    """That several pods of a component use a claim which pods on several nodes can't use at once."""
    if count > 1:
        part.warns(
            Reason.VOLUME_NOT_SHARED,
            f"Deployment {names.workload_name(instance.name, part.component)} "
            f"{'may get' if settings.autoscaling.enabled else 'has'} {count} replicas, but PersistentVolumeClaim {claim} is not "
            f"ReadWriteMany: all replicas have to fit on one node. {remedy}",
        )


def number_of_pods(cluster: Cluster, deployment: Manifest) -> int | None:
    """How many pods a planned Deployment has: as it says, else as the live one says; None for a new one."""
    live = cluster.live("Deployment", deployment["metadata"]["name"])
    count: int | None = dig(deployment, "spec", "replicas", default=dig(live, "spec", "replicas"))
    return count


def replace_stuck_pods(part: Part, cluster: Cluster, stateful_set: Manifest) -> None:
    """Delete pods of a previous version that are not ready, so that the current version gets its turn.

    The controller of a StatefulSet waits for them forever: a fixed image or password would never take effect
    (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback). It replaces a ready pod
    itself.
    """
    status = stateful_set.get("status") or {}
    newest, metadata = status.get("updateRevision"), stateful_set["metadata"]
    if not newest or status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return  # not known yet which version is the current one
    for pod in cluster.pods:
        owners = {owner.get("uid") for owner in dig(pod, "metadata", "ownerReferences", default=[])}
        revision = dig(pod, "metadata", "labels", "controller-revision-hash")
        is_leaving = dig(pod, "metadata", "deletionTimestamp")
        if metadata.get("uid") in owners and revision != newest and not is_leaving and not _is_ready(pod):
            part.delete(pod, stage=2)


def _is_ready(pod: Manifest) -> bool:
    conditions = dig(pod, "status", "conditions", default=[])
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
