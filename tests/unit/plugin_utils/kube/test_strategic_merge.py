# SPDX-License-Identifier: Apache-2.0
"""What a strategic merge patch makes of a pod template. The same table goes to a real API server in
tests/integration/collection_io/test_strategic_merge.py."""

import copy

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.strategic_merge import BadPatch, merged
from support.overlays import NO_PATCHES, PATCHES, TEMPLATE


def names(items):
    return [item["name"] for item in items]


@pytest.mark.parametrize("patch", [pytest.param(patch, id=name) for name, patch in PATCHES.items()])
def test_neither_side_is_changed(patch):
    template, given = copy.deepcopy(TEMPLATE), copy.deepcopy(patch)

    merged(template, given)

    assert (template, given) == (TEMPLATE, patch)


def test_an_item_is_found_by_its_name_and_a_new_one_comes_first():
    patch = {"spec": {"containers": [{"name": "new", "image": "n"}, {"name": "main", "image": "other"}]}}

    result = merged(TEMPLATE, patch)["spec"]["containers"]

    assert names(result) == ["new", "main", "side"]
    assert result[1] == {**TEMPLATE["spec"]["containers"][0], "image": "other"}


def test_null_removes_a_field_and_adds_none():
    spec = merged(TEMPLATE, {"spec": {"securityContext": None, "affinity": {"podAffinity": None}}})["spec"]

    assert "securityContext" not in spec
    assert spec["affinity"] == {}


def test_an_item_can_be_deleted_and_a_list_replaced():
    deleted = merged(TEMPLATE, {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}})
    replaced = merged(TEMPLATE, {"spec": {"containers": [{"$patch": "replace"}, {"name": "only", "image": "o"}]}})

    assert names(deleted["spec"]["containers"]) == ["main"]
    assert names(replaced["spec"]["containers"]) == ["only"]


def test_lists_without_names_are_replaced_as_a_whole():
    patch = {"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "main", "args": ["x"]}]}}

    spec = merged(TEMPLATE, patch)["spec"]

    assert spec["tolerations"] == [{"key": "b"}]
    assert spec["containers"][0]["args"] == ["x"]


def test_a_source_of_a_volume_takes_the_place_of_another_one():
    volume = {"name": "data", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}

    assert merged(TEMPLATE, {"spec": {"volumes": [volume]}})["spec"]["volumes"][0] == {"name": "data", "emptyDir": {}}


@pytest.mark.parametrize(("patch", "part"), [pytest.param(*case, id=name) for name, case in NO_PATCHES.items()])
def test_what_is_no_patch_is_told_with_its_place(patch, part):
    with pytest.raises(BadPatch, match=part):
        merged(TEMPLATE, patch)
