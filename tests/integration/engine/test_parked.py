# SPDX-License-Identifier: Apache-2.0
"""Plays that only differ in whom they are about: their role is loaded once, in a process that forks for each of them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from immich_operator.engine import Play, PlayResult
from immich_operator.engine.fork import ForkEngine
from support.waiting import eventually

from .conftest import Bench, a_fork_engine, timed_out, wait_ended

LOOK = "- testing.engine.look:\n"
LINGER = "- testing.engine.linger:\n    pids: {pids}\n"
PLAYS_FOR_LEAKS = 40


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bench]:
    """With plays that may be parked."""
    with a_fork_engine(tmp_path, identity_only=True) as bench:
        yield bench


def run(own: Bench, play: Play) -> PlayResult:
    return own.engine.run(play, threading.Event())


def again(play: Play, name: str = "photos", **fields: object) -> Play:
    """The same role for another custom resource."""
    return dataclasses.replace(play, private_data_dir=play.private_data_dir.parent / name, **fields)  # type: ignore[arg-type]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def zygote(own: Bench) -> int:
    assert isinstance(own.engine, ForkEngine)
    assert own.engine.zygote_pid is not None
    return own.engine.zygote_pid


def parked(own: Bench) -> list[int]:
    """The processes that fork for plays of one role; no play runs."""
    return children(zygote(own))


def lasting(own: Bench, play: Play) -> int:
    """The only parked process, once plays have taught the zygote all that they need."""

    def same_twice() -> int | None:
        assert run(own, play).ok()
        before = parked(own)
        assert run(own, play).ok()
        return before[0] if len(before) == 1 and parked(own) == before else None

    return eventually("a parked process that lasts", same_twice)


@contextmanager
def lingering(own: Bench) -> Iterator[tuple[Future[PlayResult], Path]]:
    """A play that runs for ever, and the file with the processes that it has started."""
    pids = own.folder / "pids"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, own, own.play(LINGER.format(pids=pids)))
        eventually("the play's processes", pids.exists)
        yield running, pids


def test_plays_leave_nothing_where_temporary_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since 2.21 ansible-core makes a socket for the workers of each play there, parked or not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # its path has to be short enough for sockets
        monkeypatch.setenv("TMPDIR", folder)
        with a_fork_engine(tmp_path, identity_only=True) as bench:
            lasting(bench, bench.play("- testing.engine.report:\n    report: {done: true}\n"))
            left = list(Path(folder).rglob("*"))

    assert left == []


def test_plays_of_one_role_are_forks_of_one_process_with_one_thread(own: Bench) -> None:
    play = own.play(LOOK)
    process = lasting(own, play)

    results = [run(own, again(play, name)) for name in ("one", "two")]

    assert all(result.ok() for result in results)
    assert parked(own) == [process]
    assert len({result.report["pid"] for result in results} | {process, zygote(own)}) == 4
    assert len(list(Path(f"/proc/{process}/task").iterdir())) == 1


def test_each_play_knows_its_own_variables_only(own: Bench) -> None:
    tasks = "- testing.engine.report:\n    report: {who: \"{{ who | default('-') }}\", more: \"{{ more | default('-') }}\"}\n"
    play = own.play(tasks)
    lasting(own, play)

    seen = [
        run(own, again(play, name, extra_vars=variables)).report
        for name, variables in (("a", {"who": "a"}), ("b", {"more": {"__ansible_unsafe": "{{ 1 }}"}}), ("c", {}))
    ]

    assert seen == [{"who": "a", "more": "-"}, {"who": "-", "more": "{{ 1 }}"}, {"who": "-", "more": "-"}]


def test_what_a_role_imports_may_depend_on_which_variables_there_are(own: Bench) -> None:
    play = own.play("- ansible.builtin.import_tasks: \"{{ 'given.yml' if who is defined else 'other.yml' }}\"\n")
    assert play.role is not None
    for name in ("given", "other"):
        (play.role / "tasks" / f"{name}.yml").write_text(f"- testing.engine.report:\n    report: {{took: {name}}}\n")
    given = again(play, extra_vars={"who": "somebody"})
    lasting(own, given)

    assert [run(own, one).report for one in (given, again(play), given)] == [
        {"took": "given"}, {"took": "other"}, {"took": "given"},
    ]  # fmt: skip


def test_a_play_is_in_its_own_folder(own: Bench) -> None:
    tasks = '- testing.engine.report:\n    report: {base: "{{ playbook_dir }}"}\n' + LOOK
    play = own.play(tasks)
    lasting(own, play)

    report = run(own, again(play, "other")).report

    project = str(own.folder / "runs" / "other" / "project")
    assert (report["base"], report["cwd"]) == (project, project)


def test_plays_at_once_do_not_get_each_others_results(own: Bench) -> None:
    play = own.play('- testing.engine.report:\n    report: {who: "{{ who }}"}\n')
    lasting(own, again(play, extra_vars={"who": ""}))
    names = [f"n{number}" for number in range(12)]

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda name: run(own, again(play, name, extra_vars={"who": name})).report, names))

    assert reports == [{"who": name} for name in names]


def test_a_changed_role_is_loaded_again(own: Bench) -> None:
    play = own.play("- testing.engine.report:\n    report: {answer: old}\n")
    lasting(own, play)
    assert play.role is not None
    (play.role / "tasks" / "main.yml").write_text("---\n- testing.engine.report:\n    report: {answer: new}\n")

    assert run(own, play).report == {"answer": "new"}


def test_a_role_that_cannot_be_loaded_says_why_until_it_can(own: Bench, caplog: pytest.LogCaptureFixture) -> None:
    play = own.play("- nonsense: [\n")
    assert play.role is not None
    tasks = play.role / "tasks" / "main.yml"

    failed = [run(own, play) for _ in range(2)]
    assert parked(own) == []
    tasks.write_text(f"---\n{LOOK}")

    assert [result.ok() for result in failed] == [False, False]
    assert all(str(tasks) in result.failures[0] for result in failed)
    (said,) = (
        record for record in caplog.records if record.message.startswith("plays of a role start from the beginning")
    )
    assert said.role == str(play.role)  # type: ignore[attr-defined]
    assert str(tasks) in said.reason  # type: ignore[attr-defined]
    assert run(own, play).ok()


def test_changed_code_is_used_by_the_next_play(own: Bench) -> None:
    play = own.play("- testing.engine.report:\n    report: {answer: old}\n")
    lasting(own, play)
    action = own.folder / "collections/ansible_collections/testing/engine/plugins/action/report.py"
    action.write_text(action.read_text().replace("**self._task.args", '"report": {"answer": "new"}'))

    assert run(own, play).report == {"answer": "new"}


def test_a_parked_process_that_died_is_replaced(own: Bench) -> None:
    play = own.play(LOOK)
    process = lasting(own, play)
    os.kill(process, signal.SIGKILL)
    wait_ended(process)

    assert run(own, play).ok()
    assert run(own, play).ok()
    assert process not in parked(own)


def test_a_play_that_ran_when_its_parked_process_died_is_an_error_and_leaves_nothing(own: Bench) -> None:
    with lingering(own) as (running, pids):
        (process,) = parked(own)
        os.kill(process, signal.SIGKILL)
        result = running.result()

    assert (result.status, result.failures) == ("error", ("play run-1 was lost: its zygote has died",))
    wait_ended(*json.loads(pids.read_text()))


def test_a_play_that_takes_too_long_is_killed_with_all_that_it_has_started(own: Bench) -> None:
    pids = own.folder / "pids"

    play = own.play(LINGER.format(pids=pids))

    timed_out(lambda timeout_s: run(own, dataclasses.replace(play, timeout_s=timeout_s)), begun=pids)

    wait_ended(*json.loads(pids.read_text()))
    assert len(parked(own)) == 1


def test_closing_the_engine_ends_everything(own: Bench) -> None:
    with lingering(own) as (running, pids):
        (process,), mother = parked(own), zygote(own)
        own.engine.close()
        assert not running.result().ok()

    wait_ended(process, mother, *json.loads(pids.read_text()))


def test_with_many_roles_some_are_not_parked_and_all_run(own: Bench) -> None:
    plays = [own.play(LOOK) for _ in range(10)]

    assert all(run(own, play).ok() for play in plays)
    assert len(parked(own)) <= 8


def test_a_role_of_which_another_one_is_a_part_is_loaded_again_with_it(own: Bench) -> None:
    part = own.play("- testing.engine.report:\n    report: {answer: old}\n").role
    assert part is not None
    play = own.play(f"- ansible.builtin.import_role:\n    name: {part.name}\n")
    lasting(own, play)
    (part / "tasks" / "main.yml").write_text("---\n- testing.engine.report:\n    report: {answer: new}\n")

    assert run(own, play).report == {"answer": "new"}


def test_a_role_that_gets_defaults_is_loaded_again(own: Bench) -> None:
    tasks = "- testing.engine.report:\n    report: {answer: \"{{ answer | default('none') }}\"}\n"
    play = own.play(tasks)
    lasting(own, play)
    assert play.role is not None
    (play.role / "defaults").mkdir()
    (play.role / "defaults" / "main.yml").write_text("answer: default\n")

    assert run(own, play).report == {"answer": "default"}


def test_no_task_runs_in_a_process_that_did_not_wait(own: Bench) -> None:
    diary = own.folder / "diary"
    diary.touch()
    line = "{{ who | default('NOBODY') }}"
    tasks = f'- ansible.builtin.lineinfile:\n    path: {diary}\n    line: "{line}"\n'
    play = own.play(tasks, extra_vars={"who": "first"})
    lasting(own, play)
    assert play.role is not None
    (callback,) = own.folder.glob("base/parked/*/project/callback_plugins/parked.py")
    callback.write_text("")
    (play.role / "tasks" / "main.yml").write_text(f"---\n{tasks}\n")

    assert run(own, again(play, extra_vars={"who": "second"})).ok()

    assert diary.read_text().splitlines() == ["first", "second"]


def test_plays_of_each_verbosity_have_a_process_of_their_own(own: Bench) -> None:
    play = own.play(LOOK)

    assert all(run(own, again(play, verbosity=verbosity)).ok() for verbosity in (0, 2) for _ in range(3))
    eventually("two parked processes", lambda: len(parked(own)) == 2)


@pytest.mark.parametrize("reason", ["variables", "inventory", "arguments"])
def test_plays_that_differ_in_more_than_whom_they_are_about_are_not_parked(own: Bench, reason: str) -> None:
    hosts = own.folder / "hosts"
    hosts.write_text("localhost ansible_connection=local\n")
    fields = {
        "variables": {"identity_only": False},
        "inventory": {"env": {"ANSIBLE_INVENTORY": str(hosts)}},
        "arguments": {"ansible_args": "--diff"},
    }

    assert run(own, dataclasses.replace(own.play(LOOK), **fields[reason])).ok()  # type: ignore[arg-type]
    assert parked(own) == []


@pytest.mark.endurance
def test_many_plays_leave_no_descriptor_in_the_parked_process(own: Bench) -> None:
    play = own.play(LOOK)
    process = lasting(own, play)
    open_files = len(list(Path(f"/proc/{process}/fd").iterdir()))

    assert all(run(own, play).ok() for _ in range(PLAYS_FOR_LEAKS))

    assert parked(own) == [process]
    assert len(list(Path(f"/proc/{process}/fd").iterdir())) == open_files
