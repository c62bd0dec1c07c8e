# SPDX-License-Identifier: Apache-2.0
"""The processes of a local cluster's control plane: kill them, start them again, put back an older state."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster import processes
from localcluster.errors import ApiError
from localcluster.launch import Launcher, Order
from localcluster.state import Record
from localcluster.testing import Cluster

from .operating import OWN_KINDS
from .waiting import eventually

__all__ = ["ControlPlane"]

API_SERVER = "kube-apiserver"
KINDS = (*OWN_KINDS, "Immich", "Pod")
WITHOUT_TLS = ("etcd", "kwok")
READY_S = 180.0
READY_PATH = {"etcd": "/readyz", API_SERVER: "/readyz"}


class ControlPlane:
    """Of one cluster with simulated nodes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._folder = cluster.local.folder

    def kill(self, *names: str) -> None:
        """SIGKILL these components."""
        for name in names:
            processes.kill(self._record().components[name].process)

    def start(self, *names: str) -> None:
        """Start these again as they were started before, in this order; return when all are ready."""
        record = self._record()
        launcher = Launcher(self._folder, record, {}, {})
        for name in names:
            order = self._order(record, name)
            launcher.start(order)
            launcher.wait(order, timeout_s=READY_S)
        if API_SERVER in names:
            eventually("the API server lists all kinds", self._lists_all)

    @property
    def all(self) -> tuple[str, ...]:
        """All components, in the order of their start."""
        return tuple(self._record().components)

    @contextmanager
    def api_server_away(self) -> Iterator[None]:
        """It is killed, and ready again at the end."""
        self.kill(API_SERVER)
        try:
            yield
        finally:
            self.start(API_SERVER)

    def snapshot(self, folder: Path) -> Path:
        """A copy of etcd's data as it is now. The API server has to do without etcd for a moment."""
        self.kill("etcd")
        shutil.copytree(self._data, folder / "etcd")
        self.start("etcd")
        return folder / "etcd"

    @contextmanager
    def restored(self, snapshot: Path) -> Iterator[None]:
        """Nothing runs meanwhile; at the end all of it does, with the older data, as the manual of Kubernetes asks for."""
        names = self.all
        self.kill(*reversed(names))
        try:
            shutil.rmtree(self._data)
            shutil.copytree(snapshot, self._data)
            yield
        finally:
            self.start(*names)
            self._cluster.api.close()

    def _lists_all(self) -> bool:
        """While the storage of a kind is being set up, it is answered with 429."""
        try:
            return all(isinstance(self._cluster.api.list(kind), list) for kind in KINDS)
        except ApiError:
            return False

    @property
    def _data(self) -> Path:
        return self._folder.root / "etcd"

    def _record(self) -> Record:
        record = Record.load(self._folder)
        assert record is not None
        return record

    def _order(self, record: Record, name: str) -> Order:
        component = record.components[name]
        program, *arguments = component.command
        return Order(
            name=name,
            program=program,
            arguments=tuple(arguments),
            port=component.port,
            health=READY_PATH.get(name, "/healthz"),
            tls=name not in WITHOUT_TLS,
            env={"KWOK_WORKDIR": str(self._folder.root / "kwok")} if name == "kwok" else {},
        )
