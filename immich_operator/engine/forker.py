# SPDX-License-Identifier: Apache-2.0
"""A loop around fork(), in a process with one thread: a fork copies only one, and locks held by others stay locked."""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from immich_operator.engine import wire
from immich_operator.engine.processes import kill_play

__all__ = ["Forker", "Handed", "descriptors"]

SIGNALS = 1 << 16
"""Read at once; they arrive as a byte each."""


class Handed(NamedTuple):
    """What a fork is for: where its play is described, and the pipe for the play's output."""

    channel: socket.socket
    output: int


class Forker:
    """Forks for each play from the control socket, and reports on the play's channel how its process ended."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self._children: dict[int, socket.socket] = {}
        self._draining = False
        self._wakeup, wakeup_writer = socket.socketpair()
        self._wakeup.setblocking(False)
        wakeup_writer.setblocking(False)
        self._wakeup_writer = wakeup_writer
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_writer.fileno())
        self.poll = select.poll()
        for source in (self.control, self._wakeup):
            self.poll.register(source, select.POLLIN)

    def run(self) -> Handed | None:
        """In a fork: what it is for. In the process itself: None, when the other end of the control socket has been closed
        (its plays are ended then), or when it was drained and its plays have ended."""
        while not (self._draining and self.is_idle()):
            ready = {descriptor for descriptor, _ in self.poll.poll()}
            if self._wakeup.fileno() in ready:
                self._reap()
            if self.control.fileno() in ready:
                message, files = self._receive()
                if not message:
                    break
                if handed := self.obey(message, files):
                    return handed
            self.look(ready)
        for pid in list(self._children):
            kill_play(None, [pid])
        return None

    def is_idle(self) -> bool:
        """Whether no forked process is left."""
        return not self._children

    def look(self, ready: set[int]) -> None:
        """Other descriptors that are ready."""

    def obey(self, message: bytes, files: list[int]) -> Handed | None:
        """Do what a control message says; returns in a fork what it is for."""
        if message == wire.DRAIN:
            self._draining = True
        elif message == wire.PLAY and len(files) == 2:
            return self.fork(*files)
        return None

    def fork(self, channel_descriptor: int, output: int) -> Handed | None:
        """In the fork: what it is for."""
        channel = socket.socket(fileno=channel_descriptor)
        try:
            pid = os.fork()
        except OSError as problem:  # out of memory or process ids: the operator sees the closed channel
            os.write(2, f"cannot fork: {problem}\n".encode())
            channel.close()
            os.close(output)
            return None
        if pid == 0:
            return Handed(channel, output)
        os.close(output)
        self._children[pid] = channel
        return None

    def ended(self, pid: int) -> None:
        """A process that was not forked for a play has ended."""

    def _receive(self) -> tuple[bytes, list[int]]:
        try:
            message, files, _, _ = socket.recv_fds(
                self.control, wire.MAX_CONTROL_BYTES, 2, flags=socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return b"", []
        return message, files

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            self._wakeup.recv(SIGNALS)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            channel = self._children.pop(pid, None)
            if channel is None:
                self.ended(pid)
                continue
            with suppress(OSError), channel:  # perhaps nobody waits for this play any more
                wire.send(channel, {"exit": os.waitstatus_to_exitcode(status)})


def descriptors() -> set[int]:
    """The open files of this process."""
    listed = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    return {descriptor for descriptor in listed if Path(f"/proc/self/fd/{descriptor}").exists()}
