# SPDX-License-Identifier: Apache-2.0
"""What somebody may have meant by an unknown word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["closest"]

LONGEST = 60
"""A longer word is not a typo, and the time to compare grows with the square of its length."""
CUTOFF = 0.65
"""At least this much must be alike: 1.0 is all of it."""


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate of which the word is likely a typo, ignoring case; None if there is none."""
    if len(word) > LONGEST:
        return None
    by_lowered = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), by_lowered, n=1, cutoff=CUTOFF)
    return by_lowered[close[0]] if close else None
