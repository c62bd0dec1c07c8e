# SPDX-License-Identifier: Apache-2.0
"""Whose an object is, by its labels and owners: the same rule for every kind."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.ownership import hand_over, taken_from

MANAGED_BY, INSTANCE = "app.kubernetes.io/managed-by", "app.kubernetes.io/instance"
OURS = {MANAGED_BY: "immich-operator", INSTANCE: "photos"}
IMMICH = {
    "apiVersion": "media.rm3l.org/v1alpha1",
    "kind": "Immich",
    "name": "photos",
    "uid": "ours",
    "controller": True,
}
EARLIER = {**IMMICH, "uid": "of-a-custom-resource-that-was-deleted"}
OTHER = {**IMMICH, "name": "holidays", "uid": "of-another"}
REPLICA_SET = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "rs", "controller": True}

OWNED_KINDS = [
    "Deployment",
    "StatefulSet",
    "Service",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "Ingress",
    "Route",
]

LET_ALONE = [
    pytest.param({MANAGED_BY: "Helm"}, [], "its label app.kubernetes.io/managed-by is Helm", id="of-helm"),
    pytest.param({MANAGED_BY: "Helm", INSTANCE: "photos"}, [], "managed-by is Helm", id="of-a-release-of-our-name"),
    pytest.param(
        {INSTANCE: "holidays"}, [], "its label app.kubernetes.io/instance is holidays", id="of-an-argo-application"
    ),
    pytest.param({**OURS, INSTANCE: "holidays"}, [], "instance is holidays", id="of-another-instance"),
    pytest.param(OURS, [OTHER], "Immich holidays controls it", id="our-labels-on-what-another-instance-controls"),
    pytest.param(OURS, [REPLICA_SET], "ReplicaSet web-5d controls it", id="our-labels-on-what-somebody-controls"),
    pytest.param({}, [REPLICA_SET], "ReplicaSet web-5d controls it", id="without-labels-and-controlled"),
]
ADOPTED = [
    pytest.param(OURS, [IMMICH], id="ours"),
    pytest.param(OURS, [], id="our-labels-after-a-restore"),
    pytest.param(OURS, [EARLIER], id="of-an-earlier-custom-resource-of-the-name"),
    pytest.param(OURS, [{**REPLICA_SET, "controller": False}], id="an-owner-that-controls-nothing"),
]
DRIFT = [
    pytest.param({MANAGED_BY: "Helm"}, [IMMICH], id="another-manager-on-what-we-own"),
    pytest.param({INSTANCE: "holidays"}, [IMMICH], id="another-instance-on-what-we-own"),
    pytest.param({}, [IMMICH], id="lost-labels-on-what-we-own"),
]


def an_object(kind: str, labels: dict[str, str], owners: list[dict[str, Any]]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "photos-x", "namespace": "family", "labels": labels}
    return {"kind": kind, "metadata": {**metadata, **({"ownerReferences": owners} if owners else {})}}


@pytest.mark.parametrize("kind", OWNED_KINDS)
@pytest.mark.parametrize(("labels", "owners", "because"), LET_ALONE)
def test_what_is_somebody_elses_is_let_alone_whatever_its_kind(kind, labels, owners, because):
    found = taken_from(an_object(kind, labels, owners), an_object(kind, OURS, [IMMICH]))

    assert because in (found or "")


@pytest.mark.parametrize("kind", OWNED_KINDS)
@pytest.mark.parametrize(("labels", "owners"), [*ADOPTED, *DRIFT])
def test_what_is_ours_is_adopted_and_its_drift_repaired(kind, labels, owners):
    assert taken_from(an_object(kind, labels, owners), an_object(kind, OURS, [IMMICH])) is None


@pytest.mark.parametrize("kind", OWNED_KINDS)
def test_an_object_without_marks_is_not_adopted_where_it_would_go_with_the_custom_resource(kind):
    found = taken_from(an_object(kind, {}, []), an_object(kind, OURS, [IMMICH]))

    assert found == "nothing says that it is this instance's"


@pytest.mark.parametrize(("labels", "owners", "because"), LET_ALONE)
def test_a_claim_that_outlives_the_instance_is_let_alone_by_the_same_rule(labels, owners, because):
    kind = "PersistentVolumeClaim"

    assert because in (taken_from(an_object(kind, labels, owners), an_object(kind, OURS, [])) or "")


@pytest.mark.parametrize(
    "labels", [{}, OURS, {"team": "family"}], ids=["unlabelled", "ours", "labels-that-mark-nobody"]
)
def test_a_claim_that_outlives_the_instance_is_adopted_with_the_data_that_the_instance_looks_for(labels):
    kind = "PersistentVolumeClaim"

    assert taken_from(an_object(kind, labels, []), an_object(kind, OURS, [])) is None


def test_what_is_wanted_without_our_labels_is_the_business_of_whoever_wants_it():
    assert taken_from(an_object("ConfigMap", {MANAGED_BY: "Helm"}, []), an_object("ConfigMap", {}, [])) is None


def test_text_of_others_can_not_run_on_in_the_message():
    owner = {**REPLICA_SET, "name": "x" * 5000 + "\x1b[31m\n"}

    found = taken_from(an_object("Secret", {}, [owner]), an_object("Secret", OURS, [IMMICH]))

    assert found is not None
    assert len(found) < 150
    assert found.isprintable()


@pytest.mark.parametrize(("labels", "owners", "_because"), [case for case in LET_ALONE if not case.values[1]])
def test_the_command_that_hands_an_object_over_sets_what_the_rule_looks_at(labels, owners, _because):
    command = hand_over("Secret", "family", "photos-x", {**OURS, "app.kubernetes.io/name": "immich"})
    start = "`kubectl label secret photos-x --namespace family --overwrite "

    assert command.startswith(start)
    set_by_it = dict(word.split("=") for word in command.removeprefix(start).removesuffix("`").split())
    assert taken_from(an_object("Secret", {**labels, **set_by_it}, owners), an_object("Secret", OURS, [IMMICH])) is None
