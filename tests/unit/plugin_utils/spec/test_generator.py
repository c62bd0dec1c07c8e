# SPDX-License-Identifier: Apache-2.0
"""The CRD file: small, and documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from hack.crd import generate, sources


def own_fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields that are ours: an object without descriptions inside is a Kubernetes type."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        inner = field.get("items", field)
        if any("description" in child for child in inner.get("properties", {}).values()):
            yield from own_fields(inner, f"{path}.{name}")


def test_client_side_apply_can_store_the_crd_in_an_annotation() -> None:
    compact = json.dumps(crd.definition(), separators=(",", ":"))

    assert len(compact.encode()) < 200_000


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and all within it."""
    if isinstance(schema, dict):
        yield schema
        for inner in schema.values():
            yield from nodes(inner)


def test_nothing_that_takes_any_value_takes_it_at_any_depth() -> None:
    """What is 9,990 levels deep can be stored, but not read any more: not by anybody, of no namespace."""
    opened = [node for node in nodes(crd.open_api_schema()) if node.get("x-kubernetes-preserve-unknown-fields")]

    unbounded = [
        node
        for node in opened
        if ("items" not in node and node.get("maxItems") != 0)
        or ("additionalProperties" not in node and node.get("maxProperties") != 0)
    ]

    assert opened
    assert unbounded == []


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_of_ours_has_a_description(part: str) -> None:
    schema = crd.open_api_schema()["properties"][part]

    silent = [path for path, field in own_fields(schema, part) if "description" not in field]

    assert silent == []


def test_a_description_ends_with_the_default() -> None:
    fields = dict(own_fields(crd.open_api_schema()["properties"]["spec"]))

    assert fields[".valkey.port"]["description"].endswith("Default: 6379.")
    assert fields[".immich.persistence.library.accessModes"]["description"].endswith('Default: ["ReadWriteOnce"].')
    assert fields[".server.ingress.enabled"]["description"].endswith("Default: false.")


def test_kubernetes_types_carry_structure_but_no_descriptions() -> None:
    components = crd.open_api_schema()["properties"]["spec"]["properties"]
    shared = ("affinity", "podSecurityContext", "resources", "securityContext", "tolerations")

    for component in ("server", "machineLearning", "valkey", "postgres"):
        for name in shared:
            field = components[component]["properties"][name]
            described = [path for path, inner in own_fields(field.get("items", field)) if "description" in inner]
            assert described == []
            assert field.get("items", field)["properties"]


def test_a_word_that_is_no_keyword_is_refused_with_its_path() -> None:
    expander = generate.Expander(shared={}, core={})

    with pytest.raises(ValueError, match=r"\.spec\.size: requred is no keyword"):
        expander.expand({"properties": {"spec": {"properties": {"size": {"type": "string", "requred": True}}}}}, "")


def test_refers_collects_the_paths_of_names_and_leaves_no_trace_in_the_schema() -> None:
    expander = generate.Expander(shared={"name": {"type": "string", "refers": "Secret"}}, core={})

    field = expander.expand({"properties": {"spec": {"properties": {"keys": {"items": {"use": "name"}}}}}}, "")

    assert field == {"properties": {"spec": {"properties": {"keys": {"items": {"type": "string"}}}}}}
    assert expander.refers == {"Secret": ["spec.keys[]"]}


def test_refers_takes_only_kinds_that_passes_can_read() -> None:
    expander = generate.Expander(shared={}, core={})

    with pytest.raises(ValueError, match=r"\.spec: refers to Secrets, which has no row in plugins/.*/kinds\.py"):
        expander.expand({"properties": {"spec": {"type": "string", "refers": "Secrets"}}}, "")


def test_what_stands_beside_use_wins_over_what_is_used() -> None:
    shared = {"port": {"type": "integer", "minimum": 1, "default": 80}}
    expander = generate.Expander(shared=shared, core={})

    field = expander.expand({"use": "port", "default": 5432}, "")

    assert field == {"type": "integer", "minimum": 1, "default": 5432}


def test_a_source_that_has_a_key_twice_is_refused_as_the_last_one_would_count_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy.yaml").write_text("resource: {}\nschema: {type: object}\nschema: {}\n", encoding="utf-8")
    monkeypatch.setattr(sources, "HERE", tmp_path)

    with pytest.raises(yaml.YAMLError, match="the key schema is there twice"):
        sources.all_of_them.__wrapped__()
