# SPDX-License-Identifier: Apache-2.0
"""What the pods of all components have in common: hardening, scheduling, environment, probes, waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..kube.values import Manifest, without_none
from ..spec import names
from ..spec.fields import LocalObjectReference, Workload
from ..spec.names import Component
from . import pod_fields, pod_overlay, security
from .expansion import filled_in
from .instance import Cluster, Instance, Part

DATABASE_USER = {"runAsUser": 999, "runAsGroup": 999, "runAsNonRoot": True}
"""uid and gid that the images of PostgreSQL and Valkey (Debian) set up for their servers."""

STARTUP_FAILURES = 360
"""An hour of ten-second periods: migrations and reindexing happen before a port opens."""

WAIT_SCRIPT = (
    'until (exec 3<>"/dev/tcp/${WAIT_HOST}/${WAIT_PORT}") 2>/dev/null; do '
    'echo "waiting for ${WAIT_HOST}:${WAIT_PORT}"; sleep 2; done; echo "${WAIT_HOST}:${WAIT_PORT} answers"'
)
"""For bash, which the image of the Immich server has; a constant, so that no user's string is ever part of a script."""


def http_probes(path: str) -> dict[str, Any]:
    """The three probes of a component that answers GET `path` on its port `http`."""
    get = {"httpGet": {"path": path, "port": "http"}}
    return {
        "startupProbe": {**get, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": STARTUP_FAILURES},
        "readinessProbe": {**get, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**get, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
    }


def environment(ours: Sequence[Mapping[str, Any]], users: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One list of variables: ours that the user does not set, then the user's in their order, so that each may refer to
    all before it.

    Server-side apply takes no twins. The last one of a name stays, and what refers to an earlier one gets its value, also
    where that is one of ours which the user's replaces.
    """
    last = {entry["name"]: position for position, entry in enumerate(users)}
    entries = [entry for name, entry in {entry["name"]: dict(entry) for entry in ours}.items() if name not in last]
    earlier = {entry["name"]: entry["value"] for entry in ours if entry["name"] in last and "value" in entry}
    for position, entry in enumerate(users):
        name = entry["name"]
        value = filled_in(entry.get("value") or "", earlier)
        earlier.pop(name, None)
        if position == last[name]:
            entries.append({**entry, "value": value} if entry.get("value") else dict(entry))
        elif "valueFrom" not in entry:
            to_come = last.keys() - {former["name"] for former in users[:position]}
            earlier[name] = filled_in(value, {other: f"$$({other})" for other in to_come})
    return entries


def variable(name: str, value: object) -> dict[str, Any]:
    return {"name": name, "value": str(value)}


def secret_variable(name: str, secret: str, key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


TMP = "/tmp"  # noqa: S108 - a mount in the container
SCRATCH = {"emptyDir": {"sizeLimit": "1Gi"}}
"""What a container may write besides its data. Kubelet evicts a pod that writes more."""


def container(name: str, image: str, settings: Workload, **fields: Any) -> dict[str, Any]:
    """A component's main container: `fields` are ours, overridden by the user's resources and security context."""
    return without_none(
        {
            "name": name,
            "image": image,
            "imagePullPolicy": settings.image_pull_policy or None,
            **fields,
            "resources": settings.resources or None,
            "securityContext": security.container_context(settings),
        }
    )


COMPUTE = ("cpu", "memory", "ephemeral-storage")


def init_container(name: str, image: str, settings: Workload, **fields: Any) -> dict[str, Any]:
    """A container that runs before the main one, with the same resources but for devices.

    So quotas, minimums and ratios that the main container keeps are kept by this one. It costs nothing: a pod counts with
    the larger one of the two, because they never run at once.
    """
    resources = {
        kind: kept
        for kind in ("limits", "requests")
        if (kept := {key: amount for key, amount in (settings.resources.get(kind) or {}).items() if key in COMPUTE})
    }
    return container(name, image, replace(settings, resources=resources), **fields)


def wait_container(target: str, image: str, settings: Workload, host: str, port: object) -> dict[str, Any]:
    """An init container that ends when `host`:`port` accepts connections. Image and user are those of the server."""
    return init_container(
        f"wait-for-{target}",
        image,
        replace(settings, security_context=security.identity(settings)),
        command=["bash", "-c", WAIT_SCRIPT],
        env=[variable("WAIT_HOST", host), variable("WAIT_PORT", port)],
    )


def pod_template(
    instance: Instance,
    component: Component,
    part: Part,
    *,
    pod: Mapping[str, Any],
    ids: Mapping[str, Any] | None = None,
    checksums: Mapping[str, str] | None = None,
    writes: Sequence[str] = (),
) -> dict[str, Any]:
    """The template of a component's pods: `pod` holds containers, volumes and the like, `ids` users and groups. `part` is told
    of what a user lays over it.

    `writes` are folders beside /tmp that the program wants to write, which a read-only root would keep it from.

    A user's labels and annotations come first and ours on top, so that they can't break a selector or a rollout. What else
    the user wants in the pods is in `pod_fields`.
    """
    settings = instance.settings(component)
    annotations = {**settings.pod_annotations, **(checksums or {})}
    spec = {
        "enableServiceLinks": False,  # variables such as IMMICH_PORT=tcp://... keep Immich from starting
        "automountServiceAccountToken": False,
        "securityContext": security.pod_context(ids or {}, settings),
        "imagePullSecrets": [{"name": name} for name in _each_once(instance.spec.image_pull_secrets)] or None,
        "nodeSelector": settings.node_selector or None,
        "tolerations": list(settings.tolerations) or None,
        "affinity": settings.affinity or None,
        **pod_fields.scheduling(settings, names.selector(instance.name, component)),
        **pod_fields.extended(pod, settings),
    }
    if settings.security_context.get("readOnlyRootFilesystem"):
        _add_scratch(spec, (TMP, *writes))
    template = {
        "metadata": without_none(
            {
                "labels": {**settings.pod_labels, **names.labels(instance.name, component)},
                "annotations": annotations or None,
            }
        ),
        "spec": without_none(spec),
    }
    return pod_overlay.laid_over(part, template, settings.pod_template, f"spec.{names.spec_key(component)}")


def _each_once(references: Iterable[LocalObjectReference]) -> Iterable[str]:
    """Their names. The API server merges this list by name, so of two entries of the same name it takes neither."""
    return dict.fromkeys(reference.name for reference in references if reference.name)


def _add_scratch(pod: dict[str, Any], folders: Iterable[str]) -> None:
    """Give the main container an empty folder wherever it needs to write and nothing is mounted."""
    main, *others = pod["containers"]
    mounts, volumes = list(main["volumeMounts"]), list(pod.get("volumes") or ())
    mounted = {mount["mountPath"] for mount in mounts}
    for folder in folders:
        if folder not in mounted:
            name = folder.strip("/").replace("/", "-")
            mounts.append({"name": name, "mountPath": folder})
            volumes.append({"name": name, **SCRATCH})
    pod["containers"] = [{**main, "volumeMounts": mounts}, *others]
    pod["volumes"] = volumes


def database_security(cluster: Cluster, user: int | None = None) -> dict[str, Any]:
    """Pod security context of PostgreSQL and Valkey; on OpenShift the platform assigns the ids.

    `user` is a uid that replaces the usual one. The group stays, and with it what kubelet does to the volume.
    """
    if cluster.is_openshift:
        return {}
    ids = {**DATABASE_USER, **({"runAsUser": user} if user else {})}
    return {**ids, "fsGroup": 999, "fsGroupChangePolicy": "OnRootMismatch"}


def workload(instance: Instance, kind: str, component: Component) -> Manifest:
    """The frame of a component's Deployment or StatefulSet, with the user's annotations."""
    manifest = instance.manifest("apps/v1", kind, names.workload_name(instance.name, component), component)
    annotations = pod_fields.own_annotations(instance.settings(component).annotations)
    if annotations:
        manifest["metadata"]["annotations"] = annotations
    return manifest


def deployment(
    instance: Instance, component: Component, template: Mapping[str, Any], *, replicas: int | None, recreate: bool
) -> Manifest:
    """A Deployment, for `apply_deployment`; None leaves the number of pods to others."""
    manifest = workload(instance, "Deployment", component)
    manifest["spec"] = without_none(
        {
            "replicas": replicas,
            "selector": {"matchLabels": names.selector(instance.name, component)},
            "strategy": {"type": "Recreate" if recreate else "RollingUpdate"},
            "template": template,
        }
    )
    return manifest


def service(
    instance: Instance,
    component: Component,
    ports: Sequence[tuple[str, int]],
    selector: Mapping[str, str] | None = None,
) -> Manifest:
    """A ClusterIP Service; `ports` are (name, number), and the name is also that of the container's port."""
    manifest = instance.manifest("v1", "Service", names.workload_name(instance.name, component), component)
    manifest["spec"] = {
        "type": "ClusterIP",
        "ports": [{"name": name, "port": number, "protocol": "TCP", "targetPort": name} for name, number in ports],
        "selector": dict(selector or names.selector(instance.name, component)),
    }
    return manifest
