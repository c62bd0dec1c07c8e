# SPDX-License-Identifier: Apache-2.0
"""What is measured for which engine."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from bench.__main__ import Plan, columns, sizes


def a_plan(*, process_limit: int = 20) -> Plan:
    return Plan(
        columns=["fork", "process", "script"],
        created=frozenset({1, 20, 100}),
        idle=frozenset({0, 100, 1000}),
        process_limit=process_limit,
        repeats=1,
        idle_s=1.0,
        plays=1,
        endurance=0,
    )


@pytest.mark.parametrize(
    ("engine", "limit", "found"),
    [
        pytest.param("fork", 20, [20, 100, 1000], id="all-with-the-fast-engine"),
        pytest.param("process", 20, [20], id="few-with-the-slow-engine"),
        pytest.param("process", 1000, [20, 100, 1000], id="all-when-asked-for"),
        pytest.param("process", 0, [], id="none-when-asked-for"),
        pytest.param("script", 0, [20, 100], id="those-that-are-to-be-created-without-an-operator"),
    ],
)
def test_clusters_with_many_custom_resources(engine: str, limit: int, found: list[int]) -> None:
    assert a_plan(process_limit=limit).sizes(engine) == found


def test_one_that_is_to_be_idle_gets_a_cluster_too() -> None:
    assert dataclasses.replace(a_plan(), idle=frozenset({0, 1})).sizes("fork") == [1, 20, 100]


def test_engines_are_compared_in_one_order() -> None:
    assert columns("process,fork") == columns("fork,process") == ["fork", "process"]


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"^spoon is none of fork, process, script$"):
        columns("fork,spoon")


def test_sizes_may_be_none() -> None:
    assert (sizes("1,20"), sizes("")) == ({1, 20}, frozenset())
