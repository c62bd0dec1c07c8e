# SPDX-License-Identifier: Apache-2.0
"""No text makes a regular expression take longer than its length explains: all of them are found and tried."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube import refusals, schema
from ansible_collections.media.immich.plugins.plugin_utils.passes import troubles
from ansible_collections.media.immich.plugins.plugin_utils.spec import variables
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import open_api_schema
from support.patterns import LONGEST, attacks, calls, is_linear

ROOT = Path(__file__).parents[3]
FOLDERS = {"immich_operator": "immich_operator", "plugins": "ansible_collections.media.immich.plugins"}
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")
TEXT = "\n".join(file.read_text(encoding="utf-8") for file in FILES)


def patterns_of_crd(node: Any) -> Iterator[tuple[str, int]]:
    """What `schema.problems` compares texts with, and how long these are at most."""
    if isinstance(node, dict):
        longest = node.get("maxLength", schema.LONGEST_COMPARED)
        if isinstance(node.get("pattern"), str):
            yield node["pattern"], longest
        for rule in (
            node.get("x-kubernetes-validations", ()) if isinstance(node.get("x-kubernetes-validations"), list) else ()
        ):
            if found := schema._TEXT_RULE.fullmatch(rule["rule"]):
                yield found[1].replace("\\\\", "\\"), longest
        node = list(node.values())
    for inner in node if isinstance(node, list) else ():
        yield from patterns_of_crd(inner)


class Used(NamedTuple):
    """A regular expression, and the functions of re or methods of it that the code calls."""

    where: str
    pattern: re.Pattern[Any]
    methods: tuple[str, ...]
    longest: int = LONGEST


def _of_tables(where: str, patterns: Iterable[Any], *methods: str) -> list[Used]:
    return [Used(f"{where} {number}", pattern, methods) for number, pattern in enumerate(patterns)]


IN_TABLES = {
    "kube/schema.py": [
        Used(f"CRD {number}", schema._compiled(pattern), ("search",), longest)
        for number, (pattern, longest) in enumerate(dict.fromkeys(patterns_of_crd(open_api_schema())))
    ],
    "kube/refusals.py": _of_tables("own words", refusals._OWN_WORDS, "finditer")
    + _of_tables("remedy", [pattern for pattern, _remedy in refusals._REMEDIES], "search"),
    "passes/troubles.py": _of_tables("sign", [p for rows in troubles._ROWS.values() for _row, p in rows], "search"),
    "spec/variables.py": _of_tables(
        "variable", [v.values for of_one in variables.TABLE.values() for v in of_one if v.values], "fullmatch"
    ),
    "kube/redaction.py": [],  # the texts of Secrets one beside the other, each as it is
}
"""Where a pattern is made of values that no name of the module stands for: all that there are."""


def used() -> Iterator[Used]:
    """All regular expressions of the code."""
    for file in FILES:
        folder = file.relative_to(ROOT).parts[0]
        name = ".".join([FOLDERS[folder], *file.relative_to(ROOT / folder).with_suffix("").parts])
        relative = "/".join(file.parts[-2:])
        for call in calls(file):
            names = vars(importlib.import_module(name)) | {"re": re}
            try:
                made = eval(compile(ast.Expression(call.pattern), str(file), "eval"), names)  # noqa: S307 - our own code
            except NameError:
                assert relative in IN_TABLES, f"{relative}:{call.line}: say in IN_TABLES what this pattern may be"
                continue
            methods = (call.function,)
            flags = 0
            if call.function == "compile":
                ours = [key for key, value in names.items() if isinstance(value, re.Pattern) and value.pattern == made]
                flags = names[ours[0]].flags if ours else 0
                methods = tuple(m for m in METHODS if any(re.search(rf"\b{key}\.{m}\b", TEXT) for key in ours)) or (
                    "fullmatch",
                    "search",
                )
            yield Used(f"{relative}:{call.line}", re.compile(made, flags), methods)
    for rows in IN_TABLES.values():
        yield from rows


ALL = [pytest.param(each, id=each.where) for each in used()]


def _tried(each: Used) -> list[Callable[[Any], object]]:
    return [partial(_consumed, each.pattern, "finditer" if method in ("sub", "subn", "split", "findall") else method)
            for method in each.methods]  # fmt: skip


def _consumed(pattern: re.Pattern[Any], method: str, text: Any) -> object:
    found = getattr(pattern, method)(text)
    return sum(1 for _unused in found) if method == "finditer" else found


@pytest.mark.parametrize("each", ALL)
def test_a_regular_expression_takes_time_in_proportion_to_the_text(each: Used) -> None:
    for text in attacks(each.pattern):
        for try_it in _tried(each):
            assert is_linear(try_it, text, each.longest), f"{each.pattern.pattern!r} on {text(12)!r}, repeated"


@pytest.mark.parametrize("slow", [r"(a+)+b", r"(a|a)*b", r"\d+\d+x", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"x.*y.*z"])
def test_a_slow_one_is_found(slow: str) -> None:
    pattern = re.compile(slow)

    assert not all(is_linear(pattern.search, text) for text in attacks(pattern))
