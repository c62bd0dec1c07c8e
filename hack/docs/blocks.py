# SPDX-License-Identifier: Apache-2.0
"""The code blocks of a documentation page and the marks that say what a test does with each.

A mark is an HTML comment on the line before the block, which readers do not see:

    run         commands that succeed, run in the order of the page
    refused     commands that fail, as the page says
    output      what the preceding commands print; `...` stands for any text, and ages are not compared
    file: NAME  content of a file that later commands use
    fragment    an Immich, or part of one starting with `spec:`; the API server has to accept it
    real        commands that need real containers; the end-to-end tests run them
    elsewhere   belongs to another machine or program; nothing runs it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MARKS = frozenset({"run", "refused", "output", "file", "fragment", "real", "elsewhere"})

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w-]*)\s*(?P<rest>.*)$")
_MARK = re.compile(r"^<!-- (?P<mark>\w+)(?:: (?P<argument>\S+))? -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `mark` is None if the line before it is not a mark, `line` counts from 1."""

    page: str
    line: int
    language: str
    mark: str | None
    argument: str
    text: str

    @property
    def where(self) -> str:
        return f"docs/{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return self.text.strip().splitlines()[0]


def pages() -> list[str]:
    """All pages, as paths below docs/, in alphabetical order."""
    return sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page; ValueError if one is not closed."""
    return list(_blocks(page, (DOCS / page).read_text(encoding="utf-8")))


def _blocks(page: str, text: str) -> Iterator[Block]:
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if not fence:
            number += 1
            continue
        start, indent = number, len(fence["indent"])
        content: list[str] = []
        number += 1
        while number < len(lines) and lines[number].strip() != fence["fence"]:
            content.append(lines[number][indent:])
            number += 1
        if number == len(lines):
            raise ValueError(f"docs/{page}:{start + 1}: the block is not closed")
        number += 1
        mark = _MARK.match(lines[start - 1].strip()) if start else None
        yield Block(
            page=page,
            line=start + 1,
            language=fence["language"],
            mark=mark["mark"] if mark else None,
            argument=(mark["argument"] or "") if mark else "",
            text="\n".join(content) + "\n",
        )
