# SPDX-License-Identifier: Apache-2.0
"""The rules of the CRD stay far from what the API server lets rules cost: it would refuse the CRD, or resources.

It estimates the cost of each rule and of all when the CRD is stored, and counts it when a resource is. Both budgets are
its own, so it is asked: with a copy of the CRD in which each rule is evaluated several times over.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from localcluster.errors import ApiError
from localcluster.testing import Cluster

from .conftest import serve

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ROOM = 3
"""The rules could be as many times as expensive."""
HOSTS, PATHS, ENTRIES = 100, 40, 1000


def dearer(times: int, group: str) -> dict[str, Any]:
    """The CRD in another group, with each rule written `times` times over, as one rule."""
    definition = copy.deepcopy(crd.definition())
    definition["spec"]["group"] = group
    definition["metadata"] = {"name": f"{definition['spec']['names']['plural']}.{group}"}
    for version in definition["spec"]["versions"]:
        _repeat_rules(version["schema"]["openAPIV3Schema"], times)
    return definition


def _repeat_rules(schema: Any, times: int) -> None:
    if isinstance(schema, list):
        for each in schema:
            _repeat_rules(each, times)
    elif isinstance(schema, dict):
        for rule in schema.get("x-kubernetes-validations", []):
            if isinstance(rule, dict) and isinstance(rule.get("rule"), str):
                rule["rule"] = " && ".join([f"({rule['rule']})"] * times)
        for each in schema.values():
            _repeat_rules(each, times)


def the_largest(group: str) -> dict[str, Any]:
    """A resource of more than a megabyte, with what rules go through one by one."""
    names = [f"{'a' * 60}.{'b' * 60}.{'c' * 60}.host-{number:04}.example.com" for number in range(HOSTS)]
    hosts = [{"host": name, "paths": [{"path": f"/{'p' * 80}{number}"} for number in range(PATHS)]} for name in names]
    tls = [{"secretName": f"tls-{number}", "hosts": names[:30]} for number in range(HOSTS)]
    env = [{"name": f"VARIABLE_{number:04}", "value": "v" * 40} for number in range(ENTRIES)]
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "Immich",
        "metadata": {"name": "largest"},
        "spec": {
            "immich": {"metrics": {"enabled": True}},
            "server": {"env": env, "ingress": {"enabled": True, "hosts": hosts, "tls": tls}},
            "machineLearning": {"env": env},
        },
    }


def test_each_rule_and_all_of_them_could_cost_several_times_as_much(cluster: Cluster) -> None:
    dry = {"dryRun": "All"}

    stored = cluster.api.request("POST", CRDS, body=dearer(ROOM, "estimate.test"), query=dry)

    assert stored["spec"]["group"] == "estimate.test"
    with pytest.raises(ApiError, match=r"exceeds|too long|too large|budget"):
        cluster.api.request("POST", CRDS, body=dearer(60, "estimate.test"), query=dry)


@pytest.mark.parametrize("times", [1, ROOM])
def test_the_largest_resource_is_stored_by_rules_that_cost_several_times_as_much(
    cluster: Cluster, namespace: str, times: int
) -> None:
    group = f"runtime{times}.test"
    serve(cluster, dearer(times, group))
    largest = the_largest(group)

    stored = cluster.api.create({**largest, "metadata": {"name": "largest", "namespace": namespace}})

    assert len(json.dumps(stored)) > 1 << 20
    cluster.api.request("DELETE", f"{CRDS}/immiches.{group}")
