# SPDX-License-Identifier: Apache-2.0
"""How events become a result."""

from __future__ import annotations

from typing import Any

import pytest

from immich_operator.engine.outcome import (
    HIDDEN_OUTPUT,
    MAX_MESSAGE_CHARS,
    MAX_OUTPUT_CHARS,
    Outcome,
    merge_reports,
    seconds,
)


def a_failure(task: str, msg: str, **data: Any) -> dict[str, Any]:
    return {"event": "runner_on_failed", "event_data": {"task": task, "res": {"msg": msg}, **data}}


def stats(**of_localhost: int) -> dict[str, Any]:
    counted = {name: {"localhost": number} for name, number in of_localhost.items()}
    return {"event": "playbook_on_stats", "event_data": counted}


PERIODS = [
    pytest.param("1.5h", 5400.0, id="duration"),
    pytest.param(45, 45.0, id="number"),
    pytest.param("5 minutes", None, id="words"),
    pytest.param(-1, None, id="negative-number"),
    pytest.param(float("inf"), None, id="infinite"),
    pytest.param(float("nan"), None, id="not-a-number"),
    pytest.param(10**400, None, id="longer-than-a-duration-can-be"),
    pytest.param(True, None, id="boolean"),
    pytest.param(None, None, id="nothing"),
]


@pytest.mark.parametrize(("period", "expected"), PERIODS)
def test_a_period_is_a_duration_or_a_number_of_seconds(period: object, expected: float | None) -> None:
    assert seconds(period) == expected


MERGES = [
    pytest.param({}, {"a": [1]}, {"a": [1]}, id="new-key"),
    pytest.param({"a": [1]}, {"a": [2]}, {"a": [1, 2]}, id="lists-are-joined"),
    pytest.param({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}, id="mappings-are-merged"),
    pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="the-last-value-holds"),
    pytest.param({"a": [1]}, {"a": "x"}, {"a": "x"}, id="other-kind-replaces"),
]


@pytest.mark.parametrize(("first", "second", "merged"), MERGES)
def test_reports_are_merged_by_the_kind_of_value(
    first: dict[str, Any], second: dict[str, Any], merged: dict[str, Any]
) -> None:
    merge_reports(first, second)

    assert first == merged


def test_merging_leaves_what_is_merged_as_it_was() -> None:
    part: dict[str, Any] = {"a": {"b": [1]}}
    into: dict[str, Any] = {}

    merge_reports(into, part)
    merge_reports(into, {"a": {"b": [2]}})

    assert part == {"a": {"b": [1]}}


def test_failures_before_the_last_unrescued_ones_were_rescued() -> None:
    outcome = Outcome()
    for event in (
        a_failure("Try", "no"),
        a_failure("Try again", "no"),
        a_failure("Give up", "really"),
        stats(failures=1, rescued=2),
    ):
        outcome.on_event(event)

    result = outcome.result("failed", 2, 1.0)

    assert result.failures == ("Give up: really",)


def test_every_failure_counts_when_the_play_did_not_get_to_its_end() -> None:
    outcome = Outcome()
    outcome.on_event(a_failure("Try", "no"))

    result = outcome.result("timeout", 254, 1.0)

    assert result.failures == ("Try: no",)
    assert result.stats is None


def test_an_unreachable_host_is_a_failure() -> None:
    outcome = Outcome()
    outcome.on_event({"event": "runner_on_unreachable", "event_data": {"task": "Ask", "res": {"msg": "no route"}}})

    assert outcome.result("failed", 4, 1.0).failures == ("Ask: no route",)


def test_a_good_exit_without_statistics_is_an_error() -> None:
    assert Outcome().result("successful", 0, 1.0).status == "error"


def test_only_events_that_tell_of_a_failure_are_kept() -> None:
    outcome = Outcome()

    kept = {
        "failed": outcome.on_event(a_failure("Try", "no")),
        "ignored": outcome.on_event(a_failure("Try", "no", ignore_errors=True)),
        "ok": outcome.on_event({"event": "runner_on_ok", "event_data": {"res": {}}}),
        "error": outcome.on_event({"event": "error", "stdout": "ERROR! broken"}),
        "stats": outcome.on_event(stats()),
    }

    assert kept == {"failed": True, "ignored": False, "ok": False, "error": True, "stats": False}


HIDDEN = [
    pytest.param({"censored": "hidden"}, id="whole-result"),
    pytest.param({"msg": "One or more items failed", "results": [{"censored": "hidden"}]}, id="one-item"),
]


@pytest.mark.parametrize("res", HIDDEN)
def test_output_of_a_hidden_failure_is_taken_out_of_its_event(res: dict[str, Any]) -> None:
    event = {"event": "runner_on_failed", "stdout": "[ERROR]: s3cr3t", "event_data": {"task": "Log in", "res": res}}

    Outcome().on_event(event)

    assert event["stdout"] == HIDDEN_OUTPUT


def test_the_reason_of_a_play_that_never_began_is_found_in_its_output() -> None:
    outcome = Outcome()
    outcome.add_output("[WARNING]: old\n\x1b[0;31m[ERROR]: no such role\nOrigin: play.json\x1b[0m\n")

    assert outcome.result("failed", 4, 1.0).failures == ("[ERROR]: no such role\nOrigin: play.json",)


def test_a_message_is_cut_to_what_fits_into_a_condition() -> None:
    outcome = Outcome()
    outcome.on_event(a_failure("Try", "x" * 10 * MAX_MESSAGE_CHARS))

    (failure,) = outcome.result("failed", 2, 1.0).failures
    assert len(failure) == MAX_MESSAGE_CHARS
    assert failure.endswith("…")


def test_of_many_failures_the_first_are_told_and_the_others_counted() -> None:
    outcome = Outcome()
    kept = [outcome.on_event(a_failure("a task", f"no {number}")) for number in range(400)]

    failures = outcome.result("failed", 2, 1.0).failures

    assert (len(failures), failures[0], failures[-1]) == (21, "a task: no 0", "and 380 more failures")
    assert sum(kept) == 20, "events on disk"


def test_the_output_of_a_play_that_talks_without_end_is_cut() -> None:
    outcome, written = Outcome(), 0
    for _unused in range(1000):
        event = {"event": "runner_on_ok", "stdout": "x" * 100_000, "event_data": {}}
        outcome.on_event(event)
        written += len(event["stdout"])

    assert written <= MAX_OUTPUT_CHARS + 100


def test_the_shortest_wish_for_the_next_pass_wins() -> None:
    outcome = Outcome()
    for period in ("10s", "0", "1m"):
        outcome.on_event(
            {
                "event": "runner_on_ok",
                "event_data": {"task_action": "operator_sdk.util.requeue_after", "res": {"period": period}},
            }
        )

    assert outcome.result("failed", 2, 1.0).requeue_after_s == 0.0


@pytest.mark.parametrize(("wish", "found"), [("15s", 15.0), (None, None), ("soon", None)])
def test_a_report_may_wish_for_the_next_pass_too(wish: str | None, found: float | None) -> None:
    outcome = Outcome()
    result = {"report": {"changed": [], "requeue_after": wish}}
    outcome.on_event({"event": "runner_on_ok", "event_data": {"task_action": "media.immich.k8s_status", "res": result}})

    assert outcome.result("successful", 0, 1.0).requeue_after_s == found


def test_an_event_of_another_form_than_ansible_gives_it_ends_no_play():
    outcome = Outcome()

    for kind in ("runner_item_on_failed", "runner_on_failed", "runner_on_ok", "playbook_on_stats"):
        outcome.on_event(
            {
                "event": kind,
                "event_data": {"task_uuid": {}, "task_action": [], "res": 1.5, "rescued": {"localhost": "x"}},
            }
        )

    result = outcome.result("failed", 2, 1.0)
    assert len(result.failures) == 1
    assert result.stats == dict.fromkeys(("ok", "changed", "skipped", "failures", "rescued", "ignored"), 0)
