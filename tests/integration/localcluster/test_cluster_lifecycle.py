# SPDX-License-Identifier: Apache-2.0
"""A cluster comes up, stays, and goes away without a trace."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcluster import processes
from localcluster.api import Api
from localcluster.cluster import LocalCluster
from localcluster.processes import Process
from localcluster.state import Folder, Record
from localcluster.testing import Cluster

ROOT = Path(__file__).parents[3]


def localcluster(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALCLUSTER_")}
    return subprocess.run(
        [sys.executable, "-m", "localcluster", *arguments],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def processes_of(folder: Folder) -> dict[str, Process]:
    record = Record.load(folder)
    assert record is not None
    return {name: component.process for name, component in record.components.items()}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A folder for clusters; whatever a failed test leaves there is taken down."""
    yield tmp_path
    for record in tmp_path.glob("*/state.json"):
        LocalCluster(Folder(tmp_path, record.parent.name)).down()


def test_the_command_line_takes_a_cluster_from_up_to_down_without_a_trace(state: Path) -> None:
    flags = ("--name", "one", "--state", str(state))
    folder = Folder(state, "one")

    up = localcluster("up", *flags, "--nodes", "2")

    assert up.returncode == 0, up.stderr
    assert re.search(r"Cluster one is up after [\d.]+ s", up.stdout)
    started = processes_of(folder)
    assert set(started) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
    assert stat.S_IMODE(folder.kubeconfig.stat().st_mode) == 0o600

    status = localcluster("status", *flags)

    assert status.returncode == 0
    for name, process in started.items():
        assert re.search(rf"{name} +running +pid {process.pid} +port \d+ +{folder.log(name)}", status.stdout)
    assert str(folder.audit_log) in status.stdout

    environment = localcluster("env", *flags)
    nodes = subprocess.run(
        ["/bin/sh", "-c", f"{environment.stdout}\nkubectl get nodes -o name"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"export KUBECONFIG={folder.kubeconfig}" in environment.stdout
    assert nodes.stdout.split() == ["node/simulated-0", "node/simulated-1"]

    again = localcluster("up", *flags)

    assert again.returncode == 0
    assert "was up already" in again.stdout
    assert processes_of(folder) == started

    volume = a_bound_volume(folder)
    down = localcluster("down", *flags)

    assert down.returncode == 0
    assert [name for name, process in started.items() if processes.is_alive(process)] == []
    assert list(state.iterdir()) == []
    assert not volume.exists()
    assert "There is no cluster one" in localcluster("down", *flags).stdout
    assert localcluster("status", *flags).returncode == 1


def a_bound_volume(folder: Folder) -> Path:
    """Folder of a volume that the provisioner has made on this machine."""
    api = Api(folder.kubeconfig)
    api.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "default"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    )
    claim = api.wait_for("PersistentVolumeClaim", "data", "default", lambda live: live["status"]["phase"] == "Bound")
    volume = api.get("PersistentVolume", claim["spec"]["volumeName"])
    api.close()
    path = Path(volume["spec"]["hostPath"]["path"])
    assert path.is_dir()
    return path


def test_two_clusters_run_side_by_side(state: Path) -> None:
    clusters = [LocalCluster(Folder(state, name)) for name in ("left", "right")]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(LocalCluster.up, clusters)) == [True, True]

    apis = [Api(cluster.folder.kubeconfig) for cluster in clusters]
    apis[0].create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-left"}})
    assert [api.find("Namespace", "only-left") is not None for api in apis] == [True, False]
    clusters[0].down()
    assert [cluster.is_up() for cluster in clusters] == [False, True]
    clusters[1].down()
    assert list(state.iterdir()) == []


def test_up_starts_afresh_when_a_component_has_ended(state: Path) -> None:
    cluster = LocalCluster(Folder(state, "broken"))
    cluster.up()
    before = processes_of(cluster.folder)
    processes.kill(before["kube-scheduler"])

    assert cluster.up() is True

    assert cluster.is_up()
    assert [name for name, process in before.items() if processes.is_alive(process)] == []


def test_a_component_that_dies_on_start_is_shown_with_its_log(
    state: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assets = tmp_path_factory.mktemp("assets")
    etcd = assets / "etcd"
    etcd.write_text("#!/bin/sh\necho 'the disk is made of cheese'\nexit 3\n", encoding="utf-8")
    etcd.chmod(0o755)

    up = localcluster("up", "--state", str(state), "--name", "sick", KUBEBUILDER_ASSETS=str(assets))

    log = Folder(state, "sick").log("etcd")
    assert up.returncode == 1
    assert "etcd exited during startup" in up.stderr
    assert f"{log}:\nthe disk is made of cheese" in up.stderr
    assert log.exists()
    assert not any(processes.is_alive(process) for process in processes_of(Folder(state, "sick")).values())


def test_no_secret_is_in_the_arguments_of_a_process(cluster: Cluster) -> None:
    folder = cluster.local.folder
    record = json.loads(folder.record.read_text(encoding="utf-8"))

    secrets = [path.read_text(encoding="utf-8").splitlines()[1] for path in folder.credentials.glob("*.key")]

    assert len(secrets) >= 5
    for component in record["components"].values():
        command_line = " ".join(component["command"])
        assert not any(secret in command_line for secret in secrets)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.credentials.iterdir()} == {0o600}
