# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a node: the status has the cause in the cluster's words and what to do, and forgets it afterwards.

All tests share one instance. Library and database are on small volumes in the memory of the node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from e2e.photos import Deployed, NoAnswer, Photos

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from localcluster.nodes.real_settings import NAME as NODE
from localcluster.testing import Cluster

PLACE = "/run/troubles"
LIBRARY, DATABASE, MODELS = (f"{PLACE}/{name}" for name in ("library", "database", "models"))
SPEC = {
    "immich": {"persistence": {"library": {"existingClaim": "library"}}},
    "server": {"resources": {"limits": {"ephemeral-storage": "32Mi"}}},
    "postgres": {"persistence": {"existingClaim": "database"}},
}


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("troubles") as name:
        yield name


@pytest.fixture(scope="module")
def volumes(cluster: Cluster) -> Iterator[None]:
    """Folders of the node for the volumes, two of them with a file system of their own, which is soon full."""
    made = f"mkdir -p {LIBRARY} {DATABASE} && mount -t tmpfs -o size=16m tmpfs {LIBRARY}"
    owned = f"mount -t tmpfs -o size=192m,uid=999,gid=999,mode=0700 tmpfs {DATABASE}"
    cluster.local.on_node("sh", "-c", f"{made} && {owned}")
    yield
    cluster.local.on_node("sh", "-c", f"umount --lazy {LIBRARY} {DATABASE}; rm -rf {PLACE}")


@pytest.fixture(scope="module")
def instance(cluster: Cluster, namespace: str, volumes: None, operator: Deployed) -> Photos:
    photos = Photos(cluster, namespace, operator)
    a_claim(photos, "library", LIBRARY)
    a_claim(photos, "database", DATABASE)
    photos.ready(SPEC)
    return photos


@pytest.fixture
def photos(instance: Photos) -> Photos:
    """The instance of this module. It is ready, whatever the test before has left behind."""
    instance.wait_ready()
    return instance


def test_a_refused_mount_and_a_missing_service_are_told_at_once_and_go_when_what_was_missing_is_there(
    photos: Photos,
) -> None:
    a_claim(photos, "models", MODELS)

    photos.change(
        {
            "machineLearning": {"persistence": {"existingClaim": "models"}},
            "valkey": {"enabled": False, "host": f"queue.{photos.namespace}"},
        }
    )
    refused = photos.wait_condition("MachineLearningReady", "VolumeNotMounted")["message"]
    waiting = photos.wait_condition("ServerReady", "InitContainerWaiting")["message"]

    assert f"Deployment photos-machine-learning: node {NODE} can't mount a volume of its pod" in refused
    assert f"hostPath type check failed, {MODELS} is not a directory" in refused
    assert "create the folder on that node" in refused
    assert photos.condition("Degraded")["message"] == refused
    assert "Deployment photos-server: init container wait-for-valkey has been running since 20" in waiting
    assert f"it is waiting for queue.{photos.namespace}:6379 to accept connections" in waiting
    assert "check that service, its name and port" in waiting
    assert photos.condition("Progressing")["message"] == waiting, "it may still start"
    photos.cluster.local.on_node("mkdir", MODELS)
    a_queue(photos)
    photos.wait_ready()
    assert {photos.condition(kind)["status"] for kind in ("Degraded", "Progressing")} == {"False"}


def test_a_pod_that_the_node_evicts_is_told_although_the_next_one_starts_at_once(photos: Photos) -> None:
    photos.run_in("deployment/photos-server", "sh", "-c", "head -c 64M /dev/zero >/tmp/much", container="server")

    told = photos.wait_condition("ServerReady", "PodEvicted")["message"]

    assert re.search(
        rf"^Deployment photos-server: node {NODE} has evicted or rejected its (old )?pod \(Evicted\)", told
    )
    assert "ephemeral local storage usage exceeds the total limit of containers 32Mi" in told
    assert "raise ephemeral-storage in the component's resources" in told
    photos.wait_ready()


def test_a_full_library_refuses_uploads_while_the_status_knows_nothing_of_it(photos: Photos) -> None:
    with full(photos, LIBRARY):
        with pytest.raises(NoAnswer) as refusal:
            photos.upload(b"a photo" * 100_000)

        assert refusal.value.status == 500
        assert "No space left on device" in photos.cluster.kubectl(
            "logs", "deployment/photos-server", "-n", photos.namespace, "--container=server"
        )
        assert photos.condition("Ready")["status"] == "True", "docs/explanation/limits.md says so"
    assert photos.has(photos.upload(b"another photo"))


def test_a_full_volume_of_the_database_is_told_as_a_crash_with_the_log_that_has_the_cause(photos: Photos) -> None:
    with full(photos, DATABASE):
        photos.cluster.kubectl("delete", "pod", "photos-postgres-0", "-n", photos.namespace)
        told = photos.wait_condition("PostgresReady", "CrashLooping")["message"]

        assert "StatefulSet photos-postgres: container postgres keeps exiting with code 1" in told
        command = f"kubectl logs -n {photos.namespace} statefulset/photos-postgres -c postgres --previous"
        assert command in told
        assert "No space left on device" in photos.cluster.kubectl(*command.split()[1:])
        assert told in photos.condition("Degraded")["message"]
    photos.wait_ready()


def test_a_node_that_is_lost_is_told_until_it_is_back(photos: Photos) -> None:
    with lost_node(photos):
        told = photos.wait_condition("PostgresReady", "NodeLost")["message"]

        assert f"StatefulSet photos-postgres: its pod has lost its node {NODE}: Node is not ready" in told
        assert "the node does not respond: start it, or check its kubelet and network" in told
        assert photos.condition("Ready")["status"] == "False"
    photos.wait_ready()


def a_claim(photos: Photos, name: str, path: str) -> None:
    """A claim of a volume that is a folder of the node, which has to be there when it is mounted."""
    volume = f"{photos.namespace}-{name}"
    common: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    photos.api.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                **common,
                "capacity": {"storage": "1Gi"},
                "hostPath": {"path": path, "type": "Directory"},
                "persistentVolumeReclaimPolicy": "Retain",
            },
        }
    )
    photos.api.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": photos.namespace},
            "spec": {**common, "volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}},
        }
    )


def a_queue(photos: Photos) -> None:
    """A Valkey that is not the instance's own."""
    labels = {"app": "queue"}
    container = {"name": "valkey", "image": DEFAULT_IMAGES["valkey"]}
    for kind, spec in (
        ("Pod", {"containers": [container]}),
        ("Service", {"selector": labels, "ports": [{"port": 6379}]}),
    ):
        metadata = {"name": "queue", "namespace": photos.namespace, "labels": labels}
        photos.api.create({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec})


@contextmanager
def full(photos: Photos, path: str) -> Iterator[None]:
    """No byte is free on that file system meanwhile, also when somebody removes a file."""
    on_node, goes_on, filler = photos.cluster.local.on_node, f"{PLACE}/fills", f"{path}/filler"
    fill = f"while [ -e {goes_on} ]; do cat /dev/zero >>{filler}; sleep 0.1; done; rm {filler}"
    on_node("sh", "-c", f"touch {goes_on}; ({fill}) </dev/null >/dev/null 2>&1 &")
    try:
        photos.wait(f"{path} is full", lambda: on_node("df", "--output=avail", path).split()[-1] == "0")
        yield
    finally:
        on_node("rm", goes_on)
        photos.wait(f"{path} has space again", lambda: on_node("df", "--output=avail", path).split()[-1] != "0")


@contextmanager
def lost_node(photos: Photos) -> Iterator[None]:
    """Its kubelet stands still meanwhile, and so tells the API server nothing; its pods run on."""
    on_node = photos.cluster.local.on_node
    on_node("sh", "-c", "kill -STOP $(pidof kubelet)")
    try:
        yield
    finally:
        on_node("sh", "-c", "kill -CONT $(pidof kubelet)")
