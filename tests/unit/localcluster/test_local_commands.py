# SPDX-License-Identifier: Apache-2.0
"""Command lines, ports, names, locks: what needs no process."""

import dataclasses
import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from localcluster import cli, control_plane
from localcluster.cluster import take_down_orphans
from localcluster.errors import ComponentError, LocalClusterError
from localcluster.launch import Order
from localcluster.locks import locked
from localcluster.nodes.kinds import KINDS
from localcluster.nodes.simulated import SimulatedNodes, node
from localcluster.ports import free_ports
from localcluster.processes import Process, identify
from localcluster.state import Component, Folder, Record, default_state

PORTS = {name: 10_000 + number for number, name in enumerate((*control_plane.PORTS, "kwok"))}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, "subject")


def test_ports_are_different_and_free() -> None:
    names = tuple(f"port-{number}" for number in range(50))

    ports = free_ports(names)

    assert len(set(ports.values())) == 50
    for port in ports.values():
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))


def test_etcd_trades_safety_for_speed_and_listens_on_loopback_only(folder: Folder) -> None:
    arguments = control_plane.etcd(folder, PORTS).arguments

    assert "--unsafe-no-fsync" in arguments
    assert f"--data-dir={folder.root}/etcd" in arguments
    assert "--listen-client-urls=http://127.0.0.1:10000" in arguments


def test_the_api_server_checks_permissions_and_writes_a_complete_audit_log(folder: Folder) -> None:
    arguments = control_plane.api_server(folder, PORTS).arguments

    assert "--authorization-mode=Node,RBAC" in arguments
    assert "--bind-address=127.0.0.1" in arguments
    assert f"--audit-log-path={folder.audit_log}" in arguments
    assert "--audit-log-mode=blocking" in arguments


def test_flags_of_the_nodes_come_last_and_win(folder: Folder) -> None:
    order = control_plane.api_server(folder, PORTS, ("--bind-address=0.0.0.0",))

    assert order.arguments[-1] == "--bind-address=0.0.0.0"


def test_the_controller_manager_provisions_volumes_and_gives_out_no_pod_networks(folder: Folder) -> None:
    arguments = control_plane.controller_manager(folder, PORTS).arguments

    assert "--enable-hostpath-provisioner=true" in arguments
    assert "--controllers=*,-nodeipam" in arguments
    assert "--leader-elect=false" in arguments


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(control_plane.etcd, id="etcd"),
        pytest.param(control_plane.api_server, id="kube-apiserver"),
        pytest.param(control_plane.controller_manager, id="kube-controller-manager"),
        pytest.param(control_plane.scheduler, id="kube-scheduler"),
    ],
)
def test_every_component_listens_on_its_own_port(
    folder: Folder, order: Callable[[Folder, dict[str, int]], Order]
) -> None:
    made = order(folder, PORTS)

    assert made.port == PORTS[made.name]
    assert any(str(made.port) in argument for argument in made.arguments)


def test_simulated_nodes_are_large_and_marked_for_kwok() -> None:
    live = node(3)

    assert live["metadata"]["name"] == "simulated-3"
    assert live["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}
    assert live["status"]["capacity"]["pods"] == "10k"


def test_every_kind_of_node_is_made_by_its_name() -> None:
    assert {kind: make(2).kind for kind, make in KINDS.items()} == {kind: kind for kind in KINDS}
    assert KINDS["simulated"](2) == SimulatedNodes(2)


def test_a_record_survives_being_saved(folder: Folder) -> None:
    folder.root.mkdir()
    process = Process(pid=1, start_ticks=2, boot="b")
    record = Record("subject", 2, "simulated", owner=process, ready=True)
    record.components["etcd"] = Component(process, ("etcd", "--name=x"), "/log", 7)

    record.save(folder)

    assert Record.load(folder) == record
    assert folder.record.stat().st_mode & 0o777 == 0o600
    assert Record.load(Folder(folder.state, "absent")) is None


def test_only_a_cluster_whose_owner_has_ended_is_taken_down(tmp_path: Path) -> None:
    alive = identify(os.getpid())
    gone = dataclasses.replace(alive, start_ticks=alive.start_ticks - 1)
    for name, owner in (("orphan", gone), ("owned", alive), ("kept", None)):
        folder = Folder(tmp_path, name)
        folder.root.mkdir()
        Record(name, 1, "simulated", owner=owner).save(folder)

    assert take_down_orphans(tmp_path) == ["orphan"]

    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "owned"]


@pytest.mark.parametrize(
    "text", [pytest.param("{", id="no-json"), pytest.param('{"components": {}}', id="other-version")]
)
def test_a_record_that_cannot_be_understood_says_what_to_do(folder: Folder, text: str) -> None:
    folder.root.mkdir()
    folder.record.write_text(text, encoding="utf-8")

    with pytest.raises(
        LocalClusterError, match=f"End the processes that it names by their pid, then remove {folder.root}"
    ):
        Record.load(folder)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=name or "empty") for name in ("", "Upper", "../up", "a/b", "-a", "a-", "a" * 64, "a.b")],
)
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalClusterError, match="cannot be the name of a cluster"):
        Folder(tmp_path, name)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        pytest.param({"LOCALCLUSTER_STATE": "/s", "XDG_CACHE_HOME": "/c"}, "/s", id="chosen"),
        pytest.param({"XDG_CACHE_HOME": "/c"}, "/c/immich-operator/clusters", id="cache"),
    ],
)
def test_clusters_are_kept_where_the_environment_says(env: dict[str, str], expected: str) -> None:
    assert default_state(env) == Path(expected)


@pytest.mark.parametrize("count", [pytest.param(count, id=count) for count in ("0", "-1", "1001", "two")])
def test_an_impossible_number_of_nodes_is_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["up", "--nodes", count])

    assert f"'{count}' is not a number between 1 and 1000" in capsys.readouterr().err


def test_help_names_every_command_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for word in ("up", "down", "status", "env", "build", "KUBEBUILDER_ASSETS", "LOCALCLUSTER_STATE", "XDG_CACHE_HOME"):
        assert word in shown


def test_env_of_a_cluster_that_is_not_up_says_how_to_start_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["env", "--name", "absent", "--state", str(tmp_path)]) == 1

    assert f"python -m localcluster up --name absent --state {tmp_path}" in capsys.readouterr().err


def test_down_of_nothing_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["down", "--name", "absent", "--state", str(tmp_path / "new")]) == 0

    assert "There is no cluster absent" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_program_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["build", "kubelit"]) == 1

    assert "Unknown program kubelit; there are: etcd, kube-apiserver" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        pytest.param("listen tcp 127.0.0.1:1: bind: address already in use", True, id="port-taken"),
        pytest.param("flag provided but not defined", False, id="other"),
    ],
)
def test_only_a_taken_port_is_a_reason_to_try_other_ports(tail: str, expected: bool) -> None:
    assert ComponentError("etcd ended.", log=Path("/log"), tail=tail).is_port_conflict is expected


def test_a_lock_lets_one_in_at_a_time_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waiting, inside = Event(), Event()

    def second() -> None:
        with locked(path, on_wait=waiting.set):
            inside.set()

    with locked(path):
        thread = Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        assert not inside.is_set()
    thread.join(10)

    assert inside.is_set()
    assert list(tmp_path.iterdir()) == []
