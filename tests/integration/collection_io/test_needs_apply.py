# SPDX-License-Identifier: Apache-2.0
"""Whether an apply is needed, asked of objects that a real API server has defaulted, normalised and recorded."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
from ansible_collections.media.immich.plugins.plugin_utils.kube.difference import needs_apply
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import Transport
from localcluster.testing import Cluster

from .manifests import KINDS, Manifest, manifests

Path = tuple[str | int, ...]


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """One for all tests of this file: making one takes longer than a test."""
    with cluster.namespace("needs-apply") as name:
        yield name


@pytest.fixture
def name() -> str:
    """Of the object that a test applies."""
    return f"photos-{secrets.token_hex(4)}"


@pytest.fixture
def other_manager(transport: Transport) -> ApiObjects:
    """A person with kubectl."""
    return ApiObjects(transport, field_manager="kubectl-edit")


def read(objects: ApiObjects, manifest: Manifest) -> Manifest:
    found: Manifest | None = objects.find(ObjectRef.of(manifest))
    assert found
    return found


def applied_for_good(objects: ApiObjects, desired: Manifest) -> Manifest:
    """The live object once no apply is needed any more.

    Two may be needed: when the last field of a structure is given up, the API server first removes all of it.
    """
    live: Manifest = objects.apply(desired)
    if needs_apply(desired, live):
        live = objects.apply(desired)
    assert not needs_apply(desired, live), "the object would be written in every pass for ever"
    assert stored(objects.apply(desired)) == stored(live), "the API server sees a difference"
    return live


def stored(manifest: Manifest) -> Manifest:
    """What an apply of ours can change, and the record of it but for its time. Controllers write at the same time."""
    ours = [{**entry, "time": None} for entry in manifest["metadata"]["managedFields"] if entry["operation"] == "Apply"]
    spec = {key: value for key, value in (manifest.get("spec") or {}).items() if key != "volumeName"}
    return {"data": manifest.get("data"), "spec": spec, "ours": ours}


def leaves(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every scalar, and every empty list and map, with its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if not items:
        return [(path, value)]
    return [leaf for key, item in items for leaf in leaves(item, (*path, key))]


def without(value: Manifest, path: Path) -> Manifest:
    result = copy.deepcopy(value)
    holder: Any = result
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_an_applied_object_needs_no_apply(kind: str, objects: ApiObjects, namespace: str, name: str) -> None:
    applied_for_good(objects, manifests(namespace, name)[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_with_the_same_values_that_another_manager_made_is_taken_over_once(
    kind: str, objects: ApiObjects, other_manager: ApiObjects, namespace: str, name: str
) -> None:
    desired = manifests(namespace, name)[kind]
    other_manager.create(desired)

    assert needs_apply(desired, read(objects, desired))
    applied_for_good(objects, desired)


REMOVABLE: dict[str, list[Path]] = {
    "Deployment": [
        ("metadata", "labels", "app.kubernetes.io/name"),
        ("spec", "replicas"),
        ("spec", "template", "metadata", "annotations", "media.rm3l.org/checksum"),
        ("spec", "template", "spec", "tolerations"),
        ("spec", "template", "spec", "tolerations", 0, "operator"),
        ("spec", "template", "spec", "containers", 0, "envFrom", 0, "secretRef", "optional"),
        ("spec", "template", "spec", "containers", 0, "env", 4, "valueFrom", "resourceFieldRef", "divisor"),
        ("spec", "template", "spec", "hostNetwork"),
        ("spec", "template", "spec", "initContainers", 0, "env", 0),
        ("spec", "template", "spec", "containers", 0, "env", 1, "value"),
        ("spec", "template", "spec", "containers", 0, "env", 3),
        ("spec", "template", "spec", "containers", 0, "ports", 1),
        ("spec", "template", "spec", "containers", 0, "resources", "limits", "cpu"),
        ("spec", "template", "spec", "containers", 0, "envFrom"),
        ("spec", "template", "spec", "containers", 0, "securityContext", "capabilities", "drop"),
        ("spec", "template", "spec", "containers", 0, "startupProbe", "failureThreshold"),
        ("spec", "template", "spec", "containers", 1),
        ("spec", "template", "spec", "volumes", 2),
    ],
    "Service": [("spec", "ports", 1), ("spec", "selector", "app.kubernetes.io/name"), ("metadata", "labels")],
    "ConfigMap": [("data", "empty"), ("data",)],
    "Secret": [("data", "password")],
    "Ingress": [
        ("spec", "tls", 0, "secretName"),
        ("spec", "tls"),
        ("spec", "ingressClassName"),
        ("spec", "rules", 0, "host"),
    ],
    "PersistentVolumeClaim": [("metadata", "labels", "app.kubernetes.io/name")],
    "StatefulSet": [("spec", "template", "spec", "terminationGracePeriodSeconds")],
}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        pytest.param(kind, path, id=f"{kind}-{'.'.join(map(str, path))}")
        for kind in REMOVABLE
        for path in REMOVABLE[kind]
    ],
)
def test_a_field_that_is_no_longer_desired_is_removed_and_then_there_is_peace(
    kind: str, path: Path, objects: ApiObjects, namespace: str, name: str
) -> None:
    desired = manifests(namespace, name)[kind]
    live = applied_for_good(objects, desired)

    less = without(desired, path)

    assert needs_apply(less, live)
    applied_for_good(objects, less)


@pytest.mark.parametrize("kind", KINDS)
def test_every_single_field_of_an_object_is_compared(kind: str, objects: ApiObjects, namespace: str, name: str) -> None:
    desired = manifests(namespace, name)[kind]
    live = applied_for_good(objects, desired)

    unnoticed = []
    for path, value in leaves(desired):
        changed = copy.deepcopy(desired)
        holder: Any = changed
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = other_value(value)
        if not needs_apply(changed, live):
            unnoticed.append(path)

    assert unnoticed == []


def other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 7
    if isinstance(value, str):
        return f"{value}7"
    return {"added": "x"} if isinstance(value, dict) else ["added"]


GPU = {"key": "gpu", "operator": "Exists"}


def pod(**fields: Any) -> Manifest:
    return {"spec": {"template": {"spec": fields}}}


def rule(path_type: str) -> Manifest:
    backend = {"service": {"name": "photos-server", "port": {"name": "http"}}}
    paths = [{"path": "/", "pathType": path_type, "backend": backend}]
    return {"host": "photos.example.com", "http": {"paths": paths}}


EDITS: list[tuple[str, str, Manifest, bool]] = [
    ("Deployment", "scaled", {"spec": {"replicas": 3}}, True),
    ("Deployment", "own label changed", {"metadata": {"labels": {"app.kubernetes.io/name": "other"}}}, True),
    ("Deployment", "own label removed", {"metadata": {"labels": {"app.kubernetes.io/name": None}}}, True),
    ("Deployment", "foreign label added", {"metadata": {"labels": {"team": "photos"}}}, False),
    ("Deployment", "restart annotation", {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}}, False),
    ("Deployment", "foreign default set", {"spec": {"revisionHistoryLimit": 3}}, False),
    ("Deployment", "node selector filled", pod(nodeSelector={"disk": "ssd"}), True),
    ("Deployment", "toleration added", pod(tolerations=[GPU, {"key": "x", "operator": "Exists"}]), True),
    ("Deployment", "toleration narrowed", pod(tolerations=[{**GPU, "effect": "NoSchedule"}]), True),
    ("Deployment", "host network on", pod(hostNetwork=True), True),
    ("Deployment", "pull secret added", pod(imagePullSecrets=[{"name": "mine"}]), False),
    ("Service", "selector widened", {"spec": {"selector": {"app.kubernetes.io/name": None}}}, True),
    ("Service", "selector narrowed", {"spec": {"selector": {"extra": "x"}}}, True),
    ("Service", "type changed", {"spec": {"type": "NodePort"}}, False),
    ("ConfigMap", "value changed", {"data": {"immich-config.yaml": "a: 1\n"}}, True),
    ("ConfigMap", "empty value filled", {"data": {"empty": "x"}}, True),
    ("ConfigMap", "foreign key added", {"data": {"more": "x"}}, False),
    ("Secret", "value changed", {"data": {"password": "b3RoZXI="}}, True),
    ("Ingress", "tls emptied", {"spec": {"tls": None}}, True),
    ("Ingress", "rule's path type changed", {"spec": {"rules": [rule("Exact")]}}, True),
    ("StatefulSet", "grace period", pod(terminationGracePeriodSeconds=1), True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "edit", "is_ours"), [pytest.param(k, edit, ours, id=f"{k}-{name}") for k, name, edit, ours in EDITS]
)
def test_an_edit_is_undone_if_it_touches_what_is_desired_and_else_left_alone(
    kind: str, edit: Manifest, is_ours: bool, objects: ApiObjects, other_manager: ApiObjects, namespace: str, name: str
) -> None:
    desired = manifests(namespace, name)[kind]
    applied_for_good(objects, desired)

    edited = other_manager.merge(ObjectRef.of(desired), edit)

    assert needs_apply(desired, edited) is is_ours
    applied_for_good(objects, desired)


def env(template: Manifest) -> list[Manifest]:
    found: list[Manifest] = containers(template)[0]["env"]
    return found


def containers(template: Manifest) -> list[Manifest]:
    found: list[Manifest] = template["spec"]["template"]["spec"]["containers"]
    return found


def swap(items: list[Any]) -> None:
    items[0], items[1] = items[1], items[0]


@pytest.mark.parametrize(
    ("edit", "is_ours"),
    [
        pytest.param(lambda m: env(m).append({"name": "MORE", "value": "x"}), False, id="variable-added"),
        pytest.param(lambda m: env(m).pop(0), True, id="variable-removed"),
        pytest.param(lambda m: swap(env(m)), True, id="variables-reordered"),
        pytest.param(lambda m: env(m)[0].update(value="x"), True, id="variable-changed"),
        pytest.param(lambda m: containers(m)[1].pop("securityContext"), True, id="empty-structure-removed"),
        pytest.param(lambda m: containers(m).append({"name": "sidecar", "image": "x"}), False, id="sidecar-added"),
        pytest.param(lambda m: containers(m)[1].update(command=["sleep"]), True, id="empty-command-filled"),
        pytest.param(lambda m: containers(m)[0]["resources"]["limits"].update(cpu="2"), True, id="quantity-changed"),
        pytest.param(lambda m: containers(m)[0]["volumeMounts"][0].update(subPath="x"), False, id="mount-extended"),
    ],
)  # fmt: skip
def test_edits_inside_lists_are_told_apart_by_whose_items_they_are(
    edit: Callable[[Manifest], Any], is_ours: bool, objects: ApiObjects, transport: Transport, namespace: str, name: str
) -> None:
    desired = manifests(namespace, name)["Deployment"]
    live = applied_for_good(objects, desired)
    edited = copy.deepcopy(live)
    edit(edited)
    del edited["metadata"]["resourceVersion"]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{desired['metadata']['name']}"

    transport.request("PUT", path, query={"fieldManager": "kubectl-edit"}, body=edited)

    assert needs_apply(desired, read(objects, desired)) is is_ours
    applied_for_good(objects, desired)
