# SPDX-License-Identifier: Apache-2.0
"""Show people what takes time: a live line on a terminal, plain lines elsewhere."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["Progress"]

_REPEAT_S = 30.0
_LOOK_S = 1.0


class Progress:
    """Writes to `stream` (stderr, so that stdout stays usable for `eval`)."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False, repeat_s: float = _REPEAT_S) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._repeat_s = repeat_s

    def say(self, text: str) -> None:
        """One line of information."""
        if not self._quiet:
            print(text, file=self._stream, flush=True)

    def watch(self, what: str, process: subprocess.Popen[bytes], now: Callable[[], str] | None = None) -> int:
        """Show how long `what` is taking until the process ends; its exit status.

        `now` says which part of it is being done at the moment, if that is more precise.
        """
        started = time.monotonic()
        look = now or (lambda: what)
        if self._stream.isatty() and not self._quiet:
            returncode = self._watch_live(look, process)
        else:
            self.say(f"{what} ...")
            returncode = self._watch_plain(look, process, started)
        word = "done" if returncode == 0 else "failed"
        self.say(f"{what}: {word} after {_duration(time.monotonic() - started)}")
        return returncode

    def _watch_plain(self, look: Callable[[], str], process: subprocess.Popen[bytes], started: float) -> int:
        while True:
            try:
                return process.wait(self._repeat_s)
            except subprocess.TimeoutExpired:
                self.say(f"{look()}: {_duration(time.monotonic() - started)} so far ...")

    def _watch_live(self, look: Callable[[], str], process: subprocess.Popen[bytes]) -> int:
        # Imported here: most calls build nothing, and rich takes a tenth of a second to load.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress as Live  # noqa: PLC0415
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Live(*columns, console=Console(file=self._stream), transient=True) as live:
            task = live.add_task(look(), total=None)
            while True:
                try:
                    return process.wait(_LOOK_S)
                except subprocess.TimeoutExpired:
                    live.update(task, description=look())


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
