# SPDX-License-Identifier: Apache-2.0
"""Which of the pods with the labels of an instance are its own.

Anybody who may create pods can copy labels, and any number of them. What pods report decides about databases, users and
folders, so only those count that the instance's own workloads keep. Of all others just enough is kept to say that they are
there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..components import registry
from ..components.reasons import Effect, Notice, Reason
from ..kube.values import Manifest, dig, in_one_line
from ..spec import names
from ..spec.names import Component

__all__ = ["as_needed", "divided", "notices"]

COMPONENT = "app.kubernetes.io/component"
HASH = "pod-template-hash"


def as_needed(instance: str, pod: Manifest) -> Manifest:
    """A pod of the instance as it is; of another one what `divided` looks at, and its version."""
    if _is_own(instance, pod):
        return pod
    metadata = pod["metadata"]
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key in (*_selector(), HASH)}
    short = {key: metadata[key] for key in ("name", "namespace", "resourceVersion") if key in metadata}
    owners = [_controller(pod)] if _controller(pod) else []
    return {"metadata": {**short, "labels": labels, "ownerReferences": owners}}


def divided(instance: str, pods: Iterable[Manifest]) -> tuple[list[Manifest], dict[str, Any]]:
    """(the instance's pods, {"versions": {"Pod/x": resource version}, "count", "example"} of the others).

    `count` and `example` are about those that Services of the instance select.
    """
    own: list[Manifest] = []
    versions: dict[str, str] = {}
    selected: list[Manifest] = []
    for pod in pods:
        if _is_own(instance, pod):
            own.append(pod)
            continue
        versions[f"Pod/{pod['metadata']['name']}"] = pod["metadata"].get("resourceVersion", "")
        labels = dig(pod, "metadata", "labels", default={})
        if names.selector(instance, labels.get(COMPONENT, "")).items() <= labels.items() and (
            labels.get(COMPONENT) in registry.workloads()
        ):
            selected.append(pod)
    return own, {"versions": versions, "count": len(selected), "example": _described(selected[0]) if selected else ""}


def notices(others: Mapping[str, Any]) -> Iterator[Notice]:
    """A warning that there are such pods: Services go by labels, so they get requests that are not meant for them."""
    if count := others.get("count"):
        are = f"{count} pods have" if count > 1 else "1 pod has"
        yield Notice(
            Component.SERVER,
            Effect.WARNS,
            Reason.PODS_NOT_OURS,
            f"{are} the labels of this instance's pods and something else that keeps them, such as {others['example']}. "
            "Nothing that they report is believed, but Services go by labels and send them requests: take the labels off what "
            "makes them",
        )


def _is_own(instance: str, pod: Manifest) -> bool:
    """Whether the pod is kept by the workload of its component.

    That of a Deployment is kept by a ReplicaSet that is named after it and the hash of the template. The pod of a StatefulSet
    has a name that no other pod can have; for a moment nothing may keep it, after somebody has deleted the set alone.
    """
    component = dig(pod, "metadata", "labels", COMPONENT, default="")
    described = registry.workloads().get(component)
    if described is None:
        return False
    workload = names.workload_name(instance, component)
    controller = _controller(pod)
    if described.kind == "StatefulSet":
        is_kept = controller is None or (controller.get("kind"), controller.get("name")) == ("StatefulSet", workload)
        return is_kept and pod["metadata"]["name"] == f"{workload}-0"
    replica_set = f"{workload}-{dig(pod, 'metadata', 'labels', HASH, default='')}"
    return controller is not None and (controller.get("kind"), controller.get("name")) == ("ReplicaSet", replica_set)


def _controller(pod: Manifest) -> Mapping[str, Any] | None:
    owners = dig(pod, "metadata", "ownerReferences", default=[])
    return next((owner for owner in owners if owner.get("controller")), None)


def _described(pod: Manifest) -> str:
    controller = _controller(pod)
    kept_by = f" of {controller.get('kind')} {controller.get('name')}" if controller else ""
    return in_one_line(f"Pod {pod['metadata']['name']}{kept_by}", 200)


def _selector() -> Iterable[str]:
    return names.selector("", "").keys()
