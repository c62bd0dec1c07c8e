# SPDX-License-Identifier: Apache-2.0
"""Memory and CPU of a process and all below it, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["cpu_s", "family", "pss_mib", "stat"]

PROC = Path("/proc")


def family(root: int) -> list[int]:
    """The process `root` and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def pss_mib(pids: Iterable[int]) -> float:
    """Sum of the proportional set sizes: a page that n processes share counts a n-th for each. Gone processes count 0."""
    kib = 0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of these processes and of their children that have ended; in steps of 10 ms."""
    ticks = sum(int(field) for pid in pids for field in stat(pid)[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def stat(pid: int) -> list[str]:
    """Fields of proc(5) from the third on (state, parent, ...); empty when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The second field is the name in parentheses and may hold spaces and parentheses itself.
    return text.rpartition(") ")[2].split()
