# SPDX-License-Identifier: Apache-2.0
"""Graphics cards: the image, Immich's setting, and what pods ask their nodes for."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from support.instances import a_cr, container, environment, found, notices, plan_for

SERVER, LEARNING = ("Deployment", "photos-server"), ("Deployment", "photos-machine-learning")
DEFAULT = DEFAULT_IMAGES["machine-learning"]


def image(spec):
    return container(found(plan_for(a_cr({"machineLearning": spec})), *LEARNING))["image"]


def settings(plan):
    return yaml.safe_load(found(plan, "ConfigMap", "photos-immich-config")["data"]["immich-config.yaml"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, f"{DEFAULT}-cuda", id="the-default"),
        pytest.param("mirror:5000/ml:v3.1.0", "mirror:5000/ml:v3.1.0-cuda", id="a-mirror"),
        pytest.param("ml:v3.1.0-openvino", "ml:v3.1.0-openvino", id="a-variant-that-is-named"),
        pytest.param(f"ml@sha256:{'0' * 64}", f"ml@sha256:{'0' * 64}", id="a-digest"),
        pytest.param(f"ml:v3@sha256:{'0' * 64}", f"ml:v3@sha256:{'0' * 64}", id="a-tag-and-a-digest"),
        pytest.param("mirror:5000/ml", "mirror:5000/ml", id="no-tag"),
    ],
)
def test_an_accelerator_chooses_the_variant_of_the_image(given, expected):
    assert image({"acceleration": "cuda", **({"image": given} if given else {})}) == expected


@pytest.mark.parametrize("given", ["ml:v3.1.0-openvino", f"ml@sha256:{'0' * 64}", "ml"])
def test_an_image_that_stays_as_it_is_is_told(given):
    plan = plan_for(a_cr({"machineLearning": {"acceleration": "cuda", "image": given}}))

    assert ("machine-learning", "SettingIgnored") in notices(plan, "warns")


def test_without_an_accelerator_an_image_stays_as_it_is():
    assert image({"image": "ml:v3.1.0-cuda"}) == "ml:v3.1.0-cuda"
    assert image({}) == DEFAULT


def test_transcoding_is_a_setting_of_immich():
    plan = plan_for(a_cr({"transcoding": {"acceleration": "vaapi"}}))

    assert settings(plan)["ffmpeg"] == {"accel": "vaapi"}
    assert notices(plan, "warns") == []


def test_without_a_choice_the_setting_is_the_users():
    assert "ffmpeg" not in settings(plan_for(a_cr()))


@pytest.mark.parametrize(
    "immich",
    [
        pytest.param({"configuration": {"ffmpeg": {"accel": "qsv"}}}, id="another-choice"),
        pytest.param({"configurationKind": "None"}, id="no-file"),
    ],
)
def test_a_choice_without_effect_is_told(immich):
    plan = plan_for(a_cr({"transcoding": {"acceleration": "nvenc"}, "immich": immich}))

    assert [reason for _unused, reason in notices(plan, "warns")] == ["SettingIgnored"]


@pytest.mark.parametrize(
    ("plugin", "resource"),
    [
        ("nvidia", "nvidia.com/gpu"),
        ("i915", "gpu.intel.com/i915"),
        ("xe", "gpu.intel.com/xe"),
        ("amd", "amd.com/gpu"),
    ],
)
def test_a_preset_asks_for_the_cards_of_that_plugin(plugin, resource):
    spec = {key: {"gpu": {"devicePlugin": plugin, "count": 2}} for key in ("server", "machineLearning")}

    plan = plan_for(a_cr(spec))

    for workload in (SERVER, LEARNING):
        assert container(found(plan, *workload))["resources"]["limits"] == {resource: "2"}


def test_a_limit_of_the_users_takes_precedence_over_the_preset():
    resources = {"limits": {"nvidia.com/gpu": 4, "memory": "4Gi"}}

    plan = plan_for(a_cr({"machineLearning": {"gpu": {"devicePlugin": "nvidia"}, "resources": resources}}))

    assert container(found(plan, *LEARNING))["resources"] == resources


def test_containers_that_run_before_get_no_card():
    plan = plan_for(a_cr({"server": {"gpu": {"devicePlugin": "nvidia"}}}))

    waiting = found(plan, *SERVER)["spec"]["template"]["spec"]["initContainers"]
    assert [entry.get("resources") for entry in waiting] == [None] * len(waiting)


def test_none_hides_the_cards_of_a_default_runtime():
    plan = plan_for(a_cr({"server": {"gpu": {"devicePlugin": "none"}}}))

    assert environment(found(plan, *SERVER))["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "resources" not in container(found(plan, *SERVER))


def test_what_the_user_says_of_visible_cards_stays():
    env = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "0"}]

    plan = plan_for(a_cr({"server": {"gpu": {"devicePlugin": "none"}, "env": env}}))

    assert environment(found(plan, *SERVER))["NVIDIA_VISIBLE_DEVICES"] == "0"


def test_nothing_is_said_of_cards_unless_asked():
    assert "NVIDIA_VISIBLE_DEVICES" not in environment(found(plan_for(a_cr()), *SERVER))
