# SPDX-License-Identifier: Apache-2.0
"""Cases of tests/cases for which it takes an API server; each verdict names its test."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from support.operating import WRITES, Instances
from support.verdicts import Case, case_of, untold

CHALLENGE = "/.well-known/acme-challenge/abc"


def write(instances: Instances, name: str, wait: Callable[[], object] = lambda: None) -> Case:
    """Create all objects of the case in the namespace of the test, the Immich after `wait`."""
    case = case_of(name)
    for manifest in case.manifests:
        if manifest["kind"] == "Immich":
            wait()
        if manifest["kind"] == "Namespace":
            labels = manifest["metadata"].get("labels", {})
            instances.api.merge_patch("Namespace", instances.namespace, None, {"metadata": {"labels": labels}})
        elif "namespace" in manifest["metadata"]:
            metadata = {**manifest["metadata"], "namespace": instances.namespace}
            instances.api.create({**manifest, "metadata": metadata})
        else:
            instances.api.create(manifest)
    return case


def wait_told(instances: Instances, case: Case) -> None:
    """Until the conditions say what the verdict wants."""

    def told() -> bool:
        status = (instances.get("Immich", "photos") or {}).get("status") or {}
        conditions = status.get("conditions") or []
        return bool(conditions) and not list(untold(case.verdict["conditions"], conditions))

    instances.wait(f"the verdict of case {case.name}", told)


@pytest.mark.parametrize("name", ["03-privileged-gpu", "05-env-order", "07-quota-limits-cpu", "29-fsgroup"])
def test_an_api_server_and_its_quotas_accept_what_is_planned(instances, name):
    write(instances, name)

    instances.wait_ready()


def test_09_a_quota_is_told_as_a_quota(instances):
    case = write(instances, "09-storage-quota")

    wait_told(instances, case)

    assert "config/rbac" not in instances.condition("ServerReady")["message"]


def test_18_the_number_of_pods_is_left_to_an_autoscaler(instances):
    write(instances, "18-autoscaler")
    instances.wait_ready()

    def count() -> tuple[int, int]:
        """(wanted, ready)"""
        deployment = instances.get("Deployment", "photos-machine-learning")
        return deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)

    instances.cluster.kubectl(
        "scale", "deployment", "photos-machine-learning", "--replicas=3", f"--namespace={instances.namespace}"
    )
    instances.wait("three pods", lambda: count() == (3, 3))
    instances.change({"machineLearning": {"podAnnotations": {"a": "b"}}})
    instances.wait_settled()

    assert instances.wait_ready()["status"]["ready"]
    assert count() == (3, 3)


@pytest.fixture
def gone_afterwards(instances):
    """Names ("Kind", "name") of what is not in the namespace of the test, to be deleted at its end."""
    names: list[tuple[str, str]] = []
    yield names
    for kind, name in names:
        instances.api.delete(kind, name)


def test_11_what_a_policy_rewrites_is_told_and_written_once(instances, gone_afterwards):
    policy = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    gone_afterwards += [(policy, "autopilot-like"), (f"{policy}Binding", "autopilot-like")]
    probe = ("create", "deployment", "probe", "--image=x", "--dry-run=server", "--output=yaml")

    def in_force() -> bool:
        return "mirror.example.com" in instances.cluster.kubectl(*probe, f"--namespace={instances.namespace}")

    case = write(instances, "11-mutating-policy", lambda: instances.wait("the policy in force", in_force))
    wait_told(instances, case)
    instances.wait_settled()

    mark = instances.cluster.audit.mark()
    instances.change({"postgres": {"podAnnotations": {"a": "b"}}})
    instances.wait_settled()

    entries = instances.cluster.audit.since(mark, user_agent_contains="immich-operator", verbs=WRITES)
    written = {(entry.resource, entry.name) for entry in entries if entry.namespace == instances.namespace}
    assert ("statefulsets", "photos-postgres") in written
    assert "deployments" not in {resource for resource, _unused in written}
    assert not list(untold(case.verdict["conditions"], instances.get("Immich", "photos")["status"]["conditions"]))
    told = [message for _unused, reason, message in instances.events() if reason == "FieldRewritten"]
    assert len(told) == len(set(told))


def test_11_when_the_policy_is_gone_a_later_pass_writes_the_fields_and_tells_nothing_any_more(
    instances, gone_afterwards
):
    policy = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    gone_afterwards += [(policy, "autopilot-like"), (f"{policy}Binding", "autopilot-like")]
    place = f"--namespace={instances.namespace}"
    probe = ("create", "deployment", "probe", "--image=x", "--dry-run=server", "--output=yaml", place)

    def is_in_force() -> bool:
        return "mirror.example.com" in instances.cluster.kubectl(*probe)

    case = write(instances, "11-mutating-policy", lambda: instances.wait("the policy in force", is_in_force))
    wait_told(instances, case)
    instances.wait_settled()
    for kind, name in gone_afterwards:
        instances.api.delete(kind, name)
    instances.wait("the policy out of force", lambda: not is_in_force())

    for component in ("machine-learning", "valkey", "server"):
        written_an_hour_ago(instances, f"photos-{component}")

    instances.wait("no warning", lambda: instances.condition("Warning").get("status") == "False")
    [container] = instances.get("Deployment", "photos-valkey")["spec"]["template"]["spec"]["containers"]
    assert not container["image"].startswith("mirror.example.com/")
    assert "media.rm3l.org/rewritten" not in instances.get("Deployment", "photos-valkey")["metadata"]["annotations"]


def written_an_hour_ago(instances: Instances, deployment: str) -> None:
    """Put back the time at which the operator has last changed a Deployment, in the API server's record of it.

    It takes a second change, because the API server ignores one of such times alone.
    """
    entries = instances.get("Deployment", deployment)["metadata"]["managedFields"]
    [position] = [index for index, entry in enumerate(entries) if entry["manager"] == "immich-operator"]
    change = [
        {"op": "replace", "path": f"/metadata/managedFields/{position}/time", "value": "2026-01-01T00:00:00Z"},
        {"op": "add", "path": "/metadata/annotations/touched", "value": "by a test"},
    ]
    where = (f"--namespace={instances.namespace}", "--type=json", f"--patch={json.dumps(change)}")
    instances.cluster.kubectl("patch", "deployment", deployment, *where)


def test_17_the_path_of_a_challenge_stays_until_its_solver_takes_it_away(instances):
    write(instances, "17-cert-manager-edit-in-place")
    instances.wait_ready()

    def paths() -> list[str]:
        [rule] = instances.get("Ingress", "photos-server")["spec"]["rules"]
        return [path["path"] for path in rule["http"]["paths"]]

    def edit(*operations: dict[str, object]) -> None:
        """As cert-manager does, by JSON patch."""
        arguments = ("--type=json", "--field-manager=cert-manager", f"--patch={json.dumps(operations)}")
        namespace = f"--namespace={instances.namespace}"
        instances.cluster.kubectl("patch", "ingress", "photos-server", namespace, *arguments)

    backend = {"service": {"name": "cm-acme-http-solver-x", "port": {"number": 8089}}}
    challenge = {"path": CHALLENGE, "pathType": "ImplementationSpecific", "backend": backend}
    edit({"op": "add", "path": "/spec/rules/0/http/paths/-", "value": challenge})
    instances.wait_settled()
    assert paths() == ["/", CHALLENGE]

    instances.change({"server": {"ingress": {"annotations": {"a": "b"}}}})
    instances.wait_settled()
    assert paths() == ["/", CHALLENGE]
    assert instances.get("Ingress", "photos-server")["metadata"]["annotations"] == {
        **case_of("17-cert-manager-edit-in-place").immich["spec"]["server"]["ingress"]["annotations"],
        "a": "b",
    }

    edit({"op": "remove", "path": "/spec/rules/0/http/paths/1"})
    instances.wait_settled()
    assert paths() == ["/"]
