# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL and Valkey that the user runs, in another namespace: plain pods with passwords."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.photos import Photos

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from localcluster.testing import Cluster

PASSWORD = "correct-horse-battery"


@pytest.fixture
def services(cluster: Cluster) -> Iterator[str]:
    """The namespace of `postgres` and `valkey`, both ready."""
    with cluster.namespace("databases") as namespace:
        _run(cluster, namespace, "postgres", 5432, env={"POSTGRES_USER": "immich", "POSTGRES_PASSWORD": PASSWORD})
        _run(cluster, namespace, "valkey", 6379, args=["valkey-server", "--requirepass", PASSWORD])
        for name in ("postgres", "valkey"):
            cluster.api.wait_for("Pod", name, namespace, _is_ready, timeout=120)
        yield namespace


@pytest.mark.parametrize("by_url", [pytest.param(False, id="by-host"), pytest.param(True, id="by-url")])
def test_an_instance_works_with_them_and_makes_none_of_its_own(photos: Photos, services: str, by_url: bool) -> None:
    host = f"postgres.{services}.svc.cluster.local"
    photos.secret("database", password=PASSWORD, url=f"postgres://immich:{PASSWORD}@{host}:5432/immich")
    photo = secrets.token_bytes(50_000)
    database: dict[str, Any] = {"enabled": False, "urlSecretRef": {"name": "database", "key": "url"}}
    if not by_url:
        database = {
            "enabled": False, "host": host, "port": 5432, "database": "immich", "username": "immich",
            "passwordSecretRef": {"name": "database", "key": "password"},
        }  # fmt: skip
    valkey = {
        "enabled": False, "host": f"valkey.{services}.svc.cluster.local", "port": 6379, "dbIndex": 3,
        "passwordSecretRef": {"name": "database", "key": "password"},
    }  # fmt: skip

    photos.ready({"postgres": database, "valkey": valkey})
    asset = photos.upload(photo)

    assert photos.download(asset) == photo
    assert photos.pods("postgres") == photos.pods("valkey") == []
    assert not photos.get("StatefulSet", "photos-postgres")


def test_a_server_waits_for_a_database_that_comes_later(photos: Photos, services: str) -> None:
    host = f"later.{services}.svc.cluster.local"
    photos.secret("database", password=PASSWORD)
    photos.create(
        {
            "postgres": {
                "enabled": False, "host": host, "database": "immich", "username": "immich",
                "passwordSecretRef": {"name": "database", "key": "password"},
            }
        }
    )  # fmt: skip
    photos.wait_condition("ValkeyReady", "Ready")
    assert photos.condition("ServerReady")["status"] == "False"

    _run(photos.cluster, services, "later", 5432, env={"POSTGRES_USER": "immich", "POSTGRES_PASSWORD": PASSWORD})
    photos.wait_ready()

    [pod] = photos.pods("server")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def _run(
    cluster: Cluster,
    namespace: str,
    name: str,
    port: int,
    *,
    env: dict[str, str] | None = None,
    args: list[str] | None = None,
) -> None:
    """A pod and its Service, both with that name."""
    image = DEFAULT_IMAGES["valkey" if name == "valkey" else "postgres"]
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        **({"args": args} if args else {}),
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    cluster.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    service = {"selector": {"app": name}, "ports": [{"port": port}]}
    cluster.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])
