# SPDX-License-Identifier: Apache-2.0
"""What must not get from a play to another one, onto the disk, or stay behind; the same for every engine."""

from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.waiting import eventually

from .conftest import WAITING, Bench, timed_out, tree, wait_ended

SECRET = "correct-horse-battery-staple"

SECRETIVE = """
- name: Read the Secret
  testing.engine.report:
    password: "{{ password }}"
    report: {password: "{{ password }}"}
  register: seen
  no_log: true
- name: Read many
  testing.engine.report:
    password: "{{ item }}"
  loop: ["{{ password }}", "{{ seen.password }}"]
  no_log: true
"""


@pytest.mark.parametrize(
    "last",
    [
        pytest.param("", id="success"),
        pytest.param("- ansible.builtin.fail:\n    msg: '{{ password }}'\n  no_log: true\n", id="failure"),
    ],
)
def test_a_secret_is_nowhere_on_disk_and_not_in_the_result(bench: Bench, last: str) -> None:
    result = bench.run(
        SECRETIVE + last, extra_vars={"password": {"__ansible_unsafe": SECRET}}, env={"TOKEN": SECRET}, verbosity=3
    )

    assert result.ok() is not bool(last)
    assert SECRET not in repr(result)
    assert [path for path, content in tree(bench.folder / "runs").items() if SECRET.encode() in content] == []


def test_extra_vars_never_get_onto_the_command_line(bench: Bench) -> None:
    bench.run(SECRETIVE, extra_vars={"password": SECRET}, env={"TOKEN": SECRET})

    command = json.loads((bench.artifacts()[-1] / "command").read_text())
    assert f"@{bench.folder / 'runs/photos/env/extravars'}" in command["command"]
    assert command["env"]["TOKEN"] == ""


def test_only_we_can_read_the_private_data_dir(bench: Bench) -> None:
    bench.run(SECRETIVE, extra_vars={"password": SECRET})

    root = bench.folder / "runs" / "photos"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_the_last_artifacts_are_kept(bench: Bench) -> None:
    for _ in range(3):
        bench.run("- testing.engine.report:\n", rotate_artifacts=2)

    assert [folder.name for folder in bench.artifacts()] == ["run-2", "run-3"]


def test_a_play_gets_its_own_environment_and_directory(bench: Bench) -> None:
    tasks = """
- testing.engine.look:
    variables: [FLAVOUR, LEFT_BEHIND, HOME]
    leave: {LEFT_BEHIND: "yes"}
    chdir: /
"""
    first = bench.run(tasks, name="one", env={"FLAVOUR": "sweet"})
    second = bench.run(tasks, name="two", env={})

    assert first.report["cwd"] == str(bench.folder / "runs/one/project")
    assert second.report["cwd"] == str(bench.folder / "runs/two/project")
    assert first.report["environment"]["FLAVOUR"] == "sweet"
    assert second.report["environment"]["FLAVOUR"] is None
    assert second.report["environment"]["LEFT_BEHIND"] is None
    assert second.report["environment"]["HOME"] == first.report["environment"]["HOME"]
    assert first.report["random"] != second.report["random"]


def test_ansible_reads_the_variables_of_the_play(bench: Bench) -> None:
    # Ansible reads this one when it is imported, so no fork of a running process could honour it.
    tasks = "- testing.engine.report:\n    report: {seen: true}\n"

    hidden, shown = (bench.run(tasks, env=env) for env in ({"ANSIBLE_NO_LOG": "True"}, {}))

    assert hidden.ok()
    assert (hidden.report, shown.report) == ({}, {"seen": True})


LINGER = "- testing.engine.linger:\n    pids: {pids}\n"


def test_the_end_of_its_time_ends_all_processes_of_a_play(bench: Bench) -> None:
    pids = bench.folder / "pids"

    result = timed_out(lambda timeout_s: bench.run(LINGER.format(pids=pids), timeout_s=timeout_s), begun=pids)

    assert result.rc == 254
    assert result.stats is None
    wait_ended(*json.loads(pids.read_text()))
    assert (bench.artifacts()[-1] / "status").read_text() == "timeout"


def test_a_cancel_ends_all_processes_of_a_play_at_once(bench: Bench) -> None:
    pids, cancel = bench.folder / "pids", threading.Event()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.run, LINGER.format(pids=pids), cancel=cancel)
        eventually("the play's processes", pids.exists)
        cancel.set()
        result = running.result(5)

    assert result.status == "canceled"
    wait_ended(*json.loads(pids.read_text()))
    assert (bench.artifacts()[-1] / "status").read_text() == "canceled"
    assert not (bench.folder / "runs/photos/env/extravars").exists()


def test_ending_a_play_leaves_the_others_alone(bench: Bench) -> None:
    pids, cancel = bench.folder / "pids", threading.Event()

    with ThreadPoolExecutor(2) as pool:
        ended = pool.submit(bench.run, LINGER.format(pids=pids), name="one", cancel=cancel)
        eventually("the play's processes", pids.exists)
        other = pool.submit(bench.run, WAITING, name="two")
        project = bench.folder / "runs/two/project"
        eventually("the other play begun", (project / "begun").exists)
        cancel.set()

        assert ended.result().status == "canceled"
        (project / "go").touch()
        assert other.result().ok()
