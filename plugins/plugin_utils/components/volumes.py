# SPDX-License-Identifier: Apache-2.0
"""Persistent volume claims: created once, grown when asked, never shrunk, never changed under the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..kube.commands import Given, command
from ..kube.readiness import has_ended
from ..kube.timestamps import minute_of, seconds_of
from ..kube.values import Manifest, dig, in_one_line, quantity, without_none
from ..spec import names
from ..spec.fields import Persistence
from . import keeping
from .instance import Cluster, Instance, Part
from .reasons import Reason

_NOT_SHOWN = re.compile(r"[^A-Za-z0-9._/?-]")


def new_claim_spec(persistence: Persistence) -> dict[str, Any]:
    """The spec of a claim that does not exist yet."""
    return without_none(
        {
            "accessModes": list(persistence.access_modes),
            "storageClassName": persistence.storage_class,  # "" means no class at all
            "resources": {"requests": {"storage": persistence.size}},
        }
    )


def kept_claim_spec(persistence: Persistence, live: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of an existing claim: what is immutable as it is, and the larger of the sizes."""
    return without_none(
        {
            "accessModes": list(dig(live, "accessModes", default=Persistence().access_modes)),
            "storageClassName": dig(live, "storageClassName"),
            "resources": {"requests": {"storage": larger_size(persistence, live)}},
        }
    )


def larger_size(persistence: Persistence, live: Mapping[str, Any]) -> str:
    """The size that is asked for, or that of the live claim's spec if that is larger."""
    size, held = persistence.size, dig(live, "resources", "requests", "storage", default="0")
    return str(size if quantity(size) > quantity(held) else held)


def annotate_command(instance: Instance, claim: str, *words: str | Given) -> str:
    """The command that changes annotations of a claim; `words` are these and its flags."""
    return command("kubectl", "annotate", "persistentvolumeclaim", *instance.place, Given(claim, "CLAIM"), *words)


def shown_folder(name: str) -> str:
    """A folder that a pod's status names. Our scripts write nothing else, but who forges a status may."""
    return _NOT_SHOWN.sub("?", name[:200])


def managed_claim(
    part: Part,
    instance: Instance,
    cluster: Cluster,
    name: str,
    persistence: Persistence,
    *,
    path: str,
    owned: bool,
) -> None:
    """Add the claim of a component to its plan; `path` is where its settings are in the custom resource.

    One of its name that is somebody else's, and has to outlive the instance, is used as it is, like one that the custom
    resource names. Any other is refused when it is applied.
    """
    live = cluster.live("PersistentVolumeClaim", name)
    if live and not owned and instance.stranger(live):
        warn_of_stranger(part, instance, live, path=path)
        check_storage_class(part, cluster, persistence, live, path=path)
        return
    manifest = instance.manifest("v1", "PersistentVolumeClaim", name, part.component, owned=owned)
    if not owned:
        manifest["metadata"]["annotations"] = keeping.annotations_for(live)
    manifest["spec"] = kept_claim_spec(persistence, live["spec"]) if live else new_claim_spec(persistence)
    if live and persistence.storage_class is None and not _is_class_ours(live):
        manifest["spec"].pop("storageClassName", None)  # the cluster's default class, which somebody else filled in
    part.apply(manifest)
    if live:
        warn_of_kept_settings(part, persistence, live, path=path)
    check_storage_class(part, cluster, persistence, live, path=path)


def check_existing_claim(
    part: Part, instance: Instance, cluster: Cluster, name: str, *, path: str, wait: bool = False
) -> None:
    """Report a claim that does not exist. `wait`: nothing is started before it has been read."""
    if cluster.is_known_missing("PersistentVolumeClaim", name):
        tell = part.blocks if wait else part.explains
        tell(
            Reason.CLAIM_NOT_FOUND,
            f"PersistentVolumeClaim {name} named in {path} does not exist in namespace {instance.namespace}; "
            "create it or correct the name",
        )


def check_storage_class(
    part: Part, cluster: Cluster, persistence: Persistence, live: Manifest | None, *, path: str
) -> None:
    """A class that does not exist keeps a claim waiting, whether it is about to be created or exists."""
    storage_class = persistence.storage_class
    if live and (dig(live, "status", "phase") == "Bound" or dig(live, "spec", "storageClassName") != storage_class):
        return
    if storage_class and cluster.is_known_missing("StorageClass", storage_class):
        part.explains(
            Reason.STORAGE_CLASS_NOT_FOUND,
            f"StorageClass {storage_class} named in {path}.storageClass does not exist; "
            "create it, or delete the claim that waits for it and name another",
            retry=True,  # cluster-scoped, so not among what is watched for an instance
        )


def warn_of_kept_settings(part: Part, persistence: Persistence, live: Manifest, *, path: str) -> None:
    """Report each setting that a live claim no longer accepts: it differs, and the claim stays as it is."""
    name, spec = live["metadata"]["name"], live["spec"]
    size, held = persistence.size, dig(spec, "resources", "requests", "storage", default="0")
    if quantity(held) > quantity(size):
        _warn_kept(part, name, f"{path}.size is {size}", f"its size stays {held}, because volumes can't shrink")
    storage_class, held_class = persistence.storage_class, dig(spec, "storageClassName")
    if storage_class and held_class and storage_class != held_class:
        _warn_kept(part, name, f"{path}.storageClass is {storage_class}", f"its class stays {held_class}")
    modes, held_modes = persistence.access_modes, list(dig(spec, "accessModes", default=[]))
    if sorted(modes) != sorted(held_modes):
        _warn_kept(part, name, f"{path}.accessModes is {', '.join(modes)}", f"its modes stay {', '.join(held_modes)}")


GROWS_WITHIN_S = {
    "ControllerResizeError": 120.0,
    "NodeResizeError": 120.0,
    "FileSystemResizePending": 300.0,
    "Resizing": 600.0,
}
"""{condition of a claim: how long it may last}, the worst first (k8s.io/api/core/v1, PersistentVolumeClaimConditionType)."""


def ungrown(live: Manifest, restart: str) -> tuple[str, float] | None:
    """(message, when it begins to be worth one, in seconds since the epoch) of a claim that was to grow and has not.

    None if it has, or nobody has begun. `restart` is the command that starts the pods that mount it again.
    """
    held = dig(live, "status", "capacity", "storage")
    wanted = dig(live, "spec", "resources", "requests", "storage", default="0")
    if held is None or quantity(wanted) <= quantity(held):
        return None
    what = f"PersistentVolumeClaim {live['metadata']['name']} is to have {wanted} and has {held}"
    if str(dig(live, "status", "allocatedResourceStatuses", "storage", default="")).endswith("Infeasible"):
        said = _said_of_growth(live, "ControllerResizeError") or _said_of_growth(live, "NodeResizeError")
        words = f"{said[0]}; " if said else ""
        return f"{what}: {words}the storage says that it can't; see its limits and its free space", 0.0
    for kind, patience_s in GROWS_WITHIN_S.items():
        said = _said_of_growth(live, kind)
        if said is None:
            continue
        words, began = said
        if kind == "Resizing":
            text = f"{what}: it has been growing since {minute_of(began)}; see the log of the storage driver"
        elif kind == "FileSystemResizePending":
            text = f"{what}: {words}; where its storage grows only between two pods, run {restart}"
        else:
            text = f"{what}: {words}; see the log of the storage driver"
        return text, began + patience_s
    return None


def _said_of_growth(live: Manifest, kind: str) -> tuple[str, float] | None:
    """(message, since when) of a condition that is true."""
    for condition in dig(live, "status", "conditions", default=[]):
        if condition.get("type") == kind and condition.get("status") == "True":
            return in_one_line(condition.get("message") or "").rstrip("."), seconds_of(
                condition.get("lastTransitionTime")
            ) or 0.0
    return None


def warn_of_stranger(part: Part, instance: Instance, live: Manifest, *, path: str) -> None:
    """Report a claim that is somebody else's, and that is used but not written to."""
    name = live["metadata"]["name"]
    part.warns(
        Reason.NOT_ADOPTED,
        f"PersistentVolumeClaim {name} is somebody else's ({instance.stranger(live)}), so it is used as it is, and neither "
        f"labelled nor grown. If that is meant, set {path}.existingClaim to {name}. To hand it over to this instance, after "
        f"its former owner has let go of it, run {instance.hand_over(live)}",
    )


def mounted_claims(workload: Manifest | None) -> set[str]:
    """The claims that pods of a Deployment mount, or the only pod of a StatefulSet."""
    pod = f"{dig(workload, 'metadata', 'name')}-0"
    templates = dig(workload, "spec", "volumeClaimTemplates", default=[])
    made = {f"{template['metadata']['name']}-{pod}" for template in templates}
    return claims_of_pod(dig(workload, "spec", "template", "spec", default={})) | made


def claims_of_pod(spec: Mapping[str, Any]) -> set[str]:
    """The claims that a pod of this spec mounts and can write to."""
    sources = [dig(volume, "persistentVolumeClaim", default={}) for volume in dig(spec, "volumes", default=[])]
    return {source["claimName"] for source in sources if source and not source.get("readOnly")}


def claims_in_use(workload: Manifest | None, pods: Iterable[Manifest], component: str) -> set[str]:
    """The claims of a component's workload, and those that its pods still use: after a change, old ones use others."""
    return mounted_claims(workload) | claims_of_pods(pods, component)


def claims_of_pods(pods: Iterable[Manifest], component: str) -> set[str]:
    """The claims that pods of a component use, until they have ended."""
    mine = (
        pod
        for pod in pods
        if dig(pod, "metadata", "labels", "app.kubernetes.io/component") == component and not has_ended(pod)
    )
    return {claim for pod in mine for claim in claims_of_pod(dig(pod, "spec", default={}))}


def is_being_deleted(claim: Manifest | None) -> bool:
    return bool(dig(claim, "metadata", "deletionTimestamp"))


def is_shared(access_modes: Sequence[str]) -> bool:
    """True if pods on several nodes can write to a volume with these modes."""
    return "ReadWriteMany" in access_modes


def access_modes(cluster: Cluster, name: str, persistence: Persistence) -> list[str]:
    """The modes of the claim as it is, or as it is going to be created."""
    live = cluster.live("PersistentVolumeClaim", name)
    return list(dig(live, "spec", "accessModes") or persistence.access_modes)


def _is_class_ours(live: Manifest) -> bool:
    """True if our own apply set the class: leaving it out of the next one would remove it."""
    return any(
        entry.get("manager") == names.FIELD_MANAGER
        and "f:storageClassName" in dig(entry, "fieldsV1", "f:spec", default={})
        for entry in dig(live, "metadata", "managedFields", default=[])
    )


def _warn_kept(part: Part, name: str, setting: str, held: str) -> None:
    part.warns(Reason.VOLUME_NOT_CHANGED, f"PersistentVolumeClaim {name}: {setting}, but {held}")
