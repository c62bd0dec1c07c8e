# SPDX-License-Identifier: Apache-2.0
"""A component that is in the registry is in the status, cleaned up, removed, and its data is protected."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components import registry
from ansible_collections.media.immich.plugins.plugin_utils.components.description import (
    Claim,
    Description,
    Workload,
    switched_off,
)
from ansible_collections.media.immich.plugins.plugin_utils.components.instance import Cluster, Instance
from ansible_collections.media.immich.plugins.plugin_utils.passes import claims
from ansible_collections.media.immich.plugins.plugin_utils.passes.removal import removal
from ansible_collections.media.immich.plugins.plugin_utils.spec import fields, names
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import Component
from support.instances import a_claim, a_cr, an_instance_at_work, condition, deletions, plan_for, report_for, seen_with

TUNNEL: Any = "tunnel"
NAMES = {"Deployment": "photos-tunnel", "PersistentVolumeClaim": "photos-tunnel-data"}


@pytest.fixture(params=[True, False], ids=["on", "off"])
def is_on(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the toy component `tunnel`, which is registered, is switched on."""
    described = Description(
        component=TUNNEL,
        workload=Workload(kind="Deployment", condition="TunnelReady", flag="tunnelReady", absence=switched_off(TUNNEL)),
        claim=Claim(
            name=lambda instance: f"{instance.name}-tunnel-data",
            made=lambda instance: f"{instance}-tunnel-data",
            persistence=lambda _instance: fields.Persistence(),
            path="spec.tunnel.persistence",
            mounted_by=TUNNEL,
        ),
        objects={"Deployment": lambda _instance, _cluster: request.param},
    )
    settings = Instance.settings

    def with_tunnel(instance: Instance, component: Component) -> fields.Workload:
        return fields.Workload(enabled=request.param) if component == TUNNEL else settings(instance, component)

    monkeypatch.setattr(Instance, "settings", with_tunnel)
    monkeypatch.setattr(registry, "COMPONENTS", (*registry.COMPONENTS, described))
    return bool(request.param)


def live() -> list[dict[str, Any]]:
    labels = names.labels("photos", TUNNEL)
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAMES["Deployment"], "namespace": "default", "uid": "u", "labels": labels},
        "spec": {"replicas": 1},
        "status": {},
    }
    claim = a_claim(NAMES["PersistentVolumeClaim"], labels=labels)
    return [*an_instance_at_work(a_cr()), deployment, claim]


def test_the_status_has_its_condition_and_its_flag(is_on: bool) -> None:
    told = report_for(a_cr(), live())

    assert told["status"]["tunnelReady"] is not is_on  # its Deployment has no pods
    assert condition(told, "TunnelReady")["reason"] == ("WaitingForRollout" if is_on else "Disabled")
    assert condition(told, "Ready")["status"] == ("False" if is_on else "True")


def test_what_is_switched_off_goes_and_its_claim_stays(is_on: bool) -> None:
    assert deletions(plan_for(a_cr(), live())) == ([] if is_on else [("Deployment", "photos-tunnel")])


def test_removal_takes_it_away_with_its_data(is_on: bool) -> None:
    steps = removal(a_cr(), seen=seen_with(a_cr(), live()))["steps"]

    assert set(NAMES.items()) <= {(step["target"]["kind"], step["target"]["name"]) for step in steps}


def test_a_second_user_of_its_claim_is_told(is_on: bool) -> None:
    neighbour = a_cr(
        {"valkey": {"persistence": {"enabled": True, "existingClaim": "photos-tunnel-data"}}}, name="second"
    )

    told = claims.notices(Instance.from_cr(a_cr()), Cluster(seen_with(a_cr()), {}), [neighbour])

    assert [notice.component for notice in told] == ([TUNNEL] if is_on else [])
