# SPDX-License-Identifier: Apache-2.0
"""What plugins say of themselves for ansible-doc is YAML."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
BLOCKS = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
PLUGINS = [
    path for kind in ("filter", "modules", "doc_fragments") for path in sorted((ROOT / "plugins" / kind).glob("*.py"))
]


def _texts(tree: ast.AST) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in BLOCKS
    }


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in PLUGINS])
def test_what_a_plugin_says_of_itself_is_yaml(path: Path) -> None:
    texts = _texts(ast.parse(path.read_text(encoding="utf-8")))

    assert "DOCUMENTATION" in texts
    assert all(isinstance(yaml.safe_load(text), dict | list | None) for text in texts.values())
