# SPDX-License-Identifier: Apache-2.0
"""Regular expressions in source text, the texts on which each could take longest, and how its time grows with these."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

__all__ = ["Call", "attacks", "calls", "is_linear"]

FUNCTIONS = frozenset({"compile", "findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn"})
UNBOUNDED = 50
"""Repetitions from which on a bound is none that keeps a regular expression fast."""
LONGEST = 8_192
"""Characters. What is still fast then is fast on whatever comes in one line of a message."""
FAST_S, SLOW_S = 0.002, 0.5
"""Seconds: what is too short to be compared, and what nothing short may take."""


class Call(NamedTuple):
    """A use of the module re."""

    file: Path
    line: int
    function: str
    pattern: ast.expr


def calls(file: Path) -> Iterator[Call]:
    """Each call of a function of re that takes a pattern."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name)) if name in FUNCTIONS:
                yield Call(file, node.lineno, name, node.args[0])


def attacks(pattern: re.Pattern[Any]) -> Iterator[Callable[[int], Any]]:
    """For each part that may be repeated without end, texts that repeat it n times between what leads there and what fails."""
    is_bytes = isinstance(pattern.pattern, bytes)

    def attack(before: str, pump: str, after: str) -> Callable[[int], Any]:
        def text(n: int) -> Any:
            whole = before + pump * (n // len(pump) + 1) + after
            return whole.encode("latin-1", "replace") if is_bytes else whole

        return text

    parsed = _parser.parse(pattern.pattern, pattern.flags)
    whole = _texts(parsed)[0]
    beginnings = {whole[:length] for length in (1, len(whole) // 2, len(whole) - 1, len(whole)) if whole[:length]}
    # What begins to match again and again, too, because a search tries each place.
    found = [*_repeats(parsed, ""), *(("", pump) for pump in sorted(beginnings))]
    found += [(before, literal) for before, _unused in found[:4] for literal in sorted(set(whole))[:6]]
    for before, pump in dict.fromkeys(found):
        for after in ("", "\x00"):
            yield attack(before, pump, after)


def is_linear(try_it: Callable[[Any], object], text: Callable[[int], Any], longest: int = LONGEST) -> bool:
    """Whether four times as long a text takes about four times as long: sixteen times would be quadratic.

    What takes no time worth measuring with texts of `longest` characters counts as linear.
    """
    for n in range(4, min(longest, 32) + 1, 4):
        if _seconds(try_it, text(n), 1) > SLOW_S:
            return False
    n = 64
    while _seconds(try_it, text(n), 1) < FAST_S:
        n *= 2
        if n > longest:
            return True
    # A machine that is busy with other things may mislead one comparison, hardly three.
    return any(_seconds(try_it, text(4 * n), 2) < 9 * _seconds(try_it, text(n), 3) for _unused in range(3))


def _seconds(try_it: Callable[[Any], object], text: Any, times: int) -> float:
    """Of processor time, at best."""
    best = float("inf")
    for _unused in range(times):
        started = time.thread_time()
        try_it(text)
        best = min(best, time.thread_time() - started)
    return best


def _repeats(parsed: Any, before: str) -> Iterator[tuple[str, str]]:
    """(a text that leads to it, a text that it repeats) of each part without a bound."""
    for operator, value in parsed:
        if operator in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
            least, most, body = value
            if most is _constants.MAXREPEAT or most >= UNBOUNDED:
                for pump in _texts(body):
                    if pump:
                        yield before, pump
            yield from _repeats(body, before)
            before += _texts(body)[0] * least
            continue
        for inner in _inner(operator, value):
            yield from _repeats(inner, before)
        before += _texts([(operator, value)])[0]


def _inner(operator: Any, value: Any) -> list[Any]:
    if operator is _constants.SUBPATTERN:
        return [value[-1]]
    if operator is _constants.BRANCH:
        return list(value[1])
    if operator in (_constants.ASSERT, _constants.ASSERT_NOT):
        return [value[1]]
    return [value] if operator is _constants.ATOMIC_GROUP else []


def _texts(parsed: Any) -> list[str]:
    """A few texts that match, the shortest first; parts that match at a place only are left out."""
    found = [""]
    for operator, value in parsed:
        match operator:
            case _constants.LITERAL:
                more = [chr(value)]
            case _constants.NOT_LITERAL:
                more = ["a" if value != ord("a") else "b"]
            case _constants.ANY:
                more = ["a"]
            case _constants.IN:
                more = _members(value)
            case _constants.BRANCH:
                more = [text for branch in value[1] for text in _texts(branch)]
            case _constants.SUBPATTERN:
                more = _texts(value[-1])
            case _constants.ATOMIC_GROUP:
                more = _texts(value)
            case _constants.MAX_REPEAT | _constants.MIN_REPEAT | _constants.POSSESSIVE_REPEAT:
                least, most, body = value
                more = [text * max(least, 0) for text in _texts(body)] + (
                    [text * (least + 1) for text in _texts(body)] if most > least else []
                )
            case _:
                more = [""]
        found = list(dict.fromkeys(one + other for one in found for other in more))[:8]
    return found


def _members(items: list[Any]) -> list[str]:
    """One character of each part of a class; of one that is negated, what is not in it."""
    if items[0][0] is _constants.NEGATE:
        taken = re.compile("".join(["[", *(_class_text(item) for item in items[1:]), "]"]))
        return [character for character in 'a0 -./:!"\\\n\x01é' if not taken.match(character)][:3] or ["\u2603"]
    found = []
    for operator, value in items:
        if operator is _constants.LITERAL:
            found.append(chr(value))
        elif operator is _constants.RANGE:
            found.append(chr(value[0]))
        elif operator is _constants.CATEGORY:
            found.append({_constants.CATEGORY_DIGIT: "0", _constants.CATEGORY_SPACE: " "}.get(value, "a"))
    return found[:6]


def _class_text(item: Any) -> str:
    operator, value = item
    if operator is _constants.LITERAL:
        return re.escape(chr(value))
    if operator is _constants.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return {_constants.CATEGORY_DIGIT: r"\d", _constants.CATEGORY_SPACE: r"\s", _constants.CATEGORY_WORD: r"\w"}.get(
        value, ""
    )
