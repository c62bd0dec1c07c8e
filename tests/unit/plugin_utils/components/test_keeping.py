# SPDX-License-Identifier: Apache-2.0
"""What outlives the custom resource tells tools that prune to leave it alone, and users can say otherwise."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.keeping import annotations_for
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import KEEP_ANNOTATIONS
from support.instances import a_claim, a_cr, a_secret, an_instance_at_work, annotated, found, plan_for

ARGO, COMPARE = "argocd.argoproj.io/sync-options", "argocd.argoproj.io/compare-options"
HELM, FLUX = "helm.sh/resource-policy", "kustomize.toolkit.fluxcd.io/prune"
ALL = {ARGO: "Prune=false,Delete=false", COMPARE: "IgnoreExtraneous", HELM: "keep", FLUX: "disabled"}
LIBRARY, DATABASE, SECRET = "photos-library", "data-photos-postgres-0", "photos-postgres-credentials"


def test_these_are_the_annotations():
    assert KEEP_ANNOTATIONS == ALL


def test_what_is_made_without_an_owner_has_them_and_nothing_else():
    plan = plan_for(a_cr({"valkey": {"persistence": {"enabled": True}}}))

    kept = set()
    for manifest in plan.objects:
        has = ALL.items() <= manifest["metadata"].get("annotations", {}).items()
        assert has is ("ownerReferences" not in manifest["metadata"]), manifest["metadata"]["name"]
        kept |= {(manifest["kind"], manifest["metadata"]["name"])} if has else set()
    assert kept == {("PersistentVolumeClaim", LIBRARY), ("Secret", SECRET)}
    [template] = found(plan, "StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"]
    assert ALL.items() <= template["metadata"]["annotations"].items()


def patches(plan):
    """{name: annotations} of the patches that bring these annotations."""
    return {
        step["target"]["name"]: step["patch"]["metadata"]["annotations"]
        for step in plan.steps
        if step["verb"] == "merge" and set(step["patch"].get("metadata", {}).get("annotations", {})) & set(ALL)
    }


def test_objects_of_before_get_them_without_a_change_of_anything_else():
    secret = a_secret(SECRET, password="x", username="immich", database="immich")
    before = [a_claim(LIBRARY), a_claim(DATABASE), secret]

    plan = plan_for(a_cr(), before)

    assert patches(plan) == {DATABASE: ALL, SECRET: ALL}
    for step in plan.steps:
        if step["verb"] == "merge" and step["target"]["name"] in (DATABASE, SECRET):
            assert set(step["patch"]) == {"metadata"}
            assert set(step["patch"]["metadata"]) == {"uid", "annotations"}
    assert found(plan, "PersistentVolumeClaim", LIBRARY)["metadata"]["annotations"] == ALL


def test_nothing_is_written_once_they_are_there():
    assert patches(plan_for(a_cr(), an_instance_at_work(a_cr()))) == {}


@pytest.mark.parametrize(
    "spec",
    [
        {"immich": {"persistence": {"library": {"existingClaim": "nas"}}}},
        {"postgres": {"persistence": {"existingClaim": "nas"}}},
        {"postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "mine", "key": "pw"}}},
        {"postgres": {"passwordSecretRef": {"name": "mine", "key": "pw"}}},
    ],
    ids=["other-library", "other-database-claim", "external-database", "other-password"],
)
def test_what_is_not_used_any_more_gets_them_too_and_claims_of_the_users_do_not(spec):
    unused = [a_claim(LIBRARY), a_claim(DATABASE), a_secret(SECRET, password="x"), a_claim("nas")]
    plan = plan_for(a_cr(spec), [*unused, a_secret("mine", pw="x")])

    applied = {
        m["metadata"]["name"]: m["metadata"].get("annotations")
        for m in plan.objects
        if m["kind"] == "PersistentVolumeClaim"
    }

    assert {LIBRARY, DATABASE, SECRET} == set(patches(plan)) | ({LIBRARY} if applied.get(LIBRARY) == ALL else set())


@pytest.mark.parametrize(
    ("theirs", "result"),
    [
        ({}, {ARGO, COMPARE, HELM, FLUX}),
        ({ARGO: ""}, {ARGO, COMPARE, HELM, FLUX}),
        ({HELM: "delete", FLUX: "enabled"}, {ARGO, COMPARE}),
        ({ARGO: "Prune=false"}, {COMPARE, HELM, FLUX}),
        (ALL, {ARGO, COMPARE, HELM, FLUX}),
    ],
    ids=["nothing", "empty", "other-words", "fewer-options", "ours"],
)
def test_what_somebody_has_set_otherwise_is_left_to_them_whole(theirs, result):
    claim = annotated(a_claim(LIBRARY), theirs)

    assert annotations_for(claim) == {key: ALL[key] for key in result}
    applied = found(plan_for(a_cr(), [claim]), "PersistentVolumeClaim", LIBRARY)["metadata"]["annotations"]
    assert applied == {key: ALL[key] for key in result}


def test_a_word_that_somebody_has_set_on_the_database_stays():
    claim = annotated(a_claim(DATABASE), {ARGO: "Prune=true"})

    patched = patches(plan_for(a_cr(), [claim, a_secret(SECRET, password="x")]))[DATABASE]
    assert patched == {key: value for key, value in ALL.items() if key != ARGO}
