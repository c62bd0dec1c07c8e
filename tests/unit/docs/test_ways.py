# SPDX-License-Identifier: Apache-2.0
"""docs/explanation/ways.md has every row and column, and names only tests that exist."""

from __future__ import annotations

import re

from hack.docs.blocks import DOCS, ROOT

PAGE = DOCS / "explanation" / "ways.md"
ROWS = [
    "Create", "Edit", "Switch off", "Drift", "Growth", "Missing Secret", "Refusal", "Delete", "Re-create", "Status",
    "Check mode", "Hostile text",
]  # fmt: skip
COLUMNS = ["", "Our runtime", "Operator SDK's runtime", "ansible-playbook with a file", "Own play", "Molecule"]
FOLDERS = {
    "Our runtime": "integration/instance",
    "Operator SDK's runtime": "integration/sdk",
    "ansible-playbook with a file": "integration/playbooks",
    "Own play": "integration/playbooks",
    "Molecule": "integration/playbooks",
}
NOT_THERE = "does not exist there"


def table() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_row_and_column_is_there() -> None:
    head, _, *rows = table()

    assert head == COLUMNS
    assert [row[0] for row in rows] == ROWS
    assert {len(row) for row in rows} == {len(COLUMNS)}


def test_each_cell_names_tests_that_exist_or_says_why_there_is_none() -> None:
    for name, *cells in table()[2:]:
        for column, cell in zip(COLUMNS[1:], cells, strict=True):
            if cell in ("", NOT_THERE):
                continue
            named = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
            assert named, f"{name}, {column}: {cell!r} names no test"
            for file, test in named:
                text = (ROOT / "tests" / FOLDERS[column] / file).read_text(encoding="utf-8")
                assert f"def {test}(" in text, f"{name}, {column}: there is no {file}::{test}"


def test_the_runtimes_have_no_empty_cell() -> None:
    for name, ours, theirs, *_ in table()[2:]:
        assert ours, name
        assert theirs, name
