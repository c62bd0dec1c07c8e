# SPDX-License-Identifier: Apache-2.0
"""Reads a YAML list of mappings so that each problem can name its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import yaml

from immich_operator.config import durations
from immich_operator.kube.client import closest
from immich_operator.kube.texts import check

T = TypeVar("T")


class Problems:
    """Problems in the order in which they were found."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, line: int, where: str, what: str) -> None:
        self.found.append(f"line {line}, {where}: {what}")


class Entry:
    """One mapping of the file. Keys match whatever their case, as they do in the Operator SDK.

    Every getter notes a problem and returns an empty value if the file holds a wrong type; `reject_unknown` then
    reports the keys that nobody asked for.
    """

    def __init__(self, node: yaml.MappingNode, where: str, problems: Problems) -> None:
        self.line = node.start_mark.line + 1
        self._where = where
        self._problems = problems
        self._known: set[str] = set()
        self._nodes: dict[str, tuple[str, yaml.Node, int]] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key.lower() in self._nodes:
                self.problem(f"'{key}' is given twice")
            self._nodes[key.lower()] = (key, value_node, key_node.start_mark.line + 1)

    def problem(self, what: str, key: str = "") -> None:
        """Note a problem of the entry, or of one of its keys."""
        line = self._nodes[key.lower()][2] if key.lower() in self._nodes else self.line
        self._problems.add(line, self._where, what)

    def has(self, key: str) -> bool:
        """Whether the key is present with a value other than null and ""."""
        return self.anything(key) not in (None, "")

    def anything(self, key: str) -> Any:
        """The value of a key, None if absent."""
        self._known.add(key)
        found = self._nodes.get(key.lower())
        return None if found is None else _construct(found[1])

    def text(self, key: str) -> str:
        return self._typed(key, str, "a string", str)

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._typed(key, list, "a list of strings", list)
        if not all(isinstance(value, str) for value in values):
            self.problem(f"'{key}' must be a list of strings", key)
            return ()
        return tuple(values)

    def mapping(self, key: str) -> dict[str, Any]:
        return self._typed(key, dict, "a mapping", dict)

    def boolean(self, key: str, *, default: bool) -> bool:
        return self._typed(key, bool, "true or false", lambda: default)

    def integer(self, key: str, default: int) -> int:
        value = self._typed(key, int, "a whole number", lambda: default)
        if value < 0:
            self.problem(f"'{key}' must not be negative", key)
        return value

    def duration(self, key: str) -> float | None:
        """Seconds; None if absent."""
        value = self._typed(key, str, "a duration in quotes, like 30s, 5m or 1h30m", str)
        try:
            return durations.parse(value) if value else None
        except ValueError as exc:
            self.problem(f"'{key}': {exc}", key)
            return None

    def block(self, key: str) -> Entry | None:
        """A mapping inside this one."""
        self._known.add(key)
        found = self._nodes.get(key.lower())
        if found is None or _construct(found[1]) is None:
            return None
        if not isinstance(found[1], yaml.MappingNode):
            self.problem(f"'{key}' must be a mapping", key)
            return None
        return Entry(found[1], f"{self._where}, {key}", self._problems)

    def blocks(self, key: str) -> list[Entry]:
        """A list of mappings inside this one."""
        self._known.add(key)
        found = self._nodes.get(key.lower())
        if found is None or _construct(found[1]) is None:
            return []
        return _entries(found[1], f"{self._where}, {key}", self._problems)

    def reject_unknown(self) -> None:
        """Call last, when every known key has been asked for."""
        known = {key.lower() for key in self._known}
        for lower, (key, _, _) in self._nodes.items():
            if lower not in known:
                meant = closest(key, self._known)
                hint = f"did you mean '{meant}'?" if meant else f"known are {', '.join(sorted(self._known))}"
                self.problem(f"unknown key '{key}'; {hint}", key)

    def _typed(self, key: str, type_: type[T], description: str, default: Callable[[], T]) -> T:
        value = self.anything(key)
        if value is None:
            return default()
        # bool is an int in Python, but `maxRunnerArtifacts: true` is a mistake
        if not isinstance(value, type_) or (isinstance(value, bool) and type_ is not bool):
            self.problem(f"'{key}' must be {description}", key)
            return default()
        return value


def load_entries(text: str, problems: Problems) -> list[Entry]:
    """Entries of a YAML list of mappings.

    Raises:
        yaml.YAMLError: the text is not YAML, or larger than `bounded_yaml` allows.
    """
    check(text)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        problems.add(1, "whole file", "it is empty; add an entry with 'version', 'kind' and 'role'")
        return []
    _construct(root)  # each part is constructed when it is asked for, where nobody expects an error of YAML
    return _entries(root, "entry", problems)


def _entries(node: yaml.Node, where: str, problems: Problems) -> list[Entry]:
    if not isinstance(node, yaml.SequenceNode):
        problems.add(node.start_mark.line + 1, where, "it must be a list, each item beginning with '- '")
        return []
    found = []
    for number, item in enumerate(node.value, start=1):
        if isinstance(item, yaml.MappingNode):
            found.append(Entry(item, f"{where} {number}", problems))
        else:
            problems.add(item.start_mark.line + 1, f"{where} {number}", "it must be a mapping")
    return found


def _construct(node: yaml.Node) -> Any:
    try:
        return yaml.SafeLoader("").construct_document(node)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:  # see bounded_yaml
        raise yaml.YAMLError("a value is none of its type; put it in quotes") from exc
