# SPDX-License-Identifier: Apache-2.0
"""Which image runs: the custom resource's, else the operator's, else none; and no other registry, anywhere."""

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import (
    DEFAULT_IMAGES,
    IMAGE_VARIABLES,
    images_from_environment,
)
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete
from ansible_collections.media.immich.plugins.plugin_utils.spec.images import version_of
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import Component, spec_key
from support.instances import (
    NAMESPACE,
    PASSWORD,
    UID,
    a_cr,
    a_secret,
    container,
    found,
    has,
    notices,
    seen_with,
    workloads,
)

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
MIRROR = "my-mirror.example.com"
MIRRORED = {
    "RELATED_IMAGE_immich": f"{MIRROR}/immich/server:v2.4.1",
    "RELATED_IMAGE_machineLearning": f"{MIRROR}/immich/ml:v2.4.1",
    "RELATED_IMAGE_valkey": f"{MIRROR}/valkey:9-alpine",
    "RELATED_IMAGE_postgres": f"{MIRROR}/immich/postgres:17-vectorchord0.5.3",
    "RELATED_IMAGE_postgres14": f"{MIRROR}/immich/postgres:14-vectorchord0.4.3-pgvectors0.2.0",
}
REFERRED = [
    a_secret("immich-postgres", password="x", url="postgresql://x"),
    a_secret("immich-redis", password="x"),
    a_secret("immich-oauth", clientSecret="x"),
    a_secret("immich-smtp", password="x"),
]
WORKLOADS = {
    Component.SERVER: ("Deployment", "photos-server"),
    Component.MACHINE_LEARNING: ("Deployment", "photos-machine-learning"),
    Component.VALKEY: ("Deployment", "photos-valkey"),
    Component.POSTGRES: ("StatefulSet", "photos-postgres"),
}
COMPONENTS = [pytest.param(component, id=str(component)) for component in WORKLOADS]


def planned(cr, images, objects=(), **cluster):
    return plan(cr, seen=seen_with(cr, objects, **cluster), images=images, new_password=PASSWORD)


def strings(value):
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def images_of(plan):
    """{workload/container: image} with init containers."""
    result = {}
    for workload in workloads(plan):
        spec = workload["spec"]["template"]["spec"]
        for entry in (*spec.get("initContainers", ()), *spec["containers"]):
            result[f"{workload['metadata']['name']}/{entry['name']}"] = entry["image"]
    return result


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_image_in_the_custom_resource_comes_first(component):
    cr = a_cr({spec_key(component): {"image": "registry.example.com/mine:1", "imagePullPolicy": "Always"}})

    chosen = container(found(planned(cr, DEFAULT_IMAGES), *WORKLOADS[component]))

    assert (chosen["image"], chosen["imagePullPolicy"]) == ("registry.example.com/mine:1", "Always")


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_operators_environment_comes_second(component):
    images = images_from_environment({IMAGE_VARIABLES[component]: f"{MIRROR}/its:2"}, fall_back=True)

    chosen = container(found(planned(a_cr(), images), *WORKLOADS[component]))

    assert chosen["image"] == f"{MIRROR}/its:2"
    assert "imagePullPolicy" not in chosen


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_without_any_image_waits_and_says_which_variable_to_set(component):
    images = {other: image for other, image in DEFAULT_IMAGES.items() if other != component}

    result = planned(a_cr(), images)

    assert not has(result, *WORKLOADS[component])
    assert (str(component), "ImageNotConfigured") in notices(result, "blocks")
    [message] = [notice.message for notice in result.notices if notice.reason == "ImageNotConfigured"]
    assert IMAGE_VARIABLES[component] in message
    assert f"spec.{spec_key(component)}.image" in message


def test_a_component_that_is_off_needs_no_image():
    images = {key: image for key, image in DEFAULT_IMAGES.items() if key != Component.MACHINE_LEARNING}

    assert notices(planned(a_cr({"machineLearning": {"enabled": False}}), images), "blocks") == []


def test_a_component_with_an_image_of_its_own_needs_none_of_the_operator():
    spec = {spec_key(component): {"image": "registry.example.com/mine:1"} for component in WORKLOADS}

    assert notices(planned(a_cr(spec), {}), "blocks") == []


@pytest.mark.parametrize(
    ("environment", "fall_back", "images"),
    [
        pytest.param({}, False, {}, id="nothing-set"),
        pytest.param({"RELATED_IMAGE_valkey": ""}, False, {}, id="set-but-empty"),
        pytest.param({"RELATED_IMAGE_valkey": "v"}, False, {"valkey": "v"}, id="one-set"),
        pytest.param({}, True, {str(key): image for key, image in DEFAULT_IMAGES.items()}, id="no-operator-deployed"),
    ],
)
def test_images_come_from_variables_and_only_on_request_from_the_defaults(environment, fall_back, images):
    assert images_from_environment(environment, fall_back=fall_back) == images


def test_init_containers_run_the_servers_own_image_and_pull_policy():
    cr = a_cr({"server": {"image": f"{MIRROR}/server:3", "imagePullPolicy": "IfNotPresent"}})

    spec = found(planned(cr, DEFAULT_IMAGES), "Deployment", "photos-server")["spec"]["template"]["spec"]

    assert [(entry["image"], entry["imagePullPolicy"]) for entry in spec["initContainers"]] == [
        (f"{MIRROR}/server:3", "IfNotPresent"),
        (f"{MIRROR}/server:3", "IfNotPresent"),
        (f"{MIRROR}/server:3", "IfNotPresent"),
    ]


def test_every_pod_gets_the_pull_secrets():
    result = planned(a_cr({"imagePullSecrets": [{"name": "one"}, {"name": "two"}]}), DEFAULT_IMAGES)

    for workload in workloads(result):
        assert workload["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]


def test_a_pull_secret_that_is_missing_is_told_and_one_without_a_name_is_not():
    result = planned(a_cr({"imagePullSecrets": [{"name": "one"}, {}]}), DEFAULT_IMAGES)

    assert [notice.message for notice in result.notices] == [
        "Secret one named in spec.imagePullSecrets does not exist in namespace family; create it or correct the name"
    ]


@pytest.mark.parametrize("case", sorted(folder.name for folder in GOLDEN.iterdir()))
def test_with_all_images_from_a_mirror_no_other_registry_is_anywhere(case):
    written = yaml.safe_load((GOLDEN / case / "cr.yaml").read_text(encoding="utf-8"))
    written["metadata"] |= {"namespace": NAMESPACE, "uid": UID}
    for settings in written.get("spec", {}).values():
        if isinstance(settings, dict):
            for field in ("image", "initContainers", "extraContainers", "podTemplate"):  # with images of the user's
                settings.pop(field, None)
    cr, _ = complete(written)

    result = planned(cr, images_from_environment(MIRRORED), REFERRED, route=True)

    assert set(images_of(result).values()) <= set(MIRRORED.values())
    registries = r"ghcr\.io|docker\.io|quay\.io|gcr\.io|registry\.k8s\.io|public\.ecr|busybox|alpine/|my-registry"
    suspects = [text for text in strings(result.objects) if re.search(registries, text) and text != "my-registry"]
    assert suspects == []
    assert len(images_of(result)) >= 1


def test_with_all_images_from_a_mirror_every_container_is_accounted_for():
    assert set(images_of(planned(a_cr(), images_from_environment(MIRRORED)))) == {
        "photos-server/look-at-library",
        "photos-server/wait-for-postgres",
        "photos-server/wait-for-valkey",
        "photos-server/server",
        "photos-machine-learning/machine-learning",
        "photos-postgres/look-at-volume",
        "photos-valkey/valkey",
        "photos-postgres/postgres",
    }


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/immich-app/immich-server:v3.1.0", "3.1.0"),
        ("registry.example.com:5000/immich-server:v3.1.0@sha256:0123", "3.1.0"),
        ("ghcr.io/immich-app/immich-machine-learning:v3.1.0-cuda", "3.1.0"),
        ("immich-server:3.1", "3.1"),
        ("immich-server:v3", ""),
        ("immich-server:release", ""),
        ("registry.example.com:5000/immich-server", ""),
        ("immich-server@sha256:0123", ""),
        ("", ""),
    ],
)
def test_a_tag_tells_the_version_or_none(image, version):
    assert version_of(image) == version
