# SPDX-License-Identifier: Apache-2.0
"""No text of others, however long, keeps a regular expression busy for more than a time in proportion to its length."""

from __future__ import annotations

import ast
import importlib
import re
import re._constants as opcodes  # type: ignore[import-not-found]  # what `re` itself reads patterns with
import re._parser as parser  # type: ignore[import-not-found]
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube import schema
from immich_operator.config import durations

ROOT = Path(__file__).parents[3]
COLLECTION = "ansible_collections.media.immich.plugins"
SOURCES = {COLLECTION: ROOT / "plugins", "immich_operator": ROOT / "immich_operator"}
ANYWHERE = frozenset({"search", "sub", "subn", "split", "findall", "finditer"})
FROM_ITS_START = frozenset({"match", "fullmatch"})
LENGTHS = (12, 18, 22, 28, 36, 48, 72, 250, 4_000)
"""Of texts. The short ones find what grows with a power of two, which would never be through a long one."""
LINEAR = LENGTHS[-1] / LENGTHS[-2]
"""How many times longer the last text is; where time grows with the square of the length it takes that, squared."""
LEAST_S = 0.005
"""Of processor time. A pattern that is through the last text in less has not looked at each pair of its characters."""
TOO_LONG_S = 0.05


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield (
                ".".join((package, *(part for part in parts if part != "__init__"))),
                ast.parse(path.read_text("utf-8")),
            )


def _calls(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """(the last name before the method, method, call)"""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Name):
                yield node.func.value.id, node.func.attr, node
            elif isinstance(node.func.value, ast.Attribute):
                yield node.func.value.attr, node.func.attr, node


def _patterns_in(name: str | None, value: Any, depth: int = 3) -> Iterator[tuple[str | None, re.Pattern[str]]]:
    """Those that a variable holds, each with the name of the variable or the field; None in other places of a table."""
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield name, value
    elif depth and isinstance(value, dict):
        yield from _patterns_in(None, list(value.values()), depth)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _patterns_in(None, one, depth - 1)
    elif depth and hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for field in value.__dataclass_fields__:
            yield from _patterns_in(field, getattr(value, field, None), depth - 1)


def _of_the_code() -> dict[str, tuple[re.Pattern[str], bool]]:
    """{pattern: (compiled, whether it is looked for anywhere in a text)}"""
    modules = dict(_modules())
    used: dict[str, set[str]] = {}
    found: dict[str, tuple[re.Pattern[str], bool]] = {}

    def add(pattern: re.Pattern[str], *, anywhere: bool) -> None:
        _, before = found.get(pattern.pattern, (pattern, False))
        found[pattern.pattern] = (pattern, anywhere or before)

    for tree in modules.values():
        for name, method, call in _calls(tree):
            used.setdefault(name, set()).add(method)
            if name == "re" and method in ANYWHERE | FROM_ITS_START:
                first = call.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    add(re.compile(first.value), anywhere=method in ANYWHERE)
    for module, tree in modules.items():
        if not any(name == "re" and method == "compile" for name, method, _ in _calls(tree)):
            continue
        for name, value in vars(importlib.import_module(module)).items():
            for said, pattern in _patterns_in(name, value):
                # Of one in a table it is not known which name it has where it is used.
                methods = used.get(said or "", set()) & (ANYWHERE | FROM_ITS_START)
                add(pattern, anywhere=not methods or not methods <= FROM_ITS_START)
    return found


def _of_the_schema() -> dict[str, tuple[re.Pattern[str], bool]]:
    """Those of the CRD and of its rules, also of the rules that the API server alone carries out."""
    crd = yaml.load((ROOT / "crds/media.rm3l.org_immiches.yaml").read_text(), Loader=yaml.CSafeLoader)
    texts: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(pattern := node.get("pattern"), str):
                texts.add(pattern)
            for rule in node.get("x-kubernetes-validations", []):
                texts.update(re.findall(r"matches\('([^']*)'\)", rule["rule"].replace("\\\\", "\\")))
            walk(list(node.values()))
        elif isinstance(node, list):
            for one in node:
                walk(one)

    walk(crd)
    return {text: (re.compile(text, re.ASCII), True) for text in texts}


def _examples(tree: Any) -> list[str]:
    """Some short texts that match, at least one for each choice at the outermost place where there is one."""
    texts = [""]
    for operation, argument in tree:
        texts = [before + after for before in texts[:6] for after in _examples_of(operation, argument)[:6]]
    return texts


def _examples_of(operation: Any, argument: Any) -> list[str]:
    if operation is opcodes.LITERAL:
        return [chr(argument)]
    if operation is opcodes.NOT_LITERAL:
        return ["a" if argument != ord("a") else "b"]
    if operation is opcodes.ANY:
        return ["a"]
    if operation is opcodes.IN:
        compiled = re.compile(_class(argument))
        return [char for char in "a0A-._/ :=\\\"'\t" if compiled.fullmatch(char)] or [_any_of(compiled)]
    if operation in {opcodes.MAX_REPEAT, opcodes.MIN_REPEAT, opcodes.POSSESSIVE_REPEAT}:
        least, _, inner = argument
        return [text * max(least, 1) for text in _examples(inner)]
    if operation is opcodes.SUBPATTERN:
        return _examples(argument[3])
    if operation is opcodes.ATOMIC_GROUP:
        return _examples(argument)
    if operation is opcodes.BRANCH:
        return [text for branch in argument[1] for text in _examples(branch)[:2]]
    return [""]  # what takes no text: anchors, looks ahead and behind


_CATEGORIES = {
    opcodes.CATEGORY_DIGIT: r"\d", opcodes.CATEGORY_NOT_DIGIT: r"\D", opcodes.CATEGORY_SPACE: r"\s",
    opcodes.CATEGORY_NOT_SPACE: r"\S", opcodes.CATEGORY_WORD: r"\w", opcodes.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def _class(items: Any) -> str:
    text = ""
    for kind, value in items:
        if kind is opcodes.NEGATE:
            text = "^"
        elif kind is opcodes.LITERAL:
            text += re.escape(chr(value))
        elif kind is opcodes.RANGE:
            text += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        elif kind is opcodes.CATEGORY:
            text += _CATEGORIES[value]
    return f"[{text}]"


def _any_of(compiled: re.Pattern[str]) -> str:
    return next(chr(code) for code in range(0x11_0000) if compiled.fullmatch(chr(code)))


def _repeated(tree: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """(a text that leads there, what is repeated) for each repetition without a small bound."""
    for operation, argument in tree:
        if operation in {opcodes.MAX_REPEAT, opcodes.MIN_REPEAT}:
            _, most, inner = argument
            if most > LENGTHS[-2]:
                for text in filter(None, _examples(inner)):
                    yield before, text
            yield from _repeated(inner, before)
        elif operation is opcodes.SUBPATTERN:
            yield from _repeated(argument[3], before)
        elif operation is opcodes.BRANCH:
            for branch in argument[1]:
                yield from _repeated(branch, before)
        before += _examples_of(operation, argument)[0]


def _seconds(pattern: re.Pattern[str], text: str, *, anywhere: bool) -> float:
    """Of processor time; the best of some, where it matters."""
    look = (lambda: pattern.sub("", text)) if anywhere else (lambda: (pattern.match(text), pattern.fullmatch(text)))

    def once() -> float:
        started = time.process_time()
        look()
        return time.process_time() - started

    taken = once()
    return taken if taken < LEAST_S else min(taken, once(), once())


def _hard_text(pattern: re.Pattern[str], *, anywhere: bool) -> str | None:
    """What a text begins like with which the time grows faster than its length."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    for before, again in dict.fromkeys(_repeated(tree)):
        # A text that is nearly what is looked for costs most, so each ends with what can be no part of it.
        for end in ("\x00", "!", ""):
            taken: list[float] = []
            for length in LENGTHS:
                text = before + again * (length // len(again)) + end
                taken.append(_seconds(pattern, text, anywhere=anywhere))
                if taken[-1] > TOO_LONG_S:  # and a longer one might take for ever
                    return text[:60]
            if taken[-1] > LEAST_S and taken[-1] > 4 * LINEAR * taken[-2]:
                return text[:60]
    return None


ALL = {**_of_the_schema(), **_of_the_code()}


@pytest.mark.parametrize("text", sorted(ALL))
def test_the_time_of_a_regular_expression_grows_with_the_length_of_the_text_and_no_faster(text: str) -> None:
    pattern, anywhere = ALL[text]

    assert _hard_text(pattern, anywhere=anywhere) is None


@pytest.mark.parametrize(
    ("text", "anywhere"),
    [
        pytest.param(r"(a*)*b", False, id="repetition-of-a-repetition"),
        pytest.param(r"([a-z]+)*1", False, id="the-same-with-classes"),
        pytest.param(r"(\w|\w\w)+-x", False, id="choices-that-overlap"),
        pytest.param(r"[0-9]+[0-9.]*x", False, id="neighbours-that-overlap"),
        pytest.param(r"\s+$", True, id="looked-for-from-each-place"),
    ],
)
def test_patterns_that_are_known_to_be_slow_are_found(text: str, anywhere: bool) -> None:
    assert _hard_text(re.compile(text), anywhere=anywhere) is not None


def test_patterns_of_both_packages_and_of_the_schema_are_looked_at() -> None:
    assert {schema._TEXT_RULE.pattern, r"[\t\n\r]", durations._PART.pattern, "^/[^:]*$"} <= ALL.keys()
    assert len(ALL) > 100
