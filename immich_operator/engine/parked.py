# SPDX-License-Identifier: Apache-2.0
"""A play that waits before its first task, and continues in forks of itself.

A short play spends most of its time on the way to its first task: command line, inventory, playbook, role, callbacks. Where
none of that depends on the custom resource, it is done once. The place to wait is a callback, the last thing that
ansible-playbook calls before it looks at the tasks, and before its strategy starts a thread. In a fork the callback
returns, and ansible-playbook continues as if nothing had happened. Without a play, no task is ever reached: see
`_only_in_a_play`.

What a fork must not share with its siblings is recreated in it. For this a few names of ansible-core are replaced, only
in the parked process and only with releases on which the engine's tests have run: see `ansible_internals`.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from immich_operator.engine import ansible_internals, child, wire
from immich_operator.engine.forker import Forker, descriptors

__all__ = ["CallbackModule", "park"]

LAST_WORDS = 2000
"""Characters kept of the output of a play that could not be parked."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ansible ends its workers when it gets one."""


class CallbackModule(ansible_internals.CallbackBase):  # type: ignore[misc]
    """Stops the play in the process that parks it, and does nothing anywhere else."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "parked"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        if _parked is not None:
            _parked.wait(play)


class _Parked:
    """The state of a process in `park`; `play` is None until it has become that of a play."""

    def __init__(self, control: socket.socket, lessons: socket.socket) -> None:
        self.play: child.Begun | None = None
        self._control = control
        self._lessons = lessons
        self._pid = os.getpid()
        self._text = io.StringIO()
        self._forker: Forker | None = None
        sys.stdout = sys.stderr = self._text

    def wait(self, play: Any) -> None:
        """Returns in a fork, which is to run `play`."""
        try:
            self._wait(play)
        except BaseException:  # Ansible turns what a callback raises into a warning
            child.last_words()
            self.give_up()

    def give_up(self) -> NoReturn:
        """End a process that cannot go on, and say why."""
        if self.play is not None:
            child.end(child.CRASHED_RC, self.play)
        with suppress(OSError):
            self._control.send(self._text.getvalue()[-LAST_WORDS:].encode())
        os._exit(1)

    def _wait(self, play: Any) -> None:
        if len(list(Path("/proc/self/task").iterdir())) != 1:
            raise RuntimeError("there are threads already, and a fork would lack them")
        keep = descriptors() - {self._control.fileno()}
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        loaded = _loaded_files(play)
        # Kept, because an object closes its descriptors when it is collected, and they may have been reused by then.
        self._forker = Forker(self._control)
        self._control.send(wire.PARKED + json.dumps(loaded).encode())
        gc.collect()
        gc.freeze()
        handed = self._forker.run()
        if handed is None:
            os._exit(0)
        self.play = child.begin(handed, keep=keep, lessons=self._lessons, parent=self._pid)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        ansible_internals.renew_what_is_shared()
        ansible_internals.take_up(play, self.play.request["basedir"], self.play.request["extra_vars"])
        sys.stdout.write(self._text.getvalue())  # the events until here


_parked: _Parked | None = None


def park(
    control: socket.socket,
    request: Mapping[str, Any],
    *,
    keep: Collection[int],
    lessons: socket.socket,
    zygote: int,
) -> NoReturn:
    """Start ansible-playbook, wait before its first task, and fork for each play that comes through `control`.

    `request` is {"argv", "env", "cwd"}. To be called in a fork of the zygote, which it tells `wire.PARKED` and the files that
    it has loaded, or what is wrong with the role. It ends with the other end of `control`, or when it is told to.
    """
    global _parked  # noqa: PLW0603 - the callback is made by Ansible
    code = child.CRASHED_RC
    try:
        child.leave(zygote, {*keep, control.fileno(), lessons.fileno()})
        child.set_up(request)
        ansible_internals.hold_before_tasks(_only_in_a_play)
        _parked = _Parked(control, lessons)
        code = ansible_internals.run_playbook(request["argv"])
    except BaseException:
        child.last_words()
    finally:
        if _parked is None:
            os._exit(1)
        if _parked.play is None:
            _parked.give_up()
        child.end(code, _parked.play)


def _only_in_a_play() -> None:
    """Called on the way to the tasks. Should the callback be missing, or not have held Ansible, the way ends here."""
    assert _parked is not None  # noqa: S101 - it is before this is used
    if _parked.play is None:
        print("the play has not waited")
        _parked.give_up()


def _loaded_files(play: Any) -> list[str]:
    """What Ansible has read, and the folders in which it would have read other files."""
    files = ansible_internals.loaded_files(play)
    return sorted({str(path) for file in files for path in (file, *file.parents[:2])})
