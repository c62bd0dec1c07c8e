# SPDX-License-Identifier: Apache-2.0
"""Until when the processes of an operator may write: whoever leads no longer must not, not even for a moment.

A Lease alone does not stop a process that stood still while it ran out: when it goes on, it does not know yet, and
neither do the plays that it has started. So each looks at a deadline before each write. The operator moves it with each
renewal, and keeps it in a file that is gone as soon as the operator is: plays that outlive it write nothing either.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["TOKEN_BYTES", "VARIABLE", "clock", "packed", "permit_of"]

VARIABLE = "OPERATOR_PERMIT"
"""`PATH:TOKEN`, both as the operator gives them to its plays; the token, in hexadecimal digits, is no secret."""
TOKEN_BYTES = 16
_RECORD = struct.Struct(f"!{TOKEN_BYTES}sdd")
_LOOKS = 100
ENDED = "the operator that started this play has ended"
NOT_LEADING = "this operator does not hold its Lease any more"


def clock() -> float:
    """Seconds since some point in time, the same for all processes of a machine; goes on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def packed(token: bytes, until: float) -> bytes:
    """The content of the file; `until` on `clock`. It is there twice, so that a look during a write is noticed."""
    return _RECORD.pack(token, until, until)


def permit_of(environment: Mapping[str, str]) -> Callable[[], str]:
    """A function that says why nothing may be written now, "" if it may; outside of an operator it always may."""
    path, _unused, digits = environment.get(VARIABLE, "").rpartition(":")
    if not path:
        return lambda: ""
    file, token = Path(path), bytes.fromhex(digits)

    def why_not() -> str:
        for _unused in range(_LOOKS):
            try:
                content = file.read_bytes()
            except FileNotFoundError:
                return ENDED
            except OSError as exc:
                return f"whether this operator holds its Lease cannot be read ({exc.strerror})"
            if len(content) != _RECORD.size or content[:TOKEN_BYTES] != token:
                return ENDED  # and something else has got its process id
            _token, until, same = _RECORD.unpack(content)
            if until == same:
                return "" if clock() < until else NOT_LEADING
        return "whether this operator holds its Lease cannot be read"

    return why_not
