# SPDX-License-Identifier: Apache-2.0
"""`python -m hack.ci`: everything that must hold before a change lands. Needs only Python; stages set themselves up."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hack.ci.results import Results, read
from hack.ci.stages import Done, Stage, run_stages, table
from localcluster.programs import PROGRAMS

SLOWEST = 25


def _make(target: str, *, stage: str = "", **variables: str) -> Stage:
    settings = [f"{name}={value}" for name, value in variables.items()]
    return Stage(stage or target, ("make", "--no-print-directory", target, *settings))


SET_UP = (
    _make("setup"),
    Stage("programs", (".venv/bin/python", "-m", "localcluster", "build", *PROGRAMS)),
)
"""What all others need: none of it may be done twice at the same time."""

NOT_WEEKLY = '-m "not weekly"'
"""What CI leaves out for its time; see CONTRIBUTING.md."""

BESIDE = (_make("e2e", ARGS=NOT_WEEKLY),)
"""It waits for containers three quarters of its time, so it takes no slot from the others."""

OPERATED = ("tests/integration/instance", "tests/integration/operator")
STAGES = (
    # The longest first, so that the last ones end together. The integration tests are two: each half has a cluster of its
    # own, and waits for half of its time.
    _make("integration", stage="integration-operated", INTEGRATION=" ".join(OPERATED), ARGS=NOT_WEEKLY),
    _make("integration", ARGS=" ".join([NOT_WEEKLY, *(f"--ignore={folder}" for folder in OPERATED)])),
    _make("unit"),
    _make("lint"),
    _make("matrix"),
    _make("packaging", ARGS=NOT_WEEKLY),
    _make("process-engine"),
    _make("docs-test"),
    _make("docs"),
)
AT_ONCE = 2
"""One stage uses the CPUs while the other one waits for a cluster. Figures: see CONTRIBUTING.md."""


def main() -> int:
    """0 if every stage has passed. The last lines: times of stages, slowest files, and how many tests passed."""
    with tempfile.TemporaryDirectory(prefix="immich-operator-ci-") as name:
        folder = Path(name)
        done = run_stages(SET_UP, folder)
        if all(one.returncode == 0 for one in done):
            done += run_stages(STAGES, folder, at_once=AT_ONCE, beside=BESIDE)
        results = read(sorted(folder.glob("*.xml")))
    print(_report(done, results), flush=True)
    return 0 if all(one.returncode == 0 for one in done) and not results.counts["failed"] else 1


def _report(done: Sequence[Done], results: Results) -> str:
    parts = [table(done)]
    slowest = results.slowest(SLOWEST)
    parts.append("\n".join(["slowest files, seconds", *(f"{seconds:7.1f}  {name}" for name, seconds in slowest)]))
    if results.skipped:
        parts.append("\n".join(["skipped", *results.skipped]))
    if results.failed:
        parts.append("\n".join(["failed", *results.failed]))
    stages = [one.stage.name for one in done if one.returncode != 0]
    if stages:
        parts.append(f"stages that failed: {', '.join(stages)}")
    return "\n\n".join(["", *parts, results.closing_line()])


if __name__ == "__main__":
    sys.exit(main())
