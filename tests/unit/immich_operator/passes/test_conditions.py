# SPDX-License-Identifier: Apache-2.0
"""The conditions that the runtime keeps with manageStatus."""

from typing import Any

import pytest

from immich_operator.engine import PlayResult
from immich_operator.kube.client import text_of
from immich_operator.passes import conditions as judging

NOW = 1_800_000_000.0
STATS = {"ok": 3, "changed": 1, "skipped": 2, "failures": 0, "rescued": 0, "ignored": 0}
GOOD = PlayResult(status="successful", rc=0, stats=STATS)
BAD = PlayResult(status="failed", rc=2, stats={**STATS, "failures": 1}, failures=("a task: no luck", "another: worse"))


def brief(conditions: list[dict[str, Any]]) -> dict[str, tuple[str, str, str]]:
    return {entry["type"]: (entry["status"], entry["reason"], entry["message"]) for entry in conditions}


def after(*results: PlayResult, now: float = NOW) -> dict[str, Any]:
    """The status after these passes, an hour apart."""
    found: dict[str, Any] = {}
    for hour, result in enumerate(results):
        found = {"conditions": judging.finished(found, result, now + 3600 * hour)}
    return found


def test_a_first_pass_is_announced():
    assert brief(judging.running({}, NOW)) == {"Running": ("True", "Running", "Running reconciliation")}


def test_later_passes_are_not_announced_because_that_would_write_in_every_pass():
    before = after(GOOD)

    assert judging.running(before, NOW) == before["conditions"]


def test_a_good_pass_has_the_words_of_the_operator_sdk():
    assert brief(after(GOOD)["conditions"]) == {
        "Running": ("True", "Successful", "Awaiting next reconciliation"),
        "Failure": ("False", "", ""),
        "Successful": ("True", "Successful", "Last reconciliation succeeded"),
    }


def test_a_failed_pass_has_the_words_of_the_operator_sdk():
    assert brief(after(GOOD, BAD)["conditions"]) == {
        "Running": ("False", "Running", "Running reconciliation"),
        "Failure": ("True", "Failed", "a task: no luck\nanother: worse"),
        "Successful": ("False", "", ""),
    }


@pytest.mark.parametrize("verdict", ["timeout", "error", "failed"])
def test_a_play_without_statistics_is_a_failure_too(verdict):
    conditions = judging.finished(after(GOOD), PlayResult(status=verdict, rc=None), NOW)

    assert brief(conditions)["Failure"] == ("True", "Failed", f"the play ended with status {verdict}")


def test_the_result_of_ansible_is_part_of_the_condition():
    (running,) = (entry for entry in after(GOOD)["conditions"] if entry["type"] == "Running")

    assert running["ansibleResult"] == {"ok": 3, "changed": 1, "skipped": 2, "failures": 0, "completion": text_of(NOW)}


def test_the_same_result_again_is_no_change():
    before = after(GOOD)

    conditions = judging.finished(before, GOOD, NOW + 3600)

    assert judging.patch({"metadata": {}, "status": before}, conditions) is None


def test_a_failure_of_any_length_is_cut_and_the_same_again_is_no_change():
    bad = PlayResult(status="failed", rc=2, failures=("é" * 100_000,))

    once, twice = after(bad), after(bad, bad)

    assert len(once["conditions"][1]["message"].encode()) <= 8000
    assert once == twice


def test_a_transition_time_moves_only_with_the_status():
    first = after(BAD)["conditions"]
    other = PlayResult(status="failed", rc=2, failures=("a task: other words",))

    second = judging.finished({"conditions": first}, other, NOW + 3600)
    third = judging.finished({"conditions": second}, GOOD, NOW + 7200)

    times = [
        next(entry["lastTransitionTime"] for entry in conditions if entry["type"] == "Failure")
        for conditions in (first, second, third)
    ]
    assert times == [text_of(NOW), text_of(NOW), text_of(NOW + 7200)]


def test_conditions_of_others_keep_their_place_and_all_their_fields():
    foreign = {"type": "Ready", "status": "True", "observedGeneration": 7, "lastHeartbeatTime": "x", "more": {"a": 1}}

    conditions = judging.finished({"conditions": [foreign]}, GOOD, NOW)

    assert conditions[0] == foreign


@pytest.mark.parametrize("nonsense", [None, "text", [None, "text", 5], {"a": 1}])
def test_conditions_of_any_shape_are_survived(nonsense):
    assert len(judging.finished({"conditions": nonsense}, GOOD, NOW)) == 3


def test_the_write_is_guarded_by_the_resource_version():
    patch = judging.patch({"metadata": {"resourceVersion": "9"}, "status": {}}, judging.running({}, NOW))

    assert patch is not None
    assert patch["metadata"] == {"resourceVersion": "9"}


def test_an_object_without_conditions_is_announced_so_that_nobody_takes_it_for_done():
    conditions = judging.announced({}, NOW)

    assert brief(conditions) == {"Ready": ("Unknown", "WaitingForRollout", "the first play has not ended yet")}


def test_an_object_that_has_conditions_is_not_announced():
    told = [{"type": "Ready", "status": "True"}]

    assert judging.announced({"conditions": told}, NOW) == told


def test_an_object_that_is_refused_is_stalled_and_its_generation_has_been_seen():
    live = {"metadata": {"generation": 3}, "status": {"observedGeneration": 2, "ready": True}}

    patch = judging.patch(live, judging.refused(live["status"], "too deep", 3, NOW), unready=True)

    assert (patch["status"]["observedGeneration"], patch["status"]["ready"]) == (3, False)
    found = {entry["type"]: entry["status"] for entry in patch["status"]["conditions"]}
    assert found == {"Ready": "False", "Degraded": "True", "Reconciling": "False", "Stalled": "True"}


def test_what_a_play_says_is_visible_text_and_is_not_written_again():
    hostile = PlayResult(status="failed", rc=2, stats=STATS, failures=("a task: \x1b[2Jone\ntwo\u202e",))

    first = {"conditions": judging.finished({}, hostile, NOW)}

    assert brief(first["conditions"])["Failure"][2] == "a task: \\x1b[2Jone\ntwo\\u202e"
    assert judging.finished(first, hostile, NOW + 60) == first["conditions"]
