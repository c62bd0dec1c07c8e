# SPDX-License-Identifier: Apache-2.0
"""What others wrote, changed byte by byte in search of code that nothing has reached yet."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.operating import ROOT
from tests.fuzz.parsers import PARSERS

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("atheris"), reason="atheris is not installed: it is there for Linux on x86-64"
)
IN_CI = 2_000
"""Inputs of each parser."""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, dict[str, int]]:
    """(folder with what was found, {parser: exit status})"""
    folder = tmp_path_factory.mktemp("fuzzed")
    runs = round(IN_CI * request.config.getoption("examples") / 5_000)
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.coverage",
        folder,
        str(max(runs, 1)),
        str(request.config.getoption("seed")),
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    ended = (line.rpartition(": ") for line in done.stdout.splitlines())
    return folder, {name: int(status) for name, _unused, status in ended if name in PARSERS}


@pytest.mark.parametrize("parser", [pytest.param(name, id=name) for name in PARSERS])
def test_a_parser_raises_nothing_but_what_it_documents(
    parser: str, fuzzed: tuple[Path, dict[str, int]], ledger
) -> None:
    folder, ended = fuzzed
    log = (folder / parser / "log").read_text(errors="replace")
    found = sorted(file for file in (folder / parser).iterdir() if file.name.startswith(("crash-", "timeout-", "oom-")))
    tried = re.findall(r"^#([0-9]+)", log, re.MULTILINE)
    ledger.count(f"inputs of the parser of {parser}", tried=int(tried[-1]) if tried else 0, lost=len(found))

    assert ended[parser] == 0, f"{[file.read_bytes() for file in found]}\n{log[-3000:]}"
    assert tried, log[-3000:]


def test_a_fault_is_found(tmp_path: Path) -> None:
    """Were nothing reported, the tests above would pass for ever."""
    code = """
import sys, tests.fuzz.parsers as parsers
def reads(data):
    parsers.durations.parse(data.decode(errors="replace"))
parsers.PARSERS["durations"] = parsers.PARSERS["durations"]._replace(reads=reads)
from pathlib import Path
from tests.fuzz.coverage import main
main(Path(sys.argv[1]), "200", "1", "durations")
"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.stdout.splitlines()[-1] == "durations: 77", done.stderr[-2000:]
    assert "is not a duration" in (tmp_path / "durations" / "log").read_text()
