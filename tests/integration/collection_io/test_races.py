# SPDX-License-Identifier: Apache-2.0
"""Objects that somebody else makes, or replaces, between a pass's look at them and its write: the API server settles it."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
from ansible_collections.media.immich.plugins.plugin_utils.kube.applying import Outcome, apply_steps
from localcluster.testing import Cluster

from .manifests import KINDS, Manifest, manifests

OURS = {"app.kubernetes.io/managed-by": "immich-operator", "app.kubernetes.io/instance": "photos"}
OWNER = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "name": "photos", "uid": "ours", "controller": True}


class Overtaken:
    """The objects of an API server where `meanwhile` happens before the first write."""

    def __init__(self, objects: ApiObjects, meanwhile: Callable[[], Any]) -> None:
        self._objects, self._meanwhile = objects, meanwhile

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        happening, self._meanwhile = self._meanwhile, lambda: None
        happening()
        answer: Manifest = self._objects.apply(manifest, force=force)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("races") as name:
        yield name


@pytest.fixture
def wanted(request: pytest.FixtureRequest, namespace: str) -> Manifest:
    """An object of each kind, as a pass applies it."""
    made = copy.deepcopy(manifests(namespace, f"photos-{secrets.token_hex(4)}")[request.param])
    labels = {**made["metadata"].get("labels", {}), **OURS}
    return {**made, "metadata": {**made["metadata"], "labels": labels, "ownerReferences": [OWNER]}}


def marked(manifest: Manifest, labels: dict[str, str]) -> Manifest:
    """The same object, made by somebody else."""
    made = copy.deepcopy(manifest)
    made["metadata"].pop("ownerReferences", None)
    made["metadata"]["labels"] = {**made["metadata"]["labels"], **labels}
    return made


def carried_out(wanted: Manifest, live: list[Manifest], objects: Overtaken) -> Outcome:
    steps = [{"verb": "apply", "component": "c", "object": wanted}]
    [outcome] = apply_steps(steps, live, objects_for=lambda _ref: objects, in_parallel=lambda work: [w() for w in work])
    return outcome


each_kind = pytest.mark.parametrize("wanted", KINDS, indirect=True)


@each_kind
def test_what_somebody_makes_after_the_look_is_not_overwritten(
    wanted: Manifest, cluster: Cluster, objects: ApiObjects
) -> None:
    made: list[Manifest] = []
    theirs = marked(wanted, {"app.kubernetes.io/managed-by": "Helm"})

    outcome = carried_out(wanted, [], Overtaken(objects, lambda: made.append(cluster.api.create(theirs))))

    assert "already exists and was created by somebody else" in str(outcome.error)
    now = objects.find(ObjectRef.of(wanted))
    assert now
    assert now["metadata"]["labels"] == made[0]["metadata"]["labels"]
    assert "ownerReferences" not in now["metadata"]
    specs = [{**each.get("spec", {}), "volumeName": None} for each in (now, made[0])]  # which a provisioner may fill in
    assert specs[0].keys() == specs[1].keys()
    assert now.get("data") == made[0].get("data")


@each_kind
def test_what_has_replaced_ours_after_the_look_is_not_overwritten(
    wanted: Manifest, cluster: Cluster, objects: ApiObjects
) -> None:
    live = cluster.api.create({**wanted, "metadata": {**wanted["metadata"], "ownerReferences": []}})
    theirs = marked(wanted, {"app.kubernetes.io/managed-by": "Helm"})
    ref = ObjectRef.of(wanted)

    def replace() -> None:
        cluster.api.merge_patch(ref.kind, ref.name, ref.namespace, {"metadata": {"finalizers": None}})
        cluster.api.delete(ref.kind, ref.name, ref.namespace, wait=True)
        cluster.api.create(theirs)

    outcome = carried_out(wanted, [live], Overtaken(objects, replace))

    assert "already exists and was created by somebody else" in str(outcome.error)
    now = objects.find(ref)
    assert now
    assert now["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


@each_kind
def test_what_is_gone_after_the_look_is_made_again_at_once_but_by_the_next_pass_where_it_has_data(
    wanted: Manifest, cluster: Cluster, objects: ApiObjects
) -> None:
    live = cluster.api.create({**wanted, "metadata": {**wanted["metadata"], "ownerReferences": []}})
    ref = ObjectRef.of(wanted)

    def remove() -> None:
        cluster.api.merge_patch(ref.kind, ref.name, ref.namespace, {"metadata": {"finalizers": None}})
        cluster.api.delete(ref.kind, ref.name, ref.namespace, wait=True)

    outcome = carried_out(wanted, [live], Overtaken(objects, remove))

    if ref.kind in ("PersistentVolumeClaim", "StatefulSet"):
        assert "the next pass" in outcome.as_dict()["error"]
        assert objects.find(ref) is None
    else:
        assert (outcome.changed, outcome.error) == (True, None)
        assert outcome.object
        assert outcome.object["metadata"]["uid"] != live["metadata"]["uid"]
        assert outcome.object["metadata"]["labels"] == wanted["metadata"]["labels"]


@each_kind
def test_what_nobody_has_made_is_made(wanted: Manifest, objects: ApiObjects) -> None:
    outcome = carried_out(wanted, [], Overtaken(objects, lambda: None))

    assert (outcome.changed, outcome.error) == (True, None)
