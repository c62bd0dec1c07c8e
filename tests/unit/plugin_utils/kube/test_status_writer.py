# SPDX-License-Identifier: Apache-2.0
"""Whose status is written when the object changes or is replaced under the writer's hands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import Conflict, ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_merge import wanted_status
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_writer import event, write_status

REF = ObjectRef("media.rm3l.org/v1alpha1", "Immich", "photos", "family")


def an_instance(uid: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": "photos", "namespace": "family", "uid": uid, "resourceVersion": version}}


class OneObject:
    """An API server that holds one object, and takes patches of its present version only."""

    def __init__(self, live: dict[str, Any]) -> None:
        self.live = live
        self.patches: list[Mapping[str, Any]] = []

    def find(self, _ref: ObjectRef) -> dict[str, Any]:
        return self.live

    def post(self, manifest: dict[str, Any]) -> dict[str, Any]:
        return manifest

    def merge(self, ref: ObjectRef, patch: Mapping[str, Any], *, subresource: str = "") -> dict[str, Any]:
        if patch["metadata"]["resourceVersion"] != self.live["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "the object has been modified", subject=str(ref))
        self.patches.append(patch["status"])
        return {
            **self.live,
            subresource: patch["status"],
            "metadata": {**self.live["metadata"], "resourceVersion": "9"},
        }


def test_an_object_that_was_changed_meanwhile_is_read_again_and_written():
    objects = OneObject(an_instance("a", "2"))

    write = write_status(REF, an_instance("a", "1"), lambda _: {"ready": True}, objects)

    assert write.changed
    assert objects.patches == [{"ready": True}]


def test_an_object_created_again_under_the_same_name_does_not_get_the_status_of_the_former():
    objects = OneObject(an_instance("b", "2"))

    write = write_status(REF, an_instance("a", "1"), lambda _: {"ready": True}, objects)

    assert objects.patches == []
    assert (write.changed, write.current) == (False, None), "without an object, no Event is posted about it either"
    assert write.skipped_reason == f"{REF} was deleted and created again in the meantime"


def test_conditions_of_any_role_hold_visible_text_and_its_line_breaks_once_and_for_all():
    given = [{"type": "Ready", "status": "False", "reason": "X", "message": "one\ntwo\x1b[2J\u202e"}]

    first = wanted_status({}, None, given, now="t1")
    second = wanted_status(first, None, given, now="t2")

    assert first["conditions"][0]["message"] == "one\ntwo\\x1b[2J\\u202e"
    assert second == first


def test_an_event_is_one_line_of_visible_text():
    involved = {**an_instance("a", "1"), "apiVersion": "v1", "kind": "Immich"}

    made = event(involved, {"reason": "X", "message": "a\nb\x1b]0;x\x07"}, now="t")

    assert made["message"] == r"a\nb\x1b]0;x\x07"
