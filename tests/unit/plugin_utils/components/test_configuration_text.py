# SPDX-License-Identifier: Apache-2.0
"""The text of the configuration file says the same to YAML 1.1 (PyYAML) and YAML 1.2 (Immich's js-yaml)."""

import io

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ansible_collections.media.immich.plugins.plugin_utils.components.configuration import as_yaml

NASTY = [
    "", " ", "  leading", "trailing  ", "\n", "a\nb", "a\r\nb", "\t", "-", "- a", "a: b", "a #b", "#", "&a",
    "*a", "!a", "|", ">", "%", "@", "`", "'", '"', "\\", "{{y}}/{{MM}}/{{filename}}", "{a: b}", "[a]", "~",
    "null", "Null", "NULL", "none", "true", "True", "yes", "No", "on", "OFF", "y", "N", "0", "1", "-1",
    "+1", "007", "0o7", "0x1F", "1_000", "1e3", "1E3", "1.", ".5", ".inf", "-.INF", ".nan", "NaN",
    "12:30:45", "2026-11-24", "2026-11-24T10:00:00Z", "=", "<<", "---", "...", "?", ": ", "a:", ",", "é",
    "日本", "🎞", "\u0085", "\u00a0", "\u2028", "\u2029", "\ufeff", "\x00", "\x1b", "\x7f", "x" * 5000,
    "word " * 1500, "ab/c_d-e",
]  # fmt: skip
"""Strings that one version of YAML or the other takes for something else, or folds, or escapes."""
CHARACTERS = (
    "aZ19eEx+-._/ :#,?~=<&*!|>%@`'\"\\{}[]\t\n\ré日🎞\x00\x1b\x7f\u0085\u00a0\u2028\u2029\ud7ff\ue000\ufeff\ufffe"
)
"""At least one of each kind that YAML tells apart."""


def by_yaml_1_1(text):
    return yaml.safe_load(text)


def by_yaml_1_2(text):
    loader = YAML(typ="safe", pure=True)
    loader.version = (1, 2)
    return loader.load(io.StringIO(text))


LOADERS = [pytest.param(by_yaml_1_1, id="1.1"), pytest.param(by_yaml_1_2, id="1.2")]
text = st.text(CHARACTERS, max_size=10)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53), max_value=2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.sampled_from(NASTY)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=2),
    max_leaves=6,
)
settings_trees = st.dictionaries(text | st.sampled_from(NASTY[:-3]), values, max_size=4)


def same(one, other):
    """Equal in value and in type, so that neither 1 passes for true nor 1.0 for 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("text", [pytest.param(text, id=f"{index}-{text[:12]!r}") for index, text in enumerate(NASTY)])
def test_a_nasty_string_comes_back_as_value_and_as_key(load, text):
    value = {"key": text, "list": [text]}

    assert same(load(as_yaml(value)), value)
    if len(text) < 1000:
        assert same(load(as_yaml({text: 1})), {text: 1})


@given(settings_trees)
def test_any_settings_come_back_through_yaml_1_1(settings):
    assert same(by_yaml_1_1(as_yaml(settings)), settings)


@given(settings_trees)
def test_any_settings_come_back_through_yaml_1_2(settings):
    assert same(by_yaml_1_2(as_yaml(settings)), settings)


@given(settings_trees)
def test_the_text_does_not_depend_on_the_order_of_keys(settings):
    assert as_yaml(dict(reversed(settings.items()))) == as_yaml(settings)


def test_a_value_used_twice_is_written_twice():
    shared = {"a": [1]}

    assert "&" not in as_yaml({"one": shared, "two": shared})
