# SPDX-License-Identifier: Apache-2.0
"""A component more needs the four places that CONTRIBUTING names. All else follows or is generated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from support.new_component import PLACES, tree_with_a_tunnel
from support.second_kind import Tree

CONTRIBUTING = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"

PASS = """
import json, sys
sys.path.insert(0, "tests")
from support.instances import a_cr, as_live, deletions, plan_for, report_for
on, off = a_cr({"tunnel": {"enabled": True}}), a_cr({})
there = [item for item in as_live(plan_for(on)) if "tunnel" in item["metadata"]["name"]]
told = report_for(on, there)["status"]
print(json.dumps({
    "objects": [(item["kind"], item["metadata"]["name"]) for item in there],
    "image": there[0]["spec"]["template"]["spec"]["containers"][0]["image"],
    "section": [step["section"] for step in plan_for(on).steps if step["component"] == "tunnel"],
    "ready": told["tunnelReady"],
    "reason": [each["reason"] for each in told["conditions"] if each["type"] == "TunnelReady"],
    "removed": deletions(plan_for(off, there)),
}))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return tree_with_a_tunnel(tmp_path_factory.mktemp("tree"))


def test_it_is_in_the_places_that_contributing_names() -> None:
    chapter = CONTRIBUTING.read_text(encoding="utf-8").partition("## How to add a component\n")[2].partition("\n## ")[0]

    assert len(PLACES) <= 4
    assert set(re.findall(r"`((?:hack|plugins)/[\w/<>]+\.\w+)`", chapter)) == {
        path.replace("tunnel", "<name>") for path in PLACES
    }


def test_all_that_is_generated_is_fresh(tree: Tree) -> None:
    assert tree.python("-m", "hack.generate", "--check") == ""


def test_a_pass_makes_reports_and_removes_it(tree: Tree) -> None:
    assert json.loads(tree.python("-c", PASS)) == {
        "objects": [["Deployment", "photos-tunnel"]],
        "image": "registry.example.com/tunnel:1",
        "section": ["tunnel"],
        "ready": False,
        "reason": ["WaitingForRollout"],
        "removed": [["Deployment", "photos-tunnel"]],
    }


def test_a_play_has_a_task_for_it_before_the_servers(tree: Tree) -> None:
    tasks = yaml.safe_load(tree.text("roles/immich/tasks/play.yml"))
    [block] = [task["block"] for task in tasks if task["name"] == "Make it so"]
    options = yaml.safe_load(tree.text("roles/immich/meta/argument_specs.yml"))["argument_specs"]["main"]["options"]

    names = [task["name"] for task in block]

    assert names[names.index("Tunnel") + 1] == "Server"
    assert block[names.index("Tunnel")]["tags"] == "tunnel"
    assert options["immich_images"]["options"]["tunnel"] == {"description": "The tunnel.", "type": "str"}


def test_a_deployed_operator_knows_its_image(tree: Tree) -> None:
    deployment = yaml.safe_load(tree.text("config/manager/manager.yaml"))
    csv = yaml.safe_load(tree.text("bundle/manifests/immich-operator.clusterserviceversion.yaml"))

    [manager] = deployment["spec"]["template"]["spec"]["containers"]

    assert {"name": "RELATED_IMAGE_tunnel", "value": "registry.example.com/tunnel:1"} in manager["env"]
    assert {"name": "tunnel", "image": "registry.example.com/tunnel:1"} in csv["spec"]["relatedImages"]


def test_what_the_tests_say_of_all_components_holds_for_it(tree: Tree) -> None:
    chosen = [
        "tests/unit/packaging/test_config.py",
        "tests/unit/plugin_utils/passes/test_role_interface.py",
        "tests/unit/plugin_utils/passes/test_sections.py",
        "tests/unit/plugin_utils/spec/test_fields.py",
    ]

    told = tree.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen)

    assert re.search(r"^\d+ passed in", told, re.MULTILINE), told
