# SPDX-License-Identifier: Apache-2.0
"""The photo library: a claim of ours or of the user's, and the server pods that share it."""

from __future__ import annotations

from support.operating import pod_spec

PATH = "spec.immich.persistence.library"


def library(**settings):
    return {"immich": {"persistence": {"library": settings}}}


def mounted(instances):
    """The name of the claim that the server keeps photos on."""
    spec = pod_spec(instances.get("Deployment", "photos-server"))
    volume = next(volume for volume in spec["volumes"] if volume["name"] == "library")
    assert next(m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "library")["mountPath"] == "/data"
    return volume["persistentVolumeClaim"]["claimName"]


def strategy(instances):
    return instances.get("Deployment", "photos-server")["spec"]["strategy"]["type"]


def test_a_managed_library_is_made_as_asked_and_belongs_to_nobody(instances):
    instances.create(library(size="100Gi", storageClass="fixed-size", accessModes=["ReadWriteMany"]))

    instances.wait_ready()

    claim = instances.get("PersistentVolumeClaim", "photos-library")
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Gi"
    assert claim["spec"]["storageClassName"] == "fixed-size"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "ownerReferences" not in claim["metadata"]
    assert mounted(instances) == "photos-library"
    assert strategy(instances) == "RollingUpdate"


def test_an_empty_class_asks_for_a_volume_without_a_class(instances):
    instances.create(library(storageClass=""))

    claim = instances.wait("the claim", lambda: instances.get("PersistentVolumeClaim", "photos-library"))
    condition = instances.wait_condition("ServerReady", "VolumeNotBound")

    assert claim["spec"]["storageClassName"] == ""
    assert "PersistentVolumeClaim photos-library" in condition["message"]


def test_a_missing_claim_of_the_users_is_named_and_its_coming_heals(instances):
    instances.create(library(existingClaim="holiday-photos"))

    condition = instances.wait_condition("ServerReady", "ClaimNotFound")

    assert f"PersistentVolumeClaim holiday-photos named in {PATH}.existingClaim" in condition["message"]
    assert instances.get("PersistentVolumeClaim", "photos-library") is None
    assert instances.get("StatefulSet", "photos-postgres"), "the rest is looked after"

    instances.claim("holiday-photos")

    instances.wait_ready()
    assert mounted(instances) == "holiday-photos"


def test_the_server_follows_the_modes_of_the_claim_that_it_is_given(instances):
    instances.claim("shared", accessModes=["ReadWriteMany"])
    instances.claim("single")
    instances.create(library(existingClaim="shared"))
    instances.wait_ready()
    uid = instances.get("Deployment", "photos-server")["metadata"]["uid"]
    assert strategy(instances) == "RollingUpdate"

    instances.change(library(existingClaim="single"))
    instances.wait("the other claim", lambda: mounted(instances) == "single")
    instances.wait_ready()

    assert strategy(instances) == "Recreate"
    assert instances.get("Deployment", "photos-server")["metadata"]["uid"] == uid


def test_several_servers_on_a_volume_of_one_node_are_warned_of_not_refused(instances):
    instances.create({"server": {"replicas": 3}})
    instances.create({**library(accessModes=["ReadWriteMany"]), "server": {"replicas": 3}}, "shared")

    instances.wait_ready()
    instances.wait_ready("shared")

    warning = instances.condition("Warning")
    assert (warning["status"], warning["reason"]) == ("True", "VolumeNotShared")
    for words in (
        "Deployment photos-server has 3 replicas",
        "PersistentVolumeClaim photos-library",
        PATH,
        "ReadWriteMany",
    ):
        assert words in warning["message"]
    assert ("Warning", "VolumeNotShared", warning["message"]) in instances.events()
    assert len(instances.pods("server")) == 3
    assert instances.condition("Warning", "shared")["status"] == "False"
    assert len(instances.pods("server", "shared")) == 3
