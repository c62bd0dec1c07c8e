# SPDX-License-Identifier: Apache-2.0
"""One reading of durations, by the rules of Go's ParseDuration, for flags, annotations and what a role asks for."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_operator.config import durations
from immich_operator.engine import outcome

pytestmark = pytest.mark.every_core

READ = [
    ("10h", 36000),
    ("1h30m", 5400),
    ("1h2m3s", 3723),
    ("30m1h", 5400),
    ("1s1s", 2),
    ("1.5s", 1.5),
    ("1.5h", 5400),
    ("1.s", 1),
    (".5m", 30),
    ("1m0.5s", 60.5),
    ("300ms", 0.3),
    ("1us", 1e-6),
    ("1µs", 1e-6),
    ("1μs", 1e-6),
    ("1ns", 1e-9),
    ("0.9ns", 0),
    ("0", 0),
    ("+0", 0),
    ("-0", 0),
    ("-0s", 0),
    ("0s", 0),
    ("+5s", 5),
    ("007s", 7),
    ("2562047h47m16.854775807s", durations.LONGEST_S),
]
REFUSED = ["", "10", "-5s", "-1ns", "5 s", " 5s", "5s ", "5s\n", "5x", "5S", "s", ".s", ".", "+", "-", "+-5s", "++5s", "--0",
           "1h!", "1h5", "00", "1e3s", "1_0s", "1,5s", "0x1s", "٣s", "5d", "5 minutes"]  # fmt: skip
TOO_LONG = ["3000000h", "2562048h", "2562047h47m16.854775808s", "9" * 99 + "s"]


@pytest.mark.parametrize(("text", "seconds"), READ)
def test_durations_are_read_as_go_reads_them(text, seconds):
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_that_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="write it like 30s, 5m or 1h30m"):
        durations.parse(text)


@pytest.mark.parametrize("text", TOO_LONG)
def test_a_duration_that_go_could_not_hold_is_refused(text):
    with pytest.raises(ValueError, match="longer than the longest duration"):
        durations.parse(text)


@pytest.mark.parametrize(("text", "seconds"), [*READ, *((text, None) for text in (*REFUSED, *TOO_LONG))])
def test_what_a_role_asks_for_is_read_by_the_same_rules(text, seconds):
    assert outcome.seconds(text) == seconds


@pytest.mark.parametrize("text", ["1" * 20_000, "1" * 20_000 + "s", "1s" * 10_000, "." * 20_000, "0." * 10_000 + "s"])
def test_a_text_that_is_longer_than_any_duration_is_not_even_looked_at(text, monkeypatch):
    looked_at = []
    monkeypatch.setattr(durations, "_PART", SimpleNamespace(match=lambda _text, at: looked_at.append(at)))

    with pytest.raises(ValueError, match="is not a duration") as refused:
        durations.parse(text)

    assert looked_at == []
    assert len(str(refused.value)) < 200


@given(st.integers(min_value=0, max_value=10**7))
def test_a_duration_written_and_read_again_is_the_same(seconds):
    assert durations.parse(durations.text(seconds)) == seconds
