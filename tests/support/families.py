# SPDX-License-Identifier: Apache-2.0
"""The processes of an operator: which is which, and what is left of them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from bench.processes import stat

__all__ = ["LOOP", "PARKED", "PLAY", "ZYGOTE", "belonging_to", "generations", "is_running", "send"]

PROC = Path("/proc")
LOOP, ZYGOTE, PARKED, PLAY = range(4)
"""Generations of the fork engine; what a play has started comes after it. A play that cannot be parked is in PARKED."""


def generations(loop: int) -> list[set[int]]:
    """The processes by their distance from the loop, itself included; zombies are none. At least up to PLAY."""
    children: dict[int, set[int]] = {}
    for pid in _all():
        if (fields := stat(pid)) and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), set()).add(pid)
    found = [{loop} if is_running(loop) else set()]
    while found[-1] or len(found) <= PLAY:
        found.append({child for parent in found[-1] for child in children.get(parent, ())})
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process, and no zombie."""
    fields = stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def belonging_to(folder: Path) -> dict[int, str]:
    """{pid: command} of processes that have the folder in their command or environment, but for the calling one.

    Whatever an operator with its `--run-dir` there has started is among them, whoever is its parent now.
    """
    mark = str(folder).encode()
    found = {}
    for pid in _all() - {os.getpid()}:
        with contextlib.suppress(OSError):
            command = (PROC / str(pid) / "cmdline").read_bytes()
            if is_running(pid) and (mark in command or mark in (PROC / str(pid) / "environ").read_bytes()):
                found[pid] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def _all() -> set[int]:
    return {int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()}
