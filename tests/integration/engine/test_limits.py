# SPDX-License-Identifier: Apache-2.0
"""What the kernel holds plays to: memory that ends at a bound, and no memory on a disk."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from immich_operator.engine import make_engine

from .conftest import ANCHOR, Bench

MEMORY = 192 << 20
EATS_IN_PYTHON = "- name: Eat\n  ansible.builtin.set_fact:\n    x: \"{{ 'x' * 1000000000 }}\"\n"
EATS_IN_A_PROGRAM = f"- name: Eat\n  ansible.builtin.command: {sys.executable} -c \"b'x' * 1000000000\"\n"
QUICK = "- testing.engine.report:\n    report: {done: true}\n"
LOOK = """
- ansible.builtin.command: cat /proc/self/limits /proc/self/oom_score_adj
  register: found
- testing.engine.report:
    report: {lines: "{{ found.stdout_lines }}"}
"""
CRASHES = """
import os, resource, signal
from immich_operator.engine.limits import dump_no_core
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
dump_no_core()
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGSEGV)
print(resource.getrlimit(resource.RLIMIT_CORE), os.WCOREDUMP(os.wait()[1]))
"""


@pytest.fixture(params=["fork", "process", "parked"])
def bounded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    kind = "process" if request.param == "process" else "fork"
    engine = make_engine(
        kind,
        base_dir=tmp_path / "base",
        workers=2,
        preload_roles=[ANCHOR],
        log=logging.getLogger("engine"),
        memory=MEMORY,
    )
    yield Bench(engine, tmp_path, identity_only=request.param == "parked")
    engine.close()


@pytest.mark.parametrize("tasks", [EATS_IN_PYTHON, EATS_IN_A_PROGRAM], ids=["itself", "by a program of its"])
def test_a_play_that_needs_more_memory_than_it_may_have_fails_and_the_next_one_runs(bounded: Bench, tasks: str) -> None:
    greedy = bounded.run(tasks)

    assert greedy.status == "failed"
    assert greedy.failures[0].startswith("Eat: ")
    assert bounded.run(QUICK).ok()


def test_where_memory_is_short_a_process_of_a_play_is_the_first_to_go(bounded: Bench) -> None:
    lines = bounded.run(LOOK).report["lines"]

    [data] = [line.split()[3:5] for line in lines if line.startswith("Max data size")]
    assert data == [str(MEMORY), str(MEMORY)]
    assert lines[-1] == "1000"
    assert Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip() != "1000"


def test_a_process_that_crashes_leaves_no_memory_on_the_disk(tmp_path: Path) -> None:
    most = min(1, resource.getrlimit(resource.RLIMIT_CORE)[1] % 2**64)  # not 0, with which programs still get dumps

    done = subprocess.run(
        [sys.executable, "-c", CRASHES],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.strip() == f"({most}, {most}) False"
    assert list(tmp_path.iterdir()) == []
