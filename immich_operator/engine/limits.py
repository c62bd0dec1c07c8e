# SPDX-License-Identifier: Apache-2.0
"""What the kernel holds processes to: no core dumps, and no more memory for a play than it is allowed.

The kubelet lets a node with cgroup v2 end all processes of a container that has used up its memory, so a play must not get
that far. Where the kernel ends a single process, it is to be one of a play.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

__all__ = ["bound_play", "bounded_command", "dump_no_core"]

FIRST_TO_GO = 1000
"""The highest oom_score_adj, proc_pid_oom_score_adj(5). Anybody may raise that of a process of their own."""
NO_CORE = 1
"""Bytes, too few for a file. A limit of 0 binds only files: a program in kernel.core_pattern would still get all the memory.
With exactly 1 that is not started either (fs/coredump.c)."""
RAISE = f"{{ echo {FIRST_TO_GO} 2>/dev/null >/proc/self/oom_score_adj || :; }}"
BOUNDED = f'{{ [ "$0" = 0 ] || ulimit -d "$0" 2>/dev/null || :; }} && {RAISE} && exec "$@"'
"""A lower limit that holds already can't be raised, and is as good."""


def dump_no_core() -> None:
    """Keep this process, and all that it starts, from leaving its memory on a disk when it crashes: passwords are in it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    most = NO_CORE if hard == resource.RLIM_INFINITY else min(hard, NO_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def bound_play(memory: int) -> None:
    """Give this process, and each that it starts, `memory` bytes for data; 0 leaves it without a bound.

    What is shared with the process that it was forked from counts, and so do the stacks of threads, 8 MiB each. Python
    raises MemoryError then.
    """
    with suppress(OSError):  # a /proc that is not mounted or read-only: it is the second line of defence
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO), encoding="ascii")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if memory and (hard == resource.RLIM_INFINITY or memory < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def bounded_command(memory: int) -> list[str]:
    """What to put before a command to bind it in the same way, in a process that is started and not forked."""
    return ["/bin/sh", "-c", BOUNDED, str(memory // 1024)]
