# SPDX-License-Identifier: Apache-2.0
"""The zygote: a process with one thread that has everything imported and forks one child per play.

Started as `python -m immich_operator.engine.zygote FD ROLE...`; FD is its end of the control socket. It ends, and ends its
plays, when the other end is closed: so it never outlives the operator.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from immich_operator.engine import child, warm, wire
from immich_operator.engine.processes import kill_play

__all__ = ["Zygote", "main"]

MAX_CONTROL_BYTES = 4096
MAX_LESSON_BYTES = 1 << 18
TRIAL_S = 10


class Zygote:
    """The loop around fork(). Single-threaded by design: a fork copies one thread only, locks of others stay locked."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, socket.socket] = {}
        self._draining = False
        self._asked_for: set[str] = set()
        self._pid = os.getpid()
        self._wakeup, wakeup_writer = socket.socketpair()
        self._wakeup.setblocking(False)
        wakeup_writer.setblocking(False)
        self._wakeup_writer = wakeup_writer
        self._lessons, self._teacher = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._lessons.setblocking(False)
        self._teacher.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_writer.fileno())
        self._keep: frozenset[int] = frozenset()

    def preload(self, roles: list[Path]) -> None:
        """Import everything, then tell the operator that plays can come."""
        before = _descriptors()
        warm.preload(roles)
        self._keep = frozenset(_descriptors() - before)
        self._settle()

    def run(self) -> None:
        """Fork and reap until the operator closes the control socket, or drains us."""
        poll = select.poll()
        for source in (self._control, self._wakeup, self._lessons):
            poll.register(source, select.POLLIN)
        while not (self._draining and not self._children):
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wakeup.fileno() in ready:
                self._reap()
            if self._control.fileno() in ready and not self._obey():
                break
            if self._lessons.fileno() in ready:
                self._learn()
        for pid in list(self._children):
            kill_play(None, [pid])

    def _obey(self) -> bool:
        """Take one message from the operator; False when it has gone."""
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._control, MAX_CONTROL_BYTES, 2, flags=socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return False
        if message == wire.DRAIN:
            self._draining = True
        elif message == wire.PLAY and len(descriptors) == 2:
            self._fork(*descriptors)
        return bool(message)

    def _fork(self, channel_descriptor: int, output: int) -> None:
        channel = socket.socket(fileno=channel_descriptor)
        try:
            pid = os.fork()
        except OSError as problem:  # no memory or no process id left: the operator sees the closed channel
            print(f"cannot fork: {problem}", file=sys.stderr)
            channel.close()
            os.close(output)
            return
        if pid == 0:
            child.become_play(channel, output, keep=self._keep, lessons=self._teacher, zygote=self._pid)
        os.close(output)
        self._children[pid] = channel

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            self._wakeup.recv(MAX_CONTROL_BYTES)
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            channel = self._children.pop(pid, None)
            if channel is None:
                continue
            with suppress(OSError), channel:  # perhaps nobody waits for this play any more
                wire.send(channel, {"exit": os.waitstatus_to_exitcode(status)})

    def _learn(self) -> None:
        names: set[str] = set()
        while True:
            try:
                names.update(json.loads(self._lessons.recv(MAX_LESSON_BYTES)))
            except BlockingIOError:
                break
        names -= self._asked_for
        self._asked_for |= names
        if not names:
            return
        safe = sorted(names)
        if not _leaves_one_thread(safe):
            safe = [name for name in safe if _leaves_one_thread([name])]
        if warm.learn(safe):
            self._settle()

    def _settle(self) -> None:
        """Move all objects out of the garbage collector's sight, so that it doesn't write to pages the children share."""
        gc.collect()
        gc.freeze()
        facts = {"modules": len(sys.modules), "watched": warm.watched_files()}
        self._control.send(json.dumps(facts).encode())


def _leaves_one_thread(modules: list[str]) -> bool:
    """Try in a child whether importing `modules` starts threads: forks of a process that has some are not safe."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(TRIAL_S)
            warm.learn(modules)
            os._exit(len(list(Path("/proc/self/task").iterdir())) - 1)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return status == 0


def _descriptors() -> set[int]:
    return {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}


def main(arguments: list[str]) -> None:
    """Entry point; `arguments`: descriptor of the control socket, then folders of roles to preload for."""
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    zygote = Zygote(control)
    zygote.preload([Path(role) for role in arguments[1:]])
    zygote.run()


if __name__ == "__main__":
    main(sys.argv[1:])
