# SPDX-License-Identifier: Apache-2.0
"""The operator's side of `plugin_utils/kube/permit.py`: until when it and its plays may write."""

from __future__ import annotations

import math
import os
import secrets
from contextlib import suppress

from immich_operator.kube.client import PERMIT_TOKEN_BYTES, PERMIT_VARIABLE, packed_permit

__all__ = ["Permit"]


class Permit:
    """A deadline in memory that the plays of this process can read by a path below /proc. At first nothing is permitted.

    No file on a disk: one that is full or read-only must not end a leader, and a file would outlive its process.
    """

    def __init__(self) -> None:
        self._token = secrets.token_bytes(PERMIT_TOKEN_BYTES)
        self._file = os.memfd_create("permit", os.MFD_CLOEXEC)
        self.until(-math.inf)

    @property
    def environment(self) -> dict[str, str]:
        """What a play needs to find it."""
        return {PERMIT_VARIABLE: f"/proc/{os.getpid()}/fd/{self._file}:{self._token.hex()}"}

    def until(self, when: float) -> None:
        """Permit writes until then, on the clock of `Times`; `math.inf` for as long as this process lives."""
        with suppress(OSError):  # after `close`, by a thread that did not end in time
            os.pwrite(self._file, packed_permit(self._token, when), 0)

    def close(self) -> None:
        """Nothing may be written any more."""
        file, self._file = self._file, -1
        os.close(file)
