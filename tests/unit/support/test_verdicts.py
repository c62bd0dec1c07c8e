# SPDX-License-Identifier: Apache-2.0
"""A verdict is no weaker than it reads."""

import pytest

from support.verdicts import differences, untold


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, id="more-keys"),
        pytest.param({"a": None}, {"b": 2}, id="absent"),
        pytest.param([{"name": "x"}, {"name": "z"}], [{"name": "x"}, {"name": "y"}, {"name": "z"}], id="items-between"),
    ],
)
def test_what_is_there_is_found(expected, found):
    assert list(differences(expected, found)) == []


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        pytest.param({"a": 1}, {"a": 2}, id="another-value"),
        pytest.param({"a": 1}, {"b": 1}, id="missing"),
        pytest.param({"a": None}, {"a": 1}, id="there"),
        pytest.param([{"name": "z"}, {"name": "x"}], [{"name": "x"}, {"name": "z"}], id="another-order"),
        pytest.param([{"name": "x"}, {"name": "x"}], [{"name": "x"}], id="too-few"),
        pytest.param({"a": {}}, {"a": []}, id="another-type"),
    ],
)
def test_what_is_not_there_is_named(expected, found):
    assert len(list(differences(expected, found))) == 1


def test_each_part_of_a_message_has_to_be_said():
    said = [{"type": "Warning", "status": "True", "reason": "X", "message": "one and two"}]

    assert list(untold({"Warning": {"status": "True", "message": ["one", "two"]}}, said)) == []
    assert len(list(untold({"Warning": {"status": "False", "message": ["one", "three"]}}, said))) == 2
    assert list(untold({"Ready": {"status": "True"}}, said)) == ["there is no condition Ready yet"]
