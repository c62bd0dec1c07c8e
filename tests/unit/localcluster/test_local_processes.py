# SPDX-License-Identifier: Apache-2.0
"""Processes are recognised by pid and start time, and only those are ended."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localcluster import processes
from support.waiting import eventually


def started(tmp_path: Path, code: str) -> processes.Process:
    return processes.spawn([sys.executable, "-c", code], log=tmp_path / "log", env={"SEEN": "yes"})


def test_a_process_is_in_a_session_of_its_own_and_writes_to_its_log(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getsid(0) == os.getpid(), os.environ['SEEN'], flush=True); print('trouble', file=sys.stderr)"

    process = started(tmp_path, code)

    assert processes.wait_for_exit(process, 10)
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["True", "yes", "trouble"]
    assert not processes.is_alive(process)


def test_kill_ends_the_process_and_leaves_no_zombie(tmp_path: Path) -> None:
    process = started(tmp_path, "import time; time.sleep(60)")
    assert processes.is_alive(process)

    assert processes.kill(process) is True

    assert not Path(f"/proc/{process.pid}").exists()
    assert processes.kill(process) is False


def test_a_process_that_took_over_the_pid_is_left_alone() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        actual = processes.identify(stranger.pid)
        recorded = [
            dataclasses.replace(actual, start_ticks=actual.start_ticks - 1),
            dataclasses.replace(actual, boot="another boot"),
        ]

        outcomes = [(processes.is_alive(entry), processes.kill(entry)) for entry in recorded]

        assert outcomes == [(False, False), (False, False)]
        assert stranger.poll() is None
        stranger.kill()


def test_grace_lets_a_process_end_by_itself(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('ready', flush=True); time.sleep(60)"
    process = started(tmp_path, code)
    eventually("the process ready", lambda: "ready" in processes.tail(tmp_path / "log"))

    begun = time.monotonic()
    assert processes.kill(process, grace_s=30) is True

    assert time.monotonic() - begun < 20


def test_a_name_with_parentheses_and_spaces_does_not_confuse_the_start_time(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)

    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)

    process = processes.spawn([str(program), "60"], log=tmp_path / "log", env={})

    assert process.start_ticks / os.sysconf("SC_CLK_TCK") == pytest.approx(now_s, abs=10)
    assert processes.kill(process) is True


def test_identify_of_nobody_is_an_error() -> None:
    with subprocess.Popen(["/bin/true"]) as ended:
        ended.wait()

    with pytest.raises(ProcessLookupError):
        processes.identify(ended.pid)


def test_tail_gives_the_last_lines_and_copes_with_a_missing_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)), encoding="utf-8")

    assert processes.tail(log, 2) == "line 9998\nline 9999"
    assert processes.tail(tmp_path / "absent") == ""
