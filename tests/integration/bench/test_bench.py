# SPDX-License-Identifier: Apache-2.0
"""`make bench` measures all that it promises, at its smallest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SMALLEST = (
    "--engine=fork,script", "--crs=1", "--idle=0", "--idle-seconds=1", "--repeats=1", "--plays=2",
)  # fmt: skip
TOPICS = {
    "Idle", "Creation", "Requests per instance", "Effort per instance", "Repair", "Pass without a change", "Pass left out",
    "Plays of three empty tasks",
}  # fmt: skip


@pytest.mark.weekly
def test_the_bench_measures_every_topic_for_the_operator_and_for_a_script(tmp_path: Path) -> None:
    results = tmp_path / "results.json"

    done = subprocess.run(
        [sys.executable, "-m", "bench", *SMALLEST, "--json", str(results)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    shown = [line.strip("│ ").strip() for line in done.stdout.splitlines()]
    assert {topic for topic in TOPICS if any(line.startswith(topic) for line in shown)} == TOPICS
    assert json.loads(results.read_text(encoding="utf-8"))
