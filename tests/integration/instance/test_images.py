# SPDX-License-Identifier: Apache-2.0
"""Which image each container runs, where it comes from and how it is pulled."""

from __future__ import annotations

import json

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES, IMAGE_VARIABLES
from support.operating import OWN_KINDS, Operator, pod_spec

COMPONENTS = {
    "server": "Deployment",
    "machine-learning": "Deployment",
    "valkey": "Deployment",
    "postgres": "StatefulSet",
}
MIRROR = "my-mirror.example.com"


def pod_specs(instances):
    return {component: pod_spec(instances.get(kind, f"photos-{component}")) for component, kind in COMPONENTS.items()}


def images(spec):
    """All images of a pod, each once."""
    return {container["image"] for key in ("initContainers", "containers") for container in spec.get(key, [])}


def pull_policies(spec):
    return {container["imagePullPolicy"] for key in ("initContainers", "containers") for container in spec.get(key, [])}


def test_an_image_of_the_cr_takes_precedence_over_that_of_the_operator(instances):
    instances.create(
        {
            "server": {"image": "my-registry.example.com/immich-server:v1.125.7", "imagePullPolicy": "Always"},
            "valkey": {"image": "my-registry.example.com/valkey:9-alpine", "imagePullPolicy": "Never"},
        }
    )

    instances.wait_ready()

    specs = pod_specs(instances)
    assert {component: images(spec) for component, spec in specs.items()} == {
        "server": {"my-registry.example.com/immich-server:v1.125.7"},
        "machine-learning": {DEFAULT_IMAGES["machine-learning"]},
        "valkey": {"my-registry.example.com/valkey:9-alpine"},
        "postgres": {DEFAULT_IMAGES["postgres"]},
    }
    assert {component: pull_policies(spec) for component, spec in specs.items()} == {
        "server": {"Always"},
        "machine-learning": {"IfNotPresent"},
        "valkey": {"Never"},
        "postgres": {"IfNotPresent"},
    }


def test_pull_secrets_reach_every_pod_and_a_missing_one_is_reported(instances):
    instances.secret("first", token="x")
    instances.create({"imagePullSecrets": [{"name": "first"}, {"name": "second"}]})

    warning = instances.wait_condition("Warning", "SecretNotFound")
    instances.wait_ready()

    for spec in pod_specs(instances).values():
        assert spec["imagePullSecrets"] == [{"name": "first"}, {"name": "second"}]
    assert "Secret second named in spec.imagePullSecrets" in warning["message"]
    assert "Secret first" not in warning["message"]

    instances.secret("second", token="y")

    instances.wait_condition("Warning", "NoWarnings")


def test_with_four_variables_set_no_other_registry_is_left_anywhere(operated):
    environment = {variable: f"{MIRROR}/{component}:1" for component, variable in IMAGE_VARIABLES.items()}
    instances = operated(**environment)
    instances.create()

    instances.wait_ready()

    live = [
        manifest
        for kind in (*OWN_KINDS, "Pod", "ReplicaSet")
        for manifest in instances.api.list(kind, instances.namespace)
    ]
    assert {image for manifest in live if manifest["kind"] == "Pod" for image in images(manifest["spec"])} == {
        f"{MIRROR}/{component}:1" for component in COMPONENTS
    }
    text = json.dumps(live)
    assert [registry for registry in ("ghcr.io", "docker.io", "quay.io", "busybox") if registry in text] == []


def test_an_operator_to_which_nothing_is_said_runs_what_the_package_brings(apart, tmp_path):
    watching = {"WATCH_NAMESPACE": apart.namespace}
    apart.operator = Operator(apart.cluster, tmp_path, environment=watching, watches=None)

    apart.create()

    apart.wait_ready()
    specs = pod_specs(apart)
    assert {component: images(spec) for component, spec in specs.items()} == {
        component: {DEFAULT_IMAGES[component]} for component in COMPONENTS
    }
    assert apart.operator.stop() == 0


def test_without_variable_and_image_the_condition_names_the_variable(operated):
    instances = operated(RELATED_IMAGE_machineLearning="", RELATED_IMAGE_valkey="")
    instances.create()

    valkey = instances.wait_condition("ValkeyReady", "ImageNotConfigured")
    machine_learning = instances.condition("MachineLearningReady")

    assert "RELATED_IMAGE_valkey" in valkey["message"]
    assert "spec.valkey.image" in valkey["message"]
    assert "RELATED_IMAGE_machineLearning" in machine_learning["message"]
    assert instances.get("Deployment", "photos-valkey") is None
    assert instances.get("StatefulSet", "photos-postgres"), "the rest is looked after"

    instances.change({"valkey": {"image": "valkey:9"}, "machineLearning": {"enabled": False}})

    instances.wait_ready()
