# SPDX-License-Identifier: Apache-2.0
"""JSON from the API server, in which others wrote parts: no text makes reading it fail that the API server could store.

Python reads JSON by recursion and gives up at about a thousand levels (3.11) or ten thousand (3.12 and later), and it
refuses whole numbers of more than 4,300 digits. The API server stores what Go reads: 10,000 levels.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["LEVELS", "decoded"]

LEVELS = 200
"""Of what is too deep for Python, the levels that are kept: more than any object has, and few enough for all that works by
recursion later."""
_LARGEST = 2**63 - 1
_LONGEST_NUMBER = 400
"""Digits. The API server stores a whole number in 64 bits, and a larger one as a float, which has 309 at most."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""A text, which may hold brackets, or a bracket. Nothing is looked at twice, not even in a text without an end."""


def decoded(raw: bytes, *, levels: int = 0) -> Any:
    """What the JSON says, in time linear in its length. What is nested deeper than LEVELS may be null instead, whole numbers
    beyond 64 bits may be less than they are, and bytes that are not UTF-8 become U+FFFD. ValueError if it is no JSON.

    With `levels`, all that is nested deeper than that is null.
    """
    if not levels:
        try:
            return json.loads(_text(raw))
        except (
            RecursionError,
            ValueError,
        ):  # the latter for numbers too, but reading each by a function takes much longer
            pass
    return _patient.decode(_text(_cut(raw, levels or LEVELS)))


def _text(raw: bytes) -> str:
    return str(raw, "utf-8", "replace")


def _cut(raw: bytes, levels: int) -> bytes:
    """The JSON with null in place of each mapping and list below so many levels."""
    kept: list[bytes] = []
    level = start = 0
    for token in _TOKEN.finditer(raw):
        bracket = token[0]
        if bracket in (b"{", b"["):
            level += 1
            if level == levels + 1:
                kept.append(raw[start : token.start()])
        elif bracket in (b"}", b"]"):
            if level == levels + 1:
                kept.append(b"null")
                start = token.end()
            level -= 1
    return b"".join([*kept, raw[start:] if level <= levels else b""])


def _whole(digits: str) -> int:
    if len(digits) <= _LONGEST_NUMBER:
        return int(digits)
    return -_LARGEST if digits.startswith("-") else _LARGEST


_patient = json.JSONDecoder(parse_int=_whole)
