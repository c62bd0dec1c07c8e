# SPDX-License-Identifier: Apache-2.0
"""Nodes that exist in the API only: kwok acts as kubelet, pods become Ready without containers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcluster.credentials import Authority
from localcluster.launch import Launcher, Order
from localcluster.progress import Progress
from localcluster.state import Folder

if TYPE_CHECKING:  # takes half a second to load, which most commands don't need
    from localcluster.api import Api

__all__ = ["SimulatedNodes", "node"]

_STAGES = Path(__file__).parents[1] / "stages"
_CAPACITY = {"cpu": "1k", "memory": "4Ti", "pods": "10k", "ephemeral-storage": "10Ti"}


def node(number: int) -> dict[str, Any]:
    """The Node object; large enough that no pod of a test stays unscheduled."""
    name = f"simulated-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
            },
        },
        "status": {"capacity": _CAPACITY, "allocatable": _CAPACITY},
    }


@dataclass(frozen=True, slots=True)
class SimulatedNodes:
    """`count` nodes, all simulated by one kwok process."""

    count: int = 1
    kind: str = "simulated"
    programs: tuple[str, ...] = ("kwok",)
    ports: tuple[str, ...] = ("kwok",)
    api_server_address: str = "127.0.0.1"
    # Of kube-controller-manager.
    provisioner: str = "kubernetes.io/host-path"

    def check(self) -> None:
        """Nothing: a process needs no more than the others do."""

    def prepare(self, launcher: Launcher, authority: Authority, progress: Progress) -> None:  # noqa: ARG002 - protocol
        """Give kwok access."""
        folder = launcher.folder
        server = f"https://{self.api_server_address}:{launcher.ports['kube-apiserver']}"
        certificate, key = authority.issue("kwok", "kwok", groups=("system:masters",))
        path = folder.credentials / "kwok.kubeconfig"
        authority.write_kubeconfig(path, cluster=folder.name, server=server, certificate=certificate, key=key)

    def api_server_flags(self, folder: Folder) -> tuple[str, ...]:  # noqa: ARG002 - part of the protocol
        """None: nobody connects to a simulated kubelet."""
        return ()

    def start(self, launcher: Launcher, api: "Api") -> None:
        """Start kwok and register the nodes."""
        _write_config(launcher.folder)
        launcher.start(self._order(launcher.folder, launcher.ports))
        for number in range(self.count):
            api.create(node(number))

    def wait(self, launcher: Launcher, api: "Api") -> None:
        """Return when kwok has made every node Ready."""
        launcher.wait(self._order(launcher.folder, launcher.ports))
        for number in range(self.count):
            api.wait_for("Node", node(number)["metadata"]["name"], None, _is_ready, timeout=30)

    def stop(self, folder: Folder) -> None:
        """Nothing exists but the process."""

    @staticmethod
    def _order(folder: Folder, ports: Mapping[str, int]) -> Order:
        return Order(
            name="kwok",
            program="kwok",
            port=ports["kwok"],
            health="/healthz",
            tls=False,
            # Otherwise kwok looks for settings in the user's home folder.
            env={"KWOK_WORKDIR": str(folder.root / "kwok")},
            arguments=(
                f"--kubeconfig={folder.credentials / 'kwok.kubeconfig'}",
                f"--config={folder.root / 'kwok.yaml'}",
                "--manage-all-nodes=true",
                "--node-lease-duration-seconds=40",
                f"--server-address=127.0.0.1:{ports['kwok']}",
            ),
        )


def _write_config(folder: Folder) -> None:
    parts = [path.read_text(encoding="utf-8") for path in sorted(_STAGES.glob("*.yaml"))]
    (folder.root / "kwok.yaml").write_text("---\n".join(parts), encoding="utf-8")


def _is_ready(live: dict[str, Any]) -> bool:
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in live["status"]["conditions"])
