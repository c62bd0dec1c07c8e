# SPDX-License-Identifier: Apache-2.0
"""Start processes that outlive the command line, recognise them later, and end exactly those.

A pid alone is not an identity, because the kernel reuses pids. Pid, start time and boot id together are
(proc(5), field 22 of /proc/PID/stat). Signals go through a pidfd, which cannot come to mean another process
between the check and the signal (pidfd_open(2)).
"""

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process", "identify", "is_alive", "kill", "spawn", "tail", "wait_for_exit"]


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine. `start_ticks` counts clock ticks since the boot with the id `boot`."""

    pid: int
    start_ticks: int
    boot: str


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time in ticks, or None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the name in parentheses and may itself contain spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identify(pid: int) -> Process:
    """The identity of a running process; ProcessLookupError if there is none."""
    stat = _stat(pid)
    if stat is None:
        raise ProcessLookupError(pid)
    return Process(pid=pid, start_ticks=stat[1], boot=_boot())


def is_alive(process: Process) -> bool:
    """True while exactly this process runs; a zombie has ended."""
    stat = _stat(process.pid)
    return stat is not None and stat[0] not in "ZX" and stat[1] == process.start_ticks and _boot() == process.boot


def spawn(argv: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Process:
    """Start `argv` (absolute path first) in a session of its own, output appended to `log`.

    posix_spawn instead of subprocess: no object is left that would complain about a child still running, and setsid
    keeps the terminal's Ctrl-C away from it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        dict(env),
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    return identify(pid)


def wait_for_exit(process: Process, timeout_s: float) -> bool:
    """Wait until the process has ended; False if it still runs after `timeout_s`. It need not be a child of ours."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_alive(process):
            _reap(process.pid)
            return True
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        ended = bool(poller.poll(timeout_s * 1000))
    finally:
        os.close(handle)
    if ended:
        _reap(process.pid)
    return ended


def kill(process: Process, *, grace_s: float = 0.0) -> bool:
    """End the process: SIGTERM and up to `grace_s` first, then SIGKILL. False if it was no longer running."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):
            _reap(process.pid)
            return False
        if grace_s > 0:
            _send(handle, signal.SIGTERM)
            if wait_for_exit(process, grace_s):
                return True
        _send(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    deadline = time.monotonic() + 10
    while not wait_for_exit(process, 1.0):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Process {process.pid} did not end 10 s after SIGKILL")
    return True


def _send(handle: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def _reap(pid: int) -> None:
    """Reap the zombie if the ended process is a child of ours."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file; empty if there is no such file."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 16_384))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
