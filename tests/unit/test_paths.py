# SPDX-License-Identifier: Apache-2.0
"""What a path such as `spec.env[].name` leads to: the loop watches, and a pass reads, what the same paths find."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import references
from immich_operator.kube import resources

ValuesAt = Callable[[Any, str], Iterable[str]]
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


@pytest.mark.parametrize("values_at", [resources.values_at, references.values_at], ids=["loop", "pass"])
@pytest.mark.parametrize(("value", "path", "found"), FOUND)
def test_a_path_finds_texts_and_passes_over_what_does_not_fit(
    values_at: ValuesAt, value: object, path: str, found: list[str]
) -> None:
    assert list(values_at(value, path)) == found
