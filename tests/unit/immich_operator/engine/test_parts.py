# SPDX-License-Identifier: Apache-2.0
"""The small parts of the engines: frames, kills, bounds, values that hold secrets."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from immich_operator.engine import Play, PlayResult, wire
from immich_operator.engine.bounded import BoundedEngine
from immich_operator.engine.process import ProcessEngine, not_run
from immich_operator.engine.processes import kill_play


def a_play(ident: str = "run") -> Play:
    return Play(ident=ident, private_data_dir=Path("/nowhere"), role=Path("/nowhere/role"))


def test_a_play_does_not_show_its_secrets() -> None:
    play = Play(
        ident="run", private_data_dir=Path("/x"), role=Path("/r"), extra_vars={"p": "s3cr3t"}, env={"TOKEN": "s3cr3t"}
    )

    assert "s3cr3t" not in repr(play)


@pytest.mark.parametrize(
    ("role", "playbook"),
    [pytest.param(None, None, id="neither"), pytest.param(Path("/r"), Path("/p"), id="both")],
)
def test_a_play_is_of_a_role_or_of_a_playbook(role: Path | None, playbook: Path | None) -> None:
    with pytest.raises(ValueError, match="give exactly one of role and playbook"):
        Play(ident="run", private_data_dir=Path("/x"), role=role, playbook=playbook)


def test_a_full_disk_is_told_with_what_to_do() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/work/plays/x")

    assert not_run(a_play(), full, 0.1).failures == (
        "play run could not be run: [Errno 28] No space left on device: '/work/plays/x'; the volume of --run-dir is full: "
        "free space on it, or give it a larger one",
    )
    assert "full" not in not_run(a_play(), OSError(errno.EACCES, "Permission denied"), 0.1).failures[0]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "No space left on device; the volume of --run-dir is full: free space on it"),
        (errno.EROFS, "Read-only file system; the volume of --run-dir is read-only"),
        (errno.EMFILE, "Too many open files; the operator may open no more files"),
        (errno.EAGAIN, "Resource temporarily unavailable; no more processes may be started"),
    ],
)
def test_the_trouble_of_a_machine_is_told_in_the_same_words_for_each_play(number: int, told: str) -> None:
    problems = {
        not_run(a_play(ident), OSError(number, os.strerror(number), f"/work/plays/{ident}"), 0.1).problem
        for ident in ("one", "other")
    }

    assert len(problems) == 1
    assert problems.pop().startswith(told)


def test_a_play_for_which_no_thread_is_left_is_one_that_could_not_be_run(tmp_path: Path, monkeypatch: Any) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    role = tmp_path / "role" / "tasks"
    role.mkdir(parents=True)
    play = Play(ident="run", private_data_dir=tmp_path / "play", role=role.parent)
    monkeypatch.setattr(threading.Thread, "start", refused)

    result = ProcessEngine(base_dir=tmp_path / "base").run(play, threading.Event())

    assert (result.status, result.rc) == ("error", None)
    assert result.problem.startswith("Resource temporarily unavailable; no more processes may be started")


def test_frames_arrive_whole_and_in_order() -> None:
    ours, theirs = socket.socketpair()
    messages: list[dict[str, Any]] = [{"n": 1}, {"text": "é" * 50_000}, {}]

    with ours, theirs, ThreadPoolExecutor(1) as pool:
        received = pool.submit(lambda: [wire.receive(theirs) for _ in range(4)])
        for message in messages:
            wire.send(ours, message)
        ours.shutdown(socket.SHUT_WR)

        assert received.result() == [*messages, None]


def test_a_cut_frame_is_the_end() -> None:
    ours, theirs = socket.socketpair()

    with theirs:
        with ours:
            ours.sendall(b"\0\0\0\x10half")

        assert wire.receive(theirs) is None


@pytest.mark.parametrize("by", ["marker", "root"])
def test_a_kill_reaches_processes_in_other_sessions(by: str) -> None:
    marker = f"ENGINE_TEST_MARKER={os.getpid()}-{by}"
    name, _, value = marker.partition("=")
    script = "setsid sleep 600 & echo $!; wait"
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, name: value}, start_new_session=True
    ) as process:
        assert process.stdout is not None
        int(process.stdout.readline())

        killed = kill_play(marker) if by == "marker" else kill_play(None, [process.pid])

        # The output ends only when both processes have let go of it.
        assert process.stdout.read() == ""
        assert killed >= 2


def test_a_kill_spares_the_process_that_asks_for_it() -> None:
    assert kill_play(None, [os.getpid()]) == 0


class Gate:
    """An engine whose plays wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.running = threading.Semaphore(0)
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def run(self, play: Play, cancel: threading.Event) -> PlayResult:
        assert not cancel.is_set(), play.ident
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.running.release()
        self.go.wait(10)
        with self._lock:
            self._now -= 1
        return PlayResult(status="successful", rc=0)

    def close(self) -> None:
        self.go.set()


def test_no_more_plays_run_at_once_than_there_are_workers() -> None:
    gate = Gate()
    engine = BoundedEngine(gate, workers=2)

    with ThreadPoolExecutor(5) as pool:
        results = [pool.submit(engine.run, a_play(), threading.Event()) for _ in range(5)]
        assert gate.running.acquire(timeout=5)
        assert gate.running.acquire(timeout=5)
        gate.go.set()

        assert [future.result().status for future in results] == ["successful"] * 5
    assert gate.most == 2


def test_a_play_that_is_canceled_before_its_turn_never_starts() -> None:
    gate, cancel = Gate(), threading.Event()
    engine = BoundedEngine(gate, workers=1)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(engine.run, a_play(), threading.Event())
        assert gate.running.acquire(timeout=5)
        cancel.set()
        second = engine.run(a_play(), cancel)
        gate.go.set()

        assert first.result().ok()
    assert second.status == "canceled"
