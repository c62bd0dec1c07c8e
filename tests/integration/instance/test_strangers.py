# SPDX-License-Identifier: Apache-2.0
"""Objects that somebody else has made under the names that an instance uses: none is taken over, and the status says whose."""

from __future__ import annotations

import base64
import shlex

import pytest

from support.operating import pod_spec

MANAGED_BY, INSTANCE = "app.kubernetes.io/managed-by", "app.kubernetes.io/instance"
HELM = {MANAGED_BY: "Helm", INSTANCE: "photos", "helm.sh/chart": "immich-0.10.0"}
LIBRARY, DATABASE, CREDENTIALS = "photos-library", "data-photos-postgres-0", "photos-postgres-credentials"
KEPT_BY_US = "argocd.argoproj.io/sync-options"

POD = {"metadata": {"labels": {"app": "theirs"}}, "spec": {"containers": [{"name": "c", "image": "theirs:1"}]}}
WORKLOAD = {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}}, "template": POD}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
SECRET = {"data": {"theirs": base64.b64encode(b"x").decode()}}
PATHS = [{"path": "/theirs", "pathType": "Prefix", "backend": {"service": {"name": "theirs", "port": {"number": 80}}}}]
INGRESS = {"rules": [{"host": "theirs.example.com", "http": {"paths": PATHS}}]}

EVERYTHING = {
    "server": {"ingress": {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}},
    "valkey": {"persistence": {"enabled": True}},
}
WITH_PASSWORDS = {
    "valkey": {"enabled": False, "host": "redis.example.com", "password": "plain"},
    "immich": {"configuration": {"oauth": {"clientSecretRef": {"name": "login", "key": "s"}}}},
}

TAKEN = [
    pytest.param("apps/v1", "Deployment", "photos-server", {"spec": WORKLOAD}, "ServerReady", {}, id="server"),
    pytest.param(
        "apps/v1", "Deployment", "photos-machine-learning", {"spec": WORKLOAD}, "MachineLearningReady", {}, id="learning"
    ),
    pytest.param("apps/v1", "Deployment", "photos-valkey", {"spec": WORKLOAD}, "ValkeyReady", {}, id="valkey"),
    pytest.param(
        "apps/v1", "StatefulSet", "photos-postgres", {"spec": {**WORKLOAD, "serviceName": "theirs"}}, "PostgresReady", {},
        id="database",
    ),
    pytest.param(
        "v1", "Service", "photos-server", {"spec": {"ports": [{"port": 80}]}}, "ServerReady", {}, id="service"
    ),
    pytest.param("v1", "ConfigMap", "photos-immich-config", {"data": {"theirs": "x"}}, "ServerReady", {}, id="settings"),
    pytest.param("v1", "Secret", "photos-immich-config", SECRET, "ServerReady", WITH_PASSWORDS, id="secret-settings"),
    pytest.param("v1", "Secret", "photos-valkey-credentials", SECRET, "ServerReady", WITH_PASSWORDS, id="password"),
    pytest.param(
        "v1", "PersistentVolumeClaim", "photos-ml-cache", {"spec": CLAIM}, "MachineLearningReady", {}, id="models"
    ),
    pytest.param("v1", "PersistentVolumeClaim", "photos-valkey-data", {"spec": CLAIM}, "ValkeyReady", {}, id="queues"),
    pytest.param("networking.k8s.io/v1", "Ingress", "photos-server", {"spec": INGRESS}, "ServerReady", {}, id="ingress"),
]  # fmt: skip


def stored(manifest):
    """What a pass could have changed."""
    metadata = {key: manifest["metadata"].get(key) for key in ("uid", "labels", "annotations", "ownerReferences")}
    metadata["annotations"] = {
        key: value for key, value in (metadata["annotations"] or {}).items() if ".kubernetes.io/" not in key
    }
    spec = {key: value for key, value in manifest.get("spec", {}).items() if key != "volumeName"}
    return {"metadata": metadata, "spec": spec, "data": manifest.get("data")}


def make(instances, api_version, kind, name, content, **metadata):
    metadata = {"name": name, "namespace": instances.namespace, "labels": HELM, **metadata}
    return instances.api.create({"apiVersion": api_version, "kind": kind, "metadata": metadata, **content})


@pytest.mark.parametrize(("api_version", "kind", "name", "content", "condition", "spec"), TAKEN)
def test_no_object_of_somebody_else_is_changed_and_the_status_names_its_owner(
    instances, api_version, kind, name, content, condition, spec
):
    instances.secret("login", s="oidc")
    before = make(instances, api_version, kind, name, content)

    instances.create({**EVERYTHING, **spec})

    told = instances.wait_condition(condition, "ApplyFailed")["message"]
    assert f"{kind} {instances.namespace}/{name} already exists and was created by somebody else" in told
    assert f"its label {MANAGED_BY} is Helm" in told
    assert f"kubectl label {kind.lower()} {name} --namespace {instances.namespace} --overwrite" in told
    assert stored(instances.get(kind, name)) == stored(before)
    assert not instances.condition("Ready") or instances.condition("Ready")["status"] == "False"


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        pytest.param("Service", "photos-postgres", {"spec": {"ports": [{"port": 5432}]}}, id="database"),
        pytest.param("Service", "photos-valkey", {"spec": {"ports": [{"port": 6379}]}}, id="queues"),
        pytest.param("ConfigMap", "photos-immich-config", {"data": {"immich-config.yaml": "x: 1"}}, id="settings"),
    ],
)
def test_no_server_is_started_with_what_somebody_else_has_put_where_it_looks(instances, kind, name, content):
    make(instances, "v1", "Secret", CREDENTIALS, {"data": {"password": base64.b64encode(b"theirs").decode()}})
    make(instances, "v1", kind, name, content)

    instances.create()

    told = instances.wait_condition("ServerReady", "ApplyFailed")["message"]
    assert f"Deployment {instances.namespace}/photos-server: left as it is, because {kind}" in told
    assert instances.get("Deployment", "photos-server") is None

    instances.api.delete(kind, name, instances.namespace)

    instances.wait_ready()


def test_a_server_that_runs_is_not_changed_while_somebody_else_has_the_address_of_its_database(instances):
    instances.create()
    instances.wait_ready()
    pods, before = instances.pod_uids(), instances.get("Deployment", "photos-server")["spec"]["template"]
    theirs = {"metadata": {"labels": HELM, "ownerReferences": None}}

    instances.api.merge_patch("Service", "photos-postgres", instances.namespace, theirs)
    instances.change({"server": {"env": [{"name": "A", "value": "b"}]}})

    told = instances.wait_condition("ServerReady", "ApplyFailed")["message"]
    assert f"Deployment {instances.namespace}/photos-server: left as it is, because Service" in told
    assert instances.get("Deployment", "photos-server")["spec"]["template"] == before
    assert instances.pod_uids() == pods


def test_what_was_handed_over_by_the_command_in_the_status_is_taken_over(instances):
    make(instances, "v1", "ConfigMap", "photos-immich-config", {"data": {"theirs": "x"}})
    instances.create()
    told = instances.wait_condition("ServerReady", "ApplyFailed")["message"]
    command = told.split("run `")[1].split("`")[0]

    instances.cluster.kubectl(*shlex.split(command)[1:])

    instances.wait_ready()
    live = instances.get("ConfigMap", "photos-immich-config")
    assert live["metadata"]["labels"][MANAGED_BY] == "immich-operator"
    assert "immich-config.yaml" in live["data"]


def test_no_server_is_started_with_the_library_of_a_helm_release_until_it_is_handed_over(instances):
    before = make(instances, "v1", "PersistentVolumeClaim", LIBRARY, {"spec": CLAIM})

    instances.create({"immich": {"persistence": {"library": {"size": "50Gi"}}}})

    told = instances.wait_condition("ServerReady", "NotAdopted")["message"]
    assert f"PersistentVolumeClaim {LIBRARY} is somebody else's (its label {MANAGED_BY} is Helm)" in told
    assert instances.get("Deployment", "photos-server") is None
    assert stored(instances.get("PersistentVolumeClaim", LIBRARY)) == stored(before)

    command = told.split("run `")[1].split("`")[0]
    instances.cluster.kubectl(*shlex.split(command)[1:])

    instances.wait_ready()
    assert size(instances, LIBRARY) == "50Gi"


def test_a_library_that_somebody_marks_is_used_on_and_not_grown(instances):
    instances.create()
    instances.wait_ready()
    theirs = {"metadata": {"labels": HELM, "annotations": {KEPT_BY_US: None}}}
    before = instances.api.merge_patch("PersistentVolumeClaim", LIBRARY, instances.namespace, theirs)

    instances.change({"immich": {"persistence": {"library": {"size": "50Gi"}}}})

    warning = instances.wait_condition("Warning", "NotAdopted")["message"]
    assert f"PersistentVolumeClaim {LIBRARY} is somebody else's (its label {MANAGED_BY} is Helm)" in warning
    now = instances.get("PersistentVolumeClaim", LIBRARY)
    assert now["metadata"]["labels"] == before["metadata"]["labels"]
    assert now["spec"]["resources"] == before["spec"]["resources"]
    assert KEPT_BY_US not in now["metadata"]["annotations"]
    volumes = pod_spec(instances.get("Deployment", "photos-server"))["volumes"]
    assert {"name": "library", "persistentVolumeClaim": {"claimName": LIBRARY}} in volumes
    instances.wait_ready()
    pods = instances.pod_uids()

    command = warning.split("run `")[1].split("`")[0]
    instances.cluster.kubectl(*shlex.split(command)[1:])

    instances.wait("grown", lambda: size(instances, LIBRARY) == "50Gi")
    instances.wait_condition("Warning", "NoWarnings")
    assert KEPT_BY_US in instances.get("PersistentVolumeClaim", LIBRARY)["metadata"]["annotations"]
    assert instances.pod_uids() == pods, "pods were replaced"


def test_a_claim_that_is_named_needs_no_warning(instances):
    make(instances, "v1", "PersistentVolumeClaim", LIBRARY, {"spec": CLAIM})

    instances.create({"immich": {"persistence": {"library": {"existingClaim": LIBRARY}}}})

    instances.wait_ready()
    assert instances.condition("Warning")["reason"] == "NoWarnings"
    assert instances.get("PersistentVolumeClaim", LIBRARY)["metadata"]["labels"] == HELM


def test_no_database_is_started_on_a_claim_of_somebody_else_until_it_is_named(instances):
    instances.secret("db", password="known")
    reference = {"passwordSecretRef": {"name": "db", "key": "password"}}
    before = make(instances, "v1", "PersistentVolumeClaim", DATABASE, {"spec": CLAIM})

    instances.create({"postgres": reference})

    told = instances.wait_condition("PostgresReady", "NotAdopted")["message"]
    assert f"set spec.postgres.persistence.existingClaim to {DATABASE}" in told
    assert instances.get("StatefulSet", "photos-postgres") is None
    assert instances.get("Deployment", "photos-server") is None
    assert stored(instances.get("PersistentVolumeClaim", DATABASE)) == stored(before)

    instances.change({"postgres": {"persistence": {"existingClaim": DATABASE}}})

    instances.wait_ready()


def test_a_database_that_runs_is_left_running_when_somebody_marks_its_claim(instances):
    instances.create()
    instances.wait_ready()
    pods = instances.pod_uids()

    instances.api.merge_patch("PersistentVolumeClaim", DATABASE, instances.namespace, {"metadata": {"labels": HELM}})
    instances.change({"postgres": {"persistence": {"size": "50Gi"}}})

    instances.wait_condition("Warning", "NotAdopted")
    instances.wait_ready()
    assert size(instances, DATABASE) == "10Gi"
    assert instances.pod_uids() == pods


def test_the_password_of_somebody_elses_secret_is_used_and_the_secret_never_written(instances):
    content = {"data": {"password": base64.b64encode(b"theirs").decode()}}
    before = make(instances, "v1", "Secret", CREDENTIALS, content)

    instances.create()

    instances.wait_ready()
    assert CREDENTIALS in instances.wait_condition("Warning", "NotAdopted")["message"]
    assert instances.get("Secret", CREDENTIALS)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_our_labels_on_what_another_controller_keeps_are_not_believed(instances):
    other = instances.api.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": instances.namespace}}
    )
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "theirs",
        "uid": other["metadata"]["uid"],
        "controller": True,
    }
    ours = {
        **HELM,
        MANAGED_BY: "immich-operator",
        "app.kubernetes.io/name": "immich",
        "app.kubernetes.io/component": "config",
    }
    ours["app.kubernetes.io/part-of"] = "immich"
    config = make(
        instances,
        "v1",
        "ConfigMap",
        "photos-immich-config",
        {"data": {"theirs": "x"}},
        labels=ours,
        ownerReferences=[owner],
    )
    library = make(
        instances, "v1", "PersistentVolumeClaim", LIBRARY, {"spec": CLAIM}, labels=ours, ownerReferences=[owner]
    )

    instances.create({"immich": {"persistence": {"library": {"size": "50Gi"}}}})

    told = instances.wait_condition("ServerReady", "NotAdopted")["message"]
    assert f"PersistentVolumeClaim {LIBRARY} is somebody else's (ConfigMap theirs controls it)" in told
    assert f"ConfigMap {instances.namespace}/photos-immich-config already" in instances.condition("Degraded")["message"]
    assert stored(instances.get("ConfigMap", "photos-immich-config")) == stored(config)
    assert stored(instances.get("PersistentVolumeClaim", LIBRARY)) == stored(library)


def size(instances, claim):
    return instances.get("PersistentVolumeClaim", claim)["spec"]["resources"]["requests"]["storage"]
