# SPDX-License-Identifier: Apache-2.0
"""Manifests without a cluster."""

import base64

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.passes.offline import offline_plan
from support.instances import a_cr, found, has, plan_for

REFERRING = {
    "postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}},
    "valkey": {"enabled": False, "host": "redis", "passwordSecretRef": {"name": "queue", "key": "p"}},
    "server": {"envFrom": [{"configMapRef": {"name": "map"}}, {"secretRef": {"name": "all"}}]},
    "machineLearning": {"persistence": {"existingClaim": "nas"}},
    "imagePullSecrets": [{"name": "registry"}],
    "immich": {
        "persistence": {"library": {"storageClass": "fast"}},
        "configuration": {
            "oauth": {"clientSecretRef": {"name": "both", "key": "one"}},
            "notifications": {"smtp": {"transport": {"passwordSecretRef": {"name": "both", "key": "two"}}}},
        },
    },
}


def rendered(spec=None, *, route=False, **metadata):
    return offline_plan(a_cr(spec, **metadata), images=DEFAULT_IMAGES, password="p", route=route)


def test_the_objects_are_those_of_a_first_pass_without_owners():
    offline, online = rendered().objects, plan_for(a_cr()).objects

    for manifest in online:
        manifest["metadata"].pop("ownerReferences", None)
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            manifest["spec"]["template"]["metadata"].pop("annotations", None)
    for manifest in offline:
        assert "ownerReferences" not in manifest["metadata"]
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            manifest["spec"]["template"]["metadata"].pop("annotations", None)
    random = [("Secret", "photos-postgres-credentials"), ("Secret", "photos-checksum-key")]
    keep = [m for m in online if (m["kind"], m["metadata"]["name"]) not in random]
    assert [m for m in offline if (m["kind"], m["metadata"]["name"]) not in random] == keep


def test_everything_referred_to_is_taken_to_be_there():
    plan = rendered(REFERRING)

    assert plan.notices == []
    assert has(plan, "Deployment", "photos-server")


def test_values_that_only_a_secret_knows_are_shown_as_such():
    text = base64.b64decode(
        found(rendered(REFERRING), "Secret", "photos-immich-config")["data"]["immich-config.yaml"]
    ).decode()

    assert "<key one of Secret both>" in text
    assert "<key two of Secret both>" in text


def test_a_custom_resource_without_namespace_goes_to_default():
    cr = a_cr()
    del cr["metadata"]["namespace"]

    plan = offline_plan(cr, images=DEFAULT_IMAGES, password="p")

    assert {manifest["metadata"]["namespace"] for manifest in plan.objects} == {"default"}


def test_a_route_is_rendered_on_request():
    assert has(rendered(route=True), "Route", "photos-server")
    assert not has(rendered(), "Route", "photos-server")


def test_what_a_cluster_added_to_the_custom_resource_does_not_matter():
    noisy = rendered(
        deletionTimestamp="2026-11-24T10:00:00Z", finalizers=["media.rm3l.org/finalizer"], resourceVersion="7"
    )

    assert noisy.as_dict() == rendered().as_dict()


def test_the_same_custom_resource_is_rendered_alike_twice():
    assert rendered(REFERRING).as_dict() == rendered(REFERRING).as_dict()
