# SPDX-License-Identifier: Apache-2.0
"""Generated custom resources are such as the schema allows, and use all of it."""

from __future__ import annotations

import pytest
from hypothesis import Phase, find, given, settings

from ansible_collections.media.immich.plugins.plugin_utils.kube import schema
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete, open_api_schema
from support.generated import broken, from_schema, resources

SPEC = open_api_schema()["properties"]["spec"]
QUICKLY = settings(max_examples=2_000, database=None, phases=[Phase.generate])


@settings(max_examples=60, derandomize=True, database=None)
@given(cr=resources())
def test_a_generated_resource_is_well_formed(cr):
    completed = schema.with_defaults(SPEC, cr["spec"])

    assert schema.problems(SPEC, completed) == []


@pytest.mark.parametrize(
    ("below", "is_meant"),
    [
        pytest.param({"type": "integer", "minimum": 7}, lambda value: value > 1000, id="number"),
        pytest.param({"type": "string", "pattern": "^a+$"}, lambda value: len(value) > 1, id="pattern"),
        pytest.param({"enum": ["x", "y"], "type": "string"}, lambda value: value == "y", id="choice"),
        pytest.param(
            {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}, lambda value: value is None, id="null"
        ),
        pytest.param({"type": "array", "items": {"type": "boolean"}}, lambda value: True in value, id="list"),
        pytest.param(
            {"type": "object", "additionalProperties": {"type": "string"}}, lambda value: len(value) > 1, id="map"
        ),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, lambda value: isinstance(value, dict), id="open"),
    ],
)
def test_a_field_that_the_schema_gets_is_tried_without_a_change_here(below, is_meant):
    grown = {"type": "object", "properties": {"new": below, "other": {"type": "string"}}}

    found = find(from_schema(grown), lambda value: "new" in value and is_meant(value["new"]), settings=QUICKLY)

    assert schema.problems(grown, found) == []


def test_what_is_broken_is_mostly_refused_and_a_resource_mostly_not():
    def refused(strategy):
        count = []

        @settings(max_examples=60, derandomize=True, database=None)
        @given(cr=strategy)
        def each(cr):
            count.append(bool(complete(cr)[1]))

        each()
        return sum(count) / len(count)

    assert refused(resources()) < 0.5 < refused(broken())
