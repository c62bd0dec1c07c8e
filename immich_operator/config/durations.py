# SPDX-License-Identifier: Apache-2.0
"""Go's duration text, as Kubernetes tools write it: "300ms", "1h30m", "1.5s", "0"."""

from __future__ import annotations

import re
from typing import Final

_UNIT_NS: Final = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,  # with the micro sign
    "μs": 1000,  # with the Greek letter
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART: Final = re.compile(r"(?:(\d+)(?:\.(\d*))?|\.(\d+))(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LONGEST_NS: Final = 2**63 - 1  # Go's durations are 64-bit numbers of nanoseconds
LONGEST_S: Final = _LONGEST_NS / 10**9
LONGEST_TEXT: Final = 100  # characters; what Go writes has 25 at most
_SHOWN: Final = 40  # characters of a text that is refused


def parse(text: str) -> float:
    """Seconds of a Go duration, by the rules of Go's ParseDuration. The time it takes is bounded, whatever the text.

    Raises:
        ValueError: the text is no duration, has no unit, is longer than LONGEST_TEXT, or is negative (nothing here has a
            use for that).
    """
    rest = text[1:] if text.startswith(("+", "-")) else text
    if rest == "0":
        return 0.0
    total_ns, at = 0, 0
    while len(text) <= LONGEST_TEXT and (match := _PART.match(rest, at)):
        whole, fraction, bare_fraction, unit = match.groups()
        digits = fraction or bare_fraction or "0"
        total_ns += int(whole or 0) * _UNIT_NS[unit] + int(digits) * _UNIT_NS[unit] // 10 ** len(digits)
        at = match.end()
    shown = repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")
    if at == 0 or at != len(rest) or (total_ns and text.startswith("-")):
        raise ValueError(f"{shown} is not a duration; write it like 30s, 5m or 1h30m")
    if total_ns > _LONGEST_NS:
        raise ValueError(f"{shown} is longer than the longest duration, which is 2562047 hours")
    return total_ns / 10**9


def text(seconds: float) -> str:
    """The shortest usual form: 36000 -> "10h", 0.1 -> "100ms", 90 -> "1m30s"."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{value:g}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if value]
    return "".join(parts) or "0s"
