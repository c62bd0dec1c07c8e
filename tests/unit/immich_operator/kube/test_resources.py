# SPDX-License-Identifier: Apache-2.0
"""Names and owners of objects."""

import pytest

from immich_operator.kube.resources import Kind, owner_of, ref_of


@pytest.mark.parametrize(
    "obj",
    [None, [], "x", {}, {"metadata": None}, {"metadata": []}, {"metadata": {"name": ""}}, {"metadata": {"name": 5}}],
)
def test_an_object_without_a_name_has_no_reference(obj):
    assert ref_of(obj) is None


def test_the_controlling_owner_takes_precedence_over_other_owners_and_other_kinds_do_not_count():
    kind = Kind("example.org/v1", "Widget")
    owners = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "controller": True},
        {"apiVersion": "example.org/v1beta1", "kind": "Widget", "name": "first"},
        {"apiVersion": "example.org/v1", "kind": "Widget", "name": "main", "controller": True},
    ]

    assert owner_of({"metadata": {"ownerReferences": owners}}, kind) == "main"
    assert owner_of({"metadata": {"ownerReferences": owners[:2]}}, kind) == "first", "another version of the group"
    assert owner_of({"metadata": {"ownerReferences": owners[:1]}}, kind) is None


HOSTILE = ["..", ".", "/etc", "a/b", "a%2fb", "a\\b", "a\0b", "a\nb", "a\x1b[2J", "\u202ea", "x" * 254, "a\u2028b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_api_server_stores_is_no_name(name):
    assert ref_of({"metadata": {"name": name, "namespace": "n"}}) is None
    assert ref_of({"metadata": {"name": "a", "namespace": name}}) is None
    assert ref_of({"metadata": {"name": "a", "uid": name}}) is None


@pytest.mark.parametrize("namespace", ["a.b", "A", "-a", "a-", "x" * 64, "{{ x }}"])
def test_a_namespace_is_a_label_of_dns(namespace):
    assert ref_of({"metadata": {"name": "a", "namespace": namespace}}) is None


@pytest.mark.parametrize("name", ["photos", "a.b-c", "system:controller:x", "x" * 253, "Upper_Case"])
def test_names_of_all_kinds_are_names(name):
    assert ref_of({"metadata": {"name": name, "uid": "6f9619ff-8b86-d011-b42d-00cf4fc964ff"}}) == ("", name)
