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
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from immich_operator.engine import ansible_internals, child, parked, warm, wire
from immich_operator.engine.forker import Forker, Handed, descriptors
from immich_operator.engine.processes import kill_play

__all__ = ["Zygote", "main"]

MAX_LESSON_BYTES = 1 << 18
END_S = 10
LEARN_S = 5.0
"""For all trials of one lesson. Nothing is forked during them, and the operator kills a zygote that does not fork."""
MIN_TRIAL_S = 0.01
"""A timer of less than a microsecond would never ring."""
PARK_S = 5.0
"""Loading a playbook takes a tenth of a second on an idle core."""
PARK_AGAIN_S = 30.0
"""What could not be parked is not retried for this long; its plays run from the beginning."""
MAX_PARKED = 8


State: TypeAlias = tuple[tuple[str, int, int], ...]
"""Path, mtime in ns and size of files."""


@dataclass(frozen=True, slots=True)
class _Parked:
    """A process that forks for plays of one role, and the state of the files that it has loaded."""

    pid: int
    control: socket.socket
    files: State


class Zygote(Forker):
    """Forks for plays, or lets a process fork that has already run the first part of them."""

    def __init__(self, control: socket.socket) -> None:
        super().__init__(control)
        self.lessons, self.teacher = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.lessons.setblocking(False)
        self.teacher.setblocking(False)
        self.poll.register(self.lessons, select.POLLIN)
        self._asked_for: set[str] = set()
        self._pid = os.getpid()
        self.keep: frozenset[int] = frozenset()
        self._parked: dict[str, _Parked] = {}
        self._leaving: dict[int, socket.socket] = {}
        """Processes that no longer accept plays."""
        self._not_before: dict[str, float] = {}
        """When to retry what could not be parked."""

    def preload(self, roles: list[Path]) -> None:
        """Import everything, then tell the operator that it is ready for plays."""
        before = descriptors()
        warm.preload(roles)
        self.keep = frozenset(descriptors() - before)
        self._freeze()

    def is_idle(self) -> bool:
        return super().is_idle() and not self._parked and not self._leaving

    def look(self, ready: set[int]) -> None:
        if self.lessons.fileno() in ready:
            self._learn()

    def obey(self, message: bytes, files: list[int]) -> Handed | None:
        """Like any forker; a play that says how to park it goes to the process that is parked that way."""
        if message == wire.DRAIN:
            self._send_away()
        elif message.startswith(wire.PLAY) and len(files) == 2:
            place = message.removeprefix(wire.PLAY).decode()
            if place and not self._draining and self._pass_on(place, files):
                return None
            message = wire.PLAY
        return super().obey(message, files)

    def ended(self, pid: int) -> None:
        for name, process in list(self._parked.items()):
            if process.pid == pid:
                self._parked.pop(name).control.close()
        if control := self._leaving.pop(pid, None):
            control.close()

    def close(self) -> None:
        """End the parked processes, which end their plays."""
        self._send_away()
        for pid, control in self._leaving.items():
            control.close()
            signal.alarm(END_S)  # the operator is gone; nothing may keep this process alive
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _pass_on(self, place: str, files: list[int]) -> bool:
        """Let a parked process fork for the play; False if there can be none."""
        try:
            process = self._parked_at(place)
            if process is None:
                return False
            socket.send_fds(process.control, [wire.PLAY], files)
        except OSError:  # it has just died, or the machine has no resources for one
            return False
        for descriptor in files:
            os.close(descriptor)
        return True

    def _parked_at(self, place: str) -> _Parked | None:
        found = self._parked.get(place)
        if found is not None and _state_of(path for path, _, _ in found.files) == found.files:
            return found
        if found is not None:
            self._send_away(place)
        hopeless = time.monotonic() < self._not_before.get(place, 0.0)
        if hopeless or len(self._parked) >= MAX_PARKED or not ansible_internals.can_park():
            return None
        request = json.loads(place)
        temporary = Path(request["cwd"]).parent / "tmp"
        request["env"] = os.environ | {
            "ANSIBLE_ROLES_PATH": request["roles_path"],
            "ANSIBLE_LOCAL_TEMP": str(temporary),
        }
        # Before it loads them: changes during the loading must be noticed.
        of_role = _state_of(map(str, Path(request["role"]).rglob("*")))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            pid = os.fork()
            if pid == 0:
                parked.park(theirs, request, keep=self.keep, lessons=self.teacher, zygote=self._pid)
        try:
            loaded = _when_parked(ours)
        except _CannotParkError as problem:
            kill_play(None, [pid])
            ours.close()
            self._not_before[place] = time.monotonic() + PARK_AGAIN_S
            self._tell(problem={"role": request["role"], "reason": str(problem)})
            return None
        known = {path for path, _, _ in of_role}
        self._parked[place] = _Parked(pid, ours, of_role + _state_of(path for path in loaded if path not in known))
        return self._parked[place]

    def _send_away(self, *places: str) -> None:
        """Let parked processes end when their plays have ended; all of them, if none is named."""
        for place in places or list(self._parked):
            process = self._parked.pop(place)
            self._leaving[process.pid] = process.control
            with suppress(OSError):
                process.control.send(wire.DRAIN)

    def _learn(self) -> None:
        names: set[str] = set()
        while True:
            try:
                names.update(json.loads(self.lessons.recv(MAX_LESSON_BYTES)))
            except BlockingIOError:
                break
        names -= self._asked_for
        self._asked_for |= names
        if not names:
            return
        if warm.learn(_safe(sorted(names))):
            self._send_away()  # those parked from now on know it too
            self._freeze()

    def _freeze(self) -> None:
        """Hide all objects from the garbage collector, so that it doesn't write to pages that the children share."""
        gc.collect()
        gc.freeze()
        self._tell(watched=warm.watched_files())

    def _tell(self, **facts: object) -> None:
        self.control.send(json.dumps(facts).encode())


class _CannotParkError(Exception):
    """Says why."""


def _when_parked(control: socket.socket) -> list[str]:
    """The files that the process at the other end has loaded, once it waits for plays.

    Raises:
        _CannotParkError: it does not get there.
    """
    control.settimeout(PARK_S)
    try:
        answer = control.recv(wire.MAX_CONTROL_BYTES)
    except TimeoutError:
        raise _CannotParkError(f"it has not reached its first task within {PARK_S:.0f} s") from None
    except OSError as problem:
        raise _CannotParkError(str(problem)) from problem
    control.settimeout(None)
    if not answer.startswith(wire.PARKED):
        raise _CannotParkError(answer.decode(errors="replace") or "its process has died")
    return list(json.loads(answer.removeprefix(wire.PARKED)))


def _state_of(paths: Iterable[str]) -> State:
    found = []
    for path in paths:
        try:
            status = Path(path).stat()
            found.append((path, status.st_mtime_ns, status.st_size))
        except OSError:  # it is not there, or not for us
            found.append((path, 0, 0))
    return tuple(found)


def _safe(modules: list[str]) -> list[str]:
    """Those whose import starts no thread. Plays import themselves what could not be tried in time."""
    deadline = time.monotonic() + LEARN_S
    if _leaves_one_thread(modules, deadline):
        return modules
    return [module for module in modules if _leaves_one_thread([module], deadline)]


def _leaves_one_thread(modules: list[str], deadline: float) -> bool:
    """Try in a child whether importing `modules` starts threads: forks of a process that has some are not safe."""
    left_s = deadline - time.monotonic()
    if left_s < MIN_TRIAL_S:
        return False
    pid = os.fork()
    if pid == 0:
        try:
            signal.setitimer(signal.ITIMER_REAL, left_s)
            warm.learn(modules)
            os._exit(len(list(Path("/proc/self/task").iterdir())) - 1)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return status == 0


def main(arguments: list[str]) -> None:
    """Entry point; `arguments`: descriptor of the control socket, then folders of roles to preload for."""
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    zygote, pid = Zygote(control), os.getpid()
    zygote.preload([Path(role) for role in arguments[1:]])
    handed = zygote.run()
    if handed is not None:
        child.become_play(handed, keep=zygote.keep, lessons=zygote.teacher, zygote=pid)
    zygote.close()


if __name__ == "__main__":
    main(sys.argv[1:])
