# SPDX-License-Identifier: Apache-2.0
"""What was measured, and how engines compare."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["Figure", "Key", "Row", "medians", "rows"]


class Key(NamedTuple):
    """What a figure is about; `crs` is the number of custom resources, None if it does not matter."""

    section: str
    what: str
    unit: str
    crs: int | None = None


class Figure(NamedTuple):
    """One measured value."""

    key: Key
    value: float


class Row(NamedTuple):
    """A line of the table; None means not measured."""

    key: Key
    values: tuple[float | None, ...]
    ratios: tuple[float | None, ...]


def medians(repeats: Iterable[Sequence[Figure]]) -> list[Figure]:
    """One figure per key, in the order in which the keys first come."""
    values: dict[Key, list[float]] = {}
    for figures in repeats:
        for figure in figures:
            values.setdefault(figure.key, []).append(figure.value)
    return [Figure(key, statistics.median(found)) for key, found in values.items()]


def rows(engines: Mapping[str, Sequence[Figure]]) -> list[Row]:
    """A row per key, with the values of the engines in their order and the ratio of the first to each other one.

    Sections, and what is in them, come in the order in which they first appear; numbers of custom resources are ascending.
    """
    found = {name: {figure.key: figure.value for figure in figures} for name, figures in engines.items()}
    keys = list(dict.fromkeys(key for values in found.values() for key in values))
    sections = list(dict.fromkeys(key.section for key in keys))
    subjects = list(dict.fromkeys(key[:3] for key in keys))
    keys.sort(key=lambda key: (sections.index(key.section), subjects.index(key[:3]), key.crs or 0))
    return [_row(key, [values.get(key) for values in found.values()]) for key in keys]


def _row(key: Key, values: Sequence[float | None]) -> Row:
    first, *others = values
    return Row(key, tuple(values), tuple(first / other if first is not None and other else None for other in others))
