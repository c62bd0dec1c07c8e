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
