# SPDX-License-Identifier: Apache-2.0
"""Generated pages say what a reader looks for."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from hack.docs import fields
from hack.docs.blocks import DOCS


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

    text = fields.table([fields.row(fields.Field(path, schemas[path]))])

    assert text.splitlines()[2] == row


def test_the_page_of_fields_has_every_field_with_a_description() -> None:
    text = (DOCS / "reference" / "fields.md").read_text(encoding="utf-8")
    spec = fields.at(crd.open_api_schema(), "spec")

    missing = [
        field.path
        for component in ("immich", "server", "machineLearning", "valkey", "postgres")
        for field in fields.fields(spec["properties"][component], "")
        if f"| `{field.path}` |" not in text
    ]

    assert missing == []
