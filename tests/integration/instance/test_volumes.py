# SPDX-License-Identifier: Apache-2.0
"""Volumes grow when asked, never shrink, and stay what they are otherwise."""

from __future__ import annotations

from functools import partial

import pytest

from localcluster.errors import ApiError
from support.operating import pod_spec

CLAIMS = {
    "photos-library": lambda size: {"immich": {"persistence": {"library": {"size": size}}}},
    "photos-ml-cache": lambda size: {"machineLearning": {"persistence": {"size": size}}},
    "photos-valkey-data": lambda size: {"valkey": {"persistence": {"enabled": True, "size": size}}},
    "data-photos-postgres-0": lambda size: {"postgres": {"persistence": {"size": size}}},
}


def library(**settings):
    return {"immich": {"persistence": {"library": settings}}}


def sizes(instances):
    claims = {name: instances.get("PersistentVolumeClaim", name) for name in CLAIMS}
    return {name: claim["spec"]["resources"]["requests"]["storage"] for name, claim in claims.items() if claim}


def all_of(size):
    """A spec with this size for every volume."""
    spec = {}
    for make in CLAIMS.values():
        spec |= make(size)
    return spec


def test_every_volume_grows_without_a_restart(instances):
    instances.create(all_of("10Gi"))
    instances.wait_ready()
    assert sizes(instances) == dict.fromkeys(CLAIMS, "10Gi")
    uids = {name: instances.get("PersistentVolumeClaim", name)["metadata"]["uid"] for name in CLAIMS}
    pods = instances.pod_uids()
    database = instances.get("StatefulSet", "photos-postgres")["metadata"]["uid"]

    instances.change(all_of("25Gi"))

    instances.wait("all claims grown", lambda: sizes(instances) == dict.fromkeys(CLAIMS, "25Gi"))
    instances.wait_ready()
    assert {name: instances.get("PersistentVolumeClaim", name)["metadata"]["uid"] for name in CLAIMS} == uids
    assert instances.pod_uids() == pods
    assert instances.get("StatefulSet", "photos-postgres")["metadata"]["uid"] == database


def test_a_volume_never_shrinks(instances):
    instances.create(all_of("20Gi"))
    instances.wait_ready()

    with pytest.raises(ApiError, match="shrink"):
        instances.change(library(size="5Gi"))

    # What admission can't compare: the claims are older than the custom resource.
    instances.api.delete("Immich", "photos", instances.namespace, wait=True)
    instances.wait(
        "the old objects gone", lambda: not {"Deployment", "StatefulSet"} & {kind for kind, _ in instances.owned()}
    )
    instances.create(all_of("5Gi"))
    instances.wait_ready()

    assert sizes(instances)["photos-library"] == "20Gi"
    assert sizes(instances)["data-photos-postgres-0"] == "20Gi"
    warning = instances.condition("Warning")
    assert warning["reason"] == "VolumeNotChanged"
    size = "spec.immich.persistence.library.size is 5Gi, but its size stays 20Gi"
    assert f"PersistentVolumeClaim photos-library: {size}" in warning["message"]
    assert "PersistentVolumeClaim data-photos-postgres-0" in warning["message"]


def test_a_class_that_cannot_grow_a_volume_is_reported(instances):
    instances.create(library(storageClass="fixed-size"))
    instances.wait_ready()

    instances.change(library(size="20Gi"))

    condition = instances.wait_condition("ServerReady", "ApplyFailed")
    assert "photos-library" in condition["message"]
    assert "resize" in condition["message"]
    assert (
        instances.get("PersistentVolumeClaim", "photos-library")["spec"]["resources"]["requests"]["storage"] == "10Gi"
    )
    assert instances.pods("server"), "the server goes on"


def test_a_storage_that_does_not_make_a_volume_larger_is_quoted_until_it_does(instances):
    instances.create()
    instances.wait_ready()
    elsewhere = {"volume.kubernetes.io/storage-provisioner": "nas.example.com"}  # whose storage nobody simulates
    patch_claim = partial(instances.api.merge_patch, "PersistentVolumeClaim", "photos-library", instances.namespace)
    patch_claim({"metadata": {"annotations": elsewhere}})

    instances.change(library(size="20Gi"))
    instances.wait("the claim asks for more", lambda: sizes(instances)["photos-library"] == "20Gi")
    failed = {
        "type": "ControllerResizeError",
        "status": "True",
        "message": "rpc error: code = OutOfRange desc = the pool has 12 GiB",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    patch_claim({"status": {"conditions": [failed]}}, subresource="status")

    warning = instances.wait_condition("Warning", "VolumeNotChanged")["message"]
    assert f"PersistentVolumeClaim photos-library is to have 20Gi and has 10Gi: {failed['message']}" in warning
    assert instances.condition("Ready")["status"] == "True"
    patch_claim({"status": {"conditions": None, "capacity": {"storage": "20Gi"}}}, subresource="status")
    instances.wait_condition("Warning", "NoWarnings")


def test_class_and_modes_of_a_volume_that_is_there_are_kept(instances):
    labels = {"labels": {"app.kubernetes.io/part-of": "somebody"}}
    instances.claim("photos-library", storageClassName="fixed-size", accessModes=["ReadWriteMany"])
    instances.api.merge_patch("PersistentVolumeClaim", "photos-library", instances.namespace, {"metadata": labels})
    instances.create(library(storageClass="standard", accessModes=["ReadWriteOnce"]))

    instances.wait_ready()

    claim = instances.get("PersistentVolumeClaim", "photos-library")
    assert (claim["spec"]["storageClassName"], claim["spec"]["accessModes"]) == ("fixed-size", ["ReadWriteMany"])
    warning = instances.condition("Warning")
    assert warning["reason"] == "VolumeNotChanged"
    assert "storageClass is standard, but its class stays fixed-size" in warning["message"]
    assert "accessModes is ReadWriteOnce, but its modes stay ReadWriteMany" in warning["message"]
    assert instances.get("Deployment", "photos-server")["spec"]["strategy"]["type"] == "RollingUpdate"


def test_claims_of_the_users_are_used_and_left_as_they_are(instances):
    before = {name: instances.claim(name) for name in ("a", "b", "c", "d")}
    instances.create(
        {
            **library(existingClaim="a"),
            "machineLearning": {"persistence": {"existingClaim": "b"}},
            "valkey": {"persistence": {"enabled": True, "existingClaim": "c"}},
            "postgres": {"persistence": {"existingClaim": "d", "size": "99Gi"}},
        }
    )

    instances.wait_ready()

    workloads = [manifest for (kind, _), manifest in instances.owned().items() if kind in {"Deployment", "StatefulSet"}]
    mounted = [
        volume["persistentVolumeClaim"]["claimName"]
        for workload in workloads
        for volume in pod_spec(workload)["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert sorted(mounted) == ["a", "b", "c", "d"]
    for name, claim in before.items():
        now = instances.get("PersistentVolumeClaim", name)
        assert now["spec"]["resources"] == claim["spec"]["resources"]
        assert "labels" not in now["metadata"]
    assert len(instances.api.list("PersistentVolumeClaim", instances.namespace)) == 4


def test_a_claim_that_two_instances_use_is_reported_to_both(instances):
    instances.claim("nas")
    first = instances.cr(library(existingClaim="nas"))
    first["metadata"]["annotations"] = {"ansible.sdk.operatorframework.io/reconcile-period": "300ms"}
    instances.api.create(first)
    instances.wait_ready()
    instances.wait_condition("Warning", "NoWarnings")

    instances.create(library(existingClaim="nas"), name="second")

    for name, other in (("second", "photos"), ("photos", "second")):
        warning = instances.wait_condition("Warning", "ClaimInUse", name=name)
        assert "PersistentVolumeClaim nas" in warning["message"]
        assert f"is used by Immich {other} too" in warning["message"]

    instances.change(library(existingClaim=None), name="second")

    for name in ("second", "photos"):
        instances.wait_condition("Warning", "NoWarnings", name=name)
