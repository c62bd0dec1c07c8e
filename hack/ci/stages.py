# SPDX-License-Identifier: Apache-2.0
"""Commands, some of them in parallel, each with its output in one piece and its times."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Done", "Stage", "run_stages", "table"]

HEARTBEAT_S = 60.0
IN_CI = {"IMMICH_TESTS_SKIP_NOTHING": "1"}


@dataclass(frozen=True)
class Stage:
    """One command. If it runs pytest once, PYTEST_ADDOPTS requests a JUnit file; else it has JUNIT_FOLDER for several."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """How a stage went. Times in seconds; `processor_s` is user and system time of all that its command waited for."""

    stage: Stage
    returncode: int
    seconds: float
    processor_s: float


class _Stages:
    """Runs stages from several threads; prints which are running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, float] = {}
        self._done: list[Done] = []
        self._lock = threading.Lock()

    @property
    def done(self) -> list[Done]:
        with self._lock:
            return list(self._done)

    def run(self, todo: list[Stage]) -> None:
        """Take stages one by one off a list, which threads may share, until none is left."""
        while True:
            started = time.monotonic()
            with self._lock:
                if not todo:
                    return
                stage = todo.pop(0)
                self._running[stage.name] = started
            log = self._folder / f"{stage.name}.log"
            returncode, processor_s = _run(stage, self._folder / f"{stage.name}.xml", log)
            done = Done(stage, returncode, time.monotonic() - started, processor_s)
            with self._lock:
                del self._running[stage.name]
                self._done.append(done)
                # One stage after another, as a whole: interleaved lines would be of no use.
                word = "done" if returncode == 0 else f"FAILED with status {returncode}"
                print(f"\n=== {stage.name}: {word} after {done.seconds:.0f} s", flush=True)
                sys.stdout.flush()
                sys.stdout.buffer.write(log.read_bytes())
                sys.stdout.flush()

    def say_what_runs(self) -> None:
        now = time.monotonic()
        with self._lock:
            running = [f"{name} ({(now - started) / 60:.0f} min)" for name, started in self._running.items()]
        print(f"--- {time.strftime('%T')} running: {', '.join(running)}", flush=True)


def run_stages(stages: Iterable[Stage], folder: Path, *, at_once: int = 1, beside: Iterable[Stage] = ()) -> list[Done]:
    """Run all stages in order, even after one has failed, so that one run shows everything that is wrong.

    `at_once` of `stages` run at a time, plus one of `beside`, for those that mostly wait. Logs and JUnit files
    go to `folder`.
    """
    running, shared = _Stages(folder), list(stages)
    threads = [threading.Thread(target=running.run, args=(shared,)) for _ in range(at_once)]
    threads.append(threading.Thread(target=running.run, args=(list(beside),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(HEARTBEAT_S)
            if thread.is_alive():
                running.say_what_runs()
    return running.done


def _run(stage: Stage, junit: Path, log: Path) -> tuple[int, float]:
    """(exit status, seconds of CPU time)"""
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} --junitxml={junit}".strip()
    with log.open("wb") as output:
        process = subprocess.Popen(
            stage.command,
            env={**os.environ, "PYTEST_ADDOPTS": options, "JUNIT_FOLDER": str(junit.parent), **IN_CI},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def table(done: Sequence[Done]) -> str:
    """One line per stage, in the order in which they ended."""
    width = max(len(one.stage.name) for one in done)
    lines = [f"{'stage':{width}}  seconds  processor"]
    for one in done:
        failed = "" if one.returncode == 0 else f"  FAILED ({one.returncode})"
        lines.append(f"{one.stage.name:{width}}  {one.seconds:7.0f}  {one.processor_s:9.0f}{failed}")
    return "\n".join(lines)
