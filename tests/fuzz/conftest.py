# SPDX-License-Identifier: Apache-2.0
"""Bad input: `make fuzz`. The same seed and number of examples try the same, and the table at the end says how many."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from multiprocessing import get_context
from typing import TypeAlias, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from support.ledger import Ledger

T = TypeVar("T")
Count: TypeAlias = Callable[..., None]
Tries: TypeAlias = Callable[..., None]
_Done: TypeAlias = tuple[Counter[str], str | None]
LEDGER = pytest.StashKey[Ledger]()
IN_CI = 5_000
"""Examples of custom resources; each other test tries a fixed part of that number."""
BLOCK = 250
"""Examples that Hypothesis makes at a time: what it remembers of them grows with their number."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=1, help="which random input (default: 1)")
    parser.addoption(
        "--examples", type=int, default=IN_CI, help=f"how many custom resources to try (default: {IN_CI}, as in CI)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEDGER] = Ledger()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[LEDGER].table():
        terminalreporter.section(f"bad input, seed {config.getoption('seed')}")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test counts what it tried."""
    return request.config.stash[LEDGER]


@pytest.fixture
def number(request: pytest.FixtureRequest) -> int:
    """The seed of this run."""
    return int(request.config.getoption("seed"))


@pytest.fixture
def times(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How often to try what CI tries so many times; at least once."""
    share = int(request.config.getoption("examples")) / IN_CI
    return lambda in_ci: max(1, round(in_ci * share))


@pytest.fixture
def tries(ledger: Ledger, number: int, times: Callable[[int], int]) -> Tries:
    """(what, strategy, examples in CI, check): check examples, and count them. The first that fails is made smaller.

    The check gets a function that counts what else it has tried, (what, how many). With `in_processes` it runs in as many
    processes as there are CPUs, and may not use connections.
    """

    def run(
        what: str,
        strategy: st.SearchStrategy[T],
        in_ci: int,
        check: Callable[[T, Count], None],
        *,
        in_processes: bool = False,
        shrink: bool = True,
    ) -> None:
        global _work  # noqa: PLW0603 - a fork finds it there, and nothing has to be pickled
        _work = partial(_block, what, strategy, check, shrink)
        blocks = [(number * 1_000_003 + block, most) for block, most in enumerate(_blocks(times(in_ci)))]
        problems = []
        if in_processes:
            with get_context("fork").Pool(len(os.sched_getaffinity(0)), maxtasksperchild=20) as pool:
                done: Iterable[_Done] = pool.imap_unordered(_do, blocks)
                problems = [problem for counts, problem in done if _counted(ledger, counts) and problem]
        else:
            for counts, problem in map(_do, blocks):
                problems += [problem] if _counted(ledger, counts) and problem else []
                if problems:
                    break
        if problems:
            ledger.count(what, tried=0, lost=len(problems))
            pytest.fail(f"{len(problems)} times; the first: {problems[0]}", pytrace=False)

    return run


_work: Callable[[int, int], _Done]


def _do(block: tuple[int, int]) -> _Done:
    return _work(*block)


def _block(
    what: str, strategy: st.SearchStrategy[T], check: Callable[[T, Count], None], shrink: bool, number: int, most: int
) -> _Done:
    """What was tried, and the traceback of the smallest example that fails."""
    counts: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=most,
        database=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(example: T) -> None:
        counts[what] += 1
        check(example, lambda of, how_many=1: counts.update({of: how_many}))

    try:
        each()
    except Exception as exc:
        return counts, "".join(traceback.format_exception(exc))
    return counts, None


def _counted(ledger: Ledger, counts: Mapping[str, int]) -> bool:
    for what, tried in counts.items():
        ledger.count(what, tried=tried)
    return True


def _blocks(examples: int) -> Iterator[int]:
    while examples > 0:
        yield min(BLOCK, examples)
        examples -= BLOCK
