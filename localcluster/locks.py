# SPDX-License-Identifier: Apache-2.0
"""Locks between processes, as files. The kernel releases them when their holder ends, however it ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["locked"]


@contextmanager
def locked(path: Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock `path`; `on_wait` is called once if somebody else holds it. The file is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _acquire(path, on_wait)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path, on_wait: Callable[[], None] | None) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                on_wait()
                on_wait = None
            fcntl.flock(handle, fcntl.LOCK_EX)
        # The previous holder removed the file while we waited: our lock is then on a file that nobody else will find.
        try:
            if os.stat(path).st_ino == os.fstat(handle).st_ino:  # noqa: PTH116 - same call for path and handle
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)
