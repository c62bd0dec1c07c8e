# SPDX-License-Identifier: Apache-2.0
"""The pictures of the documentation: hack/docs/pictures/NAME.toml -> docs/explanation/NAME.svg.

A picture is a grid of boxes and arrows between them. Plain SVG, so that the site builds and shows without a network.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent / "pictures"
TARGET = ROOT / "docs" / "explanation"

CELL_WIDTH, CELL_HEIGHT = 260, 115
BOX_WIDTH, LINE_HEIGHT, MARGIN = 190, 17, 10
COLOURS = {
    "user": ("#fff4d6", "#b8860b"),
    "ours": ("#dcebff", "#2f5f9e"),
    "cluster": ("#eeeeee", "#666666"),
    "kept": ("#dff3df", "#2e7d32"),
    "lost": ("#fbe3e0", "#b3392b"),
}
"""{kind of box: (fill, border)}"""


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    height: float
    kind: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Box:
        """`at` is [column, row], halves allowed; the box is centred in its cell."""
        lines = tuple(entry["text"].split("\n"))
        column, row = entry["at"]
        x, y = MARGIN + column * CELL_WIDTH + CELL_WIDTH / 2, MARGIN + row * CELL_HEIGHT + CELL_HEIGHT / 2
        return cls(x, y, len(lines) * LINE_HEIGHT + 20, entry["kind"], lines)

    def edge_towards(self, other: Box) -> tuple[float, float]:
        """Where a line from the middle to another box's middle leaves this one."""
        dx, dy = other.x - self.x, other.y - self.y
        reach = min(BOX_WIDTH / 2 / abs(dx) if dx else float("inf"), self.height / 2 / abs(dy) if dy else float("inf"))
        return self.x + dx * reach, self.y + dy * reach

    def svg(self) -> str:
        fill, border = COLOURS[self.kind]
        left, top = self.x - BOX_WIDTH / 2, self.y - self.height / 2
        parts = [
            f'<rect x="{left:g}" y="{top:g}" width="{BOX_WIDTH}" height="{self.height:g}" rx="6" '
            f'fill="{fill}" stroke="{border}"/>'
        ]
        for number, line in enumerate(self.lines):
            weight = ' font-weight="bold"' if number == 0 else ""
            parts.append(
                f'<text x="{self.x:g}" y="{top + 10 + LINE_HEIGHT * (number + 0.75):g}"{weight}>{escape(line)}</text>'
            )
        return "\n".join(parts)


def files() -> dict[Path, str]:
    """{file: text}"""
    return {
        TARGET / f"{source.stem}.svg": draw(tomllib.loads(source.read_text(encoding="utf-8")))
        for source in sorted(SOURCES.glob("*.toml"))
    }


def draw(picture: dict[str, Any]) -> str:
    """The SVG of {"title", "box": [{"id", "at", "kind", "text"}], "arrow": [{"from", "to", "text"?}]}."""
    boxes = {entry["id"]: Box.of(entry) for entry in picture["box"]}
    width = max(box.x for box in boxes.values()) + CELL_WIDTH / 2 + MARGIN
    height = max(box.y for box in boxes.values()) + CELL_HEIGHT / 2 + MARGIN
    arrows = [_arrow(boxes[entry["from"]], boxes[entry["to"]], entry) for entry in picture.get("arrow", ())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
            'font-family="sans-serif" font-size="13" text-anchor="middle">',
            f"<title>{escape(picture['title'])}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#444"/></marker></defs>',
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#ffffff"/>',
            *arrows,
            *(box.svg() for box in boxes.values()),
            "</svg>",
            "",
        ]
    )


def _arrow(start: Box, end: Box, entry: dict[str, Any]) -> str:
    x1, y1 = start.edge_towards(end)
    x2, y2 = end.edge_towards(start)
    both = ' marker-start="url(#tip)"' if entry.get("both") else ""
    parts = [
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#444" marker-end="url(#tip)"{both}/>',
    ]
    if entry.get("text"):
        x, y = (x1 + x2) / 2, (y1 + y2) / 2 - 4
        for number, line in enumerate(reversed(entry["text"].split("\n"))):
            place = f'<text x="{x:g}" y="{y - 13 * number:g}" font-size="11"'
            parts.append(f'{place} stroke="#ffffff" stroke-width="4">{escape(line)}</text>')  # hides the line behind it
            parts.append(f'{place} fill="#444">{escape(line)}</text>')
    return "\n".join(parts)
