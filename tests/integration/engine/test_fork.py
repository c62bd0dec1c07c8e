# SPDX-License-Identifier: Apache-2.0
"""What only the fork engine has to promise: about its zygote, and about what a fork shares."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from immich_operator.engine import fork
from immich_operator.engine.fork import ForkEngine
from immich_operator.engine.zygotes import ZygoteDiedError
from support.waiting import eventually

from .conftest import WAITING, Bench, a_fork_engine, is_running, wait_ended

QUICK = "- testing.engine.report:\n    report: {done: true}\n"
LINGER = "- testing.engine.linger:\n    pids: {pids}\n"

HANGS_OUTSIDE_A_PLAY = """
import os, signal
if "OF_A_PLAY" not in os.environ:
    with open("{tried}", "a") as file:
        file.write("once\\n")
    signal.pause()
"""
IMPORTS = """
import importlib
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        for name in {names}:
            importlib.import_module(name)
        return {{}}
"""

PLAYS_FOR_LEAKS = 40
PLAYS_FOR_MEMORY = 150  # two pages that each play left behind would be noticed


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bench]:
    with a_fork_engine(tmp_path) as bench:
        yield bench


def _zygote(bench: Bench) -> int:
    engine = bench.engine if isinstance(bench.engine, ForkEngine) else bench.engine.engine  # type: ignore[attr-defined]
    assert engine.zygote_pid is not None
    return int(engine.zygote_pid)


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _sockets(pid: int) -> set[str]:
    targets = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return {target for target in targets if target.startswith("socket:")}


def _private_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def test_a_play_runs_in_a_fork_of_a_process_with_one_thread(own: Bench) -> None:
    result = own.run("- testing.engine.look:\n")

    assert result.ok()
    assert result.report["pid"] != _zygote(own)
    assert len(list(Path(f"/proc/{_zygote(own)}/task").iterdir())) == 1


WHERE = "lookup('ansible.builtin.pipe', 'echo $PPID')"


def test_the_tasks_of_a_play_run_in_one_process(own: Bench) -> None:
    tasks = "".join(
        f'- testing.engine.report:\n    report: {{{name}: "{{{{ {WHERE} }}}}"}}\n' for name in ("first", "second")
    )

    result = own.run(tasks)

    assert result.ok(), result.failures
    assert result.report["first"] == result.report["second"]


def test_a_zygote_that_died_between_plays_is_replaced(own: Bench) -> None:
    assert own.run(QUICK).ok()
    old = _zygote(own)
    os.kill(old, signal.SIGKILL)

    assert own.run(QUICK).ok()
    assert _zygote(own) != old


def test_a_play_that_had_not_begun_when_its_zygote_died_is_sent_again(
    own: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert own.run(QUICK).ok()
    os.kill(_zygote(own), signal.SIGSTOP)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(own.run, QUICK)
        eventually("the play begun", (own.folder / "runs/photos/artifacts/run-2/stdout").exists)
        os.kill(_zygote(own), signal.SIGKILL)

        assert running.result().ok()
    assert "play runs in its own process" not in caplog.messages


def test_a_play_that_ran_when_its_zygote_died_is_an_error(own: Bench) -> None:
    pids = own.folder / "pids"

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(own.run, LINGER.format(pids=pids))
        eventually("the play's processes", pids.exists)
        os.kill(_zygote(own), signal.SIGKILL)
        result = running.result()

    assert result.status == "error"
    assert result.failures == ("play run-1 was lost: its zygote has died",)
    wait_ended(*json.loads(pids.read_text()))
    assert own.run(QUICK).ok()


def test_a_play_whose_events_cannot_be_stored_is_killed(own: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = own.folder / "pids"

    def on_a_full_disk(_runner: object, _pid: int | None) -> None:
        if pids.exists():
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fork._ForkedRunner, "_end_in_time", on_a_full_disk)

    result = own.run(LINGER.format(pids=pids))

    assert result.status == "error"
    assert "No space left on device" in result.failures[0]
    wait_ended(*json.loads(pids.read_text()))


def test_a_crashed_play_names_the_signal(own: Bench) -> None:
    result = own.run("- testing.engine.crash:\n")

    assert result.status == "error"
    assert result.rc == -signal.SIGSEGV
    assert result.failures == ("play run-1: its process was ended by SIGSEGV",)


def test_changed_code_is_used_by_the_next_play(own: Bench) -> None:
    tasks = "- testing.engine.report:\n    report: {answer: old}\n"
    before = own.run(tasks)
    action = own.folder / "collections/ansible_collections/testing/engine/plugins/action/report.py"
    action.write_text(action.read_text().replace("**self._task.args", '"report": {"answer": "new"}'))

    after = own.run(tasks)

    assert (before.report, after.report) == ({"answer": "old"}, {"answer": "new"})


def test_a_play_that_was_running_when_code_changed_ends_in_peace(own: Bench) -> None:
    assert own.run(QUICK).ok()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(own.run, WAITING, name="slow")
        project = own.folder / "runs/slow/project"
        eventually("the slow play begun", (project / "begun").exists)
        os.utime(own.folder / "collections/ansible_collections/testing/engine/plugins/action/report.py")
        old = _zygote(own)

        assert own.run(QUICK, name="other").ok()
        assert _zygote(own) != old
        assert is_running(old)
        (project / "go").touch()
        assert running.result().ok()
    wait_ended(old)


def test_an_import_is_learned_from_the_play_that_needed_it(own: Bench) -> None:
    imports = own.folder / "imports"
    imports.mkdir()
    tasks = QUICK + "- operator_sdk.util.requeue_after:\n    time: 5s\n"

    def imported() -> list[str]:
        for file in imports.iterdir():
            file.unlink()
        assert own.run(tasks, env={"OPERATOR_ENGINE_IMPORTS": str(imports)}).ok()
        (file,) = imports.iterdir()
        return list(json.loads(file.read_text()))

    first = imported()
    eventually("a play that imports nothing", lambda: imported() == [])

    assert "ansible_collections.operator_sdk.util.plugins.action.requeue_after" in first
    assert [name for name in first if name.startswith("ansible_collections.testing.engine.plugins.action.")] == []


def test_a_play_inherits_no_socket_but_its_own(own: Bench) -> None:
    pids, cancel = own.folder / "pids", threading.Event()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(own.run, LINGER.format(pids=pids), name="other", cancel=cancel)
        eventually("the play's processes", pids.exists)
        of_other = _sockets(json.loads(pids.read_text())[0])
        of_zygote = _sockets(_zygote(own))
        result = own.run("- testing.engine.look:\n")
        cancel.set()
        other.result()

    # All plays name their imports to the zygote through the same one.
    assert len(of_zygote) > 2
    assert len(of_zygote & set(result.report["sockets"])) == 1
    assert len(of_other & set(result.report["sockets"])) == 1


def test_a_zygote_that_cannot_start_costs_speed_but_no_play(
    own: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert own.run(QUICK).ok()
    os.kill(_zygote(own), signal.SIGKILL)
    wait_ended(_zygote(own))
    real = sys.executable
    broken = own.folder / "python"
    broken.write_text(f'#!/bin/sh\ncase "$*" in *engine.zygote*) exit 3;; esac\nexec {real} "$@"\n')
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))

    assert own.run(QUICK).ok()
    assert "play runs in its own process" in caplog.messages


def test_a_closed_engine_runs_no_play(own: Bench, caplog: pytest.LogCaptureFixture) -> None:
    own.engine.close()

    result = own.run(QUICK)

    assert (result.status, result.rc, result.report) == ("canceled", None, {})
    assert own.engine.zygote_pid is None  # type: ignore[attr-defined]
    assert "play runs in its own process" not in caplog.messages


def test_a_play_that_waits_for_a_zygote_is_canceled_when_the_engine_is_closed(own: Bench) -> None:
    assert isinstance(own.engine, ForkEngine)
    loading = _zygote(own)
    os.kill(loading, signal.SIGSTOP)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(own.run, QUICK)
        eventually("the play waits for its zygote", own.engine._zygotes._lock.locked)
        own.engine.close()

        assert waiting.result(10).status == "canceled"
    assert own.engine.zygote_pid is None
    assert not is_running(loading)


def test_a_canceled_play_without_a_zygote_gets_no_process_of_its_own(
    own: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot_start(*_: object, **__: object) -> None:
        raise ZygoteDiedError("it cannot be started")

    assert isinstance(own.engine, ForkEngine)
    monkeypatch.setattr(own.engine._zygotes, "start", cannot_start)
    cancel = threading.Event()
    cancel.set()

    result = own.run(QUICK, cancel=cancel)

    assert (result.status, result.rc) == ("canceled", None)
    assert "play runs in its own process" not in caplog.messages


def test_lessons_that_hang_are_given_up_before_the_zygote_is_thought_to_hang(own: Bench) -> None:
    collection = own.folder / "collections/ansible_collections/testing/engine"
    names = [f"ansible_collections.testing.engine.plugins.module_utils.hangs{number}" for number in range(4)]
    tried = own.folder / "tried"
    (collection / "plugins/module_utils").mkdir()
    for name in names:
        module = collection / "plugins/module_utils" / f"{name.rpartition('.')[2]}.py"
        module.write_text(HANGS_OUTSIDE_A_PLAY.format(tried=tried))
    needing = own.play("- imports:\n", name="needing", env={"OF_A_PLAY": "1"})
    assert needing.role is not None
    (needing.role / "action_plugins").mkdir()
    (needing.role / "action_plugins" / "imports.py").write_text(IMPORTS.format(names=names))
    zygote = _zygote(own)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(own.engine.run, needing, threading.Event())
        eventually("the play tries its imports", tried.exists)
        meanwhile = own.run(QUICK)
        results = [running.result(), meanwhile, own.engine.run(needing, threading.Event()), own.run(QUICK)]

    assert [result.status for result in results] == ["successful"] * 4
    assert _zygote(own) == zygote
    # Neither one by one nor for the second play.
    assert tried.read_text() == "once\n"


def test_a_zygote_ends_with_the_operator(tmp_path: Path) -> None:
    program = (
        "import logging, pathlib, signal\n"
        "from immich_operator.engine.fork import ForkEngine\n"
        f"engine = ForkEngine(base_dir=pathlib.Path({str(tmp_path)!r}), preload_roles=[], log=logging.getLogger())\n"
        "print(engine.zygote_pid, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as operator:
        assert operator.stdout is not None
        zygote = int(operator.stdout.readline())
        assert is_running(zygote)
        operator.kill()

    wait_ended(zygote)


@pytest.mark.endurance
def test_many_plays_leave_no_descriptor_and_no_memory(own: Bench) -> None:
    def run(count: int) -> None:
        for _ in range(count):
            assert own.run(QUICK).ok()

    run(20)
    zygote, me = _zygote(own), os.getpid()
    files, kib = (_open_files(zygote), _open_files(me)), _private_kib(zygote)
    run(PLAYS_FOR_LEAKS)
    files_after = (_open_files(zygote), _open_files(me))
    run(PLAYS_FOR_MEMORY - PLAYS_FOR_LEAKS)

    assert _zygote(own) == zygote
    # Fewer is fine: what earlier tests have left open in this process may be closed at any time.
    assert all(after <= before for after, before in zip(files_after, files, strict=True)), (files, files_after)
    # Pages that a fork has made shared count as private again when the child has ended, so a little noise remains.
    assert _private_kib(zygote) - kib < 1024
