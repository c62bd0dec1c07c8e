# SPDX-License-Identifier: Apache-2.0
"""How pods are replaced: never two on a volume that only one may write to."""

import pytest

from support.instances import a_claim, a_cr, an_instance_at_work, found, notices, plan_for

SHARED = ["ReadWriteMany"]


def strategy(plan, name):
    return found(plan, "Deployment", name)["spec"]["strategy"]["type"]


def shared_claim(name):
    claim = a_claim(name)
    return {**claim, "spec": {**claim["spec"], "accessModes": SHARED}}


def library(**settings):
    return {"immich": {"persistence": {"library": settings}}}


def cache(**settings):
    return {"machineLearning": {"persistence": settings}}


@pytest.mark.parametrize(
    ("spec", "objects", "expected"),
    [
        pytest.param({}, [], "Recreate", id="read-write-once"),
        pytest.param(library(accessModes=SHARED), [], "RollingUpdate", id="read-write-many"),
        pytest.param(library(accessModes=SHARED), [a_claim("photos-library")], "Recreate", id="the-live-claim-counts"),
        pytest.param({}, [shared_claim("photos-library")], "RollingUpdate", id="the-live-claim-counts-both-ways"),
        pytest.param(library(existingClaim="nas"), [shared_claim("nas")], "RollingUpdate", id="existing-shared"),
        pytest.param(library(existingClaim="nas"), [a_claim("nas")], "Recreate", id="existing-not-shared"),
        pytest.param(library(existingClaim="nas"), [], "Recreate", id="existing-unknown"),
        pytest.param(library(accessModes=["ReadOnlyMany"]), [], "Recreate", id="read-only-many-is-no-sharing"),
        pytest.param(library(accessModes=["ReadWriteOncePod"]), [], "Recreate", id="read-write-once-pod"),
    ],
)
def test_the_server_is_recreated_unless_its_library_is_shared(spec, objects, expected):
    assert strategy(plan_for(a_cr(spec), objects), "photos-server") == expected


@pytest.mark.parametrize(
    ("spec", "objects", "expected"),
    [
        pytest.param({}, [], "Recreate", id="read-write-once"),
        pytest.param(cache(accessModes=SHARED), [], "RollingUpdate", id="read-write-many"),
        pytest.param(cache(enabled=False), [], "RollingUpdate", id="no-cache"),
        pytest.param(cache(existingClaim="nas"), [shared_claim("nas")], "RollingUpdate", id="existing-shared"),
        pytest.param(cache(accessModes=SHARED), [a_claim("photos-ml-cache")], "Recreate", id="the-live-claim-counts"),
    ],
)
def test_machine_learning_is_recreated_while_its_cache_is_not_shared(spec, objects, expected):
    assert strategy(plan_for(a_cr(spec), objects), "photos-machine-learning") == expected


@pytest.mark.parametrize("persistence", [{}, {"enabled": True}], ids=["memory", "volume"])
def test_valkey_is_one_pod_and_always_recreated(persistence):
    plan = plan_for(a_cr({"valkey": {"persistence": persistence}}))

    assert strategy(plan, "photos-valkey") == "Recreate"
    assert found(plan, "Deployment", "photos-valkey")["spec"]["replicas"] == 1


ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


def with_strategy(objects, name, strategy):
    return [
        {**m, "spec": {**m["spec"], "strategy": strategy}}
        if (m["kind"], m["metadata"]["name"]) == ("Deployment", name)
        else m
        for m in objects
    ]


@pytest.mark.parametrize("name", ["photos-server", "photos-machine-learning", "photos-valkey"])
def test_the_strategy_of_a_live_deployment_is_switched_before_it_is_applied(name):
    live = with_strategy(an_instance_at_work(a_cr()), name, ROLLING)

    plan = plan_for(a_cr(), live)

    [patch] = [step for step in plan.steps if step["verb"] == "merge"]
    [applied] = [
        s
        for s in plan.steps
        if s["verb"] == "apply" and s["object"]["kind"] == "Deployment" and s["object"]["metadata"]["name"] == name
    ]
    assert patch["target"]["name"] == name
    assert patch["patch"] == {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
    assert patch["stage"] < applied["stage"]


@pytest.mark.parametrize(
    ("spec", "live_strategy"),
    [
        pytest.param({}, {"type": "Recreate"}, id="recreate-stays"),
        pytest.param(library(accessModes=SHARED), ROLLING, id="rolling-stays"),
        pytest.param(library(accessModes=SHARED), {"type": "Recreate"}, id="back-to-rolling-needs-none"),
    ],
)
def test_the_strategy_is_switched_only_when_it_has_to_be(spec, live_strategy):
    live = with_strategy(an_instance_at_work(a_cr(spec)), "photos-server", live_strategy)

    assert [step for step in plan_for(a_cr(spec), live).steps if step["verb"] == "merge"] == []


def test_a_deployment_that_is_not_there_needs_no_switch():
    assert [step for step in plan_for(a_cr()).steps if step["verb"] == "merge"] == []


@pytest.mark.parametrize(
    ("spec", "warned"),
    [
        pytest.param({"server": {"replicas": 2}}, [("server", "VolumeNotShared")], id="server"),
        pytest.param(
            {"machineLearning": {"replicas": 2}}, [("machine-learning", "VolumeNotShared")], id="machine-learning"
        ),
        pytest.param({"server": {"replicas": 2}, **library(accessModes=SHARED)}, [], id="server-shared"),
        pytest.param({"machineLearning": {"replicas": 2, "persistence": {"enabled": False}}}, [], id="no-cache"),
        pytest.param({"server": {"replicas": 0}, "machineLearning": {"replicas": 0}}, [], id="none"),
    ],
)
def test_replicas_on_a_volume_that_is_not_shared_run_with_a_warning(spec, warned):
    plan = plan_for(a_cr(spec))

    assert notices(plan, "warns") == warned
    assert notices(plan, "blocks") == []
    for key, name in (("server", "photos-server"), ("machineLearning", "photos-machine-learning")):
        assert found(plan, "Deployment", name)["spec"]["replicas"] == spec.get(key, {}).get("replicas", 1)


BY_SCALE = {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale"}
BY_EDIT = {"manager": "kubectl-edit", "operation": "Update"}


def with_pods(cr, name, manager, count=3):
    """The objects of an instance at work after somebody has given a Deployment so many pods."""
    entry = {**manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    return [
        {
            **manifest,
            "metadata": {**manifest["metadata"], "managedFields": [entry]},
            "spec": {**manifest["spec"], "replicas": count},
        }
        if manifest["metadata"]["name"] == name and manifest["kind"] == "Deployment"
        else manifest
        for manifest in an_instance_at_work(cr)
    ]


OF_IMMICH = [("server", "photos-server"), ("machineLearning", "photos-machine-learning")]


@pytest.mark.parametrize(("key", "name"), OF_IMMICH)
def test_without_a_number_in_the_spec_it_is_left_to_whoever_scales(key, name):
    plan = plan_for(a_cr(), with_pods(a_cr(), name, BY_SCALE))

    assert "replicas" not in found(plan, "Deployment", name)["spec"]
    [warning] = [notice.message for notice in plan.notices if notice.reason == "VolumeNotShared"]
    assert warning.startswith(f"Deployment {name} has 3 replicas")


@pytest.mark.parametrize(("key", "name"), OF_IMMICH)
@pytest.mark.parametrize(
    ("spec", "manager", "live", "count"),
    [
        pytest.param({"replicas": 2}, BY_SCALE, 3, 2, id="in-the-spec"),
        pytest.param({}, BY_EDIT, 3, 1, id="edited"),
        pytest.param({}, BY_SCALE, 0, 1, id="ended-for-the-rescue-of-a-volume"),
    ],
)
def test_any_other_number_is_set_back(key, name, spec, manager, live, count):
    cr = a_cr({key: spec})

    plan = plan_for(cr, with_pods(cr, name, manager, live))

    assert found(plan, "Deployment", name)["spec"]["replicas"] == count
