# SPDX-License-Identifier: Apache-2.0
"""Results as JSON, table, Markdown and picture."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench.figures import Figure, Key
from bench.plot import draw, points
from bench.report import BEGIN, END, Machine, Results, markdown, table, write_page
from hack.docs.blocks import DOCS

MACHINE = Machine(processors=2, memory_gib=8.0, kernel="Linux 6", python="3.13.1", ansible_core="2.19.0", load=0.1)
READY, MEMORY, CPU = "ready", "memory (PSS)", "CPU"


def results() -> Results:
    fork = [
        Figure(Key("Creation", READY, "s", 1), 0.456),
        Figure(Key("Creation", READY, "s", 1000), 1234.4),
        Figure(Key("Repair", "Service deleted", "s"), 0.25),
        Figure(Key("Idle", MEMORY, "MiB", 1), 98.76),
        Figure(Key("Idle", CPU, "% of a core", 1), 0.1),
        Figure(Key("Restart", "writes", "", 1), 0),
    ]
    process = [Figure(Key("Creation", READY, "s", 1), 2.0), Figure(Key("Repair", "Service deleted", "s"), 1.0)]
    return Results("2026-01-31", MACHINE, {"fork": fork, "process": process})


def test_json_gives_back_what_was_measured() -> None:
    assert Results.from_json(results().as_json()) == results()


def test_a_new_run_knows_its_machine() -> None:
    new = Results.new(["fork"])

    assert new.machine.processors >= 1
    assert new.machine.memory_gib > 0
    assert new.engines == {"fork": []}


def test_a_page_has_machine_and_plot_and_a_table_per_section() -> None:
    text = markdown(results(), "picture.png")

    assert text.startswith("Measured on 2026-01-31: 2 processors, 8 GiB, Linux 6, Python 3.13.1, ansible-core 2.19.0")
    assert "![Cost by number of instances](picture.png)" in text
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "### Creation", "### Repair", "### Idle", "### Restart",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        pytest.param("| What | Instances | fork | process | fork / process |", id="heading"),
        pytest.param("| ready | 1 | 0.46 s | 2 s | 0.23 |", id="both-engines"),
        pytest.param("| ready | 1,000 | 1,234 s | not measured |  |", id="one-engine"),
        pytest.param("| Service deleted |  | 0.25 s | 1 s | 0.25 |", id="any-number-of-instances"),
        pytest.param("| memory (PSS) | 1 | 98.8 MiB | not measured |  |", id="three-digits"),
        pytest.param("| writes | 1 | 0 | not measured |  |", id="a-count-has-no-unit"),
    ],
)
def test_a_row_of_a_page(row: str) -> None:
    assert row in markdown(results(), "picture.png").splitlines()


def test_one_engine_alone_gets_no_column_for_a_ratio() -> None:
    alone = results()
    del alone.engines["process"]

    assert "| What | Instances | fork |" in markdown(alone, "picture.png").splitlines()


def test_the_terminal_shows_the_same() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)

    console.print(table(results()))

    shown = console.export_text()
    for text in ("Creation", "not measured", "0.46 s", "0.23", "ansible-core 2.19.0"):
        assert text in shown


def test_results_go_between_the_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n", encoding="utf-8")

    write_page(page, "new\n")
    write_page(page, "newer\n")

    assert page.read_text(encoding="utf-8") == f"# Title\n\n{BEGIN}\n\nnewer\n\n{END}\n\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_page_without_markers_is_left_alone(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match="lacks the two lines between which results go"):
        write_page(page, "new\n")

    assert page.read_text(encoding="utf-8") == text


def test_the_page_of_the_documentation_has_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text((DOCS / "explanation" / "performance.md").read_text(encoding="utf-8"), encoding="utf-8")

    write_page(page, "new\n")

    assert f"{BEGIN}\n\nnew\n\n{END}" in page.read_text(encoding="utf-8")


def test_a_line_of_the_plot_goes_by_the_number_of_instances() -> None:
    figures = [Figure(Key("Idle", MEMORY, "MiB", crs), value) for crs, value in ((100, 2.0), (0, 1.0), (1000, 3.0))]

    assert points([*figures, Figure(Key("Idle", CPU, "%", 5), 9.0)], "Idle", MEMORY) == [
        (0, 1.0),
        (100, 2.0),
        (1000, 3.0),
    ]


def test_the_plot_is_a_small_png_and_leaves_nothing_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    picture = tmp_path / "picture.png"

    draw(results().engines, picture)

    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 60_000
    assert not (tmp_path / "home").exists()
