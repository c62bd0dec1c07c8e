# SPDX-License-Identifier: Apache-2.0
"""A limit on how many plays run at once, whoever calls."""

from __future__ import annotations

import threading

from immich_operator.engine.base import Engine, Play, PlayResult

__all__ = ["BoundedEngine"]

POLL_S = 0.05


class BoundedEngine:
    """Lets up to `workers` plays into `engine`; further calls wait for their turn. A play's time limit starts then."""

    def __init__(self, engine: Engine, *, workers: int) -> None:
        self.engine = engine
        self._slots = threading.BoundedSemaphore(workers)

    def run(self, play: Play, cancel: threading.Event) -> PlayResult:
        """See `Engine.run`. A play that is canceled before its turn never starts."""
        while not self._slots.acquire(timeout=POLL_S):
            if cancel.is_set():
                return PlayResult(status="canceled", rc=None)
        try:
            return self.engine.run(play, cancel)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close the inner engine."""
        self.engine.close()
