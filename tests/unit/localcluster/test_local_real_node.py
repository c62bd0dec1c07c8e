# SPDX-License-Identifier: Apache-2.0
"""What a real node needs, and the settings it gets; that it runs pods is for tests/e2e."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from localcluster.errors import NodeError
from localcluster.nodes import preconditions, real_settings
from localcluster.nodes.kinds import KINDS
from localcluster.nodes.real import RealNode
from localcluster.nodes.sandbox import NODE_ADDRESS, Sandbox
from localcluster.nodes.volumes import Provisioner
from localcluster.state import Folder

NETWORK = "10.244.0.0/24"


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that lacks nothing; returns its folder of programs, and the CNI plugins are in `cni` below it."""
    programs = tmp_path / "bin"
    plugins = programs / "cni"
    plugins.mkdir(parents=True)
    for name in preconditions.PACKAGES:
        _program(programs / name)
    for name in preconditions.CNI_PLUGINS:
        _program(plugins / name)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(preconditions, "CNI_FOLDERS", (plugins,))
    (programs / "filesystems").write_text("nodev\toverlay\n")
    monkeypatch.setattr(preconditions, "FILE_SYSTEMS", programs / "filesystems")
    (programs / "resolv.conf").write_text("nameserver 192.0.2.53\nnameserver fe80::1%eth0\n")
    monkeypatch.setattr(preconditions, "RESOLVER", programs / "resolv.conf")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    _program(
        programs / "ip",
        "echo 'default via 192.0.2.1 dev eth0 '; echo '192.0.2.0/24 dev eth0 scope link'; echo 'blackhole 192.0.2.128/25'",
    )
    monkeypatch.setattr(preconditions.os, "geteuid", lambda: 0)
    return programs


def test_a_machine_with_everything_is_accepted(able: Path) -> None:
    preconditions.check((NETWORK,))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda able: _program(able / "unshare", "echo 'Operation not permitted' >&2; exit 1"),
            r"new namespaces can't be created \(Operation not permitted\): CAP_SYS_ADMIN",
            id="no-namespaces",
        ),
        pytest.param(
            lambda able: _program(able / "ip", f"echo {NETWORK} via 10.244.255.2 dev lc-1"),
            r"10\.244\.0\.0/24 is in use .*only one cluster with a real node runs at a time",
            id="network-in-use",
        ),
        pytest.param(
            lambda able: _program(able / "ip", "echo 10.0.0.0/8 via 192.0.2.1 dev tun0"),
            r"10\.244\.0\.0/24 is in use \(10\.0\.0\.0/8 via",
            id="a-wider-network-in-use",
        ),
        pytest.param(
            lambda able: (able / "resolv.conf").write_text("nameserver 10.244.0.10\n"),
            r"10\.244\.0\.10 is in the network 10\.244\.0\.0/24",
            id="name-server-in-the-network",
        ),
        pytest.param(
            lambda able: (able / "filesystems").write_text("nodev\tproc\n"),
            "no overlay file system: modprobe overlay",
            id="no-overlay",
        ),
        pytest.param(
            lambda able: (able / "cni" / "bridge").unlink(),
            r"CNI plugins bridge, .*\n?.*containernetworking-plugins",
            id="no-network-plugins",
        ),
    ],
)
def test_what_is_missing_is_said_with_its_remedy(able: Path, spoil, message: str) -> None:
    spoil(able)

    with pytest.raises(NodeError, match=message):
        preconditions.check((NETWORK,))


def test_all_that_is_missing_is_said_at_once(able: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preconditions.os, "geteuid", lambda: 1000)

    with pytest.raises(NodeError) as refusal:
        preconditions.check((NETWORK,))

    text = str(refusal.value)
    assert "run the same command as root" in text
    assert "not found: conntrack, containerd, ctr, ip, iptables, mount, nsenter, runc, unshare" in text
    assert (
        "apt-get install --no-install-recommends conntrack containerd iproute2 iptables mount runc util-linux" in text
    )


def test_there_can_be_one_real_node_only() -> None:
    with pytest.raises(NodeError, match="only one real node"):
        KINDS["real"](2).check()


def test_the_settings_are_files_that_their_programs_read(tmp_path: Path) -> None:
    folder = _folder(tmp_path)

    real_settings.write(folder, "/usr/lib/cni", "localcluster-family")

    containerd = tomllib.loads((folder.root / "containerd.toml").read_text())
    kubelet = yaml.safe_load((folder.root / "kubelet.yaml").read_text())
    assert containerd["plugins"]["io.containerd.grpc.v1.cri"]["cni"]["conf_dir"] == str(folder.root / "cni")
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{containerd['grpc']['address']}"
    assert kubelet["cgroupRoot"] == "/localcluster-family"
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    assert yaml.safe_load((folder.root / "kube-proxy.yaml").read_text())["mode"] == "iptables"
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.root.rglob("*") if path.is_file())


def test_the_name_server_is_reached_by_the_address_that_pods_get(tmp_path: Path) -> None:
    service, endpoints = real_settings.dns_objects()[:2]

    assert service["spec"]["clusterIP"] in real_settings.kubelet(_folder(tmp_path), "x")["clusterDNS"]
    assert endpoints["endpoints"][0]["addresses"] == [NODE_ADDRESS]
    assert f"bind {NODE_ADDRESS}" in real_settings.coredns(_folder(tmp_path))


def test_the_api_server_leads_pods_to_itself_and_logs_to_the_kubelet(tmp_path: Path) -> None:
    flags = RealNode().api_server_flags(_folder(tmp_path))

    assert f"--advertise-address={RealNode().api_server_address}" in flags
    assert any(flag.startswith("--kubelet-client-certificate=") for flag in flags)


def test_stopping_a_node_that_never_was_does_nothing(tmp_path: Path) -> None:
    Sandbox(_folder(tmp_path)).stop()


class Api:
    """A cluster with one class, and the claims and volumes of a test."""

    def __init__(self, *claims: dict, volumes: tuple[dict, ...] = ()) -> None:
        self.objects = {
            "StorageClass": [{"metadata": {"name": "standard"}, "provisioner": "ours", "reclaimPolicy": "Delete"}],
            "PersistentVolumeClaim": list(claims),
            "PersistentVolume": list(volumes),
        }
        self.done: list[tuple[str, object]] = []

    def list(self, kind: str) -> list[dict]:
        return self.objects[kind]

    def create(self, manifest: dict) -> None:
        self.done.append(("create", manifest))

    def merge_patch(self, kind: str, name: str, namespace: str | None, patch: dict, *, subresource: str = "") -> None:
        assert (name, namespace) in [("pvc-u1", None), ("library", "family")]
        self.done.append((f"patch {kind}/{subresource}".rstrip("/"), patch))

    def delete(self, kind: str, name: str) -> None:
        self.done.append((f"delete {kind}", name))


def test_a_claim_gets_a_folder_and_a_volume_of_its_size(tmp_path: Path) -> None:
    api = Api(_claim("1Gi", phase="Pending"))

    Provisioner("ours", api, tmp_path, "node").provision()

    [(verb, volume)] = api.done
    assert verb == "create"
    assert volume["spec"]["capacity"] == {"storage": "1Gi"}
    assert volume["spec"]["claimRef"]["uid"] == "u1"
    assert Path(volume["spec"]["local"]["path"]).is_dir()


def test_a_claim_of_another_class_is_left_alone(tmp_path: Path) -> None:
    claim = _claim("1Gi", phase="Pending")
    claim["spec"]["storageClassName"] = "fast"
    api = Api(claim)

    Provisioner("ours", api, tmp_path, "node").provision()

    assert api.done == []


def test_a_claim_that_asks_for_more_grows_and_nothing_happens_to_it_otherwise(tmp_path: Path) -> None:
    volume = _volume(tmp_path, phase="Bound")
    grown, same = Api(_claim("2Gi", has="1Gi"), volumes=(volume,)), Api(_claim("1Gi", has="1Gi"), volumes=(volume,))

    for api in (grown, same):
        Provisioner("ours", api, tmp_path, "node").provision()

    assert [verb for verb, _ in grown.done] == ["patch PersistentVolume", "patch PersistentVolumeClaim/status"]
    assert same.done == []


@pytest.mark.parametrize(("policy", "kept"), [("Delete", False), ("Retain", True)])
def test_a_volume_without_a_claim_goes_with_its_folder_unless_it_is_retained(
    tmp_path: Path, policy: str, kept: bool
) -> None:
    volume = _volume(tmp_path, phase="Released", policy=policy)
    api = Api(volumes=(volume,))

    Provisioner("ours", api, tmp_path, "node").provision()

    assert Path(volume["spec"]["local"]["path"]).exists() is kept
    assert api.done == ([] if kept else [("delete PersistentVolume", "pvc-u1")])


def test_a_folder_that_is_not_the_provisioners_is_never_removed(tmp_path: Path) -> None:
    volume = _volume(tmp_path, phase="Released")
    mine = tmp_path / "mine"
    mine.mkdir()
    volume["spec"]["local"]["path"] = str(mine)

    Provisioner("ours", Api(volumes=(volume,)), tmp_path, "node").provision()

    assert mine.is_dir()


def _claim(size: str, *, phase: str = "Bound", has: str = "") -> dict:
    return {
        "metadata": {"name": "library", "namespace": "family", "uid": "u1"},
        "spec": {
            "storageClassName": "standard",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        },
        "status": {"phase": phase, **({"capacity": {"storage": has}} if has else {})},
    }


def _volume(folder: Path, *, phase: str, policy: str = "Delete") -> dict:
    place = folder / "pvc-u1"
    place.mkdir()
    return {
        "metadata": {"name": "pvc-u1", "annotations": {"pv.kubernetes.io/provisioned-by": "ours"}},
        "spec": {"local": {"path": str(place)}, "persistentVolumeReclaimPolicy": policy},
        "status": {"phase": phase},
    }


def _folder(parent: Path) -> Folder:
    folder = Folder(parent, "family")
    folder.root.mkdir(exist_ok=True)
    return folder


def _program(path: Path, script: str = "exit 0") -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
