# SPDX-License-Identifier: Apache-2.0
"""The operator's side of the zygote: start it, hand plays to it, notice that it died or that its code has changed."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from immich_operator.engine import wire
from immich_operator.engine.processes import kill_play

__all__ = ["Running", "ZygoteDiedError", "Zygotes"]

READY_S = 60.0
"""Importing everything takes one to two seconds on an idle core; a starting node is not idle."""
POLL_S = 0.05
"""How late the end of the engine may be noticed."""
GRACE_S = 5.0
RETRY_S = 30.0
"""If a zygote cannot be started, there is no retry for this long; in the meantime plays get their own processes."""
CLOSED = "the engine is closed"


class ZygoteDiedError(Exception):
    """The zygote has gone, or doesn't answer. The message says how it ended."""


class Running:
    """A play handed to a zygote."""

    def __init__(self, zygote: _Zygote, channel: socket.socket, output: int) -> None:
        self.zygote = zygote
        self.channel = channel
        self.output = output

    def close(self) -> None:
        """Release both descriptors."""
        self.channel.close()
        os.close(self.output)


class _Zygote:
    def __init__(
        self, environment: Mapping[str, str], *, roles: Sequence[Path], cwd: Path, log: logging.Logger
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        self._log = log
        self._watched: list[tuple[str, int, int]] = []
        command = [sys.executable, "-P", "-m", "immich_operator.engine.zygote", str(theirs.fileno())]
        self._last_words = cwd / "stderr"
        with theirs, _private(self._last_words) as errors:
            self.process = subprocess.Popen(
                [*command, *map(str, roles)],
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[theirs.fileno()],
                # A terminal's Ctrl-C is for the operator, which decides what happens to its plays.
                start_new_session=True,
            )

    def wait_until_ready(self, closing: threading.Event) -> None:
        """Raises ZygoteDiedError, also if `closing` is set in the meantime."""
        deadline = time.monotonic() + READY_S
        while not self._watched:
            ready, _, _ = select.select([self._control], [], [], POLL_S)
            if ready:
                self.refresh()
            elif closing.is_set():
                raise ZygoteDiedError(CLOSED)
            elif time.monotonic() >= deadline:
                self.kill()
                raise ZygoteDiedError(f"the zygote was not ready after {READY_S:.0f} s")

    def refresh(self) -> None:
        """Take note of what the zygote has said since the last time. Raises ZygoteDiedError."""
        while True:
            try:
                message = self._control.recv(wire.MAX_CONTROL_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as problem:
                raise ZygoteDiedError(self._how_it_ended()) from problem
            if not message:
                raise ZygoteDiedError(self._how_it_ended())
            facts = json.loads(message)
            if "problem" in facts:
                self._log.warning("plays of a role start from the beginning, which is slower", extra=facts["problem"])
            else:
                self._watched = [(path, mtime_ns, size) for path, mtime_ns, size in facts["watched"]]

    def is_stale(self) -> bool:
        """True if a file that the zygote has loaded has changed."""
        for path, mtime_ns, size in self._watched:
            try:
                status = Path(path).stat()
            except FileNotFoundError:
                return True
            if (status.st_mtime_ns, status.st_size) != (mtime_ns, size):
                return True
        return False

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def start(self, request: Mapping[str, Any], parking: Mapping[str, Any] | None) -> Running:
        """Hand over a play. Raises ZygoteDiedError."""
        message = wire.PLAY + (b"" if parking is None else json.dumps(parking).encode())
        ours, theirs = socket.socketpair()
        output, output_writer = os.pipe2(os.O_CLOEXEC)
        try:
            with theirs:
                socket.send_fds(self._control, [message], [theirs.fileno(), output_writer])
            wire.send(ours, dict(request))
        except OSError as problem:
            ours.close()
            os.close(output)
            raise ZygoteDiedError(self._how_it_ended()) from problem
        finally:
            os.close(output_writer)
        return Running(self, ours, output)

    def drain(self) -> None:
        """Let it end once its plays have ended."""
        try:
            self._control.send(wire.DRAIN)
        except OSError:
            return

    def kill(self) -> None:
        """End it at once; the kernel kills its children with it."""
        kill_play(None, [self.process.pid])
        self.process.wait()
        self._control.close()

    def close(self) -> None:
        """End it and what it runs; the closed socket is the signal."""
        self._control.close()
        try:
            # One that is still loading does not read the socket, and has no plays.
            self.process.wait(GRACE_S if self._watched else 0)
        except subprocess.TimeoutExpired:
            self.kill()

    def _how_it_ended(self) -> str:
        try:
            status = self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return "the zygote has closed its control socket"
        lines = self._last_words.read_text(errors="replace").strip().splitlines()
        return f"the zygote ended with {status}" + (f": {lines[-1]}" if lines else "")


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


class Zygotes:
    """Always one zygote for new plays; replaced ones live on until their plays have ended. Thread-safe."""

    def __init__(
        self, environment: Mapping[str, str], *, roles: Sequence[Path], cwd: Path, log: logging.Logger
    ) -> None:
        self._environment = dict(environment)
        self._roles = tuple(role.absolute() for role in roles)
        self._cwd = cwd
        self._log = log
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._draining: list[_Zygote] = []
        self._not_before = 0.0
        # Started now, awaited at the first play: it loads during the operator's startup.
        self._current: _Zygote | None = self._spawn()

    def start(self, request: Mapping[str, Any], parking: Mapping[str, Any] | None = None) -> Running:
        """Hand a play to the current zygote, after replacing one that is dead or stale. Raises ZygoteDiedError.

        `request` is {"argv", "env", "cwd"}, and "basedir" and "extra_vars" for a play that may be a fork of a parked one:
        `parking` says of which, see `wire.PLAY`.
        """
        with self._lock:
            zygote = self._usable()
        return zygote.start(request, parking)

    @property
    def pid(self) -> int | None:
        """Process id of the current zygote."""
        current = self._current
        return None if current is None else current.process.pid

    def is_closing(self) -> bool:
        """True as soon as `close` begins."""
        return self._closing.is_set()

    def close(self) -> None:
        """End all zygotes and their plays; no new one is started."""
        self._closing.set()  # before taking the lock: its holder may be waiting for a zygote
        with self._lock:
            for zygote in (*self._draining, *filter(None, [self._current])):
                zygote.close()
            self._current = None
            self._draining.clear()

    def _usable(self) -> _Zygote:
        for zygote in [zygote for zygote in self._draining if not zygote.is_alive()]:
            zygote.close()
            self._draining.remove(zygote)
        if self._current is not None:
            try:
                self._current.wait_until_ready(self._closing)
                self._current.refresh()
            except ZygoteDiedError as death:
                if self._closing.is_set():
                    raise
                self._log.warning("zygote is replaced", extra={"reason": str(death)})
                self._current.close()
                self._current = None
            else:
                if self._current.is_stale():
                    self._log.info("zygote is replaced", extra={"reason": "code that it has loaded has changed"})
                    self._current.drain()
                    self._draining.append(self._current)
                    self._current = None
        if self._current is None:
            if self._closing.is_set():
                raise ZygoteDiedError(CLOSED)
            if time.monotonic() < self._not_before:
                raise ZygoteDiedError("the last attempts to start a zygote have failed")
            self._current = self._spawn()
            try:
                self._current.wait_until_ready(self._closing)
            except ZygoteDiedError:
                self._not_before = time.monotonic() + RETRY_S
                self._current.close()
                self._current = None
                raise
        return self._current

    def _spawn(self) -> _Zygote:
        return _Zygote(self._environment, roles=self._roles, cwd=self._cwd, log=self._log)
