# SPDX-License-Identifier: Apache-2.0
"""Faults at random moments: `make chaos`. The same seed tries the same faults in the same order."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from support.ledger import Ledger

TimesOf = Callable[[int], int]
LEDGER = pytest.StashKey[Ledger]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=1, help="which random faults (default: 1)")
    parser.addoption(
        "--share", type=float, default=1.0, help="which part of the full number of faults, from 0 to 1 (default: 1)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEDGER] = Ledger()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[LEDGER].table():
        terminalreporter.section(f"faults, seed {config.getoption('seed')}")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test counts what it tried."""
    return request.config.stash[LEDGER]


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The seed's random numbers, the same for each run of this test."""
    return random.Random(f"{request.config.getoption('seed')} {request.node.name}")  # noqa: S311 - repeatable, not secret


@pytest.fixture
def times(request: pytest.FixtureRequest) -> TimesOf:
    """How often to try what a full run tries so many times; at least once."""
    share = float(request.config.getoption("share"))
    return lambda full: max(1, round(full * share))
