# SPDX-License-Identifier: Apache-2.0
"""A parser needs time in proportion to its input: counted in steps of Python, and no clock is asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from tests.fuzz.parsers import PARSERS, Parser

CASES = [
    pytest.param(parser, seed, id=f"{name}-{number}")
    for name, parser in PARSERS.items()
    for number, seed in enumerate(parser.seeds)
]


def steps(reads: Callable[[bytes], object], data: bytes) -> int:
    """Lines of Python that run."""
    count = 0

    def count_lines(_frame: FrameType, event: str, _unused: Any) -> Any:
        nonlocal count
        count += event == "line"
        return count_lines

    before = sys.gettrace()
    sys.settrace(count_lines)
    try:
        reads(data)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(("parser", "seed"), CASES)
def test_a_parser_needs_steps_in_proportion_to_its_input(parser: Parser, seed: str, ledger) -> None:
    whole = seed.encode(errors="replace")
    for data in (lambda n: whole * n, lambda n: whole[:1] + whole[1:2] * n + whole[2:], lambda n: whole + b"[{" * n):
        parser.reads(data(40))  # what is compiled or cached once
        few, many = steps(parser.reads, data(40)), steps(parser.reads, data(160))
        ledger.count("inputs that grow", tried=2)

        assert many <= 5 * few + 2000, f"{many} steps for four times the input that took {few}"
