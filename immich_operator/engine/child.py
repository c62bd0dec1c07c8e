# SPDX-License-Identifier: Apache-2.0
"""The forked side: turn a copy of the zygote into one run of ansible-playbook.

Runs in a process of its own; everything it changes (environment, directory, constants of Ansible) dies with it.
"""

from __future__ import annotations

import base64
import ctypes
import gc
import io
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from immich_operator.engine import warm, wire

from ansible import constants  # isort: skip - after `warm`, which starts Ansible

__all__ = ["become_play"]

PROFILE_VARIABLE = "OPERATOR_ENGINE_PROFILE"
"""Folder into which each play writes its cProfile statistics."""

IMPORTS_VARIABLE = "OPERATOR_ENGINE_IMPORTS"
"""Folder into which each play writes the list of modules that it had to import."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

CRASHED_RC = 250
"""What ansible-playbook itself returns for an unexpected exception."""


def become_play(
    channel: socket.socket, output: int, *, keep: Collection[int], lessons: socket.socket, zygote: int
) -> NoReturn:
    """Read the play from `channel`, run it with `output` as its terminal, and end the process.

    `keep`: descriptors that preloaded modules hold. `lessons`: where to tell the zygote what it should preload as well.
    """
    code = CRASHED_RC
    try:
        _leave_the_zygote(zygote, {*keep, channel.fileno(), output, lessons.fileno()})
        request = wire.receive(channel)
        if request is not None:
            _settle(request, output)
            known = set(sys.modules)
            wire.send(channel, {"started": os.getpid()})
            code = _run(request["argv"], request["env"])
            _teach(lessons, sorted(set(sys.modules) - known), request["env"])
    except BaseException:  # nothing may return into the zygote's loop
        _last_words(traceback.format_exc())
    finally:
        try:
            sys.stdout.flush()
        finally:
            # No atexit handlers: they belong to the zygote.
            os._exit(code)


def _leave_the_zygote(zygote: int, keep: Collection[int]) -> None:
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Orphans of this play become our children, so that a kill finds all of them below us.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != zygote:  # it died before we asked to be told
        os._exit(CRASHED_RC)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    # Python itself ignores it everywhere; a write to a closed pipe is an exception then.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):  # one of them was the listing itself
                os.close(descriptor)
    random.seed()
    # What was there at the fork is frozen; a play of seconds doesn't need its own litter collected often.
    gc.set_threshold(50_000, 20, 100)


def _settle(request: Mapping[str, Any], output: int) -> None:
    """Environment, directory and output of the play; and what Ansible has read from the environment at import."""
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    # Descriptors 0 to 2 become /dev/null: what a subprocess prints must not get between the events.
    for standard in (1, 2):
        os.dup2(0, standard)
    terminal = _Terminal(io.FileIO(output, "w"), encoding="utf-8", errors="replace", write_through=False)
    sys.stdout = sys.stderr = terminal
    for name in ("DEFAULT_ROLES_PATH", "INVENTORY_ENABLED"):
        setattr(constants, name, constants.config.get_config_value(name))
    # Asked for through the configuration it would be a folder inside this one, removed by an atexit handler.
    constants.DEFAULT_LOCAL_TMP = os.environ["ANSIBLE_LOCAL_TEMP"]
    _send_events_in_band()


class _Terminal(io.TextIOWrapper):
    """The output of the play."""

    def getvalue(self) -> str:
        """What a task has printed: workers print into a StringIO and look for it there; here it is on its way already."""
        return ""


def _send_events_in_band() -> None:
    """Put whole events into the output, where awx_display leaves only a reference to a file that holds the event.

    ansible-runner's OutputEventFilter takes what the token carries as the event, so no file is written and read back.
    """
    awx_display = sys.modules["ansible.plugins.callback.awx_display"]
    context = awx_display.event_context
    encoder = awx_display.AnsibleJSONEncoderLocal

    def dump_begin(stream: io.TextIOWrapper) -> None:
        event = json.dumps(context.get_begin_dict(), cls=encoder)
        token = base64.b64encode(event.encode()).decode()
        with context.display_lock:
            stream.write(f"\x1b[K{token}\x1b[{len(token)}D\x1b[K")

    context.dump_begin = dump_begin


def _run(argv: list[str], environment: Mapping[str, str]) -> int:
    main = warm.command_line().cli_executor
    folder = environment.get(PROFILE_VARIABLE)
    if folder:
        import cProfile  # noqa: PLC0415 - memory that only a profiled play should cost

        profile = cProfile.Profile()
        try:
            return _exit_code(lambda: profile.runcall(main, argv))
        finally:
            profile.dump_stats(Path(folder) / f"{os.getpid()}.prof")
    return _exit_code(lambda: main(argv))


def _exit_code(main: Any) -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


def _teach(lessons: socket.socket, imported: Sequence[str], environment: Mapping[str, str]) -> None:
    """Name the modules that this play had to import."""
    folder = environment.get(IMPORTS_VARIABLE)
    if folder:
        (Path(folder) / f"{os.getpid()}.json").write_text(json.dumps(imported))
    if imported:
        # A list longer than a datagram, or a zygote that is gone: the next play imports for itself.
        with suppress(OSError):
            lessons.send(json.dumps(imported).encode())


def _last_words(trace: str) -> None:
    with suppress(OSError, ValueError):
        sys.stdout.write(f"\n{trace}")
