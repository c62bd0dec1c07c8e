# SPDX-License-Identifier: Apache-2.0
"""What a person reads in the status and in the Events when something is wrong, and that it heals by itself."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason

BOOLEANS = ("ready", "serverReady", "machineLearningReady", "valkeyReady", "postgresReady")
CONDITIONS = [
    "Ready", "Progressing", "Degraded", "Warning", "Reconciling", "Stalled",
    "ServerReady", "MachineLearningReady", "ValkeyReady", "PostgresReady",
]  # fmt: skip


def status(instances):
    return (instances.get("Immich", "photos") or {}).get("status") or {}


def booleans(instances):
    return {name: status(instances).get(name) for name in BOOLEANS}


def test_a_new_instance_is_not_taken_for_one_that_is_done_before_its_first_pass_has_ended(instances, cluster):
    made = instances.create()
    since = made["metadata"]["resourceVersion"]
    told = (
        found["status"]
        for _kind, found in cluster.api.watch("Immich", instances.namespace, since=since, timeout=60)
        if found.get("status")
    )

    first, second = next(told), next(told)

    assert {entry["type"]: entry["status"] for entry in first["conditions"]} == {"Ready": "Unknown"}
    assert "observedGeneration" not in first
    kept = {entry["type"]: entry["status"] for entry in second["conditions"]}
    assert (kept["Ready"], kept["Reconciling"], kept["Stalled"]) == ("False", "True", "False")
    assert second["observedGeneration"] == 1


def test_failing_pods_are_told_apart_and_explained(instances):
    instances.create(
        {
            "server": {"image": "broken:crash-loop"},
            "machineLearning": {"image": "broken:pull-error"},
            "valkey": {"image": "broken:oom-killed"},
            "postgres": {"image": "broken:never-ready"},
        }
    )

    server = instances.wait_condition("ServerReady", "CrashLooping")
    machine_learning = instances.wait_condition("MachineLearningReady", "ImagePullFailed")
    valkey = instances.wait_condition("ValkeyReady", "CrashLooping")
    postgres = instances.wait_condition("PostgresReady", "WaitingForRollout")

    assert "Deployment photos-server: container server keeps exiting with code 1 (Error)" in server["message"]
    assert f"kubectl logs -n {instances.namespace} deployment/photos-server -c server --previous" in server["message"]
    assert "image broken:pull-error from spec.machineLearning.image can't be pulled" in machine_learning["message"]
    assert "code 137 (OOMKilled: it needs a higher memory limit" in valkey["message"]
    assert "StatefulSet photos-postgres: 0 of 1 pods are available" in postgres["message"]
    assert booleans(instances) == dict.fromkeys(BOOLEANS, False)
    assert status(instances)["url"] == ""
    assert [entry["type"] for entry in status(instances)["conditions"]] == CONDITIONS
    assert instances.condition("Degraded")["status"] == "True"
    ready = instances.condition("Ready")
    for component in ("server: ", "machine-learning: ", "valkey: ", "postgres: "):
        assert component in ready["message"]
    assert {entry["reason"] for entry in status(instances)["conditions"]} <= {str(reason) for reason in Reason}

    good = {"image": "fine:1"}
    instances.change(dict.fromkeys(("server", "machineLearning", "valkey", "postgres"), good))

    instances.wait_ready()
    assert booleans(instances) == dict.fromkeys(BOOLEANS, True)
    assert instances.condition("Degraded")["status"] == "False"


def test_a_container_or_init_container_that_does_not_start_is_named(instances):
    instances.create({"server": {"image": "broken:init-crash"}, "valkey": {"image": "broken:never-ready"}})
    pod = instances.wait("the pod of Valkey", lambda: (instances.pods("valkey") or [None])[0])
    instances.wait(
        "its container runs", lambda: (instances.pods("valkey")[0].get("status") or {}).get("containerStatuses")
    )

    server = instances.wait_condition("ServerReady", "CrashLooping")
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "nowhere" not found'}
    container = {
        "name": "valkey",
        "image": "broken:never-ready",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": waiting},
    }
    failing = {"status": {"containerStatuses": [container]}}
    instances.api.merge_patch("Pod", pod["metadata"]["name"], instances.namespace, failing, subresource="status")
    valkey = instances.wait_condition("ValkeyReady", "ContainerNotStarted")

    assert (
        "container look-at-library, which the operator runs first with the image and security context of spec.server"
        in (server["message"])
    )
    assert 'container valkey can\'t be started: secret "nowhere" not found' in valkey["message"]


def test_a_pod_that_no_node_takes_and_a_volume_that_nobody_provides_are_reported(instances):
    instances.create(
        {
            "server": {"nodeSelector": {"disk": "of-gold"}},
            "machineLearning": {"persistence": {"storageClass": ""}},
        }
    )

    server = instances.wait_condition("ServerReady", "PodUnschedulable")
    machine_learning = instances.wait_condition("MachineLearningReady", "VolumeNotBound")

    assert "Deployment photos-server: no node accepts its pod: 0/1 nodes are available" in server["message"]
    assert "PersistentVolumeClaim photos-ml-cache is waiting for a volume" in machine_learning["message"]
    assert "it names no StorageClass" in machine_learning["message"]


@pytest.mark.every_core
def test_pods_that_the_api_server_refuses_are_reported(instances):
    enforced = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    instances.api.merge_patch("Namespace", instances.namespace, None, enforced)
    instances.create()

    condition = instances.wait_condition("ServerReady", "PodRefused")

    assert "the API server refuses its pods" in condition["message"]
    assert "runAsNonRoot" in condition["message"]


def test_a_pod_of_a_stateful_set_that_a_quota_refuses_is_reported_and_heals(instances):
    quota = {"metadata": {"name": "none", "namespace": instances.namespace}, "spec": {"hard": {"pods": "0"}}}
    instances.api.create({"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    instances.create()

    condition = instances.wait_condition("PostgresReady", "PodRefused")

    assert "StatefulSet photos-postgres: the API server refuses its pods: " in condition["message"]
    assert "exceeded quota: none" in condition["message"]

    instances.api.delete("ResourceQuota", "none", instances.namespace)

    instances.wait_ready()


def test_a_missing_storage_class_is_named_and_its_coming_heals(instances, cluster):
    name = f"late-{instances.namespace}"
    instances.create({"machineLearning": {"persistence": {"storageClass": name}}})

    condition = instances.wait_condition("MachineLearningReady", "StorageClassNotFound")

    assert (
        f"StorageClass {name} named in spec.machineLearning.persistence.storageClass does not exist"
        in condition["message"]
    )
    instances.wait("the others are ready", lambda: status(instances).get("serverReady"))

    standard = cluster.api.get("StorageClass", "standard")
    kept = {key: standard[key] for key in standard if key != "metadata"}
    cluster.api.create({**kept, "metadata": {"name": name}})
    try:
        instances.wait_ready()
    finally:
        cluster.api.delete("StorageClass", name)


def test_missing_secrets_and_config_maps_of_variables_are_named_and_their_coming_heals(instances):
    instances.create(
        {
            "server": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "a"}}}]},
            "machineLearning": {
                "envFrom": [{"configMapRef": {"name": "absent"}}, {"secretRef": {"name": "optional", "optional": True}}]
            },
        }
    )

    degraded = instances.wait_condition("Degraded", "SecretNotFound")

    assert "Secret absent named in spec.server.env does not exist" in degraded["message"]
    assert "ConfigMap absent named in spec.machineLearning.envFrom does not exist" in degraded["message"]
    assert "optional" not in degraded["message"]

    instances.secret("absent", a="x")
    instances.wait_condition("Degraded", "ConfigMapNotFound")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "absent", "namespace": instances.namespace},
    }
    instances.api.create(config_map)
    instances.wait_condition("Degraded", "AsExpected")


@pytest.mark.every_core
def test_a_missing_database_secret_holds_back_what_needs_it_and_nothing_else(instances):
    instances.create({"postgres": {"passwordSecretRef": {"name": "absent", "key": "pw"}}})

    postgres = instances.wait_condition("PostgresReady", "SecretNotFound")
    instances.wait(
        "the others are ready", lambda: status(instances)["valkeyReady"] and status(instances)["machineLearningReady"]
    )

    assert "Secret absent named in spec.postgres.passwordSecretRef" in postgres["message"]
    assert instances.condition("ServerReady")["reason"] == "Blocked"
    assert instances.condition("ServerReady")["message"] == "server waits for postgres"

    instances.secret("absent", other="x")
    assert "has no key pw" in instances.wait_condition("PostgresReady", "SecretKeyNotFound")["message"]

    instances.secret("absent", pw="x")
    instances.wait_ready()


def test_old_pods_do_not_count_for_a_new_version(instances):
    instances.create(
        {"server": {"replicas": 2}, "immich": {"persistence": {"library": {"accessModes": ["ReadWriteMany"]}}}}
    )
    generation = instances.wait_ready()["metadata"]["generation"]

    instances.change({"server": {"image": "broken:never-ready"}})
    condition = instances.wait_condition("ServerReady", "WaitingForRollout")

    assert status(instances)["observedGeneration"] == generation + 1
    assert {entry["observedGeneration"] for entry in status(instances)["conditions"]} == {generation + 1}
    assert "1 of 2 pods are up to date" in instances.wait(
        "the first new pod", lambda: (c := instances.condition("ServerReady")["message"]) and "1 of 2" in c and c
    )
    assert instances.get("Deployment", "photos-server")["status"]["availableReplicas"] == 2, "old pods still serve"
    assert booleans(instances) == {**dict.fromkeys(BOOLEANS, True), "ready": False, "serverReady": False}
    assert instances.condition("Progressing")["status"] == "True"
    assert condition["status"] == "False"


def test_no_replicas_as_asked_is_ready(instances):
    instances.create({"server": {"replicas": 0}, "machineLearning": {"replicas": 0}})

    instances.wait_ready()

    assert booleans(instances) == dict.fromkeys(BOOLEANS, True)
    assert instances.condition("ServerReady")["reason"] == "ScaledToZero"
    assert instances.pods("server") == []


def test_events_report_transitions_and_a_state_that_persists_is_silent(instances, operator):
    ready = ("Normal", "AllComponentsReady")

    def told():
        return [(kind, reason) for kind, reason, _ in instances.events()]

    instances.create()
    instances.wait_ready()
    instances.wait("an Event of getting ready", lambda: told() == [ready])

    instances.change({"server": {"image": "broken:crash-loop"}})
    since = instances.wait_condition("ServerReady", "CrashLooping")["lastTransitionTime"]
    passes = len(operator.passes("photos", instances.namespace))
    # the simulated container restarts every three seconds, which the operator sees
    instances.wait("three more passes", lambda: len(operator.passes("photos", instances.namespace)) >= passes + 3)
    assert ("Warning", "CrashLooping") in told()
    assert len(told()) == len(set(told()))
    assert instances.condition("ServerReady")["lastTransitionTime"] == since

    instances.change({"server": {"image": "fine:1"}})
    instances.wait_ready()
    instances.wait("an Event of getting ready again", lambda: told().count(ready) == 2)


def test_kubectl_shows_readiness_and_why_not(instances, cluster):
    instances.create({"server": {"image": "broken:crash-loop"}})
    instances.wait_condition("Ready", "CrashLooping")

    header, row = cluster.kubectl("get", "immich", "-o", "wide", "-n", instances.namespace).splitlines()

    assert row.split()[:2] == ["photos", "false"]
    assert "CrashLooping" in row
    assert {"READY", "VERSION", "URL", "REASON", "IMAGE", "AGE"} <= set(header.split())


@pytest.mark.parametrize("key", ["__ansible_unsafe", "__ansible_vault"])
@pytest.mark.every_core
def test_a_key_that_means_something_to_ansible_is_a_setting_that_immich_does_not_know(instances, key):
    instances.create({"immich": {"configuration": {key: "{{ lookup('pipe', 'id') }}"}}})

    warning = instances.wait_condition("Warning", "UnknownSetting")

    assert key in warning["message"]
    instances.wait_ready()
    assert instances.configuration()[key] == "{{ lookup('pipe', 'id') }}", "text stays text"


LONG = "é" * 200
MUCH = {
    "unknown-settings": (
        "Warning",
        "UnknownSetting",
        {"immich": {"configuration": {f"{LONG}{n}": 1 for n in range(400)}}},
    ),
    "a-long-setting": (
        "ServerReady",
        "InvalidSetting",
        {"immich": {"configuration": {"logging": {"level": LONG * 200}}}},
    ),
    "missing-secrets": (
        "ServerReady",
        "SecretNotFound",
        {
            "server": {
                "envFrom": [{"secretRef": {"name": f"{'s' * 240}{n}"}} for n in range(100)],
                "env": [
                    {"name": f"X_{n}", "valueFrom": {"secretKeyRef": {"name": f"{'v' * 240}{n}", "key": "k" * 250}}}
                    for n in range(400)
                ],
            }
        },
    ),
    "missing-pull-secrets": (
        "Warning",
        "SecretNotFound",
        {"imagePullSecrets": [{"name": f"{'p' * 240}{n}"} for n in range(300)]},
    ),
}


@pytest.mark.parametrize("much", MUCH)
def test_an_instance_with_very_much_wrong_has_a_status_and_events_all_the_same(instances, much):
    kind, reason, spec = MUCH[much]

    instances.create(spec)
    told = instances.wait_condition(kind, reason)
    instances.wait_settled()

    assert status(instances)["observedGeneration"] == 1
    assert len(told["message"].encode()) <= 4000
    passes = instances.operator.passes("photos", instances.namespace)
    assert passes
    assert not [
        line for line in instances.operator.lines() if "Event" in str(line.get("error")) and "photos" in str(line)
    ]
    events = [e for e in instances.api.list("Event", instances.namespace) if e["involvedObject"]["kind"] == "Immich"]
    assert events
    assert all(len(event["message"].encode()) <= 1024 for event in events)
