# SPDX-License-Identifier: Apache-2.0
"""JSON in which others wrote parts: it is read whatever they wrote, and what is ordinary stays as it is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube import decoding as module
from ansible_collections.media.immich.plugins.plugin_utils.kube.decoding import LEVELS, decoded
from ansible_collections.media.immich.plugins.plugin_utils.kube.values import is_deeper

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
STORABLE = 9_997
"""The most levels of an object that the API server reads."""


def nested(levels: int, start: bytes = b'{"a":', end: bytes = b"}") -> bytes:
    return start * levels + b"1" + end * levels


@given(JSON)
def test_what_is_ordinary_is_read_as_by_python(value: Any) -> None:
    assert decoded(json.dumps(value).encode()) == value


@pytest.mark.parametrize("levels", [LEVELS + 1, 990, 1100, 4000, STORABLE, 200_000])
@pytest.mark.parametrize(("start", "end"), [(b'{"a":', b"}"), (b"[", b"]"), (b'[{"]":', b"}]")])
def test_what_stands_beside_something_deep_is_read(levels: int, start: bytes, end: bytes) -> None:
    deep = nested(levels, start, end)

    found = decoded(b'{"metadata":{"name":"a"},"spec":%b,"status":[{"ready":true}]}' % deep)

    assert (found["metadata"], found["status"]) == ({"name": "a"}, [{"ready": True}])
    assert is_deeper(found["spec"], LEVELS - 2), "so that it can be told from what is not too deep"


def test_one_deep_object_of_a_list_leaves_the_others_whole() -> None:
    items = [b'{"metadata":{"name":"a"}}', b'{"metadata":{"name":"b"},"spec":%b}' % nested(STORABLE), b'{"spec":["]"]}']

    found = decoded(b'{"items":[%b]}' % b",".join(items))["items"]

    assert [found[0], found[1]["metadata"]["name"], found[2]] == [{"metadata": {"name": "a"}}, "b", {"spec": ["]"]}]


@given(JSON, st.integers(1, 4))
def test_only_what_is_below_the_levels_is_cut(value: Any, levels: int) -> None:
    def shallow(part: Any, level: int = 0) -> Any:
        if isinstance(part, dict | list) and level == levels:
            return None
        if isinstance(part, dict):
            return {key: shallow(inner, level + 1) for key, inner in part.items()}
        return [shallow(inner, level + 1) for inner in part] if isinstance(part, list) else part

    assert json.loads(module._cut(json.dumps(value).encode(), levels)) == shallow(value)


@pytest.mark.parametrize(("digits", "found"), [("9" * 5_000, 2**63 - 1), ("-" + "9" * 5_000, 1 - 2**63), ("12", 12)])
def test_a_number_of_any_length_is_read(digits: str, found: int) -> None:
    assert decoded(b'{"generation":%b}' % digits.encode()) == {"generation": found}


def test_bytes_that_are_no_text_are_marked_as_such() -> None:
    assert decoded(b'{"name":"a\xff"}') == {"name": "a\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"a":', nested(1100)[:-1], nested(1100) + b"]", b'"\\'])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="line 1 column"):
        decoded(raw)


@pytest.mark.parametrize("raw", [b'"' + b'\\"' * 1000, b'"' * 1001, b'"\\', nested(1000), b"\\" * 1000])
def test_no_byte_of_a_hostile_text_is_looked_at_twice(raw: bytes) -> None:
    ends = [token.span() for token in module._TOKEN.finditer(raw)]

    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))
    assert raw.count(b'"') == sum(raw[start:end].count(b'"') for start, end in ends), "none is left to start again from"
