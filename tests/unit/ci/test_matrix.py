# SPDX-License-Identifier: Apache-2.0
"""Which tests run with every release of ansible-core."""

from __future__ import annotations

import ast
from pathlib import Path

from conftest import ON_EVERY_CORE, UNIT

ANSIBLE = ("ansible", "ansible_runner", "immich_operator.engine")
PLUGINS = tuple(f"ansible_collections.media.immich.plugins.{kind}" for kind in ("action", "filter", "modules"))


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


def _needs_ansible(path: Path) -> bool:
    return any(name == root or name.startswith(f"{root}.") for name in _imported(path) for root in (*ANSIBLE, *PLUGINS))


def _runs_with_every_core(path: Path) -> bool:
    is_marked = "pytestmark = pytest.mark.every_core" in path.read_text(encoding="utf-8")
    return is_marked or any(path.is_relative_to(folder) for folder in ON_EVERY_CORE)


def test_what_imports_ansible_runs_with_every_release_of_it() -> None:
    assert [path for path in UNIT.rglob("test_*.py") if _needs_ansible(path) and not _runs_with_every_core(path)] == []
