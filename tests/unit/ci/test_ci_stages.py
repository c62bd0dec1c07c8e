# SPDX-License-Identifier: Apache-2.0
"""Stages of .ci/run: side by side, all of them, each with its own output and times."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from hack.ci.__main__ import BESIDE, STAGES
from hack.ci.stages import Done, Stage, run_stages, table

ROOT = Path(__file__).parents[3]


def a_stage(name: str, code: str) -> Stage:
    return Stage(name, (sys.executable, "-c", code))


def test_a_failure_does_not_keep_the_stages_after_it_from_running(tmp_path: Path) -> None:
    done = run_stages([a_stage("breaks", "raise SystemExit(3)"), a_stage("works", "pass")], tmp_path)

    assert [(one.stage.name, one.returncode) for one in done] == [("breaks", 3), ("works", 0)]


def test_stages_run_side_by_side(tmp_path: Path) -> None:
    meet = f"""
import os, time
os.mkfifo({str(tmp_path / "fifo")!r}) if {{first}} else None
while not os.path.exists({str(tmp_path / "fifo")!r}): time.sleep(0.01)
open({str(tmp_path / "fifo")!r}, "w" if {{first}} else "r").close()
"""
    stages = [a_stage("one", meet.format(first=True)), a_stage("other", meet.format(first=False))]

    done = run_stages(stages, tmp_path, at_once=2)  # one after the other, each would wait for the other one for ever

    assert sorted(one.returncode for one in done) == [0, 0]


def test_what_mostly_waits_runs_beside_the_others_whatever_they_do(tmp_path: Path) -> None:
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)  # opening it waits for the other end
    first, beside = a_stage("first", f"open({fifo!r}, 'w')"), a_stage("beside", f"open({fifo!r})")

    done = run_stages([first], tmp_path, at_once=1, beside=[beside])

    assert sorted((one.stage.name, one.returncode) for one in done) == [("beside", 0), ("first", 0)]


def test_the_output_of_a_stage_is_printed_whole_when_it_ends(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    run_stages([a_stage("speaks", "print('first'); print('second')")], tmp_path)

    printed = capfdbinary.readouterr().out
    assert b"=== speaks: done after 0 s\nfirst\nsecond\n" in printed


def test_pytest_is_asked_for_its_results_under_the_name_of_the_stage(tmp_path: Path) -> None:
    run_stages([a_stage("tests", "import os; print(os.environ['PYTEST_ADDOPTS'])")], tmp_path)

    assert f"--junitxml={tmp_path / 'tests.xml'}" in (tmp_path / "tests.log").read_text(encoding="utf-8")


def test_the_table_has_time_and_processor_time_of_each_stage_and_marks_failures() -> None:
    done = [Done(a_stage("lint", ""), 0, 61.4, 100.2), Done(a_stage("integration", ""), 2, 700.0, 300.0)]

    assert table(done).splitlines() == [
        "stage        seconds  processor",
        "lint              61        100",
        "integration      700        300  FAILED (2)",
    ]


def test_the_processor_time_of_children_counts(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"

    [done] = run_stages([a_stage("busy", nested)], tmp_path)

    assert done.processor_s >= 0.3


def test_ci_runs_all_that_make_test_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rule = next(line for line in makefile.splitlines() if line.startswith("test:"))
    targets = shlex.split(rule.removeprefix("test:").partition("##")[0])

    assert set(targets) <= {stage.name for stage in (*BESIDE, *STAGES)}
