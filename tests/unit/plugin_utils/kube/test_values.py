# SPDX-License-Identifier: Apache-2.0
"""Small operations that rendering is made of."""

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.values import (
    checksum,
    dig,
    merged,
    plain,
    quantity,
    values_at,
    visible,
    whole_number,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab\n", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("10Gi", 10 * 2**30, id="binary"),
        pytest.param("10G", 10**10, id="decimal"),
        pytest.param("10240Mi", 10 * 2**30, id="the-same-in-a-smaller-unit"),
        pytest.param("500m", Decimal("0.5"), id="milli"),
        pytest.param("1e3", 1000, id="exponent"),
        pytest.param("+1.5Ki", 1536, id="sign-and-fraction"),
        pytest.param(7, 7, id="a-number"),
    ],
)
def test_quantities_are_compared_by_value(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "ten", "10 Gi", "10gi", "Gi", True, "1e99999999999999999999", "٣Gi"])
def test_what_is_no_quantity_is_an_error_that_names_it(text):
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        quantity(text)


@given(mappings, mappings)
def test_what_is_laid_over_wins_and_nothing_else_changes(base, over):
    result = merged(base, over)

    assert result.keys() == base.keys() | over.keys()
    for key, value in result.items():
        held, given_value = base.get(key), over.get(key)
        if key not in over:
            assert value == held
        elif isinstance(held, dict) and isinstance(given_value, dict):
            assert value == merged(held, given_value)
        else:
            assert value == given_value


@given(mappings)
def test_laying_nothing_over_changes_nothing(base):
    assert merged(base, {}) == base
    assert merged({}, base) == base


@given(json_values)
def test_plain_values_are_equal_copies(value):
    assert plain(value) == value


class MarkedText(str):
    __slots__ = ()


def test_marks_on_text_are_gone_from_plain_values():
    assert type(plain({"a": [MarkedText("x")]})["a"][0]) is str


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param({"a": {"b": 0}}, 0, id="zero-is-a-value"),
        pytest.param({"a": {"b": False}}, False, id="false-is-a-value"),
        pytest.param({"a": {"b": None}}, "default", id="null-is-none"),
        pytest.param({"a": None}, "default", id="null-on-the-way"),
        pytest.param({"a": "text"}, "default", id="text-on-the-way"),
        pytest.param(None, "default", id="nothing"),
    ],
)
def test_digging_gives_the_value_or_the_default(value, found):
    assert dig(value, "a", "b", default="default") == found


def test_checksums_depend_on_content_and_instance_alone():
    assert checksum("a/b", {"x": 1, "y": 2}) == checksum("a/b", {"y": 2, "x": 1})
    assert len({checksum("a/b", "x"), checksum("a/b", "y"), checksum("a/c", "x")}) == 3


def test_planning_and_reporting_load_no_client():
    package = "ansible_collections.media.immich.plugins.plugin_utils.passes"
    code = f"import sys, {package}.planning, {package}.status; print('kubernetes' in sys.modules, 'urllib3' in sys.modules)"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.split() == ["False", "False"]


FOUND = [
    pytest.param({"a": {"b": "x"}}, "a.b", ["x"], id="plain"),
    pytest.param({"a": [{"b": "x"}, {"b": "y"}]}, "a[].b", ["x", "y"], id="each-item"),
    pytest.param({"a": ["x", "y"]}, "a[]", ["x", "y"], id="items-themselves"),
    pytest.param({"a": [{"b": "x"}, {"c": "y"}, "z", None]}, "a[].b", ["x"], id="items-without-the-key"),
    pytest.param({"a": [{"b": [{"c": "x"}]}, {"b": [{"c": "y"}]}]}, "a[].b[].c", ["x", "y"], id="lists-in-lists"),
    pytest.param({"a": [["x"]]}, "a[]", [], id="a-list-is-no-text"),
    pytest.param({"a": {"b": ""}}, "a.b", [], id="empty-text"),
    pytest.param({"a": ["x", "", None]}, "a[]", ["x"], id="empty-items"),
    pytest.param({"a": {"b": 1}}, "a.b", [], id="no-text"),
    pytest.param({"a": {"b": "x"}}, "a[].b", [], id="a-mapping-is-no-list"),
    pytest.param({"a": [{"b": "x"}]}, "a.b", [], id="a-list-is-no-mapping"),
    pytest.param({"a": {"b": "x"}}, "a.b.c", [], id="beyond-a-text"),
    pytest.param({"a": "xyz"}, "a[]", [], id="a-text-is-no-list"),
    pytest.param({"a": None}, "a.b.c", [], id="null-on-the-way"),
    pytest.param({"a": [None]}, "a[].b", [], id="null-as-an-item"),
    pytest.param({}, "a[].b", [], id="nothing"),
    pytest.param("text", "a", [], id="text"),
    pytest.param(None, "a", [], id="null"),
]


@pytest.mark.parametrize(("value", "path", "found"), FOUND)
def test_a_path_finds_texts_and_passes_over_what_does_not_fit(value: object, path: str, found: list[str]) -> None:
    assert values_at(value, path) == found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Größe 5 ü", "Größe 5 ü", id="letters"),
        pytest.param("\x1b[2J\x07", r"\x1b[2J\x07", id="escape-sequence"),
        pytest.param("\x9b2J", r"\x9b2J", id="the-same-in-one-character"),
        pytest.param("a\r\nb\tc", r"a\r\nb\tc", id="line-breaks-and-tabs"),
        pytest.param("a\u2028b\u2029c\x85", r"a\u2028b\u2029c\x85", id="separators"),
        pytest.param("\u202ea\u2066\u061c", r"\u202ea\u2066\u061c", id="directions"),
        pytest.param("a\u200b\u200d\ufeff\u00ad", r"a\u200b\u200d\ufeff\xad", id="zero-width"),
        pytest.param(
            "\u3164\u2800\ufe0f\U000e0100\U000e0041", r"\u3164\u2800\ufe0f\U000e0100\U000e0041", id="invisible"
        ),
        pytest.param("\ud800\ue000", r"\ud800\ue000", id="no-characters"),
    ],
)
def test_what_is_not_seen_or_moves_what_is_seen_is_written_out(text, shown):
    assert visible(text) == shown


@given(st.text())
def test_visible_text_is_printable_and_stays_as_it_is(text):
    shown = visible(text)

    assert visible(shown) == shown
    assert all(character.isprintable() or character.isspace() for character in shown)
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize("text", ["", "²", "٣", "-1", "1 ", "1_0", "1" * 5000, "1" * 11])
def test_what_is_no_number_of_a_few_digits_is_none(text):
    assert whole_number(text) is None


def test_digits_are_a_number():
    assert whole_number("0042") == 42
