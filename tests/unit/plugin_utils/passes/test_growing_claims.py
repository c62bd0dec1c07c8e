# SPDX-License-Identifier: Apache-2.0
"""A claim that was asked to grow and does not: the warning has the storage's own words, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from support.instances import a_cr, an_instance_at_work, condition, report_for

ASKED = 1_800_000_000.0
AT = "2027-01-15T08:00:00Z"
REFUSED = "rpc error: code = InvalidArgument desc = volume is larger than the pool"


def warning(status: dict[str, Any], after_s: float, name: str = "photos-library") -> dict[str, Any]:
    """The condition Warning so long after the claim was asked to grow from 10Gi to 100Gi."""
    return condition(reported(status, after_s, name), "Warning")


def reported(status: dict[str, Any], after_s: float, name: str = "photos-library") -> dict[str, Any]:
    larger = {"persistence": {"size": "100Gi"}}
    cr = a_cr({"immich": {"persistence": {"library": larger["persistence"]}}, "postgres": larger})
    live = [
        {
            **manifest,
            "spec": {**manifest["spec"], "resources": {"requests": {"storage": "100Gi"}}},
            "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}, **status},
        }
        if (manifest["kind"], manifest["metadata"]["name"]) == ("PersistentVolumeClaim", name)
        else manifest
        for manifest in an_instance_at_work(cr)
    ]
    return report_for(cr, live, now=ASKED + after_s)


def said(kind: str, message: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True", "message": message, "lastTransitionTime": AT}]}


@pytest.mark.parametrize("kind", ["ControllerResizeError", "NodeResizeError"])
def test_what_the_storage_says_of_its_failure_is_told_once_it_had_time_to_succeed(kind: str) -> None:
    early, late = (warning(said(kind, REFUSED), after_s) for after_s in (30, 150))

    assert early["status"] == "False"
    assert (late["status"], late["reason"]) == ("True", "VolumeNotChanged")
    assert f"PersistentVolumeClaim photos-library is to have 100Gi and has 10Gi: {REFUSED}; " in late["message"]
    assert "see the log of the storage driver" in late["message"]


@pytest.mark.parametrize("state", ["ControllerResizeInfeasible", "NodeResizeInfeasible"])
def test_what_the_storage_calls_impossible_is_told_at_once(state: str) -> None:
    found = warning({"allocatedResourceStatuses": {"storage": state}}, 1)

    assert "PersistentVolumeClaim photos-library is to have 100Gi and has 10Gi: " in found["message"]
    assert "the storage says that it can't; see its limits" in found["message"]


def test_a_file_system_that_grows_only_when_its_pod_starts_names_the_command() -> None:
    waiting = said("FileSystemResizePending", "Waiting for user to (re-)start a pod")

    early, late = (warning(waiting, after_s) for after_s in (60, 400))

    assert early["status"] == "False", "many storages do it while the pod runs"
    assert "Waiting for user to (re-)start a pod" in late["message"]
    assert "kubectl rollout restart --namespace family deployment/photos-server" in late["message"]


def test_the_claim_of_the_database_names_the_statefulset() -> None:
    found = warning(said("FileSystemResizePending", "Waiting"), 400, "data-photos-postgres-0")

    assert "kubectl rollout restart --namespace family statefulset/photos-postgres" in found["message"]


def test_growing_for_long_is_told_with_since_when() -> None:
    early, late = (warning(said("Resizing", ""), after_s) for after_s in (300, 700))

    assert early["status"] == "False"
    assert "has been growing since 2027-01-15 08:00 UTC" in late["message"]


def test_the_pass_that_will_tell_is_due_when_it_is_time() -> None:
    report = reported(said("ControllerResizeError", REFUSED), 30)

    assert report["requeue_after"] == "90s"


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"capacity": {"storage": "100Gi"}}, id="it-has-grown"),
        pytest.param({}, id="nobody-has-begun"),
        pytest.param({"phase": "Pending", "capacity": {}}, id="it-has-no-volume-yet"),
        pytest.param({"allocatedResourceStatuses": {"storage": "NodeResizeInProgress"}}, id="it-is-growing"),
    ],
)
def test_a_claim_that_is_well_is_not_told(status: dict[str, Any]) -> None:
    assert warning(status, 3600)["status"] == "False"
