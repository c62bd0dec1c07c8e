# SPDX-License-Identifier: Apache-2.0
"""What has to outlive the instance has no owner: the plan gives it none, and takes off one that a runtime has added."""

from __future__ import annotations

import pytest

from support.instances import NAME, UID, a_claim, a_cr, a_secret, an_instance_at_work, plan_for

OUTLIVING = [
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
]


def owner(**fields):
    return {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "name": NAME, "uid": UID, **fields}


def owned_by(objects, kind, name, *owners):
    """The objects, one of them with these owners."""
    metadata = {"ownerReferences": list(owners), "resourceVersion": "7"}
    return [
        {**item, "metadata": {**item["metadata"], **metadata}}
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
        else item
        for item in objects
    ]


def keeping(plan):
    """{name: owners afterwards} of the steps that take owners off."""
    steps = [step for step in plan.steps if "ownerReferences" in step.get("patch", {}).get("metadata", {})]
    assert all((step["component"], step["verb"], step["stage"]) == ("keeping", "merge", -1) for step in steps)
    return {step["target"]["name"]: step["patch"]["metadata"] for step in steps}


@pytest.mark.parametrize(("kind", "name"), OUTLIVING)
def test_nothing_that_outlives_the_instance_is_made_with_an_owner(kind, name):
    made = {
        (step["object"]["kind"], step["object"]["metadata"]["name"]): step["object"]
        for step in plan_for(a_cr()).steps
        if "object" in step
    }

    if (kind, name) in made:  # the claim of the database is made from the template of its StatefulSet
        assert "ownerReferences" not in made[kind, name]["metadata"]
    else:
        [template] = made["StatefulSet", "photos-postgres"]["spec"]["volumeClaimTemplates"]
        assert "ownerReferences" not in template["metadata"]


@pytest.mark.parametrize(("kind", "name"), OUTLIVING)
def test_the_instance_is_taken_off_the_owners_and_nobody_else(kind, name):
    cr, other = a_cr(), {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
    alone = owned_by(an_instance_at_work(cr), kind, name, owner())
    beside = owned_by(an_instance_at_work(cr), kind, name, other, owner(uid="of an earlier one of the name"))

    assert keeping(plan_for(cr, alone)) == {name: {"ownerReferences": None, "resourceVersion": "7"}}
    assert keeping(plan_for(cr, beside)) == {name: {"ownerReferences": [other], "resourceVersion": "7"}}


@pytest.mark.parametrize(
    "somebody",
    [owner(name="holiday"), owner(kind="Other"), owner(apiVersion="media.example.org/v1")],
    ids=["another instance", "another kind", "another group"],
)
def test_owners_of_others_stay(somebody):
    cr = a_cr()
    objects = owned_by(an_instance_at_work(cr), "Secret", "photos-postgres-credentials", somebody)

    assert keeping(plan_for(cr, objects)) == {}


def test_what_goes_with_the_instance_keeps_its_owner():
    cr = a_cr()
    objects = owned_by(an_instance_at_work(cr), "PersistentVolumeClaim", "photos-ml-cache", owner())

    assert keeping(plan_for(cr, objects)) == {}


def test_an_instance_that_is_blocked_keeps_its_data_too():
    cr = a_cr({"postgres": {"passwordSecretRef": {"name": "missing", "key": "word"}}})
    objects = owned_by([a_claim("data-photos-postgres-0")], "PersistentVolumeClaim", "data-photos-postgres-0", owner())

    assert list(keeping(plan_for(cr, objects))) == ["data-photos-postgres-0"]


def test_owners_come_off_before_the_finalizer_that_holds_up_a_deletion():
    cr = a_cr(finalizers=["media.rm3l.org/finalizer"], deletionTimestamp="2026-01-01T00:00:00Z", resourceVersion="3")
    objects = owned_by(
        [a_secret("photos-postgres-credentials", password="x")], "Secret", "photos-postgres-credentials", owner()
    )

    plan = plan_for(cr, objects)

    assert plan.state == "deleting"
    assert list(keeping(plan)) == ["photos-postgres-credentials"]
    [finalizer] = [step for step in plan.steps if step["component"] != "keeping"]
    assert finalizer["stage"] > -1
    assert finalizer["after"] == ["keeping"], "a finalizer stays where the owners could not be taken off"
