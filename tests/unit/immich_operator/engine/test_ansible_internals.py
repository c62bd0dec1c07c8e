# SPDX-License-Identifier: Apache-2.0
"""The table of what the engine uses of ansible-core's inside is true."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
MODULE = ROOT / "immich_operator" / "engine" / "ansible_internals.py"
ROW = re.compile(r"^\| ([\w.]+) \| (all|until [\d.]+|since [\d.]+) \| (test_\w+) \|$", re.MULTILINE)
ROWS = ROW.findall(ast.get_docstring(ast.parse(MODULE.read_text())) or "")
RESOLVE = """
import importlib, sys
import ansible.cli.playbook
for name in sys.argv[1:]:
    parts = ["ansible", *name.split(".")]
    found, at = sys.modules["ansible"], 1
    while at < len(parts):
        try:
            found = importlib.import_module(".".join(parts[:at + 1]))
        except ImportError:
            break
        at += 1
    try:
        for part in parts[at:]:
            found = getattr(found, part)
    except AttributeError:
        print(name)
"""


def in_this_release(releases: str) -> bool:
    here = tuple(map(int, importlib.metadata.version("ansible-core").split(".")[:2]))
    bound, _, release = releases.partition(" ")
    there = tuple(map(int, release.split("."))) if release else here
    return here <= there if bound == "until" else here >= there


@pytest.mark.every_core
def test_each_name_is_where_the_table_says() -> None:
    names = [name for name, releases, _ in ROWS if in_this_release(releases)]
    look = [sys.executable, "-c", RESOLVE, *names]

    missing = subprocess.run(look, capture_output=True, text=True, check=True).stdout.split()

    assert len(names) > 15
    assert missing == []


def test_each_test_of_the_table_exists() -> None:
    text = "".join(file.read_text() for file in (ROOT / "tests" / "integration" / "engine").glob("test_*.py"))

    assert [test for _, _, test in ROWS if f"def {test}(" not in text] == []


def test_each_import_from_inside_ansible_has_a_row() -> None:
    tree = ast.parse(MODULE.read_text())
    imported = {
        f"{node.module}.{alias.name}".removeprefix("ansible.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ansible")
        for alias in node.names
    }
    promised = {"release", "errors.AnsibleError", "plugins.callback.CallbackBase"}
    names = [name for name, _, _ in ROWS]

    lacking = {name for name in imported - promised if not any(f"{row}.".startswith(f"{name}.") for row in names)}

    assert lacking == set()
