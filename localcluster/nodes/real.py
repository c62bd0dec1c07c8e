# SPDX-License-Identifier: Apache-2.0
"""One node with containers: containerd, kubelet, kube-proxy and CoreDNS in namespaces of their own (see sandbox.py)."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcluster import images
from localcluster.credentials import Authority
from localcluster.errors import LocalClusterError, NodeError
from localcluster.launch import Launcher, Order
from localcluster.nodes import preconditions, real_settings
from localcluster.nodes.real_settings import NAME
from localcluster.nodes.sandbox import HOST_ADDRESS, NETWORKS, NODE_ADDRESS, Sandbox
from localcluster.progress import Progress
from localcluster.state import Folder

if TYPE_CHECKING:  # takes half a second to load, which most commands don't need
    from localcluster.api import Api

__all__ = ["RealNode", "load_image"]

_PROVISIONER = "localcluster/folder"


@dataclass(frozen=True, slots=True)
class RealNode:
    """A kubelet with containerd; images for pods are loaded with `load_image`."""

    count: int = 1
    kind: str = "real"
    programs: tuple[str, ...] = ("kubelet", "kube-proxy", "coredns")
    ports: tuple[str, ...] = ()
    api_server_address: str = HOST_ADDRESS
    provisioner: str = _PROVISIONER

    def check(self) -> None:
        """NodeError that lists everything that the machine lacks."""
        if self.count != 1:
            raise NodeError("There can be only one real node; leave out --nodes, or use simulated nodes")
        preconditions.check(NETWORKS)

    def prepare(self, launcher: Launcher, authority: Authority, progress: Progress) -> None:
        """Namespaces and network, so that the API server has its address; containerd with the one image it needs."""
        folder = launcher.folder
        sandbox = Sandbox(folder)
        sandbox.start(launcher)
        authority.issue("kubelet-serving", NAME, hosts=(NAME, NODE_ADDRESS))
        # The administrators' group: the built-in role for this user covers logs and exec only in part.
        authority.issue("kubelet-client", "kube-apiserver-kubelet-client", groups=("system:masters",))
        server = f"https://{HOST_ADDRESS}:{launcher.ports['kube-apiserver']}"
        for file_name, user, groups in (
            ("kubelet", f"system:node:{NAME}", ("system:nodes",)),
            ("kube-proxy", "system:kube-proxy", ()),
            ("coredns", "system:coredns", ()),
        ):
            certificate, key = authority.issue(file_name, user, groups=groups)
            path = folder.credentials / f"{file_name}.kubeconfig"
            authority.write_kubeconfig(path, cluster=folder.name, server=server, certificate=certificate, key=key)
        real_settings.write(folder, str(preconditions.cni_folder()), sandbox.control_group)
        containerd = _containerd(folder, sandbox, launcher)
        launcher.start(containerd)
        launcher.wait(containerd, ready=lambda: _answers(launcher))
        load_image(launcher, images.pause_archive(progress))

    def api_server_flags(self, folder: Folder) -> tuple[str, ...]:
        """Routes the Service `kubernetes` to the API server, and logs and exec to the kubelet."""
        credentials = folder.credentials
        return (
            f"--advertise-address={HOST_ADDRESS}",
            "--endpoint-reconciler-type=lease",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={credentials / 'ca.crt'}",
            f"--kubelet-client-certificate={credentials / 'kubelet-client.crt'}",
            f"--kubelet-client-key={credentials / 'kubelet-client.key'}",
        )

    def start(self, launcher: Launcher, api: "Api") -> None:
        """Start what needs the API server; kubelet registers the node itself."""
        for manifest in real_settings.dns_objects():
            api.create(manifest)
        for order in self._orders(launcher):
            launcher.start(order)
        launcher.start(_volumes(launcher.folder))

    def wait(self, launcher: Launcher, api: "Api") -> None:
        """Return when the node is Ready and DNS answers."""
        for order in self._orders(launcher):
            launcher.wait(order)
        try:
            api.wait_for("Node", NAME, None, _is_ready, timeout=60)
        except LocalClusterError as error:
            error.add_note(f"kubelet's log is {launcher.folder.log('kubelet')}")
            raise

    def stop(self, folder: Folder) -> None:
        """Removes interface and control groups; everything else is gone with the namespaces."""
        Sandbox(folder).stop()

    @staticmethod
    def _orders(launcher: Launcher) -> tuple[Order, ...]:
        folder = launcher.folder
        enter = Sandbox(folder).enter(launcher)

        def order(name: str, health: str, *arguments: str) -> Order:
            return Order(
                name=name,
                program=name,
                prefix=enter,
                host=NODE_ADDRESS,
                port=real_settings.HEALTH_PORTS[name],
                health=health,
                tls=False,
                arguments=arguments,
            )

        return (
            order(
                "kubelet",
                "/healthz",
                f"--config={folder.root / 'kubelet.yaml'}",
                f"--kubeconfig={folder.credentials / 'kubelet.kubeconfig'}",
                f"--root-dir={folder.root / 'kubelet'}",
                f"--hostname-override={NAME}",
                f"--node-ip={NODE_ADDRESS}",
            ),
            order("kube-proxy", "/healthz", f"--config={folder.root / 'kube-proxy.yaml'}"),
            order("coredns", "/health", f"-conf={folder.root / 'Corefile'}"),
        )


def _volumes(folder: Folder) -> Order:
    place = folder.root / "volumes"
    place.mkdir()
    return Order(
        name="volumes",
        program=sys.executable,
        arguments=("-m", "localcluster.nodes.volumes", _PROVISIONER, str(folder.kubeconfig), str(place), NAME),
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def _containerd(folder: Folder, sandbox: Sandbox, launcher: Launcher) -> Order:
    return Order(
        name="containerd",
        program="containerd",
        prefix=sandbox.enter(launcher),
        arguments=(f"--config={folder.root / 'containerd.toml'}",),
    )


def _answers(launcher: Launcher) -> bool:
    try:
        _ctr(launcher, "version")
    except NodeError:
        return False
    return True


def _ctr(launcher: Launcher, *arguments: str) -> str:
    """Output of containerd's client; NodeError with its output if it fails."""
    command = ("ctr", "--address", real_settings.SOCKET, "--namespace", "k8s.io", *arguments)
    return Sandbox(launcher.folder).run(launcher, *command)


def load_image(launcher: Launcher, archive: Path) -> None:
    """Load the images of an archive into the node; NodeError if that fails."""
    if not archive.is_file():
        raise NodeError(f"There is no image archive {archive}")
    _ctr(launcher, "images", "import", str(archive.absolute()))


def _is_ready(live: dict[str, Any]) -> bool:
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in live["status"]["conditions"])
