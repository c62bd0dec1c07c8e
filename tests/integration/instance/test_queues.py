# SPDX-License-Identifier: Apache-2.0
"""Valkey: built-in with and without a volume, and external."""

from __future__ import annotations

import base64
import json

from support.operating import environment, pod_spec

CLAIM = "photos-valkey-data"
PASSWORD = "plain-text-in-the-cr"


def data_volume(instances):
    [volume] = pod_spec(instances.get("Deployment", "photos-valkey"))["volumes"]
    return {key: value for key, value in volume.items() if key != "name"}


def queue_variables(instances):
    server = environment(instances.get("Deployment", "photos-server"))
    return {name: server[name] for name in server if name.startswith("REDIS_")}


def test_built_in_valkey_keeps_its_data_when_asked_and_never_evicts(instances):
    instances.create({"valkey": {"persistence": {"size": "5Gi"}}})
    instances.wait_ready()

    container = pod_spec(instances.get("Deployment", "photos-valkey"))["containers"][0]
    assert data_volume(instances) == {"emptyDir": {}}
    assert instances.get("PersistentVolumeClaim", CLAIM) is None
    assert container["args"][:3] == ["valkey-server", "--maxmemory-policy", "noeviction"]
    assert "PONG" in container["readinessProbe"]["exec"]["command"][-1]
    assert queue_variables(instances) == {
        "REDIS_HOSTNAME": "photos-valkey",
        "REDIS_PORT": "6379",
        "REDIS_DBINDEX": "0",
    }

    instances.change({"valkey": {"persistence": {"enabled": True}}})
    instances.wait_ready()

    claim = instances.get("PersistentVolumeClaim", CLAIM)
    assert data_volume(instances) == {"persistentVolumeClaim": {"claimName": CLAIM}}
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert [owner["kind"] for owner in claim["metadata"]["ownerReferences"]] == ["Immich"]

    instances.change({"valkey": {"persistence": {"enabled": False}}})
    instances.wait_ready()

    assert data_volume(instances) == {"emptyDir": {}}
    assert instances.get("PersistentVolumeClaim", CLAIM)["metadata"]["uid"] == claim["metadata"]["uid"]

    instances.api.delete("Immich", "photos", instances.namespace)

    instances.wait(
        "the queues' volume gone with its owner", lambda: instances.get("PersistentVolumeClaim", CLAIM) is None
    )


def test_external_valkey_with_a_plain_password_keeps_it_out_of_pod_templates(instances):
    instances.create(
        {"valkey": {"enabled": False, "host": "redis.external", "port": 6380, "dbIndex": 3, "password": PASSWORD}}
    )

    instances.wait_ready()

    assert queue_variables(instances) == {
        "REDIS_HOSTNAME": "redis.external",
        "REDIS_PORT": "6380",
        "REDIS_DBINDEX": "3",
        "REDIS_PASSWORD": "photos-valkey-credentials/password",
    }
    secret = instances.get("Secret", "photos-valkey-credentials")
    assert base64.b64decode(secret["data"]["password"]).decode() == PASSWORD
    assert [owner["kind"] for owner in secret["metadata"]["ownerReferences"]] == ["Immich"]
    for kind in ("Deployment", "StatefulSet", "ReplicaSet", "Pod", "ConfigMap"):
        assert PASSWORD not in json.dumps(instances.api.list(kind, instances.namespace))
    assert instances.get("Deployment", "photos-valkey") is None
    assert instances.condition("ValkeyReady")["reason"] == "External"
    pods = instances.pod_uids()

    instances.change({"valkey": {"password": "another"}})

    instances.wait_rolled(pods, "server")


def test_external_valkey_with_a_secret_makes_none(instances):
    instances.secret("redis", password="secret")
    instances.create(
        {
            "valkey": {
                "enabled": False,
                "host": "redis.external",
                "passwordSecretRef": {"name": "redis", "key": "password"},
            }
        }
    )

    instances.wait_ready()

    assert queue_variables(instances)["REDIS_PASSWORD"] == "redis/password"
    assert instances.get("Secret", "photos-valkey-credentials") is None


def test_going_from_external_to_built_in_removes_the_password_of_ours(instances):
    instances.create({"valkey": {"enabled": False, "host": "redis.external", "password": PASSWORD}})
    instances.wait_ready()

    instances.change({"valkey": {"enabled": True, "host": None, "password": None}})
    instances.wait("the Secret gone", lambda: instances.get("Secret", "photos-valkey-credentials") is None)
    instances.wait_ready()

    assert queue_variables(instances)["REDIS_HOSTNAME"] == "photos-valkey"
    assert "REDIS_PASSWORD" not in queue_variables(instances)


def test_a_password_is_switched_on_and_off_without_a_server_that_is_refused(instances):
    def asks():
        return "REDISCLI_AUTH" in environment(instances.get("Deployment", "photos-valkey"))

    def sends():
        return "REDIS_PASSWORD" in queue_variables(instances)

    instances.create()
    instances.wait_ready()
    before = instances.templates()

    instances.change({"valkey": {"auth": {"enabled": True}}})
    instances.wait("Valkey asks for the password", asks)
    instances.wait_ready()

    assert sends()
    held = instances.get("Secret", "photos-valkey-credentials")
    [password] = [base64.b64decode(held["data"]["password"]).decode()]
    for kind in ("Deployment", "ReplicaSet", "Pod", "ConfigMap", "Event"):
        assert password not in json.dumps(instances.api.list(kind, instances.namespace))

    instances.change({"valkey": {"auth": {"enabled": False}}})
    instances.wait("Valkey no longer asks", lambda: not asks())
    assert sends()
    instances.wait("the server forgets the password", lambda: not sends())
    instances.wait("the Secret goes", lambda: instances.get("Secret", "photos-valkey-credentials") is None)
    instances.wait_ready()

    after = instances.templates()
    assert {name: after[name] - before[name] for name in ("photos-server", "photos-valkey")} == {
        "photos-server": 1,
        "photos-valkey": 1,
    }
