# SPDX-License-Identifier: Apache-2.0
"""Events tell of changes that a person would want to know of, once each."""

import pytest

from support.instances import (
    a_cr,
    a_pod,
    an_instance_at_work,
    report_for,
    with_status,
)

EXTERNAL = {
    "postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}},
    "valkey": {"enabled": False, "host": "redis"},
}


def before(cr, result):
    """The custom resource with the status that a report gave it."""
    return {**cr, "status": result["status"]}


def test_a_new_instance_that_gets_ready_is_one_event():
    cr = a_cr()
    on_its_way = before(cr, report_for(cr))

    events = report_for(on_its_way, an_instance_at_work(cr))["events"]

    assert events == [{"type": "Normal", "reason": "AllComponentsReady", "message": "All Immich components are ready"}]


@pytest.mark.parametrize(
    ("spec", "objects", "pods"),
    [
        pytest.param({}, an_instance_at_work(a_cr()), [], id="ready"),
        pytest.param({}, [], [], id="on-its-way"),
        pytest.param({"valkey": {"host": "ignored"}}, an_instance_at_work(a_cr()), [], id="warned"),
        pytest.param({"postgres": EXTERNAL["postgres"]}, [], [], id="blocked"),
        pytest.param(
            {},
            with_status(an_instance_at_work(a_cr()), "Deployment", "photos-server", availableReplicas=0),
            [a_pod("server", "ErrImagePull", "not found")],
            id="in-trouble",
        ),
    ],
)
def test_a_state_that_persists_is_silent_and_reported_alike(spec, objects, pods):
    cr = a_cr(spec)
    first = report_for(cr, objects, pods=pods)

    second = report_for(before(cr, first), objects, pods=pods)

    assert second["events"] == []
    assert second["status"] == first["status"]


def test_trouble_is_reported_by_a_warning_event_once():
    cr = a_cr()
    live = an_instance_at_work(cr)
    ready = before(cr, report_for(cr, live))
    broken = with_status(live, "Deployment", "photos-server", availableReplicas=0)
    pods = [a_pod("server", "ErrImagePull", "not found")]

    events = report_for(ready, broken, pods=pods)["events"]

    assert {(event["type"], event["reason"]) for event in events} == {("Warning", "ImagePullFailed")}
    assert any(event["message"].startswith("Deployment photos-server: image") for event in events)


def test_waiting_for_another_component_is_no_event_of_its_own():
    cr = a_cr({"postgres": {"passwordSecretRef": {"name": "absent", "key": "p"}}})

    events = report_for(cr)["events"]

    assert [event["reason"] for event in events] == ["SecretNotFound"]


def test_each_new_warning_is_an_event():
    cr = a_cr({"valkey": {"host": "ignored"}})
    first = report_for(cr, an_instance_at_work(cr))
    other = {**a_cr({"postgres": {"host": "ignored"}}), "status": first["status"]}

    events = report_for(other, an_instance_at_work(cr))["events"]

    assert [(event["type"], event["reason"], "spec.postgres.host" in event["message"]) for event in events] == [
        ("Warning", "SettingIgnored", True)
    ]
