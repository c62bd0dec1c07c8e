# SPDX-License-Identifier: Apache-2.0
"""What Prometheus learns of the conditions of custom resources."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest

from immich_operator.kube.resources import Kind
from immich_operator.passes.metrics import MAX_CONDITIONS, Metrics

WIDGET = Kind("example.org/v1", "Widget")


def a_widget(*conditions: Any, name: str = "main") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "family"}, "status": {"conditions": list(conditions)}}


def shown(*objects: dict[str, Any]) -> dict[str, float]:
    """{"name/condition": value} of the gauge."""
    metrics = Metrics()
    metrics.conditions_of(WIDGET, lambda: objects)
    found = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "resource_condition":
                assert sample.labels["namespace"] == "family"
                found[f"{sample.labels['name']}/{sample.labels['condition']}"] = sample.value
    return found


def test_each_condition_of_each_object_has_a_value() -> None:
    first = a_widget({"type": "Ready", "status": "True"}, {"type": "Degraded", "status": "False"})
    second = a_widget({"type": "Ready", "status": "Unknown"}, name="other")

    assert shown(first, second) == {"main/Ready": 1.0, "main/Degraded": 0.0, "other/Ready": -1.0}


def test_a_series_says_which_kind_it_is_about() -> None:
    metrics = Metrics()
    metrics.conditions_of(WIDGET, lambda: [a_widget({"type": "Ready", "status": "True"})])

    who = 'group="example.org",kind="Widget",name="main",namespace="family",version="v1"'
    assert f'resource_condition{{condition="Ready",{who}}} 1.0' in generate_latest(metrics.registry).decode()


def test_what_is_gone_has_no_series_any_more() -> None:
    objects = [a_widget({"type": "Ready", "status": "True"})]
    metrics = Metrics()
    metrics.conditions_of(WIDGET, lambda: objects)
    assert b"resource_condition{" in generate_latest(metrics.registry)

    objects.clear()

    assert b"resource_condition{" not in generate_latest(metrics.registry)


@pytest.mark.parametrize(
    "nonsense", [None, "x", {}, [None], [{"type": "Ready"}], [{"type": "Ready", "status": "Maybe"}]]
)
def test_what_is_no_condition_is_left_out(nonsense: Any) -> None:
    assert shown({"metadata": {"name": "main", "namespace": "family"}, "status": {"conditions": nonsense}}) == {}


def test_nobody_can_make_any_number_of_series() -> None:
    many = [{"type": f"Type{number}", "status": "True"} for number in range(1000)]

    assert len(shown(a_widget(*many))) == MAX_CONDITIONS
