# SPDX-License-Identifier: Apache-2.0
"""Defaults as the API server fills them in; tests/integration/admission compares whole objects with a real one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.schema import with_defaults
from ansible_collections.media.immich.plugins.plugin_utils.spec import crd

REPLICAS = {"type": "integer", "default": 1}
SERVER = {"type": "object", "default": {}, "properties": {"replicas": REPLICAS, "image": {"type": "string"}}}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        pytest.param(an_object(replicas=REPLICAS), {}, {"replicas": 1}, id="absent"),
        pytest.param(an_object(replicas=REPLICAS), {"replicas": 0}, {"replicas": 0}, id="given"),
        pytest.param(an_object(replicas=REPLICAS), {"replicas": None}, {"replicas": 1}, id="null"),
        pytest.param(an_object(image={"type": "string"}), {"image": None}, {}, id="null-without-default"),
        pytest.param(
            an_object(quota={"type": "integer", "default": 1, "nullable": True}),
            {"quota": None},
            {"quota": None},
            id="null-in-a-nullable-field",
        ),
        pytest.param(an_object(server=SERVER), {}, {"server": {"replicas": 1}}, id="inside-a-default"),
        pytest.param(
            an_object(server=SERVER), {"server": {"image": "x"}}, {"server": {"image": "x", "replicas": 1}}, id="nested"
        ),
        pytest.param(an_object(server=an_object(replicas=REPLICAS)), {}, {}, id="object-without-default"),
        pytest.param(
            {"type": "array", "items": an_object(path={"type": "string", "default": "/"})},
            [{}, {"path": "/x"}],
            [{"path": "/"}, {"path": "/x"}],
            id="items",
        ),
        pytest.param({"type": "array", "items": {"type": "string", "default": "x"}}, [None], ["x"], id="null-item"),
        pytest.param(
            {"type": "object", "additionalProperties": an_object(replicas=REPLICAS)},
            {"a": {}, "b": None},
            {"a": {"replicas": 1}},
            id="additional-properties",
        ),
        pytest.param(
            an_object(known=REPLICAS) | {"x-kubernetes-preserve-unknown-fields": True},
            {"unknown": {"replicas": None}},
            {"unknown": {"replicas": None}, "known": 1},
            id="unknown-field",
        ),
        pytest.param(an_object(server=SERVER), {"server": "off"}, {"server": "off"}, id="wrong-type"),
    ],
)
def test_defaults_fill_what_is_absent_or_null(schema: dict[str, Any], value: Any, expected: Any) -> None:
    before = copy.deepcopy(value)

    result = with_defaults(schema, value)

    assert result == expected
    assert value == before


def test_defaults_of_two_objects_are_not_the_same_list() -> None:
    first, _ = crd.complete({"metadata": {"name": "a"}})
    first["spec"]["imagePullSecrets"].append({"name": "changed"})

    second, _ = crd.complete({"metadata": {"name": "b"}})

    assert second["spec"]["imagePullSecrets"] == []


FIELDS = frozenset({"spec", "server", "postgres", "immich", "persistence", "library", "size", "enabled", "replicas"})
FIELDS |= {"env", "name", "value", "valueFrom", "ingress", "hosts", "paths", "path", "pathType"}
ANYTHING = st.sampled_from([None, False, 0, -1, "", "1Gi", [], [None], {}, {"unknown": None}])


def likely(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What people may write where the schema is this, with FIELDS alone; here and there nothing like it."""
    known = {name: likely(child) for name, child in schema.get("properties", {}).items() if name in FIELDS}
    if known:
        return st.integers(0, 5).flatmap(
            lambda die: ANYTHING if die == 5 else st.fixed_dictionaries({}, optional=known)
        )
    return ANYTHING | st.lists(likely(schema["items"]), max_size=2) if "items" in schema else ANYTHING


@given(likely(crd.open_api_schema()["properties"]["spec"]))
def test_any_json_is_completed_once_and_for_all(spec: Any) -> None:
    once, problems = crd.complete({"apiVersion": crd.API_VERSION, "kind": crd.KIND, "spec": spec})

    twice, problems_again = crd.complete(once)

    assert twice == once
    assert problems_again == problems
