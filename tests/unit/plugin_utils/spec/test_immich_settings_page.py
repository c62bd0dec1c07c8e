# SPDX-License-Identifier: Apache-2.0
"""docs/reference/immich-settings.md says what the table says. Run this file to write the page's tables anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings import check_settings
from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings_schema import (
    IMMICH_SETTINGS,
    OPERATOR_SETTINGS,
    Flag,
    Kind,
    Number,
)

PAGE = Path(__file__).parents[4] / "docs/reference/immich-settings.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"


def accepted(kind: Kind) -> str:
    text: str = kind.takes[0].upper() + kind.takes[1:]
    if isinstance(kind, Flag) and not kind.strict:
        return f'{text}, also as text ("true")'
    if isinstance(kind, Number) and kind.loose:
        return f'{text}, also as text ("{kind.least:g}")'
    return text


def tables() -> Iterator[str]:
    section = ""
    for path, kind in IMMICH_SETTINGS.items():
        if path.split(".")[0] != section:
            section = path.split(".")[0]
            yield f"\n### {section}\n\n| Setting | Accepted |\n|---|---|\n"
        yield f"| `{path}` | {accepted(kind)} |\n"
    yield "\n### Keys of the operator\n\n| Setting | Accepted |\n|---|---|\n"
    for path, kind in OPERATOR_SETTINGS.items():
        yield f"| `{path}` | {accepted(kind)} |\n"
    yield "\n"


def with_tables(page: str) -> str:
    head, rest = page.split(BEGIN)
    return head + BEGIN + "".join(tables()) + END + rest.split(END)[1]


def test_the_page_has_the_tables_of_the_schema() -> None:
    page = PAGE.read_text()

    assert page == with_tables(page), f"run {Path(__file__).name} to write {PAGE.name} anew"


def test_the_examples_of_the_page_give_no_finding() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)

    assert examples
    for example in examples:
        assert check_settings(yaml.safe_load(example)["spec"]["immich"]["configuration"]) == []


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
