# SPDX-License-Identifier: Apache-2.0
"""Named threads under one roof: none is started bare, and none can die unnoticed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from immich_operator.errors import ThreadDiedError


class Supervisor:
    """Starts threads; the first that fails, or returns before `stop` is set, sets `stop` and becomes the `failure`."""

    def __init__(self, stop: threading.Event, log: logging.Logger) -> None:
        self._stop = stop
        self._log = log
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._failure: ThreadDiedError | None = None

    def start(self, name: str, target: Callable[[], None], *, ends: bool = False) -> None:
        """Run `target` in a thread called `name` until it returns; it has to watch `stop` itself.

        With `ends` it may return at any time, and is then forgotten.
        """
        # daemon: a thread that hangs in a system call must not keep the process alive beyond its budget
        thread = threading.Thread(target=self._guard, args=(name, target, ends), name=name, daemon=True)
        with self._lock:  # a thread that has not started must not be visible: it looks dead, and cannot be joined
            thread.start()
            self._threads.append(thread)

    @property
    def failure(self) -> ThreadDiedError | None:
        """Why `stop` was set, if a thread was the reason."""
        with self._lock:
            return self._failure

    def dead(self) -> list[str]:
        """Names of threads that have ended."""
        with self._lock:
            return [thread.name for thread in self._threads if not thread.is_alive()]

    def join(self, timeout_s: float, *, prefix: str = "") -> list[str]:
        """Wait for the threads whose name begins with `prefix`; returns those still alive afterwards."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            threads = [thread for thread in self._threads if thread.name.startswith(prefix)]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in threads if thread.is_alive()]

    def _guard(self, name: str, target: Callable[[], None], ends: bool) -> None:
        try:
            target()
        except Exception as exc:
            self._log.exception("thread failed", extra={"thread": name})
            self._fail(ThreadDiedError(f"thread {name!r} failed: {type(exc).__name__}: {exc}"))
        else:
            if ends:
                with self._lock:
                    self._threads.remove(threading.current_thread())
            elif not self._stop.is_set():
                self._log.error("thread ended early", extra={"thread": name})
                self._fail(ThreadDiedError(f"thread {name!r} ended although the operator is running"))

    def _fail(self, failure: ThreadDiedError) -> None:
        with self._lock:
            self._failure = self._failure or failure
        self._stop.set()
