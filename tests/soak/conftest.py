# SPDX-License-Identifier: Apache-2.0
"""Many instances under many changes: `make soak`. What the random numbers choose depends on what has taken effect, too."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from bench.bed import Bed, a_bed

Say = Callable[[str], None]
LINES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.addoption
    add("--instances", type=int, default=1000, help="how many instances there are (default: 1000)")
    add("--minutes", type=float, default=30.0, help="how long they are changed (default: 30)")
    add("--seed", type=int, default=1, help="which random changes (default: 1)")
    add("--noisy", type=int, default=50, help="how many instances the noisy namespace has (default: 50)")
    add(
        "--times",
        type=float,
        default=2.0,
        help="how many times as long a change beside the noisy namespace may take (default: 2)",
    )
    add("--pairs", type=int, default=15, help="times that a change is measured alone and beside others (default: 15)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LINES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[LINES]:
        terminalreporter.section(f"load, seed {config.getoption('seed')}")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Prints a line at the end of the run, whether the test passes or fails."""
    return request.config.stash[LINES].append


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The seed's random numbers, the same for each run of this test."""
    return random.Random(f"{request.config.getoption('seed')} {request.node.name}")  # noqa: S311 - repeatable, not secret


@pytest.fixture
def bed() -> Iterator[Bed]:
    """A new cluster with simulated nodes, and an operator with its default settings."""
    with a_bed("fork") as made:
        yield made
