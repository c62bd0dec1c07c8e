# SPDX-License-Identifier: Apache-2.0
"""Is a workload in the state that was last requested? One predicate per kind, respecting generations."""

from __future__ import annotations

from .values import Manifest, dig


def is_ready(workload: Manifest) -> bool:
    """True if all pods of a Deployment or StatefulSet run its newest template and are available."""
    status = workload.get("status") or {}
    wanted = dig(workload, "spec", "replicas", default=1)
    if dig(workload, "metadata", "deletionTimestamp"):
        return False  # it stays until its pods have ended, if somebody deletes it in the foreground
    if status.get("observedGeneration", 0) < dig(workload, "metadata", "generation", default=0):
        return False
    if wanted == 0:
        return bool(status.get("replicas", 0) == 0)
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    if any(status.get(count, 0) != wanted for count in counts):
        return False
    is_stateful = workload["kind"] == "StatefulSet"
    return not is_stateful or status.get("currentRevision") == status.get("updateRevision")


def is_rolled_out(deployment: Manifest) -> bool:
    """True if all pods of its newest template have once been available, as its controller says. They need not be now."""
    if dig(deployment, "status", "observedGeneration", default=0) < dig(
        deployment, "metadata", "generation", default=0
    ):
        return False
    conditions = dig(deployment, "status", "conditions", default=[])
    return any((c.get("type"), c.get("reason")) == ("Progressing", "NewReplicaSetAvailable") for c in conditions)


def is_scaled_to_zero(workload: Manifest) -> bool:
    return bool(dig(workload, "spec", "replicas", default=1) == 0)


def lacks_pods(workload: Manifest) -> bool:
    """True if there are fewer pods than wanted, whatever their state."""
    return bool(dig(workload, "status", "replicas", default=0) < dig(workload, "spec", "replicas", default=1))


def is_running(pod: Manifest) -> bool:
    """True for a pod that is ready, and stays."""
    conditions = dig(pod, "status", "conditions", default=[])
    is_ready_now = any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
    return is_ready_now and not dig(pod, "metadata", "deletionTimestamp")


def has_ended(pod: Manifest) -> bool:
    """True for a pod whose containers no longer run; one that was evicted stays as an object."""
    return dig(pod, "status", "phase") in ("Succeeded", "Failed")
