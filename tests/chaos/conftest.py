# SPDX-License-Identifier: Apache-2.0
"""Faults at random moments: `make chaos`. The same seed tries the same faults in the same order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from localcluster.testing import Cluster
from support.ledger import Ledger
from support.operating import install_crd
from tests.chaos.operators import Supervised

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


@pytest.fixture(scope="session")
def crd(cluster: Cluster) -> None:
    """The kind Immich, as `make install` installs it."""
    install_crd(cluster)


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


class Place:
    """Where a test tries faults: namespaces, and operators that watch them; gone at its end."""

    def __init__(self, cluster: Cluster, folder: Path, stack: ExitStack) -> None:
        self.cluster, self.folder = cluster, folder
        self._stack = stack

    def namespaces(self, count: int) -> list[str]:
        """New ones."""
        return [self._stack.enter_context(self.cluster.namespace("chaos")) for _ in range(count)]

    def lease(self, *, lease_s: float = 15.0, renew_s: float = 10.0, retry_s: float = 2.0) -> tuple[str, ...]:
        """Arguments for operators that elect a leader, with a Lease of their own namespace."""
        (namespace,) = self.namespaces(1)
        return (
            "--leader-elect",
            f"--leader-election-namespace={namespace}",
            f"--leader-elect-lease-duration={lease_s}s",
            f"--leader-elect-renew-deadline={renew_s}s",
            f"--leader-elect-retry-period={retry_s}s",
        )

    def operator(
        self,
        *args: str,
        watches: Sequence[str],
        name: str = "operator",
        engine: str = "fork",
        environment: dict[str, str] | None = None,
        entries: object = None,
    ) -> Supervised:
        """Start one that watches these namespaces; `entries` are of watches.yaml instead of ours."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        if entries:
            (folder / "watches.yaml").write_text(yaml.safe_dump(entries))
            args = (*args, f"--watches-file={folder / 'watches.yaml'}")
        variables = {"WATCH_NAMESPACE": ",".join(watches), **(environment or {})}
        running = Supervised(self.cluster, folder, *args, engine=engine, environment=variables)
        self._stack.callback(running.end)
        return running


@pytest.fixture
def place(cluster: Cluster, crd: None, tmp_path: Path) -> Iterator[Place]:
    """For one test."""
    with ExitStack() as stack:
        yield Place(cluster, tmp_path, stack)
