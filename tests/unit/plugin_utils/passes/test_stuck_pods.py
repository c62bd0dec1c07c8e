# SPDX-License-Identifier: Apache-2.0
"""A database pod that never got ready must not keep its mended successor from starting."""

from __future__ import annotations

from typing import Any

import pytest

from support.instances import a_cr, an_instance_at_work, deletions, plan_for

POD = ("Pod", "photos-postgres-0")


def a_pod(stateful_set, *, revision="old", ready=False, **metadata: Any):
    """The database's pod; `revision` is the version that it runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "photos-postgres-0",
            "namespace": "family",
            "uid": "uid-of-the-pod",
            "labels": {"controller-revision-hash": revision},
            "ownerReferences": [{"kind": "StatefulSet", "uid": stateful_set["metadata"]["uid"], "controller": True}],
            **metadata,
        },
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def an_instance(**status: Any):
    """(its objects, the StatefulSet among them, whose status says what its controller has seen)."""
    objects = an_instance_at_work(a_cr())
    stateful_set = next(manifest for manifest in objects if manifest["kind"] == "StatefulSet")
    stateful_set["status"] |= {"currentRevision": "old", "updateRevision": "new", **status}
    return objects, stateful_set


def test_a_pod_of_a_former_version_that_is_not_ready_is_replaced():
    objects, stateful_set = an_instance()

    result = plan_for(a_cr(), objects, pods=[a_pod(stateful_set)])

    assert deletions(result) == [POD]
    [step] = [step for step in result.steps if step["verb"] == "delete"]
    assert step["target"]["uid"] == "uid-of-the-pod"


@pytest.mark.parametrize(
    ("pod", "status"),
    [
        pytest.param({"ready": True}, {}, id="ready-so-its-controller-replaces-it"),
        pytest.param({"revision": "new"}, {}, id="of-the-present-version"),
        pytest.param({"deletionTimestamp": "2026-01-01T00:00:00Z"}, {}, id="leaving-already"),
        pytest.param({"ownerReferences": []}, {}, id="of-nobody"),
        pytest.param({}, {"observedGeneration": 0}, id="its-controller-has-not-seen-the-change"),
        pytest.param({}, {"updateRevision": None}, id="no-version-known"),
    ],
)
def test_other_pods_are_left_alone(pod, status):
    objects, stateful_set = an_instance(**status)

    result = plan_for(a_cr(), objects, pods=[a_pod(stateful_set, **pod)])

    assert deletions(result) == []


def test_a_database_that_is_held_back_keeps_its_pod():
    cr = a_cr({"postgres": {"passwordSecretRef": {"name": "absent", "key": "pw"}}})
    objects, stateful_set = an_instance()

    result = plan_for(cr, objects, pods=[a_pod(stateful_set)])

    assert deletions(result) == []
