# SPDX-License-Identifier: Apache-2.0
"""What an engine tells about a play; the same for every engine."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from immich_operator.engine import Play

from .conftest import Bench

ONE_OF_EACH = """
- name: Report
  testing.engine.report:
    report: {created: [Service a]}
- name: Skip
  testing.engine.report:
  when: false
- name: Ignore
  ansible.builtin.fail:
    msg: not important
  ignore_errors: true
- name: Change
  testing.engine.report:
    changed: true
"""


def test_a_good_play_is_successful_and_counted(bench: Bench) -> None:
    result = bench.run(ONE_OF_EACH)

    assert result.ok()
    assert result.rc == 0
    assert result.stats == {"ok": 3, "changed": 1, "skipped": 1, "failures": 0, "rescued": 0, "ignored": 1}
    assert result.failures == ()
    assert (bench.artifacts()[-1] / "status").read_text() == "successful"
    assert (bench.artifacts()[-1] / "rc").read_text() == "0"
    assert "TASK [role1 : Report]" in (bench.artifacts()[-1] / "stdout").read_text()
    assert list((bench.artifacts()[-1] / "job_events").iterdir()) == []


FAILURES = [
    pytest.param(
        "- name: Apply the Service\n  ansible.builtin.fail:\n    msg: port 70000 is not a port\n",
        ("Apply the Service: port 70000 is not a port",),
        id="message-of-the-task",
    ),
    pytest.param(
        "- name: Apply\n  ansible.builtin.fail:\n    msg: no {{ item }}\n  loop: [a, b]\n",
        ("Apply: no a; no b",),
        id="message-of-each-item",
    ),
    pytest.param(
        "- block:\n    - name: Risky\n      ansible.builtin.fail:\n        msg: tried\n"
        "  rescue:\n    - name: Rescue\n      testing.engine.report:\n"
        "- name: Final\n  ansible.builtin.fail:\n    msg: really\n",
        ("Final: really",),
        id="rescued-ones-do-not-count",
    ),
    pytest.param(
        "- name: Log in\n  ansible.builtin.fail:\n    msg: wrong password s3cr3t\n  no_log: true\n",
        ("Log in: failed; its task has no_log, so the message is not shown",),
        id="hidden-by-no-log",
    ),
    pytest.param(
        "- name: Undefined\n  ansible.builtin.debug:\n    msg: '{{ nowhere }}'\n",
        None,
        id="undefined-variable",
    ),
]


@pytest.mark.parametrize(("tasks", "failures"), FAILURES)
def test_a_failed_play_says_which_task_failed_and_why(
    bench: Bench, tasks: str, failures: tuple[str, ...] | None
) -> None:
    result = bench.run(tasks)

    assert result.status == "failed"
    assert result.rc == 2
    assert result.stats is not None
    assert result.stats["failures"] == 1
    if failures is None:
        (failure,) = result.failures
        assert failure.startswith("Undefined: ")
        assert "nowhere" in failure
    else:
        assert result.failures == failures
    assert (bench.artifacts()[-1] / "status").read_text() == "failed"
    kept = [path for path in (bench.artifacts()[-1] / "job_events").iterdir() if "failed" in path.read_text()]
    assert kept


def test_rescued_and_ignored_failures_leave_a_play_successful(bench: Bench) -> None:
    result = bench.run(
        """
- block:
    - name: Risky
      ansible.builtin.fail:
  rescue:
    - name: Rescue
      testing.engine.report:
- name: Ignored
  ansible.builtin.fail:
  ignore_errors: true
"""
    )

    assert result.ok()
    assert result.failures == ()
    assert result.stats is not None
    assert (result.stats["rescued"], result.stats["ignored"]) == (1, 1)


def test_reports_of_all_tasks_are_merged(bench: Bench) -> None:
    result = bench.run(
        """
- testing.engine.report:
    report: {created: [Service a], phase: one, counts: {reads: 3}}
- testing.engine.report:
    report: {created: ["{{ item }}"], phase: two, counts: {writes: 1}}
  loop: [Service b, Service c]
- testing.engine.report:
    report: {created: [nothing]}
    failed: true
  ignore_errors: true
"""
    )

    assert result.report == {
        "created": ["Service a", "Service b", "Service c"],
        "phase": "two",
        "counts": {"reads": 3, "writes": 1},
    }


def test_a_play_may_ask_for_its_next_pass(bench: Bench) -> None:
    result = bench.run("- operator_sdk.util.requeue_after:\n    time: 1m30s\n")

    assert result.ok()
    assert result.requeue_after_s == 90.0


BROKEN = [
    pytest.param("- name: [unclosed\n", 4, "main.yml", id="yaml"),
    pytest.param("- no.such.action:\n", 4, "no.such.action", id="unknown-action"),
]


@pytest.mark.parametrize(("tasks", "rc", "words"), BROKEN)
def test_a_role_that_cannot_be_loaded_fails_with_the_reason(bench: Bench, tasks: str, rc: int, words: str) -> None:
    result = bench.run(tasks)

    assert result.status == "failed"
    assert result.rc == rc
    assert result.stats is None
    assert words in "\n".join(result.failures)


def test_a_missing_role_fails_with_its_name(bench: Bench) -> None:
    play = Play(ident="run", private_data_dir=bench.folder / "runs", role=bench.folder / "absent")

    result = bench.engine.run(play, threading.Event())

    assert not result.ok()
    assert "absent" in "\n".join(result.failures)


def test_a_play_whose_process_dies_is_not_successful(bench: Bench) -> None:
    result = bench.run("- name: Crash\n  testing.engine.crash:\n")

    assert result.status in {"failed", "error"}
    assert result.failures
    assert bench.run(ONE_OF_EACH).ok()


def test_a_playbook_runs_like_a_role(bench: Bench) -> None:
    tasks = [{"testing.engine.report": {"report": {"spec": "{{ spec }}"}}}]
    playbook = bench.folder / "site.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    play = Play(ident="run", private_data_dir=bench.folder / "runs", playbook=playbook, extra_vars={"spec": {"a": [1]}})

    result = bench.engine.run(play, threading.Event())

    assert result.ok()
    assert result.report == {"spec": {"a": [1]}}


def test_arguments_for_ansible_are_obeyed(bench: Bench) -> None:
    tasks = "- testing.engine.report:\n    report: {text: 'check {{ ansible_check_mode }}, level {{ ansible_verbosity }}'}\n"

    result = bench.run(tasks, ansible_args="--check", verbosity=2)

    assert result.ok()
    assert result.report == {"text": "check True, level 2"}


def test_text_that_is_marked_unsafe_is_never_a_template(bench: Bench) -> None:
    text = "{{ lookup('pipe', 'id') }} {% raw %}"

    result = bench.run(
        "- testing.engine.report:\n    report: {title: '{{ title }}'}\n",
        extra_vars={"title": {"__ansible_unsafe": text}},
    )

    assert result.ok()
    assert result.report == {"title": text}


EVERYDAY = """
- name: Remember
  ansible.builtin.set_fact:
    colour: blue
- name: Run a module
  ansible.builtin.command: printf %s hello
  register: said
  changed_when: true
- name: Run a module in the background
  ansible.builtin.command: printf %s later
  async: 20
  poll: 1
  register: later
  changed_when: false
- name: Know one more host
  ansible.builtin.add_host:
    name: more
    groups: others
- name: Loop
  testing.engine.report:
    report: {items: ["{{ item }}"]}
  loop: [1, 2]
  loop_control: {label: "number {{ item }}"}
- name: Try again
  testing.engine.report:
    report: {attempt: "number {{ tries.attempts | default(1) }}"}
  register: tries
  until: tries.report.attempt is defined
  retries: 2
  delay: 0
- name: Elsewhere
  testing.engine.report:
    report: {delegated: true}
  delegate_to: localhost
- name: In time
  testing.engine.report:
    report: {colour: "{{ colour }}", said: "{{ said.stdout }}", later: "{{ later.stdout }}", hosts: "{{ groups.others }}"}
  timeout: 20
"""


def test_everyday_features_of_ansible_work(bench: Bench) -> None:
    result = bench.run(EVERYDAY)

    assert result.failures == ()
    assert result.ok()
    assert result.report == {
        "items": [1, 2],
        "attempt": "number 1",
        "delegated": True,
        "colour": "blue",
        "said": "hello",
        "later": "later",
        "hosts": ["more"],
    }


def test_plays_that_run_at_the_same_time_do_not_mix(bench: Bench) -> None:
    tasks = "- testing.engine.report:\n    report: {name: ['{{ name_of_cr }}']}\n" * 3
    names = [f"cr{number}" for number in range(5)]  # one more than may run at a time

    with ThreadPoolExecutor(len(names)) as pool:
        running = [pool.submit(bench.run, tasks, name=name, extra_vars={"name_of_cr": name}) for name in names]
        results = [future.result() for future in running]

    assert [result.report for result in results] == [{"name": [name] * 3} for name in names]
