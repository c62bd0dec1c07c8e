# SPDX-License-Identifier: Apache-2.0
"""Small operations that rendering is made of."""

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.values import checksum, dig, merged, plain, quantity

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


@pytest.mark.parametrize("text", ["", "ten", "10 Gi", "10gi", "Gi", True])
def test_what_is_no_quantity_is_an_error_that_names_it(text):
    with pytest.raises(ValueError, match="is no Kubernetes quantity"):
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
