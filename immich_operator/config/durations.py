# SPDX-License-Identifier: Apache-2.0
"""Go's duration text, as Kubernetes tools write it: "300ms", "1h30m", "1.5s", "0"."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_S: Final = 2562047 * 3600  # Go's durations are 64-bit numbers of nanoseconds
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)


def parse(text: str) -> float:
    """Seconds of a Go duration.

    Raises:
        ValueError: the text is no duration, has no unit, or is negative (no setting here has a use for that).
    """
    rest = text.removeprefix("+")
    if rest == "0":
        return 0.0
    seconds, at = 0.0, 0
    while match := _PART.match(rest, at):
        seconds += float(match[1]) * _SECONDS[match[2]]
        at = match.end()
    if at == 0 or at != len(rest):
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 5m or 1h30m")
    if seconds > LONGEST_S:
        raise ValueError(f"{text[:40]!r} is longer than a duration can be, which is {LONGEST_S // 3600} hours")
    return seconds


def text(seconds: float) -> str:
    """The shortest usual form: 36000 -> "10h", 0.1 -> "100ms", 90 -> "1m30s"."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{value:g}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if value]
    return "".join(parts) or "0s"
