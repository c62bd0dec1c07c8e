# SPDX-License-Identifier: Apache-2.0
"""YAML that somebody else wrote, read within bounds: in size, in depth, and in what its aliases become.

Nine lines of aliases to aliases are a billion values once they are written out as JSON, and an alias to what is around
it never ends. So the text is looked through once, without making anything of it, before it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO, Any

import yaml

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "TooLarge", "check", "documents", "exceeds", "read_text"]

MAX_BYTES = 8 * 1024 * 1024
"""Of a file, and characters of a text with its aliases written out. etcd takes 1.5 MiB of an object."""
MAX_VALUES = 500_000
"""Mappings, lists, keys and values together. The largest CRDs that are in use have some 30,000."""
MAX_DEPTH = 100
"""Mappings and lists in each other. CRDs with the template of a pod have some 50; Python recurses a few times for each."""

_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where PyYAML has libyaml
_LONG_NUMBER = re.compile(r"[-+]?\.?[0-9][0-9a-fA-FxXob_:.+-]{300,}")
"""`int` raises from 4,300 digits on, and what is quadratic before."""
_BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML's constructors raise for a text that does not fit its tag."""


class TooLarge(yaml.YAMLError):
    """It goes beyond a bound; the text names the bound, and quotes nothing."""


def read_text(file: IO[bytes]) -> str:
    """The text of an open file of at most MAX_BYTES. Raises TooLarge, OSError and UnicodeDecodeError."""
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TooLarge(f"it is larger than {MAX_BYTES // 1024**2} MiB")
    return content.decode("utf-8")


def documents(text: str, loader: Any = _FAST) -> list[Any]:
    """The documents in a YAML text, None for an empty one. Raises yaml.YAMLError."""
    check(text, loader)
    try:
        return list(yaml.load_all(text, Loader=loader))
    except _BROKEN:  # whose text quotes the value, which may be a password
        raise yaml.YAMLError("a value is none of its type; put it in quotes") from None


def check(text: str, loader: Any = _FAST) -> None:
    """Raise TooLarge if the text goes beyond a bound, yaml.YAMLError if it is not YAML."""
    if len(text) > MAX_BYTES:
        raise TooLarge(f"it is larger than {MAX_BYTES // 1024**2} MiB")
    walk = _Walk()
    try:
        for event in yaml.parse(text, Loader=loader):
            walk.take(event)
    except _BROKEN:
        raise yaml.YAMLError("it cannot be read") from None


def exceeds(value: Any) -> str | None:
    """Why a structure in memory is too large to be written out, None if it is not. It may hold itself."""
    layers, values = [[value]], 1
    while layers:
        if not layers[-1]:
            layers.pop()
            continue
        one = layers[-1].pop()
        if not isinstance(one, Mapping | list | tuple):
            continue
        inner = list(one.values()) if isinstance(one, Mapping) else list(one)
        values += len(inner) * (2 if isinstance(one, Mapping) else 1)
        if values > MAX_VALUES:
            return f"it has more than {MAX_VALUES:,} values"
        layers.append(inner)
        if len(layers) > MAX_DEPTH + 1:
            return f"it is nested more than {MAX_DEPTH} levels deep"
    return None


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}: " if event.start_mark else ""


class _Walk:
    """Counts values and characters of a stream of events, with aliases written out."""

    def __init__(self) -> None:
        self._values = self._characters = 0
        self._open: list[tuple[str | None, int, int]] = []
        """(anchor, values, characters) of each structure around, as they were before it."""
        self._anchored: dict[str, tuple[int, int]] = {}
        """(values, characters) of what has an anchor."""

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchored = {}
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, *_before in self._open):
                raise TooLarge(f"{_line(event)}an alias to what it is in never ends")
            self._add(*self._anchored.get(event.anchor or "", (1, 0)))
        elif isinstance(event, yaml.ScalarEvent):
            if not event.style and _LONG_NUMBER.fullmatch(event.value):
                raise TooLarge(f"{_line(event)}a number of more than 300 digits; put it in quotes")
            self._add(1, len(event.value))
            if event.anchor:
                self._anchored[event.anchor] = (1, len(event.value))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, self._values, self._characters))
            self._add(1, 0)
            if len(self._open) > MAX_DEPTH:
                raise TooLarge(f"{_line(event)}it is nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, values, characters = self._open.pop()
            if anchor:
                self._anchored[anchor] = (self._values - values, self._characters - characters)

    def _add(self, values: int, characters: int) -> None:
        self._values += values
        self._characters += characters
        if self._values > MAX_VALUES:
            raise TooLarge(f"it has more than {MAX_VALUES:,} values, aliases written out")
        if self._characters > MAX_BYTES:
            raise TooLarge(f"it has more than {MAX_BYTES // 1024**2} MiB, aliases written out")
