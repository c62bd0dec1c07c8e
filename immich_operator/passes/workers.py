# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker thread: take a key, run its pass, return the key, whatever happens."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from immich_operator.passes.controller import Controller, Outcome
from immich_operator.passes.metrics import Metrics
from immich_operator.passes.workqueue import Item, Queue
from immich_operator.watching.triggers import Key


class Workers:
    """`run` is the target of every worker thread; setting `cancel` kills the running plays."""

    def __init__(
        self, queue: Queue[Key], controllers: Mapping[str, Controller], metrics: Metrics, log: logging.Logger
    ) -> None:
        self.cancel = threading.Event()
        self._queue = queue
        self._controllers = controllers
        self._metrics = metrics
        self._log = log

    def run(self) -> None:
        """Work until the queue is closed."""
        while (item := self._queue.get()) is not None:
            try:
                self._pass(item)
            finally:
                self._queue.done(item.key)

    def _pass(self, item: Item[Key]) -> None:
        name = item.key.controller
        began = time.monotonic()
        self._metrics.pass_started(name)
        outcome: Outcome = "error"
        try:
            outcome = self._controllers[name].reconcile(item, self._queue, self.cancel)
        except Exception:
            # one object that this program cannot handle must not stop the others
            self._metrics.fault(name)
            retry_in_s = self._queue.retry(item.key)
            self._log.exception(
                "pass ended by an internal error",
                extra={**item.key.ref._asdict(), "why": list(item.reasons), "retry_in_s": round(retry_in_s, 1)},
            )
        finally:
            self._metrics.pass_finished(name, outcome, time.monotonic() - began)
