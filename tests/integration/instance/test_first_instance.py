# SPDX-License-Identifier: Apache-2.0
"""A custom resource becomes a whole instance, stays one, and leaves its data behind."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import documents
from localcluster.testing import Cluster
from support.operating import ENGINE, ROOT, WRITES, Instances, Operator

FIXTURE = ROOT / "tests" / "fixtures" / "instance-made-by-the-go-operator-minimal.yaml"
KEPT = {
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
}
CUSTOM_EXAMPLE = {
    "immich": {"persistence": {"library": {"size": "100Gi"}}},
    "server": {
        "ingress": {
            "enabled": True,
            "ingressClassName": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
            "hosts": [{"host": "my-immich.example.com", "paths": [{"path": "/", "pathType": "Prefix"}]}],
        }
    },
}


def shape(manifest):
    """What another operator, a NetworkPolicy or a person relies on: labels, selectors, ports, the kind of owner."""
    metadata, spec = manifest["metadata"], manifest.get("spec", {})
    containers = spec.get("template", {}).get("spec", {}).get("containers", [])
    owners = metadata.get("ownerReferences", [])
    claims = spec.get("volumeClaimTemplates", [])
    return {
        "labels": metadata.get("labels"),
        "owners": [(owner["kind"], owner["name"], owner.get("controller")) for owner in owners],
        "selector": spec.get("selector"),
        "service ports": [(port["name"], port["port"], port["targetPort"]) for port in spec.get("ports", [])],
        "container ports": [(port["name"], port["containerPort"]) for c in containers for port in c.get("ports", [])],
        "claim templates": [(claim["metadata"]["name"], claim["metadata"]["labels"]) for claim in claims],
        "keys": sorted(manifest.get("data", {})),
    }


@pytest.mark.every_client
@pytest.mark.every_core
@pytest.mark.every_engine
def test_a_cr_without_spec_becomes_the_objects_that_the_go_operator_made(instances):
    expected = {
        (manifest["kind"], manifest["metadata"]["name"]): shape(manifest)
        for manifest in documents(FIXTURE.read_text(encoding="utf-8"))
        if manifest["kind"] != "Immich"
    }
    instances.create()

    instances.wait_ready()

    of_its_own = ("Secret", "photos-checksum-key")
    made = instances.owned()
    assert {key: shape(manifest) for key, manifest in made.items() if key != of_its_own} == expected
    assert of_its_own in made


def test_a_cr_without_spec_gets_ready_and_people_see_it(instances, cluster):
    instances.create()

    cluster.kubectl("wait", "--for=condition=Ready", "immich/photos", "-n", instances.namespace, "--timeout=60s")

    header, row = cluster.kubectl("get", "immich", "-n", instances.namespace).splitlines()
    assert header.split() == ["NAME", "READY", "VERSION", "URL", "AGE"]
    assert row.split()[:3] == ["photos", "true", "3.3.1"]
    status = instances.get("Immich", "photos")["status"]
    assert {key: status[key] for key in status if key.lower().endswith("ready")} == {
        "ready": True,
        "serverReady": True,
        "machineLearningReady": True,
        "valkeyReady": True,
        "postgresReady": True,
    }
    ready = instances.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("True", "AllComponentsReady")


def test_the_custom_example_has_its_library_its_ingress_and_its_url(instances):
    instances.create(CUSTOM_EXAMPLE)

    cr = instances.wait_ready()

    library = instances.get("PersistentVolumeClaim", "photos-library")
    assert library["spec"]["resources"]["requests"]["storage"] == "100Gi"
    ingress = instances.get("Ingress", "photos-server")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["my-immich.example.com"]
    instances.wait(
        "its URL, once the Ingress has an address",
        lambda: instances.get("Immich", cr["metadata"]["name"])["status"]["url"] == "http://my-immich.example.com",
    )


@pytest.mark.every_client
@pytest.mark.every_core
@pytest.mark.every_engine
def test_a_pass_over_an_unchanged_instance_writes_nothing(instances):
    instances.create()
    instances.wait_ready()

    entries = instances.requests_of_one_more_pass()

    assert [(entry.verb, entry.resource) for entry in entries if entry.verb in WRITES] == []
    assert 0 < len([entry for entry in entries if entry.verb in {"get", "list"}]) <= 12


def test_a_periodic_pass_over_an_unchanged_instance_is_not_run_at_all(instances, operator):
    cr = instances.cr()
    cr["metadata"]["annotations"] = {"ansible.sdk.operatorframework.io/reconcile-period": "300ms"}
    instances.api.create(cr)
    instances.wait_ready()
    instances.wait_settled()
    passes, skipped = (len(of("photos", instances.namespace)) for of in (operator.passes, operator.skipped))

    instances.wait("three periods", lambda: len(operator.skipped("photos", instances.namespace)) > skipped + 3)

    assert len(operator.passes("photos", instances.namespace)) == passes


@pytest.fixture(scope="module")
def disturbed(cluster: Cluster, operator: Operator) -> Iterator[Instances]:
    """One instance for all disturbances, because after each of them it is as it was."""
    with cluster.namespace("disturbed") as namespace:
        instances = Instances(cluster, namespace, operator)
        instances.create(CUSTOM_EXAMPLE)
        yield instances
        cluster.api.delete("Immich", "photos", namespace)


@pytest.fixture
def whole(disturbed: Instances) -> Instances:
    """The same one at rest."""
    disturbed.wait_ready()
    disturbed.wait_settled()
    return disturbed


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("Deployment", "photos-server", id="server"),
        pytest.param("Deployment", "photos-machine-learning", id="machine-learning"),
        pytest.param("Deployment", "photos-valkey", id="valkey"),
        pytest.param("StatefulSet", "photos-postgres", id="postgres"),
        pytest.param("Service", "photos-server", id="service"),
        pytest.param("ConfigMap", "photos-immich-config", id="config"),
        pytest.param("Ingress", "photos-server", id="ingress"),
    ],
)
def test_a_deleted_object_comes_back(whole, kind, name):
    uid = whole.get(kind, name)["metadata"]["uid"]

    whole.api.delete(kind, name, whole.namespace)

    whole.wait(
        f"{kind} {name} made anew",
        lambda: (whole.get(kind, name) or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid,
    )
    whole.wait_ready()


EDITS = [
    pytest.param("Deployment", "photos-server", {"spec": {"replicas": 4}}, id="replicas"),
    pytest.param(
        "Deployment",
        "photos-machine-learning",
        {"spec": {"template": {"spec": {"containers": [{"name": "machine-learning", "image": "other:1"}]}}}},
        id="containers",
    ),
    pytest.param(
        "Deployment", "photos-valkey", {"metadata": {"labels": {"app.kubernetes.io/part-of": "else"}}}, id="label"
    ),
    pytest.param("StatefulSet", "photos-postgres", {"spec": {"replicas": 0}}, id="database-replicas"),
    pytest.param("Service", "photos-server", {"spec": {"ports": [{"name": "http", "port": 80}]}}, id="port"),
    pytest.param("ConfigMap", "photos-immich-config", {"data": {"immich-config.yaml": "{}"}}, id="config"),
    pytest.param("Ingress", "photos-server", {"spec": {"ingressClassName": "other"}}, id="ingress-class"),
    pytest.param(
        "Ingress", "photos-server", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}, id="our-mark"
    ),
]


@pytest.mark.parametrize(("kind", "name", "edit"), EDITS)
def test_an_edit_of_what_the_operator_says_is_undone(whole, kind, name, edit):
    before = whole.get(kind, name)

    whole.api.merge_patch(kind, name, whole.namespace, copy.deepcopy(edit))

    def undone():
        now = whole.get(kind, name)
        return now["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"] and (
            (now.get("spec"), now.get("data"), now["metadata"]["labels"])
            == (before.get("spec"), before.get("data"), before["metadata"]["labels"])
        )

    whole.wait(f"the edit of {kind} {name} undone", undone)


@pytest.mark.every_client
@pytest.mark.every_core
@pytest.mark.every_engine
def test_deleting_the_cr_leaves_the_data_and_creating_it_again_finds_it(instances):
    instances.create()
    instances.wait_ready()
    password = instances.get("Secret", "photos-postgres-credentials")["data"]["password"]
    claims = {
        name: instances.get("PersistentVolumeClaim", name)["metadata"]["uid"] for kind, name in KEPT if kind != "Secret"
    }

    instances.api.delete("Immich", "photos", instances.namespace)
    instances.wait("only the data left", lambda: set(instances.owned()) == KEPT)
    instances.create()
    instances.wait_ready()

    assert instances.get("Secret", "photos-postgres-credentials")["data"]["password"] == password
    assert len(base64.b64decode(password)) == 32
    assert base64.b64decode(password).decode().isalnum()
    assert {name: instances.get("PersistentVolumeClaim", name)["metadata"]["uid"] for name in claims} == claims


def test_a_cr_that_cannot_work_says_why_and_holds_up_nobody(instances):
    instances.create(
        {"postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "nowhere", "key": "password"}}},
        "broken",
    )
    instances.create()

    condition = instances.wait_condition("Ready", "SecretNotFound", "broken")
    instances.wait_ready()

    assert condition["status"] == "False"
    assert "Secret nowhere" in condition["message"]
    assert "spec.postgres.passwordSecretRef" in condition["message"]
    assert instances.get("Deployment", "broken-valkey"), "the parts that can be there are"
    assert instances.get("Deployment", "broken-server") is None


def generations(pid):
    """How many processes there are one below the other, the first not counted; no play runs."""
    # by thread: a worker may have started a process
    below = [child for made in Path(f"/proc/{pid}/task").glob("*/children") for child in made.read_text().split()]
    return 1 + max(map(generations, below)) if below else 0


def test_the_fast_engine_has_loaded_the_role_before_the_next_pass(instances):
    instances.create()
    instances.wait_ready()

    # the zygote, and the process that waits before the first task; the other engine leaves nothing
    expected = 2 if ENGINE == "fork" else 0
    instances.wait("no play", lambda: generations(instances.operator.process.pid) == expected)
