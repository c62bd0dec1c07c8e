# SPDX-License-Identifier: Apache-2.0
"""The plain engine: ansible-runner starts one ansible-playbook per play."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ansible_runner.config.runner import RunnerConfig
from ansible_runner.exceptions import AnsibleRunnerException
from ansible_runner.runner import Runner

from immich_operator.engine import limits
from immich_operator.engine.base import Play, PlayResult, Status
from immich_operator.engine.outcome import Outcome
from immich_operator.engine.processes import kill_play
from immich_operator.engine.workspace import prepared

__all__ = ["KILLED_RC", "ProcessEngine", "marker_of", "not_run", "result_of", "status_of"]

KILLED_RC = 254
"""What ansible-runner reports for a play that it ended itself."""

_FULL = "the volume of --run-dir is full: free space on it, or give it a larger one"
_TOO_MANY = "the operator may open no more files: raise the limit of its process, see `ulimit -n`"
_NO_PROCESS = (
    "no more processes may be started: raise the limit of the pod (podPidsLimit), or lower --max-concurrent-reconciles"
)
REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "the volume of --run-dir is read-only: give the operator one that it may write to",
    errno.EMFILE: _TOO_MANY,
    errno.ENFILE: _TOO_MANY,
    errno.EAGAIN: _NO_PROCESS,
    errno.ENOMEM: "the operator has too little memory: raise the limit of its pod",
}
"""What to do about errors of this machine, by their number."""

POLL_S = 0.05
"""How late a cancel may be noticed: events of `threading` cannot be waited for together with a deadline of another."""


class ProcessEngine:
    """Runs each play in a new interpreter: half a second before the first task, and no state between plays."""

    def __init__(self, *, base_dir: Path, roles: Sequence[Path] = (), memory: int = 0) -> None:
        self._base_dir = base_dir
        self._memory = memory
        self._roles = tuple(roles)

    def run(self, play: Play, cancel: threading.Event) -> PlayResult:
        """See `Engine.run`. An additional thread lives as long as the play, to end it in time."""
        started = time.monotonic()
        outcome = Outcome()
        try:
            with prepared(play, self._base_dir, self._roles) as config:
                config.command = [*limits.bounded_command(self._memory), *config.command]
                runner = _runner(config, outcome)
                with _watched(runner, play.timeout_s, cancel):
                    runner.run()
        except (OSError, AnsibleRunnerException) as problem:
            return not_run(play, problem, time.monotonic() - started)
        if runner.canceled or runner.timed_out:
            runner.rc = KILLED_RC
        if runner.rc:
            outcome.add_output((Path(config.artifact_dir) / "stderr").read_text(errors="replace"))
        return result_of(runner, outcome, time.monotonic() - started)

    def close(self) -> None:
        """Nothing is kept between plays."""


def marker_of(config: RunnerConfig) -> str:
    """The variable that every process of this play has inherited, and no other process has."""
    return f"AWX_ISOLATED_DATA_DIR={config.artifact_dir}"


def status_of(runner: Runner) -> Status:
    """The status of an ended run; `error` for a play that died of a signal."""
    if runner.canceled:
        return "canceled"
    if runner.timed_out:
        return "timeout"
    if runner.rc == 0:
        return "successful"
    return "failed" if runner.rc is not None and 0 < runner.rc < KILLED_RC else "error"


def not_run(play: Play, problem: Exception, duration_s: float) -> PlayResult:
    """The result of a play that could not be prepared or whose artifacts could not be written."""
    number = problem.errno if isinstance(problem, OSError) else None
    remedy = f"; {REMEDIES[number]}" if number in REMEDIES else ""
    why = problem.strerror if isinstance(problem, OSError) and problem.strerror else type(problem).__name__
    return PlayResult(
        status="error",
        rc=None,
        failures=(f"play {play.ident} could not be run: {problem}{remedy}",),
        duration_s=duration_s,
        problem=f"{why}{remedy}",
    )


def result_of(runner: Runner, outcome: Outcome, duration_s: float) -> PlayResult:
    """The result of an ended run; the signal that ended a play takes the place of the message that it could not send."""
    if runner.rc is not None and runner.rc < 0:
        outcome.add_failure(f"play {runner.config.ident}: its process was ended by {signal.Signals(-runner.rc).name}")
    return outcome.result(status_of(runner), runner.rc, duration_s)


def _runner(config: RunnerConfig, outcome: Outcome) -> Runner:
    # The other mode of ansible-runner, a pseudo-terminal, forks Python code in a process with threads and closes every
    # possible descriptor there; this one starts the child with posix_spawn's guarantees.
    config.runner_mode = "subprocess"
    return Runner(config, event_handler=outcome.on_event)


@contextmanager
def _watched(runner: Runner, timeout_s: float, cancel: threading.Event) -> Iterator[None]:
    """Kill the play when `cancel` is set or its time is up, and give it no input."""
    ended = threading.Event()
    deadline = time.monotonic() + timeout_s

    def watch() -> None:
        while not ended.wait(POLL_S):
            runner.canceled = runner.canceled or cancel.is_set()
            runner.timed_out = not runner.canceled and time.monotonic() >= deadline
            if runner.canceled or runner.timed_out:
                # Again and again until the run has ended: a process may have been between fork and exec.
                kill_play(marker_of(runner.config))

    watcher = threading.Thread(target=watch, name=f"watch play {runner.config.ident}", daemon=True)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    runner.config.input_fd = nothing
    try:
        _start(watcher)
        yield
    finally:
        ended.set()
        if watcher.ident is not None:  # it was started
            watcher.join()
        os.close(nothing)


def _start(thread: threading.Thread) -> None:
    """Raises OSError when the machine has none left, as where a process cannot be started."""
    try:
        thread.start()
    except RuntimeError as exc:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from exc
