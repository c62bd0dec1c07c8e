# SPDX-License-Identifier: Apache-2.0
"""A play that waits before its first task, and goes on in forks of itself.

A short play spends most of its time on the way to its first task: command line, inventory, playbook, role, callbacks. Where
none of that depends on the custom resource, it is done once. The place to wait at is a callback, the last thing that
ansible-playbook calls before it makes the strategy, and with that its first thread. In a fork the callback returns, and
ansible-playbook goes on as if nothing had been.

What a fork must not share with its siblings is made anew in it: the queue of results, which is a pipe. That queue's class is
the one thing of ansible-core that is replaced here, only for releases on which the engine's tests have run.
"""

from __future__ import annotations

import gc
import inspect
import io
import os
import socket
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from immich_operator.engine import child, inline, wire
from immich_operator.engine.forker import Forker, descriptors

from ansible.executor import task_queue_manager  # isort: skip - after `child`, which starts Ansible
from ansible.plugins.callback import CallbackBase  # isort: skip

__all__ = ["CallbackModule", "can_park", "park"]

LAST_WORDS = 2000
"""Characters of what a play said that could not be parked."""
BaseQueue = getattr(task_queue_manager, "FinalQueue", object)


class CallbackModule(CallbackBase):  # type: ignore[misc]
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
        sys.stdout = sys.stderr = self._text

    def wait(self, play: Any) -> None:
        """Returns in a fork, which is to run `play`."""
        if len(list(Path("/proc/self/task").iterdir())) != 1:
            raise RuntimeError("there are threads already, and a fork would lack them")
        keep = descriptors() - {self._control.fileno()}
        forker = Forker(self._control)
        self._control.send(wire.PARKED)
        gc.collect()
        gc.freeze()
        handed = forker.run()
        if handed is None:
            os._exit(0)
        self.play = child.begin(handed, keep=keep, lessons=self._lessons, parent=self._pid)
        try:
            for queue in _Queue.made:
                queue.renew()
            _take_up(play, self.play.request)
            sys.stdout.write(self._text.getvalue())  # the events until here
        except BaseException:  # Ansible makes a warning of what a callback raises
            child.last_words()
            child.end(child.CRASHED_RC, self.play)


_parked: _Parked | None = None


def can_park() -> bool:
    """False with a release of ansible-core that we don't know."""
    return inline.is_known_release() and issubclass(BaseQueue, SimpleQueue)


def park(
    control: socket.socket,
    request: Mapping[str, Any],
    *,
    keep: Collection[int],
    lessons: socket.socket,
    zygote: int,
) -> NoReturn:
    """Start ansible-playbook, wait before its first task, and fork for each play that comes through `control`.

    `request` is {"argv", "env", "cwd"}. To be called in a fork of the zygote, which it says `wire.PARKED` to; it ends with
    the other end of `control`, when it is told to, or without having said so when there is something wrong with the role.
    """
    global _parked  # noqa: PLW0603 - the callback is made by Ansible
    code = child.CRASHED_RC
    try:
        child.leave(zygote, {*keep, control.fileno(), lessons.fileno()})
        child.settle(request)
        task_queue_manager.FinalQueue = _Queue
        _parked = _Parked(control, lessons)
        code = child.run_playbook(request["argv"])
    except BaseException:
        child.last_words()
    finally:
        if _parked is not None and _parked.play is not None:
            child.end(code, _parked.play)
        with suppress(OSError, AttributeError):  # it has never come to the callback
            control.send(sys.stdout.getvalue()[-LAST_WORDS:].encode())  # type: ignore[union-attr]
        os._exit(code or 1)


def _take_up(play: Any, request: Mapping[str, Any]) -> None:
    """What would have been known from the start: the play's own folder and its variables."""
    loader = play.get_loader()
    loader.set_basedir(request["basedir"])
    load = loader.load_from_file
    trust = {"trusted_as_template": True} if "trusted_as_template" in inspect.signature(load).parameters else {}
    play.get_variable_manager().extra_vars.update(load(request["extra_vars"], **trust))


class _Queue(BaseQueue):  # type: ignore[misc, valid-type]
    """Where the results of tasks go through."""

    made: ClassVar[list[_Queue]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append(self)

    def renew(self) -> None:
        """Use another pipe than the process that this one was forked from."""
        for end in (self._reader, self._writer):
            with suppress(OSError):
                end.close()
        super().__init__()
