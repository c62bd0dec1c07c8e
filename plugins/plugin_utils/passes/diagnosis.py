# SPDX-License-Identifier: Apache-2.0
"""Why a workload is not ready, in words that hold still while nothing changes.

Read off its pods and claims, and their Events where these do not tell. What the signs mean is in `troubles`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..components.reasons import Reason
from ..kube.commands import Given, command
from ..kube.readiness import has_ended
from ..kube.refusals import advice, readable
from ..kube.timestamps import minute_of, seconds_of
from ..kube.values import Manifest, dig, in_one_line
from ..spec.names import LOOKS
from . import cluster_events
from .causes import CLAUSES, Cause, Told, node_of, without_ids
from .endings import endings, overdue, replaced
from .troubles import FOR_EVER, HOUR, MINUTE, TROUBLES, Source, Trouble, recognise


class Written(NamedTuple):
    """Where users configure a workload's pods; containers that they have not written are described by that."""

    settings: str
    """Such as `spec.server`."""
    has_image: bool
    """Whether they set an image, or the operator uses its default."""


def diagnose(
    workload: Manifest,
    pods: Sequence[Manifest],
    claims: Iterable[tuple[str, Manifest | None]],
    written: Written,
    refusal: str = "",
    *,
    told: Told | None = None,
    now: float = 0.0,
) -> Cause:
    """The first cause found; those that somebody has to act on come before those that resolve themselves.

    `pods` are those of the component; `claims` are (name, object or None) of the volumes that its pods mount.
    `refusal` is the API server's answer to the controller's last attempt to create a pod, if Events report it. `told`
    are the Events of pods and claims by uid, as `cluster_events.read` gives them; `now` is in seconds since the epoch.
    """
    where, told = _where(workload), told or {}
    current = [pod for pod in pods if not dig(pod, "metadata", "deletionTimestamp")]
    causes = [
        cause for pod in current if not has_ended(pod) for cause in _pod_causes(workload, pod, written, told, now)
    ]
    causes += endings(where, current, now)
    causes += (cause for pod in pods if (cause := overdue(where, pod, told, now)))
    causes += _refusals(where, workload, "" if pods else refusal)
    causes += [_claim_cause(where, name, claim, told, now) for name, claim in claims if claim and not _is_bound(claim)]
    if causes:
        return min(causes, key=lambda cause: (cause.heals(now), _URGENCY.index(cause.reason)))
    waiting = Cause(Reason.WAITING_FOR_ROLLOUT, f"{where}: {_progress(workload)}", FOR_EVER, is_watched=False)
    return replaced(where, current, told, now) or waiting


_URGENCY = (
    Reason.IMAGE_PULL_FAILED,
    Reason.CRASH_LOOPING,
    Reason.CONTAINER_NOT_STARTED,
    Reason.POD_REFUSED,
    Reason.VOLUME_LOST,
    Reason.NODE_LOST,
    Reason.VOLUME_NOT_ATTACHED,
    Reason.VOLUME_NOT_MOUNTED,
    Reason.POD_NOT_SET_UP,
    Reason.VOLUME_NOT_PROVIDED,
    Reason.POD_UNSCHEDULABLE,
    Reason.POD_EVICTED,
    Reason.PROBE_FAILING,
    Reason.INIT_CONTAINER_WAITING,
    Reason.VOLUME_NOT_BOUND,
    Reason.WAITING_FOR_ROLLOUT,
)
"""Unschedulable comes before not bound: many storage classes provide a volume only once its pod has a node."""

_WAITS_FOR_VOLUME = re.compile(r"unbound immediate PersistentVolumeClaims|binding volumes")
"""The scheduler's words if the claim, not the lack of a node, is the cause."""


def _pod_causes(workload: Manifest, pod: Manifest, written: Written, told: Told, now: float) -> Iterable[Cause]:
    """What its status tells; if that is nothing, what its Events tell; if that is nothing, what it has waited for long."""
    where = _where(workload)
    seen = list(_causes_in_status(workload, pod, written))
    if seen or not cluster_events.is_unwell(pod):
        return seen
    event = _event_cause(where, pod, told.get(pod["metadata"].get("uid", ""), ()), now)
    slow = _slow_init_container(workload, pod, now) or _not_started(where, pod, now)
    return [cause for cause in (event, slow) if cause]


def _causes_in_status(workload: Manifest, pod: Manifest, written: Written) -> Iterable[Cause]:
    where = _where(workload)
    for condition in dig(pod, "status", "conditions", default=[]):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = condition.get("message", "")
            row = recognise(Source.SCHEDULER, "FailedScheduling", message)
            if row and not _WAITS_FOR_VOLUME.search(message):
                yield Cause(row.reason, f"{where}: no node accepts its pod: {in_one_line(message)}; {row.advice}")
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        cause = _container_cause(workload, pod, container, _Told.of(workload, container["name"], written))
        if cause:
            yield cause


class _Told(NamedTuple):
    """What a container and its image are called in a message."""

    container: str
    image_from: str

    @classmethod
    def of(cls, workload: Manifest, name: str, written: Written) -> _Told:
        """All containers in the workload's template run the component's image; others come from elsewhere."""
        template = dig(workload, "spec", "template", "spec", default={})
        inits, mains = ({c["name"] for c in template.get(key) or ()} for key in ("initContainers", "containers"))
        called = f"container {name}"
        if name in inits:
            called += f", which the operator runs first with the image and security context of {written.settings},"
        if name not in inits | mains:
            return cls(called, f"of container {name}")
        of_field = f"from {written.settings}.image"
        return cls(called, of_field if written.has_image else f"(the default, as {written.settings}.image is not set)")


def _container_cause(workload: Manifest, pod: Manifest, container: Mapping[str, Any], told: _Told) -> Cause | None:
    where = _where(workload)
    name, waiting = container["name"], dig(container, "state", "waiting", default={})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULLING:
        image = _image(pod, name) or container.get("image", "")
        row = recognise(Source.CONTAINER, "ErrImagePull", f"{reason} {message}")
        remedy = row.advice if row else ""
        return Cause(Reason.IMAGE_PULL_FAILED, f"{where}: image {image} {told.image_from} can't be pulled: {remedy}")
    if reason in _STARTING:
        row = recognise(Source.CONTAINER, "CreateContainerError", message)
        remedy = row.advice if row else ""
        text = f"{where}: {told.container} can't be started: {without_ids(message, pod)}; {remedy}"
        return Cause(Reason.CONTAINER_NOT_STARTED, text)
    ended = dig(container, "lastState", "terminated") or dig(container, "state", "terminated")
    if name in LOOKS and dig(ended, "reason") in _ENDED_ITSELF and dig(ended, "message"):
        return None  # it has said why, and the pass that reads this acts on it or explains it
    is_crashing = reason == "CrashLoopBackOff" or (container.get("restartCount", 0) > 1 and not container.get("ready"))
    if is_crashing and ended and (ended.get("exitCode") or reason == "CrashLoopBackOff"):
        return Cause(
            Reason.CRASH_LOOPING,
            f"{where}: {told.container} keeps exiting with code {ended.get('exitCode')} ({_ending(ended)}); see "
            f"{_logs(workload, pod, name, '--previous')}",
        )
    return None


_PULLING = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
_STARTING = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreStartHookError",
        "PostStartHookError",
    }
)
_ENDED_ITSELF = ("Completed", "Error", None)
"""Otherwise the message is the runtime's, for example about a program that the image does not have."""


def _ending(ended: Mapping[str, Any]) -> str:
    reason = str(ended.get("reason") or "Error")
    row = recognise(Source.CONTAINER, reason, "") or recognise(
        Source.CONTAINER, f"exit code {ended.get('exitCode')}", ""
    )
    return f"{reason}: {row.advice}" if row else reason


_UNDER_WAY = frozenset({"Pulling", "Pulled", "Created", "Started"})
_OVER = dict.fromkeys(
    (
        "FailedAttachVolume",
        "FailedMount",
        "FailedMapVolume",
        "FileSystemResizeFailed",
        "VolumePermissionChangeInProgress",
        "FailedCreatePodSandBox",
        "FailedPodSandBoxStatus",
        "FailedCreatePodContainer",
        "FailedSync",
        "NetworkNotReady",
        "FailedPrepareDynamicResources",
    ),
    _UNDER_WAY,
) | dict.fromkeys(("Pulling", "InspectFailed", "Failed", "BackOff"), _UNDER_WAY - {"Pulling"})
"""What shows, when it comes later, that a trouble of a pod is over."""

_OF_THE_MOMENT = frozenset({"NodeNotReady", "TaintManagerEviction", "Unhealthy"})
"""What happens to a pod that runs, and makes it unready. What was there long before it became so is of an earlier time."""
MOMENT_S = 30.0

SAME_TIME_S = 5 * MINUTE
"""Events that are older than the latest one by more than this are of something that has passed."""


def _event_cause(
    where: str, subject: Manifest, told: Sequence[Mapping[str, Any]], now: float, about: str = ""
) -> Cause | None:
    """What the Events of a pod, or of the claim `about`, tell of troubles that are not over."""
    source = Source.CLAIM if about else Source.POD
    began = cluster_events.since(subject, now)
    found: list[tuple[float, int, str, Trouble]] = []
    for event in told:
        if event.get("former_node"):
            continue
        row = recognise(source, event["reason"], event["message"])
        ends = _OVER.get(event["reason"], frozenset())
        is_over = any(other["reason"] in ends and other["at"] >= event["at"] for other in told)
        is_over = is_over or (event["reason"] in _OF_THE_MOMENT and event["at"] < began - MOMENT_S)
        if row and not is_over and now - began >= row.quiet_s:
            found.append((event["at"], TROUBLES.index(row), event["message"], row))
    if not found:
        return None
    latest = max(at for at, *_rest in found)
    _at, _index, message, row = min(
        (entry for entry in found if entry[0] >= latest - SAME_TIME_S), key=lambda entry: entry[1:3]
    )
    quoted = f": {without_ids(message, subject)}" if row.is_quoted else ""
    clause = CLAUSES[row.reason].format(node=node_of(subject), claim=about)
    text = f"{where}: {clause}{quoted}; {row.advice.replace('NODE', node_of(subject))}"
    return Cause(row.reason, text, began + row.patience_s if row.patience_s else 0.0, is_watched=False)


WAITS_FOR_OURS_S = HOUR
"""A database of the instance's own may take that long to start, and has a condition of its own that tells of troubles."""
WAITS_FOR_OTHERS_S = 2 * MINUTE
LOOKS_AT_S = 10 * MINUTE
"""For an init container that waits for nobody."""
NOT_STARTED_S = 10 * MINUTE


def _slow_init_container(workload: Manifest, pod: Manifest, now: float) -> Cause | None:
    """The init container that runs and holds up all that follow: what it waits for, and since when."""
    where = _where(workload)
    statuses = dig(pod, "status", "initContainerStatuses", default=[])
    for position, status in enumerate(statuses):
        began = seconds_of(dig(status, "state", "running", "startedAt"))
        if began is None or status.get("ready") or now - began < cluster_events.SLOW_AFTER_S:
            continue
        name = status["name"]
        instance = dig(pod, "metadata", "labels", "app.kubernetes.io/instance", default="")
        target = _target(workload, name)
        later = [
            f"{other['name']} ({found})" if (found := _target(workload, other["name"])) else other["name"]
            for other in statuses[position + 1 :]
        ]
        text = f"{where}: init container {name} has been running since {minute_of(began)}"
        text += f"; it is waiting for {target} to accept connections" if target else ""
        text += f"; still to run after it: {', '.join(later)}" if later else ""
        if target:
            text += "; check that service, its name and port, and what lies between: NetworkPolicies, a service mesh"
            is_ours = target.startswith(f"{instance}-")
            patience = WAITS_FOR_OURS_S if is_ours else WAITS_FOR_OTHERS_S
        else:
            text += f"; see {_logs(workload, pod, name)}"
            patience = LOOKS_AT_S
        return Cause(Reason.INIT_CONTAINER_WAITING, text, began + patience, is_watched=False)
    return None


def _not_started(where: str, pod: Manifest, now: float) -> Cause | None:
    """A pod that has a node where nothing becomes of it, and nobody says why."""
    status, began = pod.get("status") or {}, cluster_events.since(pod, now)
    states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    has_begun = any(set(container.get("state") or ()) - {"waiting"} for container in states)
    if not dig(pod, "spec", "nodeName") or has_begun or now - began < NOT_STARTED_S:
        return None
    text = (
        f"{where}: its pod has been waiting to start on node {node_of(pod)} since {minute_of(began)}, and no Event says why; see "
        f"{command('kubectl', 'describe', 'node', node_of(pod), ticks='')}, and the log of its kubelet"
    )
    return Cause(Reason.POD_NOT_SET_UP, text, 0.0, is_watched=False)


def _claim_cause(where: str, name: str, claim: Manifest, told: Told, now: float) -> Cause:
    if dig(claim, "status", "phase") == "Lost":
        row = recognise(Source.CLAIM, "ClaimLost", "")
        clause = CLAUSES[Reason.VOLUME_LOST].format(claim=name)
        return Cause(Reason.VOLUME_LOST, f"{where}: {clause}; {row.advice if row else ''}")
    found = _event_cause(where, claim, told.get(dig(claim, "metadata", "uid", default=""), ()), now, name)
    if found:
        return found
    clause = CLAUSES[Reason.VOLUME_NOT_BOUND].format(claim=name)
    return Cause(Reason.VOLUME_NOT_BOUND, f"{where}: {clause}; {_hint(claim)}", FOR_EVER, is_watched=False)


def _is_bound(claim: Manifest) -> bool:
    return bool(dig(claim, "status", "phase") == "Bound")


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
        said = in_one_line(message).rstrip(".")
        yield Cause(
            Reason.POD_REFUSED, f"{where}: the API server refuses its pods: {said}{f'. {remedy}' if remedy else ''}"
        )


def _progress(workload: Manifest) -> str:
    status, wanted = workload.get("status") or {}, dig(workload, "spec", "replicas", default=1)
    surplus = status.get("replicas", 0) - wanted
    if dig(workload, "metadata", "deletionTimestamp"):
        return "it is being deleted and will be created again"
    if status.get("observedGeneration", 0) < dig(workload, "metadata", "generation", default=0):
        return "waiting for its controller to observe the last change"
    if status.get("updatedReplicas", 0) < wanted:
        return f"{status.get('updatedReplicas', 0)} of {wanted} pods are up to date"
    if surplus > 0:
        return f"old pods still to terminate: {surplus}"
    return f"{status.get('availableReplicas', 0)} of {wanted} pods are available"


def _image(pod: Manifest, container: str) -> str | None:
    spec = pod.get("spec") or {}
    for entry in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if entry.get("name") == container:
            return str(entry.get("image"))
    return None


def _target(workload: Manifest, container: str) -> str:
    """host:port that an init container of ours waits for (components.pods.wait_container); "" for any other."""
    for entry in dig(workload, "spec", "template", "spec", "initContainers", default=[]):
        if entry.get("name") == container:
            variables = {variable.get("name"): variable.get("value") for variable in entry.get("env") or ()}
            if variables.get("WAIT_HOST"):
                return f"{variables['WAIT_HOST']}:{variables.get('WAIT_PORT')}"
    return ""


def _where(workload: Manifest) -> str:
    return f"{workload['kind']} {workload['metadata']['name']}"


def _logs(workload: Manifest, pod: Manifest, container: str, *flags: str) -> str:
    """The command that shows what a container of the workload has written."""
    namespace = Given(str(pod["metadata"].get("namespace")), "NAMESPACE")
    of = Given(str(workload["metadata"]["name"]), "NAME", before=f"{workload['kind'].lower()}/")
    return command("kubectl", "logs", "-n", namespace, of, "-c", Given(container, "CONTAINER"), *flags, ticks="")


def _hint(claim: Manifest) -> str:
    storage_class = dig(claim, "spec", "storageClassName")
    if storage_class:
        return f"StorageClass {storage_class} has yet to provide one"
    return "it names no StorageClass and the cluster has no default one, or the default one has yet to provide one"
