# SPDX-License-Identifier: Apache-2.0
"""A second custom resource needs its source, its role and its entry in watches.yaml. All else is generated."""

from __future__ import annotations

import json

import pytest
import yaml

from support.second_kind import Tree, tree_with_a_toy

BY_FILTER = """
import json, sys
from ansible_collections.media.immich.plugins.filter.custom_resource import custom_resource
print(json.dumps(custom_resource(open(sys.argv[1]).read())))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return tree_with_a_toy(tmp_path_factory.mktemp("tree"))


def test_its_programs_use_the_copy(tree: Tree) -> None:
    name = "ansible_collections.media.immich.plugins.plugin_utils.spec.custom_kinds"

    file = tree.python("-c", f"import {name} as m; print(m.__file__)").strip()

    assert file == str(tree.folder / "plugins/plugin_utils/spec/custom_kinds.py")


def test_one_run_makes_all_of_it_fresh(tree: Tree) -> None:
    assert tree.python("-m", "hack.generate", "--check") == ""


def test_it_has_a_crd_that_an_installation_contains(tree: Tree) -> None:
    crd = yaml.safe_load(tree.text("crds/media.rm3l.org_toys.yaml"))

    assert crd["metadata"]["name"] == "toys.media.rm3l.org"
    assert "media.rm3l.org_toys.yaml" in yaml.safe_load(tree.text("crds/kustomization.yaml"))["resources"]


def test_the_operator_gets_the_rights_to_it(tree: Tree) -> None:
    rules = yaml.safe_load(tree.text("config/rbac/manager_role.yaml"))["rules"]

    assert {resource: rule["verbs"] for rule in rules for resource in rule["resources"] if "toys" in resource} == {
        "toys": ["get", "list", "watch"],
        "toys/status": ["patch"],
        "toys/finalizers": ["update"],
    }


def test_people_get_roles_for_it(tree: Tree) -> None:
    listed = yaml.safe_load(tree.text("config/rbac/cluster/kustomization.yaml"))["resources"]

    assert {"toy_admin_role.yaml", "toy_editor_role.yaml", "toy_viewer_role.yaml"} <= set(listed)


def test_the_loop_watches_what_it_names(tree: Tree) -> None:
    [entry] = [entry for entry in yaml.safe_load(tree.text("watches.yaml")) if entry["kind"] == "Toy"]

    assert entry["references"] == [{"apiVersion": "v1", "kind": "Secret", "paths": ["spec.key.name"]}]
    assert {"apiVersion": "v1", "kind": "ConfigMap"} in entry["dependents"]["kinds"]


def test_it_has_a_sample_which_consoles_show(tree: Tree) -> None:
    name = "media_v1alpha1_toy_minimal.yaml"
    csv = yaml.safe_load(tree.text("bundle/manifests/immich-operator.clusterserviceversion.yaml"))

    sample = yaml.safe_load(tree.text(f"config/samples/{name}"))

    assert sample == {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Toy", "metadata": {"name": "toy-minimal"}}
    assert name in yaml.safe_load(tree.text("config/samples/kustomization.yaml"))["resources"]
    assert sample in json.loads(csv["metadata"]["annotations"]["alm-examples"])


def test_the_bundle_owns_it(tree: Tree) -> None:
    csv = yaml.safe_load(tree.text("bundle/manifests/immich-operator.clusterserviceversion.yaml"))

    owned = {entry["name"]: entry for entry in csv["spec"]["customresourcedefinitions"]["owned"]}

    assert list(owned) == ["immiches.media.rm3l.org", "toys.media.rm3l.org"]
    assert owned["toys.media.rm3l.org"]["description"] == "One toy."
    assert (tree.folder / "bundle/manifests/media.rm3l.org_toys.yaml").is_file()


def test_its_fields_are_on_the_page_of_fields(tree: Tree) -> None:
    chapter = tree.text("docs/reference/fields.md").partition("\n## Toy\n")[2]

    assert '| <a id="Toy.spec.colour"></a>`colour` | string; `red` or `green` | `red` | Its colour. |' in chapter


def test_the_filter_custom_resource_fills_in_its_defaults(tree: Tree) -> None:
    sample = "config/samples/media_v1alpha1_toy_minimal.yaml"

    assert json.loads(tree.python("-c", BY_FILTER, sample))["spec"] == {"colour": "red"}


def test_render_checks_it_and_says_that_only_its_role_knows_more(tree: Tree) -> None:
    with pytest.raises(AssertionError, match="Toy toy-minimal: nothing is wrong with it, but only its role knows"):
        tree.python("-m", "immich_operator", "render", "config/samples/media_v1alpha1_toy_minimal.yaml")
