# SPDX-License-Identifier: Apache-2.0
"""`python -m hack.ci.flaky`: run tests several times, some runs under other load, and name each that failed once."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.ci.results import read
from hack.ci.stages import Stage, run_stages

TARGETS = ("unit", "integration", "e2e")


def main(args: list[str] | None = None) -> int:
    """1 if a test failed in any of the runs."""
    parser = argparse.ArgumentParser(prog="python -m hack.ci.flaky", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often (default: 5)")
    parser.add_argument("--loaded", type=int, default=2, help="in how many of them one core is kept busy (default: 2)")
    parser.add_argument("targets", nargs="*", default=TARGETS, help=f"make targets (default: {' '.join(TARGETS)})")
    options = parser.parse_args(args)
    failures: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="immich-operator-flaky-") as name:
        for number in range(1, options.times + 1):
            folder = Path(name) / str(number)
            folder.mkdir()
            is_loaded = number > options.times - options.loaded
            print(f"=== run {number} of {options.times}{', one core busy' if is_loaded else ''}", flush=True)
            stages = [Stage(target, ("make", "--no-print-directory", target)) for target in options.targets]
            with _busy_core(is_loaded):
                done = run_stages(stages, folder)
            results = read(sorted(folder.glob("*.xml")))
            failures.update(results.failed)
            # A stage may fail without a failed test, or before any has run.
            failures.update(one.stage.name for one in done if one.returncode != 0 and not results.failed)
            print(f"run {number}: {results.closing_line()}", flush=True)
    for name, count in failures.most_common():
        print(f"failed in {count} of {options.times} runs: {name}")
    print(f"{len(failures)} of the tests failed at least once in {options.times} runs")
    return 1 if failures else 0


@contextmanager
def _busy_core(is_wanted: bool) -> Iterator[None]:
    """A process that is always busy, as long as the block lasts."""
    if not is_wanted:
        yield
        return
    process = multiprocessing.Process(target=_count_for_ever, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _count_for_ever() -> None:
    number = 0
    while True:
        number += 1


if __name__ == "__main__":
    sys.exit(main())
