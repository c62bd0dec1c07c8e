# SPDX-License-Identifier: Apache-2.0
"""Where pods run. Each kind of node is a module with one class that follows `Nodes`, and an entry in kinds.py."""

from typing import TYPE_CHECKING, Protocol

from localcluster.credentials import Authority
from localcluster.launch import Launcher
from localcluster.progress import Progress
from localcluster.state import Folder

if TYPE_CHECKING:  # half a second of loading that most commands don't need
    from localcluster.api import Api

__all__ = ["Nodes"]


class Nodes(Protocol):
    """What a cluster needs to know about its nodes. Called in this order: `check`, `prepare`, `start`, `wait`, `stop`."""

    @property
    def kind(self) -> str:
        """Its name in nodes/kinds.py."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs needed in addition to those of the control plane."""

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of the ports to reserve."""

    @property
    def count(self) -> int:
        """How many nodes."""

    @property
    def api_server_address(self) -> str:
        """The address on which the API server listens, where nodes and clients reach it."""

    @property
    def provisioner(self) -> str:
        """What creates the volumes of the storage classes."""

    def check(self) -> None:
        """NodeError if this machine cannot run such nodes; lists everything that is missing and changes nothing."""

    def prepare(self, launcher: Launcher, authority: Authority, progress: Progress) -> None:
        """Nothing runs yet: issue certificates, and create what the API server's address needs."""

    def api_server_flags(self, folder: Folder) -> tuple[str, ...]:
        """Flags that the API server needs for these nodes; they override those of the control plane."""

    def start(self, launcher: Launcher, api: "Api") -> None:
        """The API server is ready: start the processes and register the nodes, without waiting."""

    def wait(self, launcher: Launcher, api: "Api") -> None:
        """Return when all nodes are Ready; ComponentError if a process ends."""

    def stop(self, folder: Folder) -> None:
        """The processes have ended: remove what is left outside the folder (mounts, network); safe to repeat."""
