# SPDX-License-Identifier: Apache-2.0
"""Claims on the local cluster."""

from typing import Any

import pytest

from localcluster.errors import ApiError
from localcluster.testing import Cluster


def a_claim(namespace: str, *, storage_class: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": spec,
    }


def bound(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return cluster.api.wait_for(
        "PersistentVolumeClaim", "data", namespace, lambda live: live["status"]["phase"] == "Bound"
    )


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param(None, "standard", id="default"),
        pytest.param("fixed-size", "fixed-size", id="by-name"),
    ],
)
def test_a_claim_is_bound_by_itself(cluster: Cluster, namespace: str, asked: str | None, given: str) -> None:
    cluster.api.create(a_claim(namespace, storage_class=asked))

    assert bound(cluster, namespace)["spec"]["storageClassName"] == given


def test_a_claim_of_the_default_class_grows_and_reports_its_new_size(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(a_claim(namespace))
    bound(cluster, namespace)

    cluster.api.merge_patch(
        "PersistentVolumeClaim", "data", namespace, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    )

    cluster.api.wait_for(
        "PersistentVolumeClaim", "data", namespace, lambda live: live["status"]["capacity"]["storage"] == "2Gi"
    )


def test_a_claim_of_the_fixed_class_is_refused_to_grow(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(a_claim(namespace, storage_class="fixed-size"))
    bound(cluster, namespace)

    with pytest.raises(ApiError, match="storageclass that provisions the pvc must support resize") as refusal:
        cluster.api.merge_patch(
            "PersistentVolumeClaim", "data", namespace, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        )

    assert refusal.value.status == 403
