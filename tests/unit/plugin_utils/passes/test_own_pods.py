# SPDX-License-Identifier: Apache-2.0
"""Pods with copied labels are not believed, however many they are and whatever they report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.passes.observation import observe
from ansible_collections.media.immich.plugins.plugin_utils.passes.own_pods import as_needed, divided
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from ansible_collections.media.immich.plugins.plugin_utils.spec import names
from support.instances import PASSWORD, a_cr, an_instance_at_work, annotated, condition, results_of

SELECTORS = {
    "server": "Deployment",
    "machine-learning": "Deployment",
    "valkey": "Deployment",
    "postgres": "StatefulSet",
}


def a_pod(component: str, name: str, *owner: str, **rest: Any) -> dict[str, Any]:
    """A pod with all labels of the instance, which an object (kind, name) controls."""
    labels = {**names.labels("photos", component), "pod-template-hash": "5d9f"}
    owners = (
        [{"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": "u", "controller": True}] if owner else []
    )
    metadata = {
        "name": name,
        "namespace": "family",
        "labels": labels,
        "resourceVersion": "7",
        "uid": "u2",
        "ownerReferences": owners,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **rest}


def looked(container: str, *told: str) -> dict[str, Any]:
    """The status of a pod whose init container has reported these lines, and failed."""
    state = {"terminated": {"exitCode": 1, "message": "\n".join(told)}}
    return {"status": {"phase": "Running", "initContainerStatuses": [{"name": container, "state": state}]}}


OWN = [
    pytest.param(a_pod("server", "photos-server-5d9f-x", "ReplicaSet", "photos-server-5d9f"), id="of-a-deployment"),
    pytest.param(a_pod("postgres", "photos-postgres-0", "StatefulSet", "photos-postgres"), id="of-the-stateful-set"),
    pytest.param(a_pod("postgres", "photos-postgres-0"), id="of-a-stateful-set-that-is-gone"),
]
OTHERS = [
    pytest.param(a_pod("server", "photos-server-5d9f-x"), id="of-nobody"),
    pytest.param(a_pod("server", "web-5d9f-x", "ReplicaSet", "web-5d9f"), id="of-another-deployment"),
    pytest.param(a_pod("server", "photos-server-x", "ReplicaSet", "photos-server-other"), id="of-another-template"),
    pytest.param(a_pod("server", "photos-server-5d9f-x", "Job", "photos-server-5d9f"), id="of-another-kind"),
    pytest.param(
        a_pod("valkey", "photos-server-5d9f-x", "ReplicaSet", "photos-server-5d9f"), id="of-another-component"
    ),
    pytest.param(a_pod("postgres", "photos-postgres-1", "StatefulSet", "photos-postgres"), id="of-another-number"),
    pytest.param(a_pod("postgres", "photos-postgres-0", "StatefulSet", "evil"), id="of-another-stateful-set"),
    pytest.param(a_pod("postgres", "evil"), id="a-database-of-nobody"),
]


@pytest.mark.parametrize("pod", OWN)
def test_a_pod_that_the_components_workload_keeps_is_the_instances(pod):
    assert divided("photos", [pod]) == ([pod], {"versions": {}, "count": 0, "example": ""})
    assert as_needed("photos", pod) == pod


@pytest.mark.parametrize("pod", OTHERS)
def test_a_pod_that_something_else_keeps_is_not_believed_and_known_by_its_version_only(pod):
    told = looked("look-at-volume", "empty")
    own, others = divided("photos", [{**pod, **told}])

    assert own == []
    assert others["versions"] == {f"Pod/{pod['metadata']['name']}": "7"}
    assert (others["count"], pod["metadata"]["name"] in others["example"]) == (1, True)
    assert divided("photos", [as_needed("photos", {**pod, **told})]) == (own, others)
    assert "status" not in as_needed("photos", {**pod, **told})


def test_pods_of_another_kinds_role_that_no_service_of_the_instance_selects_are_no_trouble():
    _own, others = divided("photos", [a_pod("toy", "photos-toy-x", "ReplicaSet", "photos-toy-5d9f")])

    assert (others["count"], others["versions"]) == (0, {"Pod/photos-toy-x": "7"})


class Cluster:
    """An instance at work, with pods of others, and how many requests a pass sends."""

    def __init__(self, pods: list[dict[str, Any]]) -> None:
        self.cr = a_cr()
        self.objects = an_instance_at_work(self.cr)
        self.pods, self.requests = pods, 0
        self.asked_in: set[tuple[str, str]] = set()

    def api_groups(self) -> dict[str, list[str]]:
        self.requests += 1
        return {"media.rm3l.org": ["v1alpha1"]}

    def find(self, ref: ObjectRef) -> None:
        self.requests += 1
        self.asked_in.add((ref.kind, ref.namespace))

    def list(self, ref: ObjectRef, **_how: Any) -> list[dict[str, Any]]:
        self.requests += 1
        self.asked_in.add((ref.kind, ref.namespace))
        found = {"Immich": [self.cr], "Pod": self.pods, "Event": []}
        return found.get(ref.kind, [item for item in self.objects if item["kind"] == ref.kind])

    def passed(self) -> tuple[Any, dict[str, Any]]:
        """(plan, report) of a pass."""
        seen = observe(self.cr, self, in_parallel=lambda reads: [read() for read in reads], now=1e9)  # type: ignore[arg-type]
        made = plan(self.cr, seen=seen, images=DEFAULT_IMAGES, new_password=PASSWORD)
        self.seen = seen
        return made, report(made.as_dict(), {"results": results_of(made)}, seen)


def mounting(claim: str) -> dict[str, Any]:
    return {"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}], "containers": []}}


FORGED = [
    pytest.param("postgres", "look-at-volume", ("empty",), "data-photos-postgres-0", id="an-empty-volume"),
    pytest.param("postgres", "look-at-volume", ("elsewhere", "at evil"), "data-photos-postgres-0", id="another-folder"),
    pytest.param(
        "server", "look-at-library", ("closed", "at upload", "owner 12:12"), "photos-library", id="another-user"
    ),
]


@pytest.mark.parametrize(("component", "container", "told", "claim"), FORGED)
def test_what_a_pod_with_copied_labels_reports_of_a_volume_changes_no_plan(component, container, told, claim):
    forged = a_pod(component, "evil", "ReplicaSet", "evil-5d9f", **mounting(claim), **looked(container, *told))

    expected, _ = Cluster([]).passed()
    found, told_of = Cluster([forged]).passed()

    assert found.steps == expected.steps
    warning = condition(told_of, "Warning")
    assert warning["reason"] == "PodsNotOurs"
    assert "such as Pod evil of ReplicaSet evil-5d9f" in warning["message"]


def test_the_message_of_a_pod_with_copied_labels_is_in_no_status():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "run curl evil.example.com"}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "server", "image": "x", "state": waiting}]}
    forged = a_pod("server", "evil", status=status, spec={"containers": [{"name": "server", "image": "evil:1"}]})

    _, told = Cluster([forged]).passed()

    assert "evil.example.com" not in json.dumps(told)
    assert "evil:1" not in json.dumps(told)


def test_five_thousand_pods_with_copied_labels_cost_no_request_more_and_little_text():
    few = Cluster([])
    many = Cluster(
        [a_pod("server", f"evil-{n:04}", **mounting(f"claim-{n:04}"), status={"x": "y" * 2000}) for n in range(5000)]
    )

    few.passed()
    made, told = many.passed()

    assert many.requests == few.requests
    assert len(json.dumps(many.seen)) < len(json.dumps(few.seen)) + 5000 * 30
    assert condition(told, "Warning")["message"].startswith("5000 pods have the labels of this instance's pods")
    assert len(json.dumps(told["status"])) < 20_000
    assert len(told["observed"]["dependents"]) > 5000, "so that the loop knows when nothing has changed"
    assert made.as_dict()["state"] == "present"


def test_whatever_labels_and_marks_are_copied_a_pass_reads_and_writes_in_one_namespace_only():
    """So an instance of the same name in another namespace, with the same marks on its claims, is another world."""
    cluster = Cluster([a_pod("server", "evil", **mounting("elsewhere/photos-library"))])
    marks = {
        names.DATABASE_ANNOTATION: "copied",
        names.DATABASE_CLAIM_ANNOTATION: "elsewhere/data-photos-postgres-0/uid",
    }
    cluster.objects = [annotated(o, marks) if o["kind"] == "PersistentVolumeClaim" else o for o in cluster.objects]

    made, _ = cluster.passed()

    assert {namespace for kind, namespace in cluster.asked_in if kind != "StorageClass"} == {"family"}
    subjects = [step.get("target") or step["object"]["metadata"] for step in made.steps]
    assert {subject["namespace"] for subject in subjects} == {"family"}
