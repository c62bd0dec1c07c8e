# SPDX-License-Identifier: Apache-2.0
"""Shows results: as a table on the terminal, as JSON, and as Markdown between two markers of a page."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import Figure, Key, Row, rows

__all__ = ["BEGIN", "END", "Machine", "Results", "markdown", "table", "write_page"]

BEGIN = "<!-- Made by `make bench`; do not edit. -->"
END = "<!-- End of what `make bench` has made. -->"
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was measured."""

    processors: int
    memory_gib: float
    kernel: str
    python: str
    ansible_core: str
    load: float
    """Average of the minute before."""

    @classmethod
    def this(cls) -> Machine:
        """The one that this runs on."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(
            processors=len(os.sched_getaffinity(0)),
            memory_gib=round(memory / 2**30, 1),
            kernel=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            ansible_core=version("ansible-core"),
            load=round(os.getloadavg()[0], 2),
        )

    def __str__(self) -> str:
        return (
            f"{self.processors} processors, {self.memory_gib:g} GiB, {self.kernel}, Python {self.python}, "
            f"ansible-core {self.ansible_core}; load before the start {self.load:g}"
        )


@dataclass(slots=True)
class Results:
    """Of one run; engines come in the order in which they are compared."""

    date: str
    machine: Machine
    engines: dict[str, list[Figure]] = field(default_factory=dict)

    @classmethod
    def new(cls, engines: Sequence[str]) -> Results:
        """Of a run that begins now."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        return cls(today, Machine.this(), {engine: [] for engine in engines})

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What `as_json` wrote."""
        content = json.loads(text)
        engines = {
            engine: [Figure(Key(**{name: entry[name] for name in Key._fields}), entry["value"]) for entry in entries]
            for engine, entries in content["engines"].items()
        }
        return cls(content["date"], Machine(**content["machine"]), engines)

    def as_json(self) -> str:
        """One mapping per figure: section, what, unit, crs, value."""
        engines = {
            engine: [{**figure.key._asdict(), "value": round(figure.value, 6)} for figure in figures]
            for engine, figures in self.engines.items()
        }
        return json.dumps({"date": self.date, "machine": asdict(self.machine), "engines": engines}, indent=1) + "\n"


def table(results: Results) -> Table:
    """For a terminal."""
    shown = Table(caption=f"{results.date}; {results.machine}", caption_justify="left")
    for number, heading in enumerate(_headings(results.engines)):
        shown.add_column(heading, justify="left" if number == 0 else "right")
    for section, found in _sections(results):
        shown.add_section()
        shown.add_row(f"[bold]{section}[/bold]")
        for row in found:
            shown.add_row(*_cells(row))
    return shown


def markdown(results: Results, picture: str) -> str:
    """A table per section; `picture` is the name of the plot beside the page."""
    lines = [f"Measured on {results.date}: {results.machine}.", "", f"![Cost by number of instances]({picture})"]
    headings = _headings(results.engines)
    for section, found in _sections(results):
        lines += ["", f"### {section}", "", _line(headings), _line(["---", *["---:"] * (len(headings) - 1)])]
        lines += [_line(_cells(row)) for row in found]
    return "\n".join(lines) + "\n"


def write_page(page: Path, text: str) -> None:
    """Put the text between the markers of a page; ValueError when it has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the two lines between which results go:\n{BEGIN}\n{END}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")


def _headings(engines: Mapping[str, Any]) -> list[str]:
    first, *others = engines
    return ["What", "Instances", *engines, *(f"{first} / {other}" for other in others)]


def _sections(results: Results) -> Iterator[tuple[str, list[Row]]]:
    for section, found in groupby(rows(results.engines), key=lambda row: row.key.section):
        yield section, list(found)


def _cells(row: Row) -> list[str]:
    ratios = ["" if ratio is None else f"{ratio:.2f}" for ratio in row.ratios]
    instances = "" if row.key.crs is None else f"{row.key.crs:,}"
    return [row.key.what, instances, *(_with_unit(value, row.key.unit) for value in row.values), *ratios]


def _with_unit(value: float | None, unit: str) -> str:
    """Three digits are more than two runs agree on."""
    if value is None:
        return NOT_MEASURED
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
