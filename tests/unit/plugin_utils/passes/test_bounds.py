# SPDX-License-Identifier: Apache-2.0
"""However much is wrong with an instance, the API server takes the status and the Events that tell of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube import schema
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_merge import wanted_status
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_writer import MAX_EVENTS, event, post_events
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import open_api_schema
from support.instances import (
    a_cr,
    a_pod,
    an_instance_at_work,
    condition,
    plan_for,
    report_for,
    with_status,
)

NOW = "2026-01-01T00:00:00Z"
WHOLE_STATUS_BYTES = 64 * 1024
"""A custom resource with its status has to fit into one and a half mebibytes, and specs are long where much is wrong."""
EVENT_BYTES = 1024
STATUS_SCHEMA = open_api_schema()["properties"]["status"]


def all_bounded(told: dict[str, Any], cr: dict[str, Any]) -> bool:
    """Asserts that the API server takes what a pass reports."""
    status = wanted_status(cr.get("status") or {}, told["status"], None, now=NOW)
    assert schema.problems(STATUS_SCHEMA, status) == []
    assert len(json.dumps(status, ensure_ascii=False).encode()) <= WHOLE_STATUS_BYTES
    for given_event in told["events"]:
        posted = event(cr, given_event, now=NOW)
        assert len(posted["message"].encode()) <= EVENT_BYTES
        assert len(posted["reason"]) <= 128
    return True


NAMES = st.from_regex(r"[a-z0-9]{1,250}", fullmatch=True)
KEYS = st.from_regex(r"[A-Za-z0-9._-]{1,250}", fullmatch=True)
PIECES = st.sampled_from(["x", "é", "🖼", '"', "; ", "\n", "\u202e"]) | st.text(min_size=1, max_size=20)
TEXTS = st.builds(lambda piece, number: piece * number, PIECES, st.sampled_from([1, 50, 3000]))


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Specs that the API server takes, in which very much is wrong."""
    number, name, key, text = draw(st.sampled_from([0, 3, 400])), draw(NAMES), draw(KEYS), draw(TEXTS)
    return {
        "server": {
            "env": [
                {"name": f"IMMICH_{index}", "valueFrom": {"secretKeyRef": {"name": f"{index}{name}"[:250], "key": key}}}
                for index in range(number)
            ],
            "envFrom": [{"secretRef": {"name": f"{index}{name}"[:250]}} for index in range(min(number, 100))],
        },
        "immich": {"configuration": {"logging": {"level": text}} | {f"{text}{index}": text for index in range(number)}},
        "imagePullSecrets": [{"name": f"{index}{name}"[:250]} for index in range(number)],
    }


@settings(max_examples=25, derandomize=True)
@given(spec=specs(), said=TEXTS)
def test_whatever_a_spec_says_and_the_api_server_answers_the_status_is_accepted(spec, said):
    cr = a_cr(spec)
    subjects = [step.get("object") or step["target"] for step in plan_for(cr).as_dict()["steps"]]
    named = [(subject["kind"], subject.get("metadata", subject)["name"]) for subject in subjects]

    assert all_bounded(report_for(cr), cr)
    assert all_bounded(report_for(cr, errors={(kind, name): f"{said} {kind} {name}" for kind, name in named}), cr)


def test_the_message_of_the_first_trouble_leaves_room_to_count_the_others():
    cr = a_cr({"immich": {"configuration": {f"unknown{number}": 1 for number in range(400)}}})

    message = condition(report_for(cr), "Warning")["message"]

    assert "unknown0" in message
    assert message.rpartition("; ")[2].startswith("and ")
    assert message.endswith(" more")
    assert message.count("unknown") + int(message.split()[-2]) == 400


def test_a_pod_that_tells_a_novel_is_quoted_in_part():
    cr = a_cr()
    live = with_status(an_instance_at_work(cr), "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)
    pods = [a_pod("server", "CreateContainerConfigError", "é" * 1_000_000)]

    assert all_bounded(report_for(cr, live, pods=pods), cr)


@pytest.mark.parametrize("field", ["image", "host"])
def test_names_of_any_length_do_not_end_up_in_the_status_whole(field):
    cr = a_cr()
    live = an_instance_at_work(cr)
    pod = a_pod("server", "")
    pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pod["spec"] = {"containers": [{"name": "server", "image": "r/" + "i" * 200_000 if field == "image" else "r/i"}]}
    route = {
        "apiVersion": "route.openshift.io/v1", "kind": "Route",
        "metadata": {"name": "photos-server", "namespace": "family", "uid": "u"},
        "spec": {"host": "h" * 200_000 if field == "host" else "h"},
    }  # fmt: skip

    told = report_for(cr, [*live, route], pods=[pod], route=True)

    assert all_bounded(told, cr)
    assert len(told["status"]["url"]) <= 2048
    assert len(told["status"]["images"]["server"]) <= 1024


class Posted:
    def __init__(self) -> None:
        self.messages: list[str] = []

    def post(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.messages.append(manifest["message"])
        return manifest


def test_a_pass_posts_a_bounded_number_of_events_and_says_how_many_are_left_out():
    api = Posted()
    many = [{"type": "Warning", "reason": "Ready", "message": str(number)} for number in range(400)]

    problems = post_events(a_cr(), many, api, now=NOW)  # type: ignore[arg-type]

    assert api.messages == [str(number) for number in range(MAX_EVENTS)]
    assert problems == [f"{400 - MAX_EVENTS} more Events were not posted"]


def test_a_cut_message_ends_at_a_whole_character_and_says_that_it_was_cut():
    posted = event(a_cr(), {"reason": "r" * 1000, "message": "é" * 1000}, now=NOW)

    assert posted["message"] == "é" * 510 + "…"
    assert len(posted["reason"].encode()) <= 128
