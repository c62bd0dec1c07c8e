# SPDX-License-Identifier: Apache-2.0
"""YAML that somebody else wrote is read within bounds: nothing hangs, nothing recurses, and the message names the bound."""

import io

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube import bounded_yaml
from ansible_collections.media.immich.plugins.plugin_utils.kube.bounded_yaml import (
    TooLarge,
    check,
    documents,
    exceeds,
    read_text,
)

LOADERS = [yaml.SafeLoader, *filter(None, [getattr(yaml, "CSafeLoader", None)])]
loaders = pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.__name__)


def a_bomb(levels=12, width=10):
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines)


MERGES = "a0: &a0 {k0: v}\n" + "\n".join(f"a{n}: &a{n} {{k{n}: 1, x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 40))


@loaders
@pytest.mark.parametrize(
    ("text", "bound"),
    [
        pytest.param(a_bomb(), "more than 500,000 values", id="aliases-to-aliases"),
        pytest.param(MERGES, "more than 500,000 values", id="mappings-of-aliases"),
        pytest.param(
            "x: &x " + "y" * 100_000 + "\nz: [" + "*x, " * 200 + "]", "more than 8 MiB", id="one-long-text-often"
        ),
        pytest.param("a: &a [*a]", "line 1: an alias to what it is in", id="itself"),
        pytest.param("a: &a {b: {c: *a}}", "an alias to what it is in", id="itself-further-in"),
        pytest.param("\n\n<<: &a {<<: *a}", "line 3: an alias to what it is in", id="merged-into-itself"),
        pytest.param("- " * 5000 + "x", "more than 100 levels", id="deep-block"),
        pytest.param("[" * 101 + "]" * 101, "more than 100 levels", id="deep-flow"),
        pytest.param("a: " + "9" * 5000, "more than 300 digits", id="long-number"),
        pytest.param("a: 0x" + "f" * 5000, "more than 300 digits", id="long-hexadecimal"),
        pytest.param("a: 1" + ":1" * 5000, "more than 300 digits", id="long-sexagesimal"),
        pytest.param("#" + "x" * 8 * 1024 * 1024, "larger than 8 MiB", id="size"),
    ],
)
def test_a_text_beyond_a_bound_is_refused_by_its_name(text, bound, loader):
    with pytest.raises(TooLarge, match=bound):
        documents(text, loader)


@loaders
@pytest.mark.parametrize(
    "text",
    [
        "a: !!int 'x'",
        "a: !!int '" + "9" * 5000 + "'",
        "a: !!bool x",
        "a: !!timestamp x",
        "a: 2024-99-99",
        "? {a: 1}\n: b",
        "[" * 50_000,
    ],
)
def test_whatever_cannot_be_made_of_a_text_is_the_one_error_of_yaml(text, loader):
    with pytest.raises(yaml.YAMLError):
        documents(text, loader)


def test_a_value_that_does_not_fit_is_not_quoted():
    with pytest.raises(yaml.YAMLError) as caught:
        documents("password: !!int hunter2")

    assert "hunter2" not in str(caught.value)


@loaders
def test_aliases_within_the_bounds_are_read_as_ever(loader):
    text = "a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}\n---\nf: [1, 2]\n"

    assert documents(text, loader) == [{"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}, {"f": [1, 2]}]


def test_anchors_of_one_document_are_none_of_the_next():
    check("a: &a [x]\n---\nb: &a [*c, 1]\n".replace("*c, ", ""))


@given(
    st.recursive(st.integers() | st.text("ab"), lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner))
)
def test_whatever_fits_comes_back(value):
    assert documents(yaml.safe_dump(value)) == [value]


def test_no_more_of_a_file_is_read_than_fits():
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            assert 0 < size <= bounded_yaml.MAX_BYTES + 1
            return b"x" * size

    with pytest.raises(TooLarge, match="larger than 8 MiB"):
        read_text(Endless())


def test_a_structure_in_memory_that_holds_itself_or_becomes_too_large_is_noticed():
    loop = {}
    loop["a"] = [loop]
    bomb = ["x"] * 10
    for _level in range(12):
        bomb = [bomb] * 10

    assert exceeds(loop) == "it is nested more than 100 levels deep"
    assert exceeds(bomb) == "it has more than 500,000 values"
    assert exceeds({"a": [1, {"b": (2, 3)}]}) is None
