# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: a cluster for the whole session and a namespace per test.

Environment:
    LOCALCLUSTER_NAME   use the cluster of this name, start it if needed, leave it running
    LOCALCLUSTER_KEEP   set to 1: the same with the name `tests-simulated` or `tests-real`
    LOCALCLUSTER_STATE  folder of the clusters
"""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from localcluster import build, processes
from localcluster.api import Api
from localcluster.audit import Audit
from localcluster.cluster import LocalCluster, take_down_orphans
from localcluster.credentials import write_kubeconfig
from localcluster.errors import KubectlError
from localcluster.nodes import Nodes
from localcluster.nodes.simulated import SimulatedNodes
from localcluster.progress import Progress
from localcluster.state import Folder, default_state

__all__ = ["Cluster", "another_cluster", "cluster", "namespace", "session_cluster"]


class Cluster:
    """A running cluster as tests use it."""

    def __init__(self, local: LocalCluster) -> None:
        self.local = local
        self.name = local.folder.name
        self.kubeconfig: Path = local.folder.kubeconfig
        self.api = Api(self.kubeconfig)
        self.audit = Audit(local.folder.audit_log, self.api)

    @property
    def env(self) -> dict[str, str]:
        """This process's environment, with the variables that point programs at the cluster."""
        return {**os.environ, **self.local.environment()}

    def kubectl(self, *args: str, input: str | None = None) -> str:
        """Standard output of kubectl; KubectlError with its messages if it fails."""
        program = build.locate("kubectl")
        command = [str(program or "kubectl"), *args]
        done = subprocess.run(command, env=self.env, input=input, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)} ended with status {done.returncode}:\n{done.stderr.strip()}")
        return done.stdout

    def kubeconfig_for(self, service_account: str, namespace: str, folder: Path) -> Path:
        """A kubeconfig in `folder` with only the service account's permissions; its token lasts an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.api.request("POST", path, body=request)["status"]["token"]
        admin = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        target = folder / f"{namespace}-{service_account}.kubeconfig"
        return write_kubeconfig(target, self.name, admin["clusters"][0]["cluster"], {"token": token})

    @contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """A new namespace, ready for pods; deleted at the end without waiting for it."""
        stem = re.sub(r"[^a-z0-9]+", "-", prefix.lower())[:40].strip("-") or "test"
        name = f"{stem}-{secrets.token_hex(3)}"
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        try:
            # Pods are refused until the controller-manager has created it.
            self.api.wait_for("ServiceAccount", "default", name, lambda _: True)
            yield name
        finally:
            self.api.delete("Namespace", name)


@contextmanager
def session_cluster(nodes: Nodes) -> Iterator[Cluster]:
    """A cluster with such nodes that is removed at the end, unless the environment names one that is to stay."""
    kept = os.environ.get("LOCALCLUSTER_NAME") or (f"tests-{nodes.kind}" if os.environ.get("LOCALCLUSTER_KEEP") else "")
    take_down_orphans(default_state())
    with _running(kept or f"test-{nodes.kind}-{os.getpid()}", nodes, stays=bool(kept)) as running:
        yield running


@contextmanager
def another_cluster(purpose: str) -> Iterator[Cluster]:
    """A cluster with simulated nodes besides the session's, for what that one must not have; removed at the end."""
    with _running(f"{purpose}-{os.getpid()}", SimulatedNodes(), stays=False) as running:
        yield running


@contextmanager
def _running(name: str, nodes: Nodes, *, stays: bool) -> Iterator[Cluster]:
    local = LocalCluster(Folder(default_state(), name))
    local.up(nodes=nodes, owner=None if stays else processes.identify(os.getpid()), progress=Progress())
    running = Cluster(local)
    try:
        yield running
    finally:
        running.api.close()
        if not stays:
            local.down()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of this session, with simulated nodes, started at its first use."""
    with session_cluster(SimulatedNodes()) as running:
        yield running


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of its own for the test, named after it."""
    with cluster.namespace(request.node.name.removeprefix("test_")) as name:
        yield name
