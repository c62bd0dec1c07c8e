# SPDX-License-Identifier: Apache-2.0
"""A component that is in the registry is planned, has an image, is in the status and removed, and its data is protected."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components import pods, registry, volumes
from ansible_collections.media.immich.plugins.plugin_utils.components.description import (
    Claim,
    Description,
    Image,
    Workload,
    named_after,
    switched_off,
)
from ansible_collections.media.immich.plugins.plugin_utils.components.images import (
    DEFAULT_IMAGES,
    images_from_environment,
)
from ansible_collections.media.immich.plugins.plugin_utils.components.instance import Cluster, Draft, Instance, Part
from ansible_collections.media.immich.plugins.plugin_utils.passes import claims
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import Plan, plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.removal import removal
from ansible_collections.media.immich.plugins.plugin_utils.spec import fields
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import Component
from support.instances import (
    NAME,
    PASSWORD,
    a_cr,
    an_instance_at_work,
    condition,
    container,
    deletions,
    found,
    has,
    notices,
    report_for,
    seen_with,
)

IMAGE = "registry.example.com/tunnel:1"
CLAIM = f"{NAME}-tunnel-data"


TUNNEL = Component("tunnel")


def plan_tunnel(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    part, image = Part(TUNNEL), draft.image(instance, TUNNEL)
    settings = fields.Persistence()
    if instance.is_enabled(TUNNEL) and image:
        volumes.managed_claim(part, instance, cluster, CLAIM, settings, path="spec.tunnel.persistence", owned=True)
        main = pods.container("tunnel", image, instance.settings(TUNNEL))
        template = pods.pod_template(instance, TUNNEL, part, pod={"containers": [main]})
        part.apply(pods.deployment(instance, TUNNEL, template, replicas=1, recreate=True), stage=2)
    return [part]


DESCRIPTION = Description(
    component=TUNNEL,
    title="Tunnel",
    plan=plan_tunnel,
    workload=Workload(kind="Deployment", condition="TunnelReady", flag="tunnelReady", absence=switched_off(TUNNEL)),
    image=Image(variable="RELATED_IMAGE_tunnel", default=IMAGE, what="The tunnel"),
    claim=Claim(
        name=lambda instance: f"{instance.name}-tunnel-data",
        made=lambda instance: f"{instance}-tunnel-data",
        persistence=lambda _instance: fields.Persistence(),
        path="spec.tunnel.persistence",
        mounted_by=TUNNEL,
    ),
    removable=named_after(TUNNEL, "Deployment"),
)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """The component `tunnel` is registered; {"enabled": whether it is switched on}."""
    state, others = {"enabled": True}, Instance.settings

    def with_tunnel(instance: Instance, component: Component) -> fields.Workload:
        return fields.Workload(enabled=state["enabled"]) if component == TUNNEL else others(instance, component)

    monkeypatch.setattr(Instance, "settings", with_tunnel)
    monkeypatch.setattr(registry, "COMPONENTS", (*registry.COMPONENTS, DESCRIPTION))
    return state


def planned(*objects: dict[str, object], images: dict[Component, str] | None = None) -> Plan:
    chosen = {**DEFAULT_IMAGES, TUNNEL: IMAGE} if images is None else images
    return plan(a_cr(), seen=seen_with(a_cr(), objects), images=chosen, new_password=PASSWORD)


def live() -> list[dict[str, object]]:
    """An instance at work, and the tunnel's objects as they were first made."""
    made = [manifest for manifest in planned().objects if "tunnel" in manifest["metadata"]["name"]]
    for manifest in made:
        manifest["metadata"]["uid"] = f"uid-{manifest['kind']}"
    return [*an_instance_at_work(a_cr()), *made]


def test_it_is_planned_under_its_name():
    steps = [(step["verb"], step["object"]["kind"]) for step in planned().steps if step["component"] == "tunnel"]

    assert steps == [("apply", "PersistentVolumeClaim"), ("apply", "Deployment")]


def test_the_operator_says_which_image_it_runs():
    images = images_from_environment({"RELATED_IMAGE_tunnel": "mirror.example.com/tunnel:2"})

    assert images == {"tunnel": "mirror.example.com/tunnel:2"}
    assert images_from_environment({}, fall_back=True)["tunnel"] == IMAGE
    assert container(found(planned(), "Deployment", "photos-tunnel"))["image"] == IMAGE


def test_it_is_reported_that_no_image_is_configured():
    without = planned(images=DEFAULT_IMAGES)

    assert ("tunnel", "ImageNotConfigured") in notices(without, "blocks")
    assert [n.message for n in without.notices] == [
        "no image for tunnel: set RELATED_IMAGE_tunnel in the operator's environment, or spec.tunnel.image"
    ]


def test_the_status_has_its_condition_and_its_flag(settings):
    waiting = report_for(a_cr(), live())
    settings["enabled"] = False
    off = report_for(a_cr(), live())

    assert (waiting["status"]["tunnelReady"], condition(waiting, "TunnelReady")["reason"]) == (
        False,
        "ImageNotConfigured",
    )
    assert (off["status"]["tunnelReady"], condition(off, "TunnelReady")["reason"]) == (True, "Disabled")
    assert [condition(told, "Ready")["status"] for told in (waiting, off)] == ["False", "True"]


def test_what_is_switched_off_goes_and_its_claim_stays(settings):
    there = live()
    assert deletions(planned(*there)) == []

    settings["enabled"] = False

    assert deletions(planned(*there)) == [("Deployment", "photos-tunnel")]
    assert not has(planned(*there), "Deployment", "photos-tunnel")


def test_removal_takes_it_away_with_its_data():
    steps = removal(a_cr(), seen=seen_with(a_cr(), live()))["steps"]

    gone = {(step["target"]["kind"], step["target"]["name"]) for step in steps}
    assert {("Deployment", "photos-tunnel"), ("PersistentVolumeClaim", CLAIM)} <= gone


def test_a_second_user_of_its_claim_is_reported(settings):
    neighbour = a_cr({"valkey": {"persistence": {"enabled": True, "existingClaim": CLAIM}}}, name="second")

    def told() -> list[str]:
        found = claims.notices(Instance.from_cr(a_cr()), Cluster(seen_with(a_cr())), [neighbour])
        return [str(notice.component) for notice in found]

    assert told() == ["tunnel"]
    settings["enabled"] = False
    assert told() == []


def test_one_who_names_a_claim_for_it_may_share_one():
    assert claims.may_be_shared({"spec": {"tunnel": {"persistence": {"existingClaim": "mine"}}}}, [])
