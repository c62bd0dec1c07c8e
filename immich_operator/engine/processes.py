# SPDX-License-Identifier: Apache-2.0
"""Kills everything that a play has started, wherever it went: Ansible's workers leave the process group (setsid)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

__all__ = ["kill_play"]

PROC = Path("/proc")
MAX_ROUNDS = 20
"""Each round freezes what it finds, so a few rounds are enough unless something forks faster than we read /proc."""


def kill_play(marker: str | None, roots: Iterable[int] = ()) -> int:
    """Kill the processes `roots`, everything below them, and everything that has `marker` in its environment.

    `marker` is `NAME=value` with a value that only this play has. Found processes are stopped first, so that none forks
    while the others are being found. Never touches the calling process. Returns how many processes were killed.
    """
    known = set(roots)
    found: set[int] = set()
    for _ in range(MAX_ROUNDS):
        fresh = _belonging(marker, known | found) - found
        if not fresh:
            break
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        found |= fresh
    for pid in found:
        _signal(pid, signal.SIGKILL)
    return len(found)


def _belonging(marker: str | None, known: set[int]) -> set[int]:
    parents: dict[int, int] = {}
    marked: set[int] = set()
    myself = os.getpid()
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == myself:
            continue
        pid = int(entry.name)
        try:
            # "pid (name) state ppid ...": the name may hold spaces and parentheses.
            state, parent = (entry / "stat").read_bytes().rpartition(b") ")[2].split(b" ", 2)[:2]
            if state in b"ZX":
                continue
            parents[pid] = int(parent)
            if marker and marker.encode() in (entry / "environ").read_bytes().split(b"\0"):
                marked.add(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # has ended in the meantime, or belongs to another user
    belonging = (known & parents.keys()) | marked
    while more := {pid for pid, parent in parents.items() if parent in belonging} - belonging:
        belonging |= more
    return belonging


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
