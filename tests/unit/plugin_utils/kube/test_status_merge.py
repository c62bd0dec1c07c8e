# SPDX-License-Identifier: Apache-2.0
"""How a wanted status becomes the smallest write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.status_merge import (
    merge_patch,
    merged_conditions,
    patched,
    status_problem,
    wanted_status,
)

BEFORE, NOW = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"


KEPT = {"type": "Kept", "status": "True", "lastTransitionTime": BEFORE}


def ready(status: str, **fields: Any) -> dict[str, Any]:
    return {"type": "Ready", "status": status, "reason": "R", "message": "m", **fields}


@pytest.mark.parametrize(
    ("given", "time"),
    [
        pytest.param(ready("False"), BEFORE, id="unchanged"),
        pytest.param(ready("False", reason="Other", message="other"), BEFORE, id="other-reason-and-message"),
        pytest.param(ready("False", lastTransitionTime=NOW), BEFORE, id="given-time-without-transition"),
        pytest.param(ready("False", observedGeneration=2), BEFORE, id="other-generation"),
        pytest.param(ready("True"), NOW, id="transition"),
        pytest.param(ready("True", lastTransitionTime=BEFORE), BEFORE, id="transition-at-a-given-time"),
    ],
)
def test_the_transition_time_moves_only_with_the_status(given: dict[str, Any], time: str) -> None:
    live = [ready("False", lastTransitionTime=BEFORE)]

    assert merged_conditions(live, [given], now=NOW) == [{**given, "lastTransitionTime": time}]


def test_conditions_are_merged_by_type_in_their_order() -> None:
    live = [{"type": kind, "status": "True", "lastTransitionTime": BEFORE} for kind in ("A", "B")]
    given = [{"type": kind, "status": "False"} for kind in ("C", "B")]

    merged = merged_conditions(live, given, now=NOW)

    assert [(item["type"], item["status"], item["lastTransitionTime"]) for item in merged] == [
        ("A", "True", BEFORE),
        ("B", "False", NOW),
        ("C", "False", NOW),
    ]


@pytest.mark.parametrize(
    ("status", "conditions", "options", "wanted"),
    [
        pytest.param({"a": 1}, None, {}, {"a": 1, "b": {"c": 1}, "conditions": [KEPT]}, id="merged"),
        pytest.param({"b": {"d": 2}}, None, {}, {"a": 0, "b": {"c": 1, "d": 2}, "conditions": [KEPT]}, id="deep"),
        pytest.param({"a": None}, None, {}, {"b": {"c": 1}, "conditions": [KEPT]}, id="null-removes"),
        pytest.param({"conditions": None}, None, {}, {"a": 0, "b": {"c": 1}}, id="null-removes-conditions"),
        pytest.param({"a": 1}, None, {"replace": True}, {"a": 1}, id="replaced"),
        pytest.param(
            None, [], {"replace_lists": True}, {"a": 0, "b": {"c": 1}, "conditions": []}, id="no-condition-is-left"
        ),
    ],
)
def test_the_wanted_status_is_what_is_given_laid_over_what_is_there(
    status: Any, conditions: Any, options: dict[str, bool], wanted: dict[str, Any]
) -> None:
    live = {"a": 0, "b": {"c": 1}, "conditions": [KEPT]}

    assert wanted_status(live, status, conditions, now=NOW, **options) == wanted


def test_a_second_report_of_the_same_is_no_change() -> None:
    status = {"ready": False, "conditions": [ready("False", observedGeneration=1)]}
    first = wanted_status({}, status, None, now=BEFORE)

    second = wanted_status(first, status, None, now=NOW)

    assert merge_patch(first, second) == {}


@pytest.mark.parametrize(
    ("status", "conditions", "message"),
    [
        pytest.param(
            {"conditions": []},
            [],
            "give conditions either in status.conditions or in conditions, not in both",
            id="both",
        ),
        pytest.param({"conditions": {}}, None, "status.conditions must be a list, not dict", id="no-list"),
        pytest.param(None, [{"status": "True"}], "conditions[0] must be a mapping with a type", id="no-type"),
        pytest.param(
            None, [ready("Maybe")], "conditions[0].status must be one of True, False, Unknown, not 'Maybe'", id="status"
        ),
        pytest.param(None, [ready("True"), ready("False")], "conditions has the type Ready more than once", id="twice"),
        pytest.param({"conditions": [ready("True")]}, None, None, id="fine"),
        pytest.param(None, [{"type": "Ready", "status": True}], None, id="yaml-boolean"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_conditions_that_make_no_sense_are_named(status: Any, conditions: Any, message: str | None) -> None:
    assert status_problem(status, conditions) == message


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(0, 2), st.text("ab", max_size=2)),
    lambda below: st.one_of(st.dictionaries(st.text("ab", max_size=2), below, max_size=3), st.lists(below, max_size=2)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_patch_leads_to_what_is_wanted_and_is_empty_only_when_it_is_there(before: Any, after: Any) -> None:
    patch = merge_patch(before, after)

    assert patched(before, patch) == after
    assert merge_patch(after, after) == {}
    assert merge_patch(patched(before, patch), after) == {}
