# SPDX-License-Identifier: Apache-2.0
"""What a pass reads only where the custom resource asks for it, so that others cost no request more than before."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.instance import Instance
from ansible_collections.media.immich.plugins.plugin_utils.kube import kinds
from ansible_collections.media.immich.plugins.plugin_utils.passes import lookups
from support.instances import a_cr

ROWS = [row for row in kinds.KINDS if row.on_demand]
ALL = {"NetworkPolicy", "HorizontalPodAutoscaler", "PodDisruptionBudget", "HTTPRoute"}
GATEWAY = {"enabled": True, "parentRefs": [{"name": "public", "namespace": "infra"}, {"name": "private"}]}


def listed(spec=None, *, settled=True, degraded="False"):
    cr = a_cr(spec)
    conditions = [{"type": "Degraded", "status": degraded}]
    cr["status"] = {"observedGeneration": 1 if settled else 0, "conditions": conditions}
    return {row.kind for row in lookups.worth_a_list(cr, Instance.from_cr(cr), ROWS)}


def test_an_instance_that_uses_none_costs_no_request():
    assert listed() == set()


def test_of_an_instance_without_a_pass_nothing_can_be_left():
    cr = a_cr()

    assert lookups.worth_a_list(cr, Instance.from_cr(cr), ROWS) == []


def test_all_are_listed_where_no_custom_resource_is_stored_that_could_tell():
    cr = a_cr(generation=None)

    assert {row.kind for row in lookups.worth_a_list(cr, Instance.from_cr(cr), ROWS)} == ALL


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        pytest.param({"networkPolicy": {"enabled": True}}, "NetworkPolicy", id="policy"),
        pytest.param({"server": {"autoscaling": {"enabled": True}}}, "HorizontalPodAutoscaler", id="autoscaler"),
        pytest.param({"postgres": {"podDisruptionBudget": {"enabled": True}}}, "PodDisruptionBudget", id="budget"),
        pytest.param({"server": {"httpRoute": GATEWAY}}, "HTTPRoute", id="route"),
    ],
)
def test_what_is_asked_for_is_listed(spec, kind):
    assert listed(spec) == {kind}


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"settled": False}, id="a-change-that-may-have-switched-it-off"),
        pytest.param({"degraded": "True"}, id="something-that-may-not-have-been-removed"),
    ],
)
def test_all_are_listed_while_there_may_be_something_to_remove(state):
    assert listed(**state) == ALL


def asked(spec, *objects, served=("HTTPRoute",)):
    cr = a_cr(spec)
    return [(ref.kind, ref.namespace, ref.name) for ref in lookups.objects(Instance.from_cr(cr), objects, served)]


def test_gateways_are_read_where_they_are_and_only_if_the_cluster_has_any():
    spec = {"server": {"httpRoute": GATEWAY}}

    assert asked(spec) == [("Gateway", "infra", "public"), ("Gateway", "family", "private")]
    assert asked(spec, served=()) == []
    assert asked({"server": {"httpRoute": {**GATEWAY, "enabled": False}}}) == []


def test_a_class_is_read_for_a_preset_only():
    hosts = [{"host": "photos.example.com", "paths": [{"path": "/"}]}]
    named = {"enabled": True, "hosts": hosts, "ingressClassName": "web"}
    live = {"kind": "Ingress", "metadata": {"name": "photos-server"}, "spec": {"ingressClassName": "usual"}}

    assert asked({"server": {"ingress": {**named, "preset": "Auto"}}}) == [("IngressClass", "", "web")]
    assert asked({"server": {"ingress": named}}) == []
    unnamed = {"server": {"ingress": {**named, "preset": "Auto", "ingressClassName": ""}}}
    assert asked(unnamed) == []
    assert asked(unnamed, live) == [("IngressClass", "", "usual")]
