# SPDX-License-Identifier: Apache-2.0
"""A permit to write is read from the operator's memory; what cannot be read permits nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.permit import (
    ENDED,
    NOT_LEADING,
    VARIABLE,
    clock,
    packed,
    permit_of,
)
from immich_operator.process.permit import Permit

TOKEN = bytes(range(16))


@pytest.fixture
def permit() -> Iterator[Permit]:
    made = Permit()
    yield made
    made.close()


def test_outside_of_an_operator_everything_may_be_written():
    assert permit_of({})() == ""


def test_a_permit_ends_by_the_clock_alone(permit):
    why_not = permit_of(permit.environment)
    assert why_not() == NOT_LEADING, "at first"

    permit.until(clock() + 60)
    assert why_not() == ""

    permit.until(clock() - 0.001)
    assert why_not() == NOT_LEADING


def test_without_an_election_it_lasts_as_long_as_the_operator(permit):
    why_not = permit_of(permit.environment)

    permit.until(math.inf)

    assert why_not() == ""


def test_a_play_whose_operator_is_gone_may_not_write(tmp_path: Path):
    assert permit_of({VARIABLE: f"{tmp_path}/gone:{TOKEN.hex()}"})() == ENDED


@pytest.mark.parametrize(
    "content", [b"", b"something else", packed(bytes(16), math.inf)], ids=["empty", "other", "of-another-operator"]
)
def test_what_another_process_holds_under_the_same_number_is_no_permit(content: bytes, tmp_path: Path):
    file = tmp_path / "permit"
    file.write_bytes(content)

    assert permit_of({VARIABLE: f"{file}:{TOKEN.hex()}"})() == ENDED


def test_a_look_during_a_write_is_repeated_and_believes_no_half(tmp_path: Path):
    file = tmp_path / "permit"
    new, old = packed(TOKEN, math.inf), packed(TOKEN, 0.0)
    file.write_bytes(new[:24] + old[24:])

    assert permit_of({VARIABLE: f"{file}:{TOKEN.hex()}"})() == "whether this operator holds its Lease cannot be read"
