# SPDX-License-Identifier: Apache-2.0
"""Why a workload is not ready, read off its pods and claims in words that hold still while nothing changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..components.reasons import Reason
from ..kube.refusals import advice, readable
from ..kube.values import Manifest, dig
from ..spec.names import LOOK_AT_LIBRARY, LOOK_AT_VOLUME


class Cause(NamedTuple):
    reason: Reason
    message: str


class Written(NamedTuple):
    """Where users write what a workload's pods are made of; containers that they never wrote are told by that."""

    settings: str
    """Such as `spec.server`."""
    has_image: bool
    """Whether they gave an image, or the operator took its default."""


PULL_PROBLEMS = {
    r"does not exist or may require": "the registry has no such image, or wants a pull secret in spec.imagePullSecrets",
    r"not found|manifest unknown|does not exist": "the registry has no such image or tag",
    r"unauthorized|denied|authentication|forbidden": "the registry refuses access; name a pull secret in spec.imagePullSecrets",
    r"toomanyrequests|rate limit": "the registry limits the rate of pulls; name a pull secret in spec.imagePullSecrets",
    r"no such host|dial tcp|timeout|connection refused": "the registry can't be reached from the node",
    r"InvalidImageName|invalid reference": "the reference is malformed",
}
"""What kubelet and container runtime say (by pattern), and what it means."""


def diagnose(
    workload: Manifest,
    pods: Sequence[Manifest],
    claims: Iterable[tuple[str, Manifest | None]],
    written: Written,
    refusal: str = "",
) -> Cause:
    """The first cause found, those that somebody has to act on before those that time heals.

    `pods` are those of the component; `claims` are (name, object or None) of the volumes that its pods mount.
    `refusal` is what the API server said to the controller's last attempt to make a pod, where Events tell of it.
    """
    where = f"{workload['kind']} {workload['metadata']['name']}"
    current = [pod for pod in pods if not dig(pod, "metadata", "deletionTimestamp")]
    causes = [cause for pod in current for cause in _pod_causes(workload, pod, written)]
    causes += _refusals(where, workload, "" if pods else refusal)
    causes += [
        Cause(Reason.VOLUME_NOT_BOUND, f"{where}: PersistentVolumeClaim {name} is waiting for a volume; {_hint(claim)}")
        for name, claim in claims
        if claim and dig(claim, "status", "phase") != "Bound"
    ]
    if causes:
        return min(causes, key=lambda cause: _URGENCY.index(cause.reason))
    return Cause(Reason.WAITING_FOR_ROLLOUT, f"{where}: {_progress(workload)}")


_URGENCY = (
    Reason.IMAGE_PULL_FAILED,
    Reason.CRASH_LOOPING,
    Reason.CONTAINER_NOT_STARTED,
    Reason.POD_REFUSED,
    Reason.POD_UNSCHEDULABLE,
    Reason.VOLUME_NOT_BOUND,
)
"""Unschedulable before not bound: many storage classes provide a volume only once its pod has a node."""

_WAITS_FOR_VOLUME = re.compile(r"unbound immediate PersistentVolumeClaims|binding volumes")
"""The scheduler's words where the claim, not the lack of a node, is the cause."""


def _pod_causes(workload: Manifest, pod: Manifest, written: Written) -> Iterable[Cause]:
    where = f"{workload['kind']} {workload['metadata']['name']}"
    for condition in dig(pod, "status", "conditions", default=[]):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = condition.get("message", "")
            if not _WAITS_FOR_VOLUME.search(message):
                yield Cause(Reason.POD_UNSCHEDULABLE, f"{where}: no node takes its pod: {_shortened(message)}")
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        cause = _container_cause(where, pod, container, _Told.of(workload, container["name"], written))
        if cause:
            yield cause


class _Told(NamedTuple):
    """How a container and its image are called in a message."""

    container: str
    image_from: str

    @classmethod
    def of(cls, workload: Manifest, name: str, written: Written) -> _Told:
        """All containers of the workload's template run the image of the component, others come from elsewhere."""
        template = dig(workload, "spec", "template", "spec", default={})
        inits, mains = ({c["name"] for c in template.get(key) or ()} for key in ("initContainers", "containers"))
        called = f"container {name}"
        if name in inits:
            called += f", which the operator runs first with image and security context of {written.settings},"
        if name not in inits | mains:
            return cls(called, f"of container {name}")
        of_field = f"from {written.settings}.image"
        return cls(called, of_field if written.has_image else f"(the default, as {written.settings}.image is not set)")


def _container_cause(where: str, pod: Manifest, container: Mapping[str, Any], told: _Told) -> Cause | None:
    name, waiting = container["name"], dig(container, "state", "waiting", default={})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}:
        image = _image(pod, name) or container.get("image", "")
        why = next(
            (text for pattern, text in PULL_PROBLEMS.items() if re.search(pattern, f"{reason} {message}", re.I)), None
        )
        advice = why or "check the name, spec.imagePullSecrets and the registry"
        return Cause(Reason.IMAGE_PULL_FAILED, f"{where}: image {image} {told.image_from} can't be pulled: {advice}")
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        return Cause(
            Reason.CONTAINER_NOT_STARTED, f"{where}: {told.container} can't be started: {_without_ids(message, pod)}"
        )
    ended = dig(container, "lastState", "terminated") or dig(container, "state", "terminated")
    if name in (LOOK_AT_LIBRARY, LOOK_AT_VOLUME) and dig(ended, "reason") in _ENDED_ITSELF and dig(ended, "message"):
        return None  # it has said why, and the pass that reads this does something about it or explains it
    is_crashing = reason == "CrashLoopBackOff" or (container.get("restartCount", 0) > 1 and not container.get("ready"))
    if is_crashing and ended and (ended.get("exitCode") or reason == "CrashLoopBackOff"):
        return Cause(
            Reason.CRASH_LOOPING,
            f"{where}: {told.container} keeps ending with exit code {ended.get('exitCode')} ({_ending(ended)}); see "
            f"kubectl logs -n {pod['metadata'].get('namespace')} {where.replace(' ', '/').lower()} -c {name} --previous",
        )
    return None


_ENDED_ITSELF = ("Completed", "Error", None)
"""Else the message is the runtime's, about a program that the image does not have, say."""


def _ending(ended: Mapping[str, Any]) -> str:
    reason = ended.get("reason") or "Error"
    return "OOMKilled: it needs a higher memory limit in resources" if reason == "OOMKilled" else str(reason)


def _refusals(where: str, workload: Manifest, refusal: str) -> Iterable[Cause]:
    """Pods that the API server does not let the controller create: quota, Pod Security, webhooks."""
    told = [
        condition.get("message", "")
        for condition in dig(workload, "status", "conditions", default=[])
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
    ]
    for text in (*told, *filter(None, [refusal])):
        remedy = advice(text, dig(workload, "metadata", "namespace", default=""))
        message = re.sub(r'pods? "[^"]*"', "its pod", readable(text.partition(" failed error: ")[2] or text))
        said = _shortened(message).rstrip(".")
        yield Cause(
            Reason.POD_REFUSED, f"{where}: the API server refuses its pods: {said}{f'. {remedy}' if remedy else ''}"
        )


def _progress(workload: Manifest) -> str:
    status, wanted = workload.get("status") or {}, dig(workload, "spec", "replicas", default=1)
    surplus = status.get("replicas", 0) - wanted
    if dig(workload, "metadata", "deletionTimestamp"):
        return "it is being deleted and will be made anew"
    if status.get("observedGeneration", 0) < dig(workload, "metadata", "generation", default=0):
        return "waiting for its controller to take up the last change"
    if status.get("updatedReplicas", 0) < wanted:
        return f"{status.get('updatedReplicas', 0)} of {wanted} pods run the newest version"
    if surplus > 0:
        return f"former pods that have still to end: {surplus}"
    return f"{status.get('availableReplicas', 0)} of {wanted} pods are available"


def _image(pod: Manifest, container: str) -> str | None:
    spec = pod.get("spec") or {}
    for entry in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if entry.get("name") == container:
            return str(entry.get("image"))
    return None


def _hint(claim: Manifest) -> str:
    storage_class = dig(claim, "spec", "storageClassName")
    if storage_class:
        return f"StorageClass {storage_class} has to provide one"
    return "it names no StorageClass and the cluster has no default one, or the default has still to provide one"


def _without_ids(message: str, pod: Manifest) -> str:
    """A runtime's message less what differs from one attempt or pod to the next."""
    name = dig(pod, "metadata", "name")
    text = message.replace(name, "POD") if name else message
    return _shortened(_RANDOM.sub("ID", text))


_RANDOM = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,})(?:_\d+)?(?![0-9A-Za-z])"
)
"""Ids of containers and pods, the latter with the number of the attempt."""


def _shortened(message: str, limit: int = 300) -> str:
    text = " ".join(message.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
