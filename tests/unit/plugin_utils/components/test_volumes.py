# SPDX-License-Identifier: Apache-2.0
"""Volumes grow and never shrink; what Kubernetes lets nobody change is kept and told."""

import pytest

from support.instances import (
    a_claim,
    a_cr,
    an_instance_at_work,
    condition,
    found,
    has,
    notices,
    paired,
    plan_for,
    report_for,
)

LIBRARY, DATABASE = "photos-library", "data-photos-postgres-0"


def of_size(claim, size):
    return {**claim, "spec": {**claim["spec"], "resources": {"requests": {"storage": size}}}}


def of_class(claim, name, phase="Bound"):
    return {**claim, "spec": {**claim["spec"], "storageClassName": name}, "status": {"phase": phase}}


def library(**settings):
    return {"immich": {"persistence": {"library": settings}}}


def database(**settings):
    return {"postgres": {"persistence": settings}}


def requested(plan):
    return found(plan, "PersistentVolumeClaim", LIBRARY)["spec"]["resources"]["requests"]["storage"]


def warnings(plan):
    return [notice.message for notice in plan.notices if notice.effect == "warns"]


SIZES = [
    pytest.param("10Gi", "20Gi", "20Gi", id="grows"),
    pytest.param("10Gi", "10Gi", "10Gi", id="stays"),
    pytest.param("20Gi", "10Gi", "20Gi", id="never-shrinks"),
    pytest.param("10Gi", "10240Mi", "10Gi", id="the-same-in-another-unit"),
    pytest.param("10Gi", "10241Mi", "10241Mi", id="a-mebibyte-more"),
    pytest.param("10Gi", "10G", "10Gi", id="decimal-gigabytes-are-less"),
    pytest.param("1Ti", "1000Gi", "1Ti", id="less-with-a-larger-number"),
    pytest.param("1.5Gi", "1536Mi", "1.5Gi", id="a-fraction"),
    pytest.param("10Gi", "11e9", "11e9", id="an-exponent"),
]


@pytest.mark.parametrize(("held", "asked", "result"), SIZES)
def test_a_managed_claim_takes_the_larger_size(held, asked, result):
    plan = plan_for(a_cr(library(size=asked)), [of_size(a_claim(LIBRARY), held)])

    assert requested(plan) == result


@pytest.mark.parametrize(("held", "asked", "result"), SIZES)
def test_the_database_claim_is_grown_directly(held, asked, result):
    live = an_instance_at_work(a_cr())

    plan = plan_for(
        a_cr(database(size=asked)), [of_size(m, held) if m["metadata"]["name"] == DATABASE else m for m in live]
    )

    grown = [(step["target"]["name"], step["patch"]) for step in plan.steps if step["verb"] == "merge"]
    uid = f"uid-of-{DATABASE}"  # refused for a claim that has replaced the one that was read
    patch = {"metadata": {"uid": uid}, "spec": {"resources": {"requests": {"storage": result}}}}
    assert grown == ([] if result == held else [(DATABASE, patch)])


@pytest.mark.parametrize("spec", [library(size="5Gi"), database(size="5Gi")], ids=["library", "database"])
def test_a_smaller_size_is_a_warning_that_says_what_holds(spec):
    live = an_instance_at_work(a_cr())

    [message] = warnings(plan_for(a_cr(spec), live))

    assert message.endswith("size is 5Gi, but its size stays 10Gi, because volumes can't shrink")


@pytest.mark.parametrize(("name", "spec"), [(LIBRARY, library), (DATABASE, database)], ids=["library", "database"])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"storageClass": "fast"}, "storageClass is fast, but its class stays slow", id="class"),
        pytest.param(
            {"accessModes": ["ReadWriteMany"]},
            "accessModes is ReadWriteMany, but its modes stay ReadWriteOnce",
            id="modes",
        ),
    ],
)
def test_class_and_modes_of_a_live_claim_stay_with_a_warning(name, spec, settings, words):
    others = [m for m in an_instance_at_work(a_cr()) if m["metadata"]["name"] != name]

    plan = plan_for(a_cr(spec(**settings)), [*others, of_class(paired(a_claim(name)), "slow")])

    assert [words in message and name in message for message in warnings(plan)] == [True]
    if name == LIBRARY:
        claim = found(plan, "PersistentVolumeClaim", name)["spec"]
        assert (claim.get("storageClassName", "slow"), claim["accessModes"]) == ("slow", ["ReadWriteOnce"])


def test_a_new_claim_is_what_the_custom_resource_says():
    plan = plan_for(a_cr(library(size="5Gi", storageClass="nfs", accessModes=["ReadWriteMany"])))

    assert found(plan, "PersistentVolumeClaim", LIBRARY)["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "nfs",
        "resources": {"requests": {"storage": "5Gi"}},
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, None, id="the-clusters-default"),
        pytest.param({"storageClass": ""}, "", id="no-class-at-all"),
        pytest.param({"storageClass": "nfs"}, "nfs", id="named"),
    ],
)
def test_the_class_of_a_new_claim_is_what_was_asked_for(settings, expected):
    claim = found(plan_for(a_cr(library(**settings))), "PersistentVolumeClaim", LIBRARY)

    assert claim["spec"].get("storageClassName") == expected


def test_a_claim_of_a_deleted_instance_is_taken_up_as_it_is():
    left = of_class(of_size(a_claim(LIBRARY), "1Ti"), "nfs")

    claim = found(plan_for(a_cr(), [left]), "PersistentVolumeClaim", LIBRARY)

    assert claim["spec"].items() <= left["spec"].items()
    assert claim["spec"]["resources"] == {"requests": {"storage": "1Ti"}}
    assert "ownerReferences" not in claim["metadata"]


def test_a_class_that_we_once_applied_keeps_being_applied():
    ours = [{"manager": "immich-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:storageClassName": {}}}}]
    made = of_class(a_claim(LIBRARY, managedFields=ours), "nfs")

    claim = found(plan_for(a_cr(), [made]), "PersistentVolumeClaim", LIBRARY)

    assert claim["spec"]["storageClassName"] == "nfs"


def test_a_default_class_that_the_cluster_filled_in_is_left_to_the_cluster():
    made = of_class(a_claim(LIBRARY), "standard")

    claim = found(plan_for(a_cr(), [made]), "PersistentVolumeClaim", LIBRARY)

    assert "storageClassName" not in claim["spec"]


EXISTING = [
    pytest.param("server", "library", lambda claim: library(existingClaim=claim), id="library"),
    pytest.param("postgres", "postgres", lambda claim: database(existingClaim=claim), id="database"),
    pytest.param(
        "valkey",
        "valkey",
        lambda claim: {"valkey": {"persistence": {"enabled": True, "existingClaim": claim}}},
        id="queues",
    ),
    pytest.param(
        "machine-learning",
        "machine-learning",
        lambda claim: {"machineLearning": {"persistence": {"existingClaim": claim}}},
        id="cache",
    ),
]


@pytest.mark.parametrize(("workload", "component", "spec"), EXISTING)
def test_an_existing_claim_is_mounted_and_none_is_made(workload, component, spec):
    plan = plan_for(a_cr(spec("nas")), [a_claim("nas")])

    [manifest] = [m for m in plan.objects if m["metadata"]["name"] == f"photos-{workload}" and "template" in m["spec"]]
    sources = [v.get("persistentVolumeClaim") for v in manifest["spec"]["template"]["spec"]["volumes"]]
    assert {"claimName": "nas"} in sources
    assert (component, "ClaimNotFound") not in notices(plan, "explains")
    assert all(step["verb"] == "merge" for step in plan.steps if step.get("target", {}).get("name") == "nas")


@pytest.mark.parametrize(("workload", "component", "spec"), EXISTING)
def test_a_missing_claim_explains_why_the_component_waits(workload, component, spec):
    plan = plan_for(a_cr(spec("nas")))

    held_back = component == "postgres"  # whoever uses the claim has to be known first
    assert notices(plan, "blocks" if held_back else "explains") == [(component, "ClaimNotFound")]
    assert any(m["metadata"]["name"] == f"photos-{workload}" for m in plan.objects) is not held_back


def test_a_missing_claim_is_named_in_the_condition_of_the_component():
    cr = a_cr(library(existingClaim="nas"))
    live = [m for m in an_instance_at_work(cr) if m["metadata"]["name"] != "photos-server"]

    result = report_for(cr, [*live, not_ready(an_instance_at_work(cr), "photos-server")])

    server = condition(result, "ServerReady")
    assert (server["status"], server["reason"]) == ("False", "ClaimNotFound")
    assert "PersistentVolumeClaim nas named in spec.immich.persistence.library.existingClaim" in server["message"]


def not_ready(objects, name):
    [workload] = [m for m in objects if m["metadata"]["name"] == name and m["kind"] != "Service"]
    return {**workload, "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}}


CLASS = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}


@pytest.mark.parametrize(
    ("name", "spec", "component"),
    [(LIBRARY, library, "library"), (DATABASE, database, "postgres")],
    ids=["library", "database"],
)
@pytest.mark.parametrize(
    ("claim", "classes", "told"),
    [
        pytest.param(None, [], True, id="before-the-claim-is-made"),
        pytest.param("Pending", [], True, id="while-the-claim-waits"),
        pytest.param("Bound", [], False, id="not-once-the-claim-is-bound"),
        pytest.param(None, [CLASS], False, id="not-when-the-class-is-there"),
        pytest.param("Pending", [CLASS], False, id="not-when-the-class-has-come"),
    ],
)
def test_a_missing_storage_class_is_reported_until_it_is_there(name, spec, component, claim, classes, told):
    there = [of_class(a_claim(name), "fast", claim)] if claim else []
    credentials = [m for m in an_instance_at_work(a_cr()) if m["metadata"]["name"] == "photos-postgres-credentials"]

    plan = plan_for(a_cr(spec(storageClass="fast")), [*there, *classes, *credentials])

    found = [notice for notice in plan.notices if notice.reason == "StorageClassNotFound"]
    assert [(n.component, n.effect, n.retry) for n in found] == ([(component, "explains", True)] if told else [])


def test_a_class_that_a_waiting_claim_was_not_made_with_is_no_cause():
    plan = plan_for(a_cr(library(storageClass="fast")), [of_class(a_claim(LIBRARY), "slow", "Pending")])

    assert notices(plan, "explains") == []


def test_volumes_are_kept_up_while_their_component_waits():
    cr = a_cr({**library(size="20Gi"), "postgres": {"passwordSecretRef": {"name": "absent", "key": "p"}}})

    plan = plan_for(cr, [a_claim(LIBRARY)])

    assert requested(plan) == "20Gi"
    assert not has(plan, "Deployment", "photos-server")
