# SPDX-License-Identifier: Apache-2.0
"""Autoscalers of the operator's own, and that the number of pods is never set back at their coming and going."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.autoscaling import METRICS_WITHIN_S, idle
from support.instances import a_cr, an_instance_at_work, condition, deletions, found, notices, plan_for, report_for

NO_CACHE = {"enabled": False}
HPA, SERVER = "HorizontalPodAutoscaler", "photos-server"
SHARED = {"immich": {"persistence": {"library": {"accessModes": ["ReadWriteMany"]}}}}
AUTOSCALED = "media.rm3l.org/autoscaled"


def scaled(component="machineLearning", *, on=True, **settings):
    own = {"persistence": NO_CACHE} if component == "machineLearning" else {}
    autoscaling = {"autoscaling": {"enabled": on, "minReplicas": 2, "maxReplicas": 4}}
    return a_cr({**SHARED, component: {**own, **autoscaling, **settings}})


def test_an_autoscaler_is_for_the_deployment_of_its_component():
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    targets = {"targetCPUUtilizationPercentage": 70, "targetMemoryUtilizationPercentage": 90, "behavior": behavior}
    settings = {"enabled": True, "minReplicas": 2, "maxReplicas": 4, **targets}

    made = found(plan_for(scaled("server", autoscaling=settings)), HPA, SERVER)

    assert made["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": SERVER}
    assert (made["spec"]["minReplicas"], made["spec"]["maxReplicas"]) == (2, 4)
    aims = {m["resource"]["name"]: m["resource"]["target"] for m in made["spec"]["metrics"]}
    assert aims == {
        "cpu": {"type": "Utilization", "averageUtilization": 70},
        "memory": {"type": "Utilization", "averageUtilization": 90},
    }
    assert made["spec"]["behavior"] == behavior


@pytest.mark.parametrize(
    ("targets", "aims"),
    [
        pytest.param({}, {"cpu": 80}, id="none"),
        pytest.param({"targetMemoryUtilizationPercentage": 70}, {"memory": 70}, id="memory-alone"),
    ],
)
def test_it_goes_by_cpu_unless_something_else_is_named(targets, aims):
    made = found(plan_for(scaled("server", autoscaling={"enabled": True, **targets})), HPA, SERVER)

    metrics = made["spec"]["metrics"]
    assert {m["resource"]["name"]: m["resource"]["target"]["averageUtilization"] for m in metrics} == aims


def deployment(plan):
    return found(plan, "Deployment", "photos-machine-learning")


def at_work(cr, *, replicas, by_scale=False, marked=False):
    """The instance with so many pods of machine learning, whoever has said so."""
    objects = an_instance_at_work(a_cr({**SHARED, "machineLearning": {"persistence": NO_CACHE}}))
    entry = {"manager": "kube-controller-manager", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    for item in objects:
        if (item["kind"], item["metadata"]["name"]) == ("Deployment", "photos-machine-learning"):
            item["spec"] = {**item["spec"], "replicas": replicas}
            item["metadata"] = {**item["metadata"], "managedFields": [entry] if by_scale else []}
            if marked:
                item["metadata"]["annotations"] = {AUTOSCALED: "true"}
    return objects


def test_a_new_deployment_begins_with_the_least():
    assert deployment(plan_for(scaled()))["spec"]["replicas"] == 2


def test_what_is_ours_is_said_again_until_the_autoscaler_says_another_number():
    """Left out by its only owner, the number would become 1."""
    made = deployment(plan_for(scaled(), at_work(scaled(), replicas=3)))

    assert made["spec"]["replicas"] == 3
    assert made["metadata"]["annotations"] == {AUTOSCALED: "true"}


def test_what_the_autoscaler_has_said_is_its_own():
    made = deployment(plan_for(scaled(), at_work(scaled(), replicas=4, by_scale=True)))

    assert "replicas" not in made["spec"]


@pytest.mark.parametrize(
    ("by_scale", "written"), [pytest.param(True, None, id="its"), pytest.param(False, 3, id="ours")]
)
def test_the_number_stays_when_the_autoscaler_goes(by_scale, written):
    off = scaled(on=False)

    made = deployment(plan_for(off, at_work(off, replicas=3, by_scale=by_scale, marked=True)))

    assert made["spec"].get("replicas") == written
    assert made["metadata"]["annotations"] == {AUTOSCALED: "true"}


def test_a_number_of_the_users_takes_over_when_the_autoscaler_goes():
    off = scaled(on=False, replicas=1)

    made = deployment(plan_for(off, at_work(off, replicas=3, by_scale=True, marked=True)))

    assert made["spec"]["replicas"] == 1
    assert "annotations" not in made["metadata"]


def test_replicas_beside_an_autoscaler_are_ignored_and_that_is_said():
    plan = plan_for(scaled(replicas=1), at_work(scaled(), replicas=3))

    assert deployment(plan)["spec"]["replicas"] == 3
    assert ("machine-learning", "SettingIgnored") in notices(plan, "warns")


def test_none_at_all_is_what_it_says():
    plan = plan_for(scaled(replicas=0), at_work(scaled(), replicas=3, by_scale=True))

    assert deployment(plan)["spec"]["replicas"] == 0
    assert notices(plan, "warns") == []


def test_it_is_removed_when_it_is_switched_off():
    objects = an_instance_at_work(scaled())

    assert deletions(plan_for(scaled(on=False), objects)) == [(HPA, "photos-machine-learning")]


def test_a_library_that_only_one_node_can_mount_is_told_of():
    cr = a_cr({"server": {"autoscaling": {"enabled": True, "maxReplicas": 4}}})

    [notice] = [n for n in plan_for(cr).notices if n.reason == "VolumeNotShared"]

    assert "Deployment photos-server may get 4 replicas" in notice.message


def a_pod(**requests):
    labels = {"app.kubernetes.io/component": "machine-learning"}
    container = {"name": "machine-learning", "resources": {"requests": requests}}
    return {
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "family", "labels": labels},
        "spec": {"containers": [container]},
    }


@pytest.mark.parametrize(
    ("pods", "warned"),
    [
        pytest.param([], False, id="no-pod-yet"),
        pytest.param([a_pod(memory="1Gi")], True, id="nothing-requested"),
        pytest.param([a_pod(cpu="1")], False, id="requested"),
    ],
)
def test_pods_that_request_nothing_can_not_be_measured(pods, warned):
    plan = plan_for(scaled(), pods=pods)

    assert (("machine-learning", "NotAutoscaled") in notices(plan, "warns")) is warned


def test_metrics_that_stay_away_are_told_of_after_some_minutes():
    inactive = {
        "type": "ScalingActive",
        "status": "False",
        "reason": "FailedGetResourceMetric",
        "message": "no metrics",
    }
    live = {
        "metadata": {"name": SERVER},
        "status": {"conditions": [{**inactive, "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    }

    [(message, begins)] = idle(live)

    assert f"{HPA} {SERVER} does not know how busy the pods are" in message
    assert "FailedGetResourceMetric: no metrics" in message
    assert begins == 1767225600.0 + METRICS_WITHIN_S
    assert idle({**live, "status": {"conditions": [{**inactive, "reason": "ScalingDisabled"}]}}) == []
    objects = [
        {**o, **live, "metadata": o["metadata"]} if o["kind"] == HPA else o
        for o in an_instance_at_work(scaled("server"))
    ]
    assert condition(report_for(scaled("server"), objects, now=begins), "Warning")["reason"] == "NotAutoscaled"


def affinity(cr):
    return found(plan_for(cr), "Deployment", SERVER)["spec"]["template"]["spec"].get("affinity", {})


def test_several_servers_of_an_autoscaler_stay_on_one_architecture():
    own = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}}

    first, second = affinity(scaled("server", affinity=own))["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]

    assert first == {"topologyKey": "zone"}
    assert second["topologyKey"] == "kubernetes.io/arch"
    assert second["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "server"


@pytest.mark.parametrize(
    "cr",
    [
        pytest.param(scaled("server", nodeSelector={"kubernetes.io/arch": "arm64"}), id="the-user-chose-one"),
        pytest.param(scaled("server", autoscaling={"enabled": True, "maxReplicas": 1}), id="a-single-server"),
        pytest.param(a_cr({**SHARED, "server": {"replicas": 3}}), id="no-autoscaler"),
    ],
)
def test_else_servers_may_run_anywhere(cr):
    assert affinity(cr) == {}


@pytest.mark.parametrize(
    ("strategy", "modes", "type_", "warned"),
    [
        pytest.param("Auto", "ReadWriteMany", "RollingUpdate", False, id="auto-shared"),
        pytest.param("Auto", "ReadWriteOnce", "Recreate", False, id="auto-not-shared"),
        pytest.param("Recreate", "ReadWriteMany", "Recreate", False, id="recreate"),
        pytest.param("RollingUpdate", "ReadWriteMany", "RollingUpdate", False, id="rolling-shared"),
        pytest.param("RollingUpdate", "ReadWriteOnce", "RollingUpdate", True, id="rolling-not-shared"),
    ],
)
def test_a_strategy_is_used_and_one_that_may_hang_is_warned_of(strategy, modes, type_, warned):
    library = {"immich": {"persistence": {"library": {"accessModes": [modes]}}}}
    cache = {"persistence": {"accessModes": [modes]}}
    plan = plan_for(
        a_cr({**library, "server": {"strategy": strategy}, "machineLearning": {"strategy": strategy, **cache}})
    )

    for component in ("server", "machine-learning"):
        assert found(plan, "Deployment", f"photos-{component}")["spec"]["strategy"]["type"] == type_
        assert ((component, "VolumeNotShared") in notices(plan, "warns")) is warned
