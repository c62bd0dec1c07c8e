# SPDX-License-Identifier: Apache-2.0
"""Label selectors, as the API server reads them."""

import pytest

from immich_operator.kube.label_selectors import Selector


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        pytest.param({}, True, id="empty"),
        pytest.param({"matchLabels": {"a": "1"}}, True, id="label"),
        pytest.param({"matchLabels": {"a": "2"}}, False, id="other-value"),
        pytest.param({"matchLabels": {"a": "1", "b": "1"}}, False, id="all-must-match"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "In", "values": ["0", "1"]}]}, True, id="in"),
        pytest.param({"matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}]}, False, id="in-absent"),
        pytest.param(
            {"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True, id="not-in-absent"
        ),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False, id="not-in"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True, id="exists"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False, id="does-not-exist"),
    ],
)
def test_selectors_match_as_the_api_server_reads_them(selector, matches):
    assert Selector.from_manifest(selector).matches({"a": "1"}) is matches


@pytest.mark.parametrize(
    "selector",
    [
        {"labels": {}},
        {"matchLabels": {"a": 1}},
        {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]},
        {"matchExpressions": [{"key": "a", "operator": "In"}]},
        {"matchExpressions": ["a"]},
        {"matchExpressions": 1.5},
        {"matchExpressions": {"key": "a"}},
        {"matchExpressions": [{"key": "a", "operator": "In", "values": 1}]},
        {"matchLabels": ["a"]},
        {1: {}},
    ],
)
def test_a_selector_that_cannot_work_is_refused(selector):
    with pytest.raises(ValueError, match=r"selector|quotes|matchExpression|matchLabels"):
        Selector.from_manifest(selector)
