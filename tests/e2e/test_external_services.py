# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL and Valkey that the user runs, in another namespace: plain pods with passwords."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
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


def test_an_instance_speaks_tls_with_an_external_valkey(photos: Photos, cluster: Cluster, tmp_path: Path) -> None:
    with cluster.namespace("queues") as namespace:
        host = f"valkey.{namespace}.svc.cluster.local"
        certificate = _self_signed(tmp_path, host)
        texts = {name: (tmp_path / name).read_text() for name in ("tls.crt", "tls.key")}
        metadata = {"name": "tls", "namespace": namespace}
        cluster.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts})
        _run(
            cluster, namespace, "valkey", 6379,
            args=[
                "valkey-server", "--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", "--requirepass", PASSWORD,
                "--tls-cert-file", "/tls/tls.crt", "--tls-key-file", "/tls/tls.key", "--tls-ca-cert-file", "/tls/tls.crt",
            ],
            secret="tls",
        )  # fmt: skip
        cluster.api.wait_for("Pod", "valkey", namespace, _is_ready, timeout=120)
        photos.secret("queues", password=PASSWORD, ca=certificate)
        valkey = {
            "enabled": False, "host": host, "passwordSecretRef": {"name": "queues", "key": "password"},
            "tls": {"enabled": True, "caSecretRef": {"name": "queues", "key": "ca"}},
        }  # fmt: skip

        photos.ready({"valkey": valkey})

        photo = secrets.token_bytes(50_000)
        assert photos.download(photos.upload(photo)) == photo


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
    secret: str = "",
) -> None:
    """A pod and its Service, both with that name; the Secret is mounted in a folder of its name."""
    image = DEFAULT_IMAGES["valkey" if name == "valkey" else "postgres"]
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        **({"args": args} if args else {}),
        "volumeMounts": [{"name": secret, "mountPath": f"/{secret}"}] if secret else [],
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": secret, "secret": {"secretName": secret}}] if secret else [],
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    cluster.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    service = {"selector": {"app": name}, "ports": [{"port": port}]}
    cluster.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})


def _self_signed(folder: Path, host: str) -> str:
    """Make tls.crt and tls.key for that host; returns the certificate."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={host[:60]}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", "tls.key", "-out", "tls.crt",
        ],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "tls.crt").read_text()


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])
