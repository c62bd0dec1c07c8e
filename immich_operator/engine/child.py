# SPDX-License-Identifier: Apache-2.0
"""The forked side: turn a copy of a process that has loaded everything into one run of ansible-playbook.

Runs in a process of its own; everything it changes (environment, directory, Ansible's constants) is gone when it ends.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import random
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import current_process
from pathlib import Path
from typing import Any, NoReturn

from immich_operator.engine import ansible_internals, limits, wire
from immich_operator.engine.forker import Handed, descriptors

__all__ = [
    "CRASHED_RC",
    "Begun",
    "become_play",
    "begin",
    "end",
    "last_words",
    "leave",
    "set_up",
]

PROFILE_VARIABLE = "OPERATOR_ENGINE_PROFILE"
"""Folder into which each play writes its cProfile statistics."""

IMPORTS_VARIABLE = "OPERATOR_ENGINE_IMPORTS"
"""Folder into which each play writes the list of modules that it had to import."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

CRASHED_RC = 250
"""What ansible-playbook itself returns for an unexpected exception."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A play that this process is running; `request` is {"argv", "env", "cwd", "memory"} and what else was sent."""

    request: Mapping[str, Any]
    lessons: socket.socket
    known: frozenset[str]
    """Modules that were imported before it."""
    profile: Any
    """A cProfile.Profile of it, if profiling is on."""


def become_play(handed: Handed, *, keep: Collection[int], lessons: socket.socket, zygote: int) -> NoReturn:
    """Run a play from beginning to end, and exit with it.

    `keep`: descriptors that preloaded modules hold. `lessons`: where to tell the zygote what it should preload as well.
    """
    play = begin(handed, keep=keep, lessons=lessons, parent=zygote)
    code = CRASHED_RC
    try:
        code = ansible_internals.run_playbook(play.request["argv"])
    except BaseException:  # nothing may return into the zygote's loop
        last_words()
    finally:
        end(code, play)


def begin(handed: Handed, *, keep: Collection[int], lessons: socket.socket, parent: int) -> Begun:
    """Turn this fork of `parent` into the process of the play that it was handed; ends it if nobody wants the play."""
    channel, output = handed
    try:
        leave(parent, {*keep, channel.fileno(), output, lessons.fileno()})
        # Orphans of this play become our children, so that a kill finds all of them below us.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        request = wire.receive(channel)
        if request is None:
            os._exit(CRASHED_RC)
        limits.bound_play(request["memory"])
        set_up(request)
        terminal = _Terminal(io.FileIO(output, "w"), encoding="utf-8", errors="replace", write_through=False)
        sys.stdout = sys.stderr = terminal
        random.seed()
        _take_folder_of_sockets()  # of the process that this is a fork of
        wire.send(channel, {"started": os.getpid()})
        return Begun(request, lessons, frozenset(sys.modules), _profile(request["env"]))
    except BaseException:
        last_words()
        os._exit(CRASHED_RC)


def end(code: int, play: Begun) -> NoReturn:
    """Tell the zygote what the play had to import, and end the process with the exit status of the play."""
    try:
        sys.stdout.flush()  # first: what follows may fail, and is not what the play is about
        if play.profile is not None:
            play.profile.disable()
            play.profile.dump_stats(Path(play.request["env"][PROFILE_VARIABLE]) / f"{os.getpid()}.prof")
        _teach(play.lessons, sorted(set(sys.modules) - play.known), play.request["env"])
        if folder := _take_folder_of_sockets():
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        # No atexit handlers: they belong to the zygote.
        os._exit(code)


def leave(parent: int, keep: Collection[int]) -> None:
    """Release what a fork shares with `parent`, and die when it dies; keeps the standard descriptors."""
    os.setsid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to be notified
        os._exit(CRASHED_RC)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    # Python itself ignores it everywhere; a write to a closed pipe is an exception then.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for descriptor in descriptors():
        if descriptor > 2 and descriptor not in keep:
            os.close(descriptor)
    # What existed at the fork is frozen; a play of a few seconds needs little garbage collection of its own.
    gc.set_threshold(50_000, 20, 100)


def set_up(request: Mapping[str, Any]) -> None:
    """Environment and directory of the play; and what Ansible has read from the environment at import."""
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    # Descriptors 0 to 2 become /dev/null: what a subprocess prints must not end up between the events.
    for standard in (1, 2):
        os.dup2(0, standard)
    ansible_internals.read_settings_again(os.environ["ANSIBLE_LOCAL_TEMP"])
    ansible_internals.send_events_in_band()


def _take_folder_of_sockets() -> str | None:
    """The folder that `multiprocessing` has made below $TMPDIR, where paths are short enough for sockets; it forgets it.

    Since 2.21 ansible-core listens there for its workers. An atexit handler would remove it.
    """
    folder: str | None = getattr(current_process(), "_config", {}).pop("tempdir", None)
    return folder


class _Terminal(io.TextIOWrapper):
    """The output of the play."""

    def getvalue(self) -> str:
        """What a task has printed: workers print into a StringIO and read it back; here it has already been sent."""
        return ""


def _profile(environment: Mapping[str, str]) -> Any:
    if PROFILE_VARIABLE not in environment:
        return None
    import cProfile  # noqa: PLC0415 - memory that only a profiled play should cost

    profile = cProfile.Profile()
    profile.enable()
    return profile


def _teach(lessons: socket.socket, imported: Sequence[str], environment: Mapping[str, str]) -> None:
    """Name the modules that this play had to import."""
    folder = environment.get(IMPORTS_VARIABLE)
    if folder:
        (Path(folder) / f"{os.getpid()}.json").write_text(json.dumps(imported))
    if imported:
        # A list longer than a datagram, or a zygote that is gone: the next play does its own imports.
        with suppress(OSError):
            lessons.send(json.dumps(imported).encode())


def last_words() -> None:
    """Write the exception being handled where the operator looks for the reason of a failure."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"\n{traceback.format_exc()}")
