# SPDX-License-Identifier: Apache-2.0
"""What admission makes something else of is written once, left as it is, and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ApiError, ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.kube.applying import Outcome, apply_steps
from ansible_collections.media.immich.plugins.plugin_utils.kube.difference import differing_fields
from ansible_collections.media.immich.plugins.plugin_utils.kube.rewritten import ANNOTATION

Manifest = dict[str, Any]


def record(value: Any) -> Manifest:
    """fieldsV1 of an object made of maps."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{key}": record(item) for key, item in value.items()}


class Policy:
    """An API server that stores what is applied, after `rewrite` has had its way with the data."""

    def __init__(self, rewrite: Callable[[Manifest], Manifest]) -> None:
        self.rewrite, self.live, self.writes, self.version, self.questions = rewrite, None, 0, 0, 0
        self.live: Manifest | None
        self.answers_questions = True

    def find(self, _ref: ObjectRef) -> Manifest | None:
        return self.live

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:  # noqa: ARG002
        self.writes += 1
        annotations = manifest["metadata"].get("annotations", {})
        metadata = {"f:annotations": record(annotations)} if annotations else {}
        owned = {"f:data": record(manifest["data"]), "f:metadata": metadata}
        entry = {"manager": "immich-operator", "operation": "Apply", "apiVersion": "v1", "fieldsV1": owned}
        stored = {**manifest, "data": self.rewrite(manifest["data"])}
        if self.live is None or stored["data"] != self.live["data"] or annotations != self.annotations():
            self.version += 1
        version = {"managedFields": [{**entry, "time": WRITTEN}], "resourceVersion": str(self.version)}
        self.live = {**stored, "metadata": {**manifest["metadata"], **version}}
        return self.live

    def would_apply(self, manifest: Manifest) -> Manifest:
        self.questions += 1
        if not self.answers_questions:
            raise ApiError(400, "BadRequest", 'admission webhook "x" does not support dry run', subject="ConfigMap n/x")
        return {**manifest, "data": self.rewrite(manifest["data"])}

    def annotations(self) -> Manifest:
        annotations: Manifest = (self.live or {}).get("metadata", {}).get("annotations", {})
        return annotations

    def merge(self, ref: ObjectRef, patch: Mapping[str, Any]) -> Manifest:
        raise NotImplementedError

    create = apply

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        raise NotImplementedError


WRITTEN = "2026-01-01T00:00:00Z"
SOON = datetime(2026, 1, 1, 0, 9, tzinfo=UTC).timestamp()
LATER = datetime(2026, 1, 1, 1, tzinfo=UTC).timestamp()


def a_pass(server: Policy, now: float = SOON, **data: str) -> Outcome:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "n"}, "data": data}
    [outcome] = apply_steps(
        [{"verb": "apply", "component": "c", "object": manifest}],
        [server.live] if server.live else [],
        objects_for=lambda _: server,
        in_parallel=lambda work: [item() for item in work],
        now=now,
    )
    return outcome


def small(data: Manifest) -> Manifest:
    return {**data, "size": "small"}


def test_a_rewritten_field_is_not_written_again_and_told_each_time() -> None:
    server = Policy(small)

    first = a_pass(server, size="large")
    writes = server.writes
    second = a_pass(server, size="large")

    assert (first.changed, list(first.rewritten)) == (True, ["data.size"])
    assert (second.changed, list(second.rewritten)) == (False, ["data.size"])
    assert server.writes == writes


def test_an_object_that_stays_as_written_gets_no_annotation() -> None:
    server = Policy(dict)

    assert list(a_pass(server, size="large").rewritten) == []
    assert (server.writes, server.annotations()) == (1, {})


def test_what_a_second_apply_puts_right_is_not_told() -> None:
    """As of a structure whose last field was given up."""
    lost = iter([True])
    server = Policy(lambda data: {} if next(lost, False) else data)

    outcome = a_pass(server, size="large")

    assert server.live
    assert server.live["data"] == {"size": "large"}
    assert (list(outcome.rewritten), server.annotations()) == ([], {})


def test_another_wish_is_written() -> None:
    server = Policy(small)
    a_pass(server, size="large")

    outcome = a_pass(server, size="large", colour="red")

    assert (outcome.changed, list(outcome.rewritten)) == (True, ["data.size"])
    assert server.live
    assert server.live["data"] == {"size": "small", "colour": "red"}


def test_what_somebody_else_changes_is_written_again() -> None:
    server = Policy(small)
    a_pass(server, size="large", colour="red")
    assert server.live
    server.live["data"]["colour"] = "blue"
    del server.live["metadata"]["managedFields"][0]["fieldsV1"]["f:data"]["f:colour"]  # it is theirs now

    a_pass(server, size="large", colour="red")

    assert server.live["data"] == {"size": "small", "colour": "red"}


def test_another_value_in_a_field_that_was_rewritten_is_written_again_whoever_claims_to_have_written_it() -> None:
    server = Policy(small)
    a_pass(server, size="large", colour="red")
    assert server.live
    server.live["data"] = {"size": "hostile", "colour": "red"}  # applied under our name

    a_pass(server, size="large", colour="red")

    assert server.live["data"] == {"size": "small", "colour": "red"}


def test_nothing_is_left_where_no_record_tells_who_wrote_it() -> None:
    server = Policy(small)
    a_pass(server, size="large")
    assert server.live
    server.live["metadata"]["managedFields"] = []
    writes = server.writes

    a_pass(server, size="large")

    assert server.writes > writes


def test_without_the_annotation_it_is_tried_anew_and_a_policy_that_is_gone_leaves_no_trace() -> None:
    server = Policy(small)
    a_pass(server, size="large")
    assert server.live
    del server.live["metadata"]["annotations"]
    server.rewrite = dict

    outcome = a_pass(server, size="large")

    assert server.live["data"] == {"size": "large"}
    assert (list(outcome.rewritten), server.annotations()) == ([], {})


def test_an_annotation_that_is_no_longer_true_is_taken_away() -> None:
    server = Policy(small)
    a_pass(server, size="large")
    assert ANNOTATION in server.annotations()
    assert server.live
    server.live["data"]["size"] = "large"  # the policy let it through once
    server.rewrite = dict

    a_pass(server, size="large")

    assert server.annotations() == {}


def test_a_policy_that_is_gone_is_noticed_some_time_after_the_last_write_and_leaves_no_trace() -> None:
    server = Policy(small)
    a_pass(server, size="large")
    server.rewrite = dict

    soon = a_pass(server, SOON, size="large")
    asked_soon = server.questions
    later = a_pass(server, LATER, size="large")

    assert (soon.changed, list(soon.rewritten), asked_soon) == (False, ["data.size"], 0)
    assert (later.changed, list(later.rewritten), server.annotations()) == (True, [], {})
    assert server.live
    assert server.live["data"] == {"size": "large"}


def test_while_the_policy_is_there_a_pass_asks_once_and_writes_nothing() -> None:
    server = Policy(small)
    a_pass(server, size="large")
    writes = server.writes

    outcome = a_pass(server, LATER, size="large")

    assert (outcome.changed, list(outcome.rewritten)) == (False, ["data.size"])
    assert (server.writes, server.questions) == (writes, 1)


def test_a_policy_that_makes_something_else_of_it_by_now_is_followed() -> None:
    server = Policy(small)
    a_pass(server, size="large")
    server.rewrite = lambda data: {**data, "size": "tiny"}

    outcome = a_pass(server, LATER, size="large")

    assert (outcome.changed, list(outcome.rewritten)) == (True, ["data.size"])
    assert server.live
    assert server.live["data"] == {"size": "tiny"}


def test_where_a_webhook_answers_no_questions_the_fields_are_left() -> None:
    server = Policy(small)
    a_pass(server, size="large")
    server.answers_questions = False
    writes = server.writes

    outcome = a_pass(server, LATER, size="large")

    assert (outcome.error, list(outcome.rewritten), server.writes) == (None, ["data.size"], writes)


POD = {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y", "args": ["1"]}]}


@pytest.mark.parametrize(
    ("live", "fields"),
    [
        pytest.param(POD, [], id="equal"),
        pytest.param(
            {"containers": [{"name": "s"}, {"name": "a", "image": "m/x"}, {"name": "b", "image": "y", "args": ["2"]}]},
            ["spec.containers[a].image", "spec.containers[b].args"],
            id="in-items",
        ),
        pytest.param({"containers": [{"name": "b", "image": "y", "args": ["1"]}]}, ["spec.containers"], id="item-gone"),
        pytest.param({}, ["spec.containers"], id="list-gone"),
    ],
)
def test_the_fields_that_differ_are_named(live: Manifest, fields: list[str]) -> None:
    assert list(differing_fields({"kind": "Pod", "spec": POD}, {"kind": "Pod", "spec": live})) == fields
