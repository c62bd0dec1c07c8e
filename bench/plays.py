# SPDX-License-Identifier: Apache-2.0
"""Plays per second, CPU and memory of both engines in one run: `python -m bench.plays [--plays N] [--workers N] [--json]`.

Each play runs a role with three action plugins that do nothing, so what is measured is the engine and Ansible themselves.
CPU is that of all processes, the caller's included; PSS is that of the engine's processes between and during plays.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bench import processes
from immich_operator.engine import Engine, Play, make_engine

Kind = Literal["fork", "process"]

ACTION = """from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False}
"""
TASKS = "---\n- nothing:\n- nothing:\n- nothing:\n"
WARM_UP = 3
SAMPLE_S = 0.05
WORKERS = os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one engine."""

    engine: Kind
    first_play_s: float
    """From making the engine to the end of its first play."""
    one_at_a_time_s: float
    """Median duration of a play while nothing else runs."""
    plays_per_second: float
    """With as many plays at once as there are workers."""
    cpu_ms_per_play: float
    idle_pss_mib: float
    busy_pss_mib: float
    """Highest sample while plays run; the caller included, as in `idle_pss_mib`."""


def measure(kind: Kind, folder: Path, *, plays: int, workers: int) -> Figures:
    """Run warm-up, `plays` plays one by one, and `plays` plays in parallel."""
    role = folder / "roles" / "three"
    (role / "tasks").mkdir(parents=True)
    (role / "action_plugins").mkdir()
    (role / "tasks" / "main.yml").write_text(TASKS)
    (role / "action_plugins" / "nothing.py").write_text(ACTION)
    started = time.monotonic()
    engine = make_engine(
        kind, base_dir=folder / kind, workers=workers, preload_roles=[role], log=logging.getLogger("bench")
    )
    try:
        _run(engine, folder, role, "first", 0)
        first_play_s = time.monotonic() - started
        for number in range(WARM_UP):
            _run(engine, folder, role, "warm", number)
        idle = _pss_mib()
        durations = [_run(engine, folder, role, "one", number) for number in range(plays)]
        with _Sampler() as sampler, ThreadPoolExecutor(workers) as pool:
            cpu, began = _cpu_s(), time.monotonic()
            list(pool.map(lambda number: _run(engine, folder, role, f"many{number}", number), range(plays)))
            elapsed, cpu = time.monotonic() - began, _cpu_s() - cpu
    finally:
        engine.close()
    return Figures(
        engine=kind,
        first_play_s=round(first_play_s, 3),
        one_at_a_time_s=round(statistics.median(durations), 4),
        plays_per_second=round(plays / elapsed, 2),
        cpu_ms_per_play=round(1000 * cpu / plays, 1),
        idle_pss_mib=round(idle, 1),
        busy_pss_mib=round(sampler.highest, 1),
    )


def _run(engine: Engine, folder: Path, role: Path, name: str, number: int) -> float:
    play = Play(ident=f"{name}-{number}", private_data_dir=folder / "runs" / name, role=role, extra_vars={"spec": {}})
    result = engine.run(play, threading.Event())
    if not result.ok():
        raise SystemExit(f"a play failed: {result}")
    return result.duration_s


class _Sampler:
    """Looks at the memory of all processes until it is left."""

    def __init__(self) -> None:
        self.highest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="sample memory")

    def __enter__(self) -> _Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.highest = max(self.highest, _pss_mib())


def _pss_mib() -> float:
    return processes.pss_mib(processes.family(os.getpid()))


def _cpu_s() -> float:
    return processes.cpu_s(processes.family(os.getpid()))


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description="Compare the engines.")
    parser.add_argument("--plays", type=int, default=20, help="plays per measurement (default 20)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="plays at once (default: processors)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = []
    for kind in ("process", "fork"):
        with tempfile.TemporaryDirectory() as folder:
            figures.append(asdict(measure(kind, Path(folder), plays=options.plays, workers=options.workers)))
    process, fork = figures
    ratios = {name: round(fork[name] / process[name], 3) for name in fork if name != "engine"}
    if options.json:
        print(json.dumps({"engines": figures, "fork_to_process": ratios, "load": os.getloadavg()[0]}))
        return
    print(f"{'':20}{'process':>12}{'fork':>12}{'ratio':>10}")
    for name, ratio in ratios.items():
        print(f"{name:20}{process[name]:12}{fork[name]:12}{ratio:10}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
