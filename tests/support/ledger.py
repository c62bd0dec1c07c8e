# SPDX-License-Identifier: Apache-2.0
"""What runs of faults and load count, as the table that they print at their end."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Ledger"]


@dataclass
class _Row:
    tried: int = 0
    lost: int = 0
    seconds: list[float] = field(default_factory=list)


class Ledger:
    """Per fault: how often it was tried, what was lost, and how long the right state took to come back."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def count(self, fault: str, *, tried: int = 1, lost: int = 0, seconds: Sequence[float] = ()) -> None:
        """`lost`: how many of the tried did not end in the right state. `seconds`: until each right state, where measured."""
        row = self._rows.setdefault(fault, _Row())
        row.tried += tried
        row.lost += lost
        row.seconds.extend(seconds)

    def table(self) -> list[str]:
        """Lines: fault, tried, lost, and median and longest time to the right state; no lines if nothing was tried."""
        if not self._rows:
            return []
        width = max(len("fault"), *map(len, self._rows))
        lines = [f"{'fault':{width}}  tried  lost  median s  longest s"]
        for fault, row in self._rows.items():
            times = f"{statistics.median(row.seconds):8.1f}  {max(row.seconds):9.1f}" if row.seconds else ""
            lines.append(f"{fault:{width}}  {row.tried:5}  {row.lost:4}  {times}".rstrip())
        return lines
