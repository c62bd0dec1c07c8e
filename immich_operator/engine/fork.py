# SPDX-License-Identifier: Apache-2.0
"""The fast engine: ansible-runner prepares and reports a play, a fork of a warm zygote runs it."""

from __future__ import annotations

import codecs
import datetime
import json
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ansible_runner.config.runner import RunnerConfig
from ansible_runner.exceptions import AnsibleRunnerException
from ansible_runner.runner import Runner
from ansible_runner.utils import OutputEventFilter, cleanup_artifact_dir

from immich_operator.engine import wire
from immich_operator.engine.base import Play, PlayResult
from immich_operator.engine.outcome import Outcome
from immich_operator.engine.process import KILLED_RC, ProcessEngine, marker_of, not_run, result_of, status_of
from immich_operator.engine.processes import kill_play
from immich_operator.engine.workspace import START, masked, parking, prepared, write_private
from immich_operator.engine.zygotes import Running, ZygoteDiedError, Zygotes

__all__ = ["ForkEngine"]

POLL_MS = 50
"""How late a cancel, a deadline or the death of a zygote may be noticed."""
READ_BYTES = 1 << 16
ATTEMPTS = 3
START_S = 30.0
"""A zygote that hasn't forked by then hangs."""

APPLIED_PER_PLAY = frozenset(
    {"ANSIBLE_ASYNC_DIR", "ANSIBLE_INVENTORY_ENABLED", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TMP", "ANSIBLE_ROLES_PATH"}
)
READ_AT_IMPORT = ("ANSIBLE_", "PYTHON", "LD_", "LC_", "LANG")
"""Prefixes of variables that Python or Ansible read only once; a fork could not have other values than the zygote's."""


class ForkEngine:
    """Runs each play in a fork of a process that has imported everything."""

    def __init__(self, *, base_dir: Path, preload_roles: Sequence[Path], log: logging.Logger, memory: int = 0) -> None:
        self._base_dir = base_dir
        self._memory = memory
        self._log = log
        self._roles = tuple(preload_roles)
        self._plain = ProcessEngine(base_dir=base_dir, roles=preload_roles, memory=memory)
        cwd = base_dir / "zygote"
        probe = Play(ident="zygote", private_data_dir=cwd, playbook=cwd / "none.yml")
        with prepared(probe, base_dir, self._roles) as config:
            self._environment = dict(config.env)
        (cwd / "tmp").mkdir(mode=0o700, exist_ok=True)
        environment = {**self._environment, "ANSIBLE_LOCAL_TEMP": str(cwd / "tmp")}
        self._zygotes = Zygotes(environment, roles=preload_roles, cwd=cwd, log=log)

    def run(self, play: Play, cancel: threading.Event) -> PlayResult:
        """See `Engine.run`. A play that no zygote can run correctly gets its own process.

        One that had not begun when the engine was closed is canceled.
        """
        started = time.monotonic()
        outcome = Outcome()
        try:
            with prepared(play, self._base_dir, self._roles) as config:
                self._check_environment(config.env)
                start = partial(self._zygotes.start, parking=parking(play, config, self._base_dir))
                deadline = started + play.timeout_s
                runner = _ForkedRunner(config, outcome, start, deadline=deadline, cancel=cancel, memory=self._memory)
                runner.run()
        except (OSError, AnsibleRunnerException) as problem:
            return not_run(play, problem, time.monotonic() - started)
        except (ZygoteDiedError, _UnlikeZygoteError) as reason:
            if cancel.is_set() or self._zygotes.is_closing():
                return PlayResult(status="canceled", rc=None, duration_s=time.monotonic() - started)
            level = logging.WARNING if isinstance(reason, ZygoteDiedError) else logging.INFO
            self._log.log(level, "play runs in its own process", extra={"play": play.ident, "reason": str(reason)})
        else:
            if runner.lost is not None:
                outcome.add_failure(f"play {play.ident} was lost: {runner.lost}")
            return result_of(runner, outcome, time.monotonic() - started)
        return self._plain.run(play, cancel)

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote that new plays are forked from, for metrics; None while there is none."""
        return self._zygotes.pid

    def close(self) -> None:
        """End the zygote and the running plays; no new ones start."""
        self._zygotes.close()

    def _check_environment(self, environment: Mapping[str, str]) -> None:
        names = {name for name in {*environment, *self._environment} if name.startswith(READ_AT_IMPORT)}
        differing = {name for name in names if environment.get(name) != self._environment.get(name)} - APPLIED_PER_PLAY
        if differing:
            raise _UnlikeZygoteError(f"its environment differs in {', '.join(sorted(differing))}")


class _UnlikeZygoteError(Exception):
    """The play needs a different value for something that the zygote has read at import."""


class _ForkedRunner(Runner):  # type: ignore[misc]
    """ansible-runner's Runner, whose process comes from a zygote. Events, status and artifacts are ansible-runner's."""

    def __init__(
        self,
        config: RunnerConfig,
        outcome: Outcome,
        start: Callable[[Mapping[str, Any]], Running],
        *,
        deadline: float,
        cancel: threading.Event,
        memory: int = 0,
    ) -> None:
        """`start` hands a request to a zygote."""
        super().__init__(config, event_handler=outcome.on_event)
        self.canceled = False
        self.timed_out = False
        self.rc: int | None = None
        self.lost: str | None = None
        self._start = start
        self._deadline = deadline
        self._cancel = cancel
        self._memory = memory

    def run(self) -> None:
        """Run the play and write its artifacts. Raises ZygoteDiedError when it could not even be started."""
        artifacts = Path(self.config.artifact_dir)
        self.status_callback("starting")
        (artifacts / "job_events").mkdir(mode=0o700, exist_ok=True)
        command = {"command": self.config.command, "cwd": self.config.cwd, "env": self.config.env}
        write_private(artifacts / "command", json.dumps(masked(command)))
        cleanup_artifact_dir(str(artifacts.parent), self.config.rotate_artifacts)
        write_private(artifacts / "stdout", "")
        with (artifacts / "stdout").open("w", encoding="utf-8") as stdout:
            output = OutputEventFilter(stdout, self.event_callback, suppress_ansible_output=True)
            self.status_callback("running")
            try:
                self._run_until_started_once(output)
            finally:
                output.close()
        self.status_callback(status_of(self))
        write_private(artifacts / "status", self.status)
        write_private(artifacts / "rc", str(self.rc))

    def event_callback(self, event_data: dict[str, Any]) -> None:
        """Complete an event and pass it on. It came whole through the pipe, so no file is needed."""
        self.last_stdout_update = time.time()
        if "uuid" not in event_data:
            return
        event_data["runner_ident"] = str(self.config.ident)
        event_data.setdefault("created", datetime.datetime.now(datetime.UTC).isoformat())
        if self.event_handler(event_data):
            name = f"{event_data['counter']}-{event_data['uuid']}.json"
            write_private(Path(self.config.artifact_dir) / "job_events" / name, json.dumps(event_data))

    def _run_until_started_once(self, output: OutputEventFilter) -> None:
        request = {
            "argv": ["ansible-playbook", *self.config.command[len(START) :]],
            "env": self.config.env,
            "cwd": self.config.cwd,
            "memory": self._memory,
            "basedir": str(Path(self.config.private_data_dir) / "project"),
            "extra_vars": str(Path(self.config.private_data_dir) / "env" / "extravars"),
        }
        for attempt in range(1, ATTEMPTS + 1):
            try:
                running = self._start(request)
                try:
                    self._follow(running, output)
                finally:
                    running.close()
            except ZygoteDiedError:
                if attempt == ATTEMPTS:
                    raise
            else:
                return

    def _follow(self, running: Running, output: OutputEventFilter) -> None:
        """Read until the play has ended. Raises ZygoteDiedError if the zygote died before the play had begun."""
        pid: int | None = None
        poll = select.poll()
        poll.register(running.channel, select.POLLIN)
        poll.register(running.output, select.POLLIN)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        start_by = time.monotonic() + START_S
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll(POLL_MS)}
                # Its identity first: if its output can't be stored, it has to be killed.
                if running.channel.fileno() in ready:
                    message = wire.receive(running.channel)
                    if message is None:
                        _drain(running.output, output, decoder)
                        return self._on_lost(pid)
                    if "exit" in message:
                        _drain(running.output, output, decoder)
                        self.rc = KILLED_RC if self.canceled or self.timed_out else message["exit"]
                        return None
                    pid = message["started"]
                if running.output in ready:
                    data = os.read(running.output, READ_BYTES)
                    if data:
                        output.write(decoder.decode(data))
                    else:
                        poll.unregister(running.output)
                # A draining zygote reports how its last play ended and exits at once: the answer may already be there.
                if not ready and not running.zygote.is_alive() and not poll.poll(0):
                    return self._on_lost(pid)
                if pid is None and time.monotonic() > start_by:
                    running.zygote.kill()
                self._end_in_time(pid)
        except BaseException:  # its events can no longer be stored, for example because the disk is full
            # one that has not begun yet ends by itself, because nobody listens
            kill_play(marker_of(self.config), [] if pid is None else [pid])
            raise

    def _on_lost(self, pid: int | None) -> None:
        if pid is None and not (self.canceled or self.timed_out):
            raise ZygoteDiedError("the zygote died before it forked")
        kill_play(marker_of(self.config), [] if pid is None else [pid])
        if not (self.canceled or self.timed_out):
            self.lost = "its zygote has died"
        self.rc = KILLED_RC

    def _end_in_time(self, pid: int | None) -> None:
        self.canceled = self.canceled or self._cancel.is_set()
        self.timed_out = not self.canceled and (self.timed_out or time.monotonic() >= self._deadline)
        if (self.canceled or self.timed_out) and pid is not None:
            kill_play(marker_of(self.config), [pid])


def _drain(descriptor: int, output: OutputEventFilter, decoder: codecs.IncrementalDecoder) -> None:
    """Read what is in the pipe. It may never end: a process that the play has left behind may keep it open."""
    os.set_blocking(descriptor, False)
    while True:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            return
        output.write(decoder.decode(data))
