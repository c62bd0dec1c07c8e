# SPDX-License-Identifier: Apache-2.0
"""PodDisruptionBudgets, which never hold up the drain of a node."""

from __future__ import annotations

import pytest

from support.instances import a_cr, an_instance_at_work, deletions, found, has, notices, plan_for

PDB, SERVER = "PodDisruptionBudget", "photos-server"
SHARED = {"immich": {"persistence": {"library": {"accessModes": ["ReadWriteMany"]}}}}


def bounded(component="server", share=1, **settings):
    budget = {"podDisruptionBudget": {"enabled": True, "maxUnavailable": share}}
    return a_cr({**SHARED, component: {**budget, **settings}})


@pytest.mark.parametrize("share", [1, "50%"])
def test_a_budget_is_for_the_pods_of_its_component_and_for_those_that_work(share):
    made = found(plan_for(bounded(share=share, replicas=3)), PDB, SERVER)

    assert made["spec"]["maxUnavailable"] == share
    assert made["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == "server"
    assert made["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize(
    ("cr", "component"),
    [
        pytest.param(bounded(), "server", id="one-server"),
        pytest.param(bounded(replicas=0), "server", id="no-server"),
        pytest.param(bounded("postgres"), "postgres", id="the-database"),
        pytest.param(bounded("valkey"), "valkey", id="the-queues"),
        pytest.param(bounded(autoscaling={"enabled": True, "maxReplicas": 5}), "server", id="an-autoscaler-from-one"),
    ],
)
def test_none_is_made_for_a_single_pod_and_that_is_said(cr, component):
    plan = plan_for(cr)

    assert not has(plan, PDB, f"photos-{component}")
    assert (component, "DisruptionNotBounded") in notices(plan, "warns")


def test_an_autoscaler_from_two_pods_on_has_one():
    assert has(plan_for(bounded(autoscaling={"enabled": True, "minReplicas": 2})), PDB, SERVER)


def test_the_number_that_somebody_else_has_scaled_to_counts():
    objects = [
        {**o, "spec": {**o["spec"], "replicas": 2}}
        if o["metadata"]["name"] == SERVER and o["kind"] == "Deployment"
        else o
        for o in an_instance_at_work(a_cr(SHARED))
    ]

    assert has(plan_for(bounded(), objects), PDB, SERVER)


def test_it_goes_with_the_second_pod_and_with_its_switch():
    objects = an_instance_at_work(bounded(replicas=2))

    assert deletions(plan_for(bounded(replicas=2), objects)) == []
    assert deletions(plan_for(bounded(replicas=1), objects)) == [(PDB, SERVER)]
    assert deletions(plan_for(a_cr({**SHARED, "server": {"replicas": 2}}), objects)) == [(PDB, SERVER)]
