# SPDX-License-Identifier: Apache-2.0
"""What is switched off goes away; volumes and credentials never do by an edit."""

from __future__ import annotations

INGRESS = {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}
EVERYTHING = {"server": {"ingress": INGRESS}, "valkey": {"persistence": {"enabled": True}}}
DATA = {
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "photos-ml-cache"),
    ("PersistentVolumeClaim", "photos-valkey-data"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
}
OFF = {
    "server": {"enabled": False},
    "machineLearning": {"enabled": False},
    "valkey": {"enabled": False, "host": "redis.external"},
    "postgres": {"enabled": False, "host": "db.external", "passwordSecretRef": {"name": "db", "key": "password"}},
}
ON = {
    "server": {"enabled": True},
    "machineLearning": {"enabled": True},
    "valkey": {"enabled": True, "host": None},
    "postgres": {"enabled": True, "host": None, "passwordSecretRef": None},
}


def uids(instances, keys):
    return {key: instances.get(*key)["metadata"]["uid"] for key in keys}


def test_everything_can_be_switched_off_and_on_again_without_losing_data(instances):
    instances.secret("db", password="x")
    instances.create(EVERYTHING)
    instances.wait_ready()
    data = uids(instances, DATA)
    all_objects = set(instances.owned())

    instances.change(OFF)
    instances.wait(
        "only data, the key of the checksums and the configuration left",
        lambda: (
            set(instances.owned()) <= {*DATA, ("Secret", "photos-checksum-key"), ("ConfigMap", "photos-immich-config")}
        ),
    )
    cr = instances.wait_ready()

    assert uids(instances, DATA) == data
    assert not [pod for pods in instances.pod_uids().values() for pod in pods]
    reasons = {
        kind: instances.condition(f"{kind}Ready")["reason"]
        for kind in ("Server", "MachineLearning", "Valkey", "Postgres")
    }
    assert reasons == {
        "Server": "Disabled",
        "MachineLearning": "Disabled",
        "Valkey": "External",
        "Postgres": "External",
    }
    assert cr["status"]["url"] == ""

    instances.change(ON)
    instances.wait_ready()

    assert set(instances.owned()) == all_objects
    assert uids(instances, DATA) == data


def test_switching_one_component_off_leaves_the_others_running(instances):
    instances.create(EVERYTHING)
    instances.wait_ready()
    before = instances.pod_uids()
    gone = {("Deployment", "photos-machine-learning"), ("Service", "photos-machine-learning")}
    expected = set(instances.owned()) - gone

    instances.change({"machineLearning": {"enabled": False}})
    instances.wait_ready()

    assert set(instances.owned()) == expected
    after = instances.pod_uids()
    assert after["machine-learning"] == set()
    assert (after["valkey"], after["postgres"]) == (before["valkey"], before["postgres"])


def test_an_object_of_somebody_else_with_our_name_is_left_alone(instances):
    labels = {"app.kubernetes.io/instance": "photos"}
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "photos-immich-config", "namespace": instances.namespace, "labels": labels},
        "data": {"mine": "yes"},
    }
    instances.api.create(theirs)
    instances.create({"immich": {"configurationKind": "None"}, "server": {"ingress": {**INGRESS, "enabled": False}}})

    instances.wait_ready()

    assert instances.get("ConfigMap", "photos-immich-config")["data"] == {"mine": "yes"}


def test_deleting_the_cr_takes_the_volumes_that_hold_nothing_of_value(instances):
    instances.create(EVERYTHING)
    instances.wait_ready()

    instances.api.delete("Immich", "photos", instances.namespace)

    kept = DATA - {("PersistentVolumeClaim", "photos-ml-cache"), ("PersistentVolumeClaim", "photos-valkey-data")}
    instances.wait("only the data left", lambda: set(instances.owned()) == kept)


def test_an_object_of_another_kind_is_left_although_its_name_and_its_labels_are_those_of_one_that_is_not_needed(
    instances,
):
    """As a role of a second custom resource called photos could make it, without an owner."""
    labels = {
        "app.kubernetes.io/name": "immich",
        "app.kubernetes.io/instance": "photos",
        "app.kubernetes.io/component": "valkey",
        "app.kubernetes.io/managed-by": "immich-operator",
        "app.kubernetes.io/part-of": "immich",
    }
    name = "photos-valkey-credentials"
    metadata = {"name": name, "namespace": instances.namespace, "labels": labels}
    instances.cluster.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})

    instances.create({"valkey": {"persistence": {"enabled": True}}})
    instances.wait_ready()

    told = instances.wait_condition("Warning", "NotOwned")
    assert f"kubectl delete secret --namespace {instances.namespace} {name}" in told["message"]
    assert instances.get("Secret", name)

    instances.cluster.api.delete("Secret", name, instances.namespace)
    instances.wait_condition("Warning", "NoWarnings")


def test_what_a_deleted_resource_has_left_behind_is_owned_by_the_next_one_which_can_then_remove_it(instances):
    learning = {("Deployment", "photos-machine-learning"), ("Service", "photos-machine-learning")}
    instances.create()
    instances.wait_ready()
    before = uids(instances, learning)
    instances.cluster.kubectl("delete", "immich", "photos", "--cascade=orphan", "-n", instances.namespace)
    assert not [owner for key in learning for owner in instances.get(*key)["metadata"].get("ownerReferences", ())]

    uid = instances.create()["metadata"]["uid"]
    instances.wait_ready()

    assert uids(instances, learning) == before, "nothing was made anew"
    assert {owner["uid"] for key in learning for owner in instances.get(*key)["metadata"]["ownerReferences"]} == {uid}

    instances.change({"machineLearning": {"enabled": False}})
    instances.wait("machine learning is gone", lambda: not learning & set(instances.owned()))
