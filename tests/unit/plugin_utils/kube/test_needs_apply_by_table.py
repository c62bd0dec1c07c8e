# SPDX-License-Identifier: Apache-2.0
"""Whether an apply is needed: what each rule says, on live objects as small as the rule allows."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.difference import needs_apply, without_nulls
from ansible_collections.media.immich.plugins.plugin_utils.kube.quantities import quantity_value

Manifest = dict[str, Any]


def live(desired: Manifest, owned: Manifest | None, **entry: Any) -> Manifest:
    """`desired` as a live object with a record (None: without any) of our last apply."""
    stored = copy.deepcopy(desired)
    if owned is not None:
        ours = {"manager": "immich-operator", "operation": "Apply", "apiVersion": "v1", "fieldsV1": owned, **entry}
        stored.setdefault("metadata", {})["managedFields"] = [ours]
    return stored


def spec(**fields: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": fields}


def owned_spec(**fields: Any) -> Manifest:
    return {"f:spec": {f"f:{name}": below for name, below in fields.items()}}


@pytest.mark.parametrize(
    ("want", "have", "owned", "is_needed"),
    [
        pytest.param({"a": 1}, {"a": 1}, {"a": {}}, False, id="equal"),
        pytest.param({"a": 1}, {"a": 2}, {"a": {}}, True, id="other-value"),
        pytest.param({"a": 1}, {}, {"a": {}}, True, id="absent"),
        pytest.param({"a": 1}, {"a": "1"}, {"a": {}}, True, id="number-is-not-text"),
        pytest.param({"a": True}, {"a": 1}, {"a": {}}, True, id="true-is-not-one"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, {"a": {}}, False, id="default-of-another-field"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, {"a": {}, "b": {}}, True, id="field-given-up"),
        pytest.param({"a": 1, "b": None}, {"a": 1, "b": 2}, {"a": {}, "b": {}}, True, id="null-is-given-up"),
        pytest.param({"a": 1, "b": None}, {"a": 1, "b": 2}, {"a": {}}, False, id="null-is-absent"),
        pytest.param({"a": 1}, {"a": 1}, {"b": {}}, True, id="not-ours"),
        pytest.param({"a": ""}, {}, {"a": {}}, False, id="empty-text-left-out"),
        pytest.param({"a": 0}, {}, {"a": {}}, False, id="zero-left-out"),
        pytest.param({"a": False}, {}, {"a": {}}, False, id="false-left-out"),
        pytest.param({"a": 0}, {"a": 1}, {"a": {}}, True, id="zero-replaced"),
        pytest.param({"args": []}, {}, {}, False, id="empty-list-left-out"),
        pytest.param({"args": []}, {"args": ["x"]}, {}, True, id="empty-list-filled-by-others"),
        pytest.param({"env": []}, {"env": [{"name": "x"}]}, {}, False, id="empty-merged-list-is-nothing-to-own"),
        pytest.param({"nodeSelector": {}}, {}, {}, False, id="empty-map-left-out"),
        pytest.param({"nodeSelector": {}}, {"nodeSelector": {"a": "b"}}, {}, True, id="empty-atomic-map-filled-by-others"),
        pytest.param({"annotations": {}}, {"annotations": {"a": "b"}}, {}, False, id="empty-granular-map-filled-by-others"),
        pytest.param({"emptyDir": {}}, {"emptyDir": {}}, {"emptyDir": {}}, False, id="empty-structure"),
        pytest.param({"emptyDir": {}}, {"hostPath": {}}, {"emptyDir": {}}, True, id="empty-structure-gone"),
        pytest.param({"emptyDir": {}}, {"emptyDir": {"medium": "Memory"}}, {"emptyDir": {}}, False, id="filled-by-others"),
        pytest.param({"emptyDir": {}}, {"emptyDir": {}}, {}, True, id="empty-structure-not-ours"),
        pytest.param({"labels": {"a": "b"}}, {"labels": {"a": "b"}}, {"labels": {}}, True, id="map-ours-but-not-its-key"),
    ],
)  # fmt: skip
def test_a_field_is_right_when_it_has_our_value_and_is_ours(
    want: Manifest, have: Manifest, owned: Manifest, is_needed: bool
) -> None:
    desired = spec(kept=1, **want)
    stored = {**live(desired, owned_spec(kept={}, **owned)), "spec": {"kept": 1, **have}}

    assert needs_apply(desired, stored) is is_needed


@pytest.mark.parametrize(
    ("want", "have", "is_needed"),
    [
        pytest.param("1000m", "1", False, id="milli"),
        pytest.param(0.5, "500m", False, id="float"),
        pytest.param(1, "1", False, id="int"),
        pytest.param("1024Mi", "1Gi", False, id="binary"),
        pytest.param("1e3", "1k", False, id="exponent"),
        pytest.param("1Gi", "1G", True, id="binary-is-not-decimal"),
        pytest.param("x", "1", True, id="no-quantity"),
    ],
)
def test_amounts_are_compared_by_value(want: Any, have: Any, is_needed: bool) -> None:
    def resources(amount: Any) -> Manifest:
        return spec(resources={"limits": {"cpu": amount}})

    stored = live(resources(have), owned_spec(resources={"f:limits": {"f:cpu": {}}}))

    assert needs_apply(resources(want), stored) is is_needed


@pytest.mark.parametrize("field", ["data", "annotations", "value", "limits"])
def test_text_that_looks_like_an_amount_is_text_outside_of_resources(field: str) -> None:
    stored = live(spec(**{field: {"cpu": "1"}}), owned_spec(**{field: {"f:cpu": {}}}))

    assert needs_apply(spec(**{field: {"cpu": "1000m"}}), stored)


@pytest.mark.parametrize(
    ("want", "have", "is_needed"),
    [
        pytest.param(80, "80", False, id="same-number"),
        pytest.param("25%", "25%", False, id="text"),
        pytest.param(80, "81", True, id="other-number"),
        pytest.param(True, "True", True, id="no-number"),
    ],
)
def test_a_number_and_its_text_are_one_port(want: Any, have: Any, is_needed: bool) -> None:
    stored = live(spec(targetPort=have), owned_spec(targetPort={}))

    assert needs_apply(spec(targetPort=want), stored) is is_needed


A, B, C = ({"name": name, "value": name} for name in "abc")
OWNED_AB: Manifest = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in "ab"}


@pytest.mark.parametrize(
    ("want", "have", "is_needed"),
    [
        pytest.param([A, B], [A, B], False, id="equal"),
        pytest.param([A, B], [C, A, C, B], False, id="items-of-others-between"),
        pytest.param([A, B], [B, A], True, id="other-order"),
        pytest.param([A, B], [A], True, id="item-gone"),
        pytest.param([A], [A, B], True, id="item-given-up"),
        pytest.param([A, B, C], [A, B, C], True, id="item-not-ours"),
        pytest.param([A, {**B, "value": "x"}], [A, B], True, id="item-changed"),
        pytest.param([A, {"name": "b"}], [A, B], True, id="field-of-item-given-up"),
    ],
)
def test_merged_lists_are_compared_by_their_items(want: list[Any], have: list[Any], is_needed: bool) -> None:
    stored = live(spec(env=have), owned_spec(env=OWNED_AB))

    assert needs_apply(spec(env=want), stored) is is_needed


@pytest.mark.parametrize(
    ("want", "is_needed"),
    [
        pytest.param(
            [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}], False, id="protocol-defaults-to-tcp"
        ),
        pytest.param(
            [{"containerPort": 53, "protocol": "SCTP"}, {"containerPort": 53, "protocol": "UDP"}],
            True,
            id="other-protocol",
        ),
        pytest.param([{"containerPort": 53}], True, id="one-given-up"),
    ],
)
def test_ports_are_told_apart_by_number_and_protocol(want: list[Any], is_needed: bool) -> None:
    have = [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    owned: Manifest = {
        'k:{"containerPort":53,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
        'k:{"containerPort":53,"protocol":"UDP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
    }

    assert needs_apply(spec(ports=want), live(spec(ports=have), owned_spec(ports=owned))) is is_needed


def test_a_merge_key_that_the_server_completes_is_found_in_kinds_without_a_table() -> None:
    have = [{"weight": 1, "zone": "default"}]
    owned: Manifest = {'k:{"weight":1,"zone":"default"}': {".": {}, "f:weight": {}}}

    assert not needs_apply(spec(routes=[{"weight": 1}]), live(spec(routes=have), owned_spec(routes=owned)))


@pytest.mark.parametrize(
    ("want", "have", "is_needed"),
    [
        pytest.param(["a", "b"], ["a", "b"], False, id="equal"),
        pytest.param(["a", "b"], ["x", "a", "b"], False, id="values-of-others"),
        pytest.param(["a"], ["a", "b"], True, id="value-given-up"),
        pytest.param(["a", "b", "c"], ["a", "b", "c"], True, id="value-not-ours"),
        pytest.param(["a", "b"], ["a"], True, id="value-gone"),
    ],
)
def test_sets_are_compared_by_their_values(want: list[str], have: list[str], is_needed: bool) -> None:
    stored = live(spec(finalizers=have), owned_spec(finalizers={'v:"a"': {}, 'v:"b"': {}}))

    assert needs_apply(spec(finalizers=want), stored) is is_needed


@pytest.mark.parametrize(
    ("want", "have", "is_needed"),
    [
        pytest.param(["a"], ["a"], False, id="equal"),
        pytest.param(["a"], ["a", "b"], True, id="longer"),
        pytest.param([{"key": "a"}], [{"key": "a", "tolerationSeconds": 0}], True, id="field-added-or-given-up"),
        pytest.param([{"fieldPath": "x"}], [{"fieldPath": "x", "apiVersion": "v1"}], False, id="default-inside"),
        pytest.param(
            [{"labelSelector": {}}],
            [{"labelSelector": {"matchLabels": {"a": "b"}}}],
            True,
            id="empty-map-inside-filled",
        ),
        pytest.param([["a"]], [["a", "b"]], True, id="list-in-list"),
    ],
)
def test_atomic_lists_are_compared_to_the_last_field(want: list[Any], have: list[Any], is_needed: bool) -> None:
    stored = live(spec(tolerations=have), owned_spec(tolerations={}))

    assert needs_apply(spec(tolerations=want), stored) is is_needed


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"manager": "kubectl"}, id="another-manager"),
        pytest.param({"operation": "Update"}, id="an-update-of-ours"),
        pytest.param({"subresource": "status"}, id="a-status-of-ours"),
        pytest.param({"apiVersion": "v1beta1"}, id="another-api-version"),
        pytest.param({"fieldsV1": {}}, id="an-empty-record"),
    ],
)
def test_what_we_have_not_applied_is_taken_over(entry: Manifest) -> None:
    desired = spec(a=1)

    assert needs_apply(desired, live(desired, owned_spec(a={}), **entry))
    assert not needs_apply(desired, live(desired, owned_spec(a={})))


def test_another_field_manager_has_a_record_of_its_own() -> None:
    desired = spec(a=1)
    stored = live(desired, owned_spec(a={}), manager="ansible-playbook")

    assert not needs_apply(desired, stored, field_manager="ansible-playbook")


def test_what_does_not_exist_is_applied() -> None:
    assert needs_apply(spec(a=1), None)


def test_bookkeeping_and_status_are_nothing_to_apply() -> None:
    desired = {**spec(a=1), "status": {"ready": True}}
    desired["metadata"].update(uid="1", resourceVersion="2", creationTimestamp=None)

    assert not needs_apply(desired, live(spec(a=1), owned_spec(a={})))


@pytest.mark.parametrize(
    ("want", "have", "is_needed"),
    [
        pytest.param({"env": [A]}, {"env": [C, A]}, False, id="items-by-name"),
        pytest.param(
            {"ports": [{"port": 80}]},
            {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 3}]},
            False,
            id="service-ports",
        ),
        pytest.param(
            {"ports": [{"port": 80}]},
            {"ports": [{"port": 80, "protocol": "UDP"}]},
            True,
            id="service-port-of-another-protocol",
        ),
        pytest.param({"env": [A, B]}, {"env": [B, A]}, True, id="order"),
        pytest.param({"command": ["a"]}, {"command": ["a", "b"]}, True, id="other-lists-item-by-item"),
        pytest.param({"finalizers": ["a"]}, {"finalizers": ["b", "a"]}, False, id="sets"),
        pytest.param({"emptyDir": {}}, {}, True, id="empty-structure-gone"),
        pytest.param({"nodeSelector": {}}, {}, False, id="empty-map"),
    ],
)
def test_without_a_record_values_decide_and_tables_tell_how_lists_merge(
    want: Manifest, have: Manifest, is_needed: bool
) -> None:
    assert needs_apply(spec(**want), live(spec(**have), None)) is is_needed


def test_nulls_are_taken_out_at_every_depth() -> None:
    manifest = {"a": None, "b": {"c": None, "d": 1}, "e": [{"f": None}, None]}

    assert without_nulls(manifest) == {"b": {"d": 1}, "e": [{}, None]}


NAMES = st.text("abc", min_size=1, max_size=2)
SCALARS = st.one_of(st.booleans(), st.integers(0, 5), NAMES, st.just(""))
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.dictionaries(NAMES, below, max_size=4), st.lists(below, max_size=3)),
    max_leaves=8,
)


def record(value: Any) -> Manifest:
    """fieldsV1 of an apply of `value` where every map is granular and every list atomic."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{key}": record(item) for key, item in value.items()}


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_an_object_is_never_different_from_itself(fields: Manifest) -> None:
    desired = spec(**fields)

    assert not needs_apply(desired, live(desired, record({"spec": fields})))
    assert not needs_apply(desired, live(desired, None))


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=5), st.data())
def test_a_field_that_is_dropped_or_changed_is_always_noticed(fields: Manifest, data: st.DataObject) -> None:
    stored = live(spec(**fields), record({"spec": fields}))
    name = data.draw(st.sampled_from(sorted(fields)))

    less = {key: value for key, value in fields.items() if key != name}
    other = {**fields, name: {"zzz": json.dumps(fields[name])}}

    assert needs_apply(spec(**less), stored)
    assert needs_apply(spec(**other), stored)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("100m", "0.1"),
        ("1Ki", 1024),
        ("1k", 1000),
        ("2E", 2 * 10**18),
        ("1e-3", "0.001"),
        ("-1", -1),
    ],
)
def test_quantities_have_their_exact_value(text: str, value: Any) -> None:
    assert quantity_value(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1GiB", "--1", True, None])
def test_what_is_no_quantity_has_no_value(text: Any) -> None:
    assert quantity_value(text) is None
