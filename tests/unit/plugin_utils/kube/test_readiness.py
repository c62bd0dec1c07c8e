# SPDX-License-Identifier: Apache-2.0
"""When a workload is what it was last told to be."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.readiness import is_ready


def a_workload(kind="Deployment", *, wanted=2, **status):
    spec = {} if wanted is None else {"replicas": wanted}
    return {"kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": status}


def counts(number, **others):
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {"observedGeneration": 2, **dict.fromkeys(names, number), **others}


@pytest.mark.parametrize(
    ("workload", "ready"),
    [
        pytest.param(a_workload(**counts(2)), True, id="all-pods-new-and-available"),
        pytest.param(a_workload(**counts(2, observedGeneration=1)), False, id="last-change-not-taken-up"),
        pytest.param(a_workload(**counts(2, observedGeneration=3)), True, id="seen-before-the-status-was"),
        pytest.param(a_workload(**counts(2, updatedReplicas=1)), False, id="one-pod-of-the-version-before"),
        pytest.param(a_workload(**counts(2, replicas=3)), False, id="a-former-pod-still-there"),
        pytest.param(a_workload(**counts(2, readyReplicas=1)), False, id="one-not-ready"),
        pytest.param(a_workload(**counts(2, availableReplicas=1)), False, id="one-not-available"),
        pytest.param(
            {**a_workload(**counts(2)), "metadata": {"generation": 2, "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            False,
            id="being-deleted",
        ),
        pytest.param(a_workload(), False, id="no-status-yet"),
        pytest.param({**a_workload(), "status": None}, False, id="null-status"),
        pytest.param(a_workload(wanted=None, **counts(1)), True, id="one-replica-by-default"),
        pytest.param(a_workload(wanted=0, observedGeneration=2), True, id="none-wanted-none-there"),
        pytest.param(
            a_workload(wanted=0, observedGeneration=2, replicas=1), False, id="none-wanted-but-one-has-still-to-end"
        ),
        pytest.param(a_workload(wanted=0, observedGeneration=1), False, id="none-wanted-but-not-taken-up"),
        pytest.param(
            a_workload("StatefulSet", **counts(2, currentRevision="a", updateRevision="a")),
            True,
            id="stateful-on-one-revision",
        ),
        pytest.param(
            a_workload("StatefulSet", **counts(2, currentRevision="a", updateRevision="b")),
            False,
            id="stateful-between-revisions",
        ),
    ],
)
def test_a_workload_is_ready_when_all_its_pods_are_the_newest_and_available(workload, ready):
    assert is_ready(workload) is ready
