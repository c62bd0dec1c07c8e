# SPDX-License-Identifier: Apache-2.0
"""What somebody may have meant by a word that is none of those there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["closest"]

LONGEST = 60
"""A longer word is no slip of the pen, and comparing takes a time that grows with the square of its length."""
CUTOFF = 0.65
"""At least this much must be alike: 1.0 is all of it."""


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that the word is likely a slip of the pen for, whatever its case; None if there is none."""
    if len(word) > LONGEST:
        return None
    by_lowered = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), by_lowered, n=1, cutoff=CUTOFF)
    return by_lowered[close[0]] if close else None
