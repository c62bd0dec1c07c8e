# SPDX-License-Identifier: Apache-2.0
"""Where on its volume the database is, and what can't be changed on a live StatefulSet."""

import pytest

from support.instances import (
    a_claim,
    a_cr,
    a_secret,
    an_instance_at_work,
    deletions,
    environment,
    found,
    has,
    plan_for,
)

CREDENTIALS = a_secret("photos-postgres-credentials", password="x", username="immich", database="immich")
CLAIM = "data-photos-postgres-0"
MARK = "media.rm3l.org/pgdata"
OWN_VOLUME = {"postgres": {"persistence": {"existingClaim": "nas"}}}


def a_stateful_set(*, template=True, annotations=None, storage="10Gi", owner=None):
    metadata = {"name": "data", "labels": {"made": "before"}, **({"annotations": annotations} if annotations else {})}
    claim = {
        "metadata": metadata,
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": storage}},
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending"},
    }
    [labels] = [m["metadata"]["labels"] for m in plan_for(a_cr()).objects if m["kind"] == "StatefulSet"]
    owners = [{"kind": "Other", "name": "o", "uid": owner, "controller": True}] if owner else []
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "photos-postgres", "uid": "uid-sts", "labels": labels, "ownerReferences": owners},
        "spec": {"replicas": 1, **({"volumeClaimTemplates": [claim]} if template else {})},
    }


BELOW, TOP = "/var/lib/postgresql/data/pgdata", None
NEW, OLD = {MARK: "pgdata"}, None


@pytest.mark.parametrize(
    ("spec", "objects", "directory"),
    [
        pytest.param({}, [], BELOW, id="nothing-there"),
        pytest.param({}, [a_claim(CLAIM, annotations=NEW)], BELOW, id="claim-of-ours"),
        pytest.param({}, [a_claim(CLAIM)], TOP, id="claim-of-another-operator"),
        pytest.param(
            {}, [a_claim(CLAIM, annotations={MARK: "other"})], "/var/lib/postgresql/data/other", id="claim-says-where"
        ),
        pytest.param({}, [a_stateful_set(annotations=NEW)], BELOW, id="template-of-ours-before-its-claim"),
        pytest.param({}, [a_stateful_set()], TOP, id="old-template-before-its-claim"),
        pytest.param(
            {}, [a_stateful_set(annotations=NEW), a_claim(CLAIM)], TOP, id="the-claim-counts-not-the-new-template"
        ),
        pytest.param(
            {}, [a_stateful_set(), a_claim(CLAIM, annotations=NEW)], BELOW, id="the-claim-counts-not-the-old-template"
        ),
        pytest.param(OWN_VOLUME, [a_claim("nas")], TOP, id="own-volume"),
        pytest.param(OWN_VOLUME, [a_claim("nas", annotations=NEW)], BELOW, id="own-volume-says-where"),
        pytest.param(
            OWN_VOLUME,
            [a_stateful_set(template=False), a_claim("nas"), a_claim(CLAIM, annotations=NEW)],
            TOP,
            id="own-volume-not-the-former-one",
        ),
    ],
)
def test_the_volume_tells_where_the_data_is(spec, objects, directory):
    plan = plan_for(a_cr(spec), [CREDENTIALS, *objects])

    assert environment(found(plan, "StatefulSet", "photos-postgres")).get("PGDATA") == directory


@pytest.mark.parametrize(
    ("objects", "annotations"),
    [
        pytest.param([], NEW, id="new"),
        pytest.param([a_claim(CLAIM)], None, id="for-an-old-volume"),
        pytest.param([a_claim(CLAIM, annotations=NEW)], NEW, id="for-a-volume-of-ours"),
    ],
)
def test_a_new_claim_template_says_where_the_data_will_be(objects, annotations):
    [template] = found(plan_for(a_cr(), [CREDENTIALS, *objects]), "StatefulSet", "photos-postgres")["spec"][
        "volumeClaimTemplates"
    ]

    assert template["metadata"].get("annotations") == annotations


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="unchanged"),
        pytest.param({"postgres": {"persistence": {"size": "50Gi"}}}, id="size"),
        pytest.param({"postgres": {"persistence": {"storageClass": "fast"}}}, id="class"),
        pytest.param({"postgres": {"persistence": {"accessModes": ["ReadWriteOncePod"]}}}, id="modes"),
    ],
)
def test_a_live_claim_template_is_kept_whatever_the_custom_resource_says(spec):
    live = a_stateful_set(annotations={"theirs": "x"}, storage="7Gi")

    plan = plan_for(a_cr(spec), [CREDENTIALS, live, a_claim(CLAIM)])

    assert found(plan, "StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"] == [
        {
            "metadata": {"name": "data", "labels": {"made": "before"}, "annotations": {"theirs": "x"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "7Gi"}}},
        }
    ]


@pytest.mark.parametrize(
    ("spec", "has_template", "replaced"),
    [
        pytest.param({}, True, False, id="managed-stays"),
        pytest.param(OWN_VOLUME, False, False, id="own-stays"),
        pytest.param(OWN_VOLUME, True, True, id="own-volume-comes"),
        pytest.param({}, False, True, id="own-volume-goes"),
    ],
)
def test_the_stateful_set_is_replaced_when_the_kind_of_its_volume_changes(spec, has_template, replaced):
    live = a_stateful_set(template=has_template)

    plan = plan_for(a_cr(spec), [CREDENTIALS, live, a_claim("nas"), a_claim(CLAIM)])

    assert deletions(plan) == ([("StatefulSet", "photos-postgres")] if replaced else [])
    assert has(plan, "StatefulSet", "photos-postgres") is not replaced
    assert has(plan, "Service", "photos-postgres")


def test_after_its_removal_the_stateful_set_is_made_with_the_other_volume():
    rest = [m for m in an_instance_at_work(a_cr()) if m["kind"] != "StatefulSet"]

    stateful_set = found(plan_for(a_cr(OWN_VOLUME), [*rest, a_claim("nas")]), "StatefulSet", "photos-postgres")

    assert "volumeClaimTemplates" not in stateful_set["spec"]
    volumes = {volume["name"]: volume for volume in stateful_set["spec"]["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "nas"}


def test_a_stateful_set_that_somebody_else_controls_is_not_removed():
    live = a_stateful_set(owner="somebody-else")

    assert deletions(plan_for(a_cr(OWN_VOLUME), [CREDENTIALS, live, a_claim("nas")])) == []
