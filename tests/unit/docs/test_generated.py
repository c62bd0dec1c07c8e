# SPDX-License-Identifier: Apache-2.0
"""Generated pages say what a reader looks for."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from hack.docs import fields
from hack.docs.blocks import DOCS, ROOT


@pytest.mark.parametrize(
    ("path", "row"),
    [
        pytest.param(
            "replicas",
            "| `replicas` | integer; 0 or more | `1` | Number of pods. |",
            id="least",
        ),
        pytest.param("port", "| `port` | integer; 1 to 65535 | `5432` | Port. |", id="range"),
        pytest.param("kind", "| `kind` | string; `A` or `B` | that of the cluster | Kind. |", id="choices"),
        pytest.param("size", "| `size` | quantity, such as `10Gi` |  | Size. |", id="quantity"),
        pytest.param("affinity", "| `affinity` | Affinity |  | Where. |", id="kubernetes-type"),
        pytest.param("ref", "| `ref` | object; needs `name` and `key` |  | Secret. |", id="required"),
    ],
)
def test_a_row_has_type_limits_default_and_meaning(path: str, row: str) -> None:
    schemas: dict[str, dict[str, Any]] = {
        "replicas": {
            "type": "integer", "format": "int32", "minimum": 0, "default": 1,
            "description": "Number of pods. Default: 1.",
        },
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 5432, "description": "Port. Default: 5432."},
        "kind": {"type": "string", "enum": ["A", "B", ""], "description": "Kind. Default: that of the cluster."},
        "size": {"x-kubernetes-int-or-string": True, "maxLength": 64, "description": "Size."},
        "affinity": {"type": "object", "properties": {"nodeAffinity": {"type": "object"}}, "description": "Where."},
        "ref": {"type": "object", "required": ["name", "key"], "properties": {}, "description": "Secret."},
    }  # fmt: skip

    text = fields.table([fields.row(fields.Field(path, schemas[path]), "spec.part")])

    assert text.splitlines()[2] == row.replace("| `", f'| <a id="spec.part.{path}"></a>`', 1)


def test_the_page_of_fields_has_every_field_with_a_description() -> None:
    text = (DOCS / "reference" / "fields.md").read_text(encoding="utf-8")
    spec = fields.at(crd.open_api_schema(), "spec")

    missing = [
        field.path
        for component in ("immich", "server", "machineLearning", "valkey", "postgres")
        for field in fields.fields(spec["properties"][component], "")
        if f"</a>`{field.path}` |" not in text
    ]

    assert missing == []


def test_each_field_has_an_anchor_of_its_path_and_no_other_has_one() -> None:
    text = (DOCS / "reference" / "fields.md").read_text(encoding="utf-8")
    schema = crd.open_api_schema()

    anchors = re.findall(r'<a id="([^"]+)"></a>', text)

    described = [
        fields.anchor(f"{part}.{field.path}")
        for part in ("spec", "status")
        for field in fields.fields(fields.at(schema, part), "")
    ]
    assert sorted(anchors) == sorted(["spec", "status", *described])


OF_OTHER_KINDS = frozenset({"spec.host"})
"""Fields of a Route, not of an Immich."""


def test_each_field_that_a_message_may_name_has_an_anchor_or_is_below_one() -> None:
    anchors = set(re.findall(r'<a id="([^"]+)"></a>', (DOCS / "reference" / "fields.md").read_text(encoding="utf-8")))
    told = {
        path
        for file in (ROOT / "plugins" / "plugin_utils").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for path in re.findall(r"(?<![\w.])spec\.[a-z]\w*(?:\.[a-zA-Z]\w*)*(?![\w.{])", node.value)
    }

    unknown = [
        path
        for path in told - OF_OTHER_KINDS
        if not any(f"{path}.".startswith(f"{known}.") for known in anchors - {"spec"})
    ]

    assert len(told) > 30
    assert sorted(unknown) == []
