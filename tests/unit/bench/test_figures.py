# SPDX-License-Identifier: Apache-2.0
"""Figures of engines side by side."""

from __future__ import annotations

import pytest

from bench.figures import Figure, Key, Row, medians, rows

TIME = Key("Creation", "ready", "s", 1)
MEMORY = Key("Idle", "memory", "MiB", 1)


def test_the_median_is_taken_for_each_key_by_itself() -> None:
    repeats = [
        [Figure(TIME, 3.0), Figure(MEMORY, 10.0)],
        [Figure(TIME, 1.0)],
        [Figure(TIME, 2.0), Figure(MEMORY, 20.0)],
    ]

    assert medians(repeats) == [Figure(TIME, 2.0), Figure(MEMORY, 15.0)]


@pytest.mark.parametrize(
    ("fork", "process", "ratio"),
    [
        pytest.param(1.0, 4.0, 0.25, id="ratio-of-first-to-second"),
        pytest.param(0.0, 4.0, 0.0, id="nothing-is-a-value"),
        pytest.param(1.0, 0.0, None, id="no-ratio-to-nothing"),
        pytest.param(1.0, None, None, id="second-not-measured"),
        pytest.param(None, 4.0, None, id="first-not-measured"),
    ],
)
def test_a_row_compares_what_both_have(fork: float | None, process: float | None, ratio: float | None) -> None:
    engines = {
        "fork": [] if fork is None else [Figure(TIME, fork)],
        "process": [] if process is None else [Figure(TIME, process)],
    }

    assert rows(engines) == [Row(TIME, (fork, process), (ratio,))]


def test_rows_are_ordered_by_subject_then_by_the_number_of_custom_resources() -> None:
    found = [
        Figure(TIME._replace(crs=20), 0.0),
        Figure(MEMORY, 0.0),
        Figure(TIME, 0.0),
        Figure(TIME._replace(crs=100), 0.0),
    ]

    (*keys,) = (row.key for row in rows({"fork": found}))

    assert keys == [TIME, TIME._replace(crs=20), TIME._replace(crs=100), MEMORY]


def test_one_engine_alone_has_no_ratio() -> None:
    assert rows({"fork": [Figure(TIME, 1.0)]}) == [Row(TIME, (1.0,), ())]


def test_the_first_of_several_is_compared_with_each_other() -> None:
    of = {"fork": 1.0, "process": 4.0, "script": 0.5}

    (row,) = rows({name: [Figure(TIME, value)] for name, value in of.items()})

    assert row.ratios == (0.25, 2.0)
