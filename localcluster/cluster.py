# SPDX-License-Identifier: Apache-2.0
"""One cluster: bring it up, inspect it, take it down."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcluster import build, control_plane, processes
from localcluster.credentials import Authority, write_service_account_key
from localcluster.errors import ComponentError, LocalClusterError, NodeError
from localcluster.launch import Launcher
from localcluster.locks import locked
from localcluster.nodes import Nodes
from localcluster.nodes.kinds import KINDS
from localcluster.nodes.real import load_image
from localcluster.nodes.sandbox import Sandbox
from localcluster.nodes.simulated import SimulatedNodes
from localcluster.ports import free_ports
from localcluster.processes import Process
from localcluster.programs import CONTROL_PLANE
from localcluster.progress import Progress
from localcluster.state import Folder, Record

__all__ = ["ComponentStatus", "LocalCluster", "take_down_orphans"]

_MANIFESTS = Path(__file__).parent / "manifests"
_ATTEMPTS = 3
# The path is fixed in the provisioner (kubernetes/pkg/volume/hostpath).
_VOLUMES = Path("/tmp/hostpath_pv")  # noqa: S108


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """The state of a component: whether it runs, its pid, its port, its log."""

    name: str
    running: bool
    pid: int
    port: int
    log: Path


class LocalCluster:
    """A cluster by its name; nothing is read or written before a method is called."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def up(self, *, nodes: Nodes | None = None, owner: Process | None = None, progress: Progress | None = None) -> bool:
        """Bring the cluster up; False if it was already up. A cluster that is only partly up is started from scratch.

        `owner`: the process without which nobody needs the cluster (see `take_down_orphans`).
        """
        progress = progress or Progress(quiet=True)
        nodes = nodes or SimulatedNodes()
        if self.is_up():
            return False
        nodes.check()
        programs = build.ensure((*CONTROL_PLANE, *nodes.programs), progress)
        waiting = f"Waiting for another process that starts or stops cluster {self.folder.name} ..."
        with locked(self.folder.lock, on_wait=lambda: progress.say(waiting)):
            if self.is_up():
                return False
            for attempt in range(1, _ATTEMPTS + 1):
                self._clear()
                try:
                    self._start(nodes, owner, programs, progress)
                except LocalClusterError as error:
                    # The folder stays so that the logs can be read; the next `up` or `down` removes it.
                    self._stop_processes()
                    is_conflict = isinstance(error, ComponentError) and error.is_port_conflict
                    if not is_conflict or attempt == _ATTEMPTS:
                        error.add_note(f"The logs of all components are in {self.folder.logs}")
                        raise
                except BaseException:
                    self._clear()
                    raise
                else:
                    return True
        return True

    def down(self) -> bool:
        """End all processes and remove the folder; False if there was nothing."""
        if not self.folder.state.exists():
            return False
        with locked(self.folder.lock):
            existed = self.folder.root.exists()
            self._clear()
        return existed

    def is_up(self) -> bool:
        """True when every component runs and the cluster once was ready."""
        record = Record.load(self.folder)
        return (
            record is not None
            and record.ready
            and all(processes.is_alive(component.process) for component in record.components.values())
        )

    def load(self, archives: Sequence[Path]) -> None:
        """Load the images of these archives (docker or OCI) into the node; NodeError if it is simulated."""
        launcher = self._real_node()
        for archive in archives:
            load_image(launcher, archive)

    def on_node(self, *command: str) -> str:
        """Output of a command run in the namespaces of a real node; NodeError if it fails."""
        return Sandbox(self.folder).run(self._real_node(), *command)

    def _real_node(self) -> Launcher:
        record = Record.load(self.folder)
        if record is None or not self.is_up():
            raise NodeError(f"Cluster {self.folder.name} is not up")
        if record.node_kind != "real":
            raise NodeError(f"Cluster {self.folder.name} has simulated nodes, without images; use `up --node real`")
        return Launcher(self.folder, record, {}, {})

    def environment(self) -> dict[str, str]:
        """The variables that point kubectl and clients at the cluster; kubectl's cache is removed with it."""
        variables = {"KUBECONFIG": str(self.folder.kubeconfig), "KUBECACHEDIR": str(self.folder.root / "kubectl-cache")}
        # Ours comes first: another version on PATH may be too old or too new for the API server.
        if (kubectl := build.locate("kubectl")) is not None:
            variables["PATH"] = f"{kubectl.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return variables

    def status(self) -> list[ComponentStatus]:
        """Its components in start order; empty if there is no such cluster."""
        record = Record.load(self.folder)
        if record is None:
            return []
        return [
            ComponentStatus(name, processes.is_alive(entry.process), entry.process.pid, entry.port, Path(entry.log))
            for name, entry in record.components.items()
        ]

    def _start(self, nodes: Nodes, owner: Process | None, programs: dict[str, Path], progress: Progress) -> None:
        folder = self.folder
        for path in (folder.root, folder.credentials, folder.logs):
            path.mkdir(parents=True, mode=0o700)
        ports = free_ports((*control_plane.PORTS, *nodes.ports))
        address = nodes.api_server_address
        authority = _write_credentials(folder, address, ports["kube-apiserver"])
        shutil.copy(_MANIFESTS / "audit-policy.yaml", folder.root)
        record = Record(folder.name, nodes.count, nodes.kind, owner=owner)
        record.save(folder)
        launcher = Launcher(folder, record, programs, ports)
        nodes.prepare(launcher, authority, progress)

        # The API server retries until etcd is there, so both can load at the same time.
        etcd = control_plane.etcd(folder, ports)
        api_server = control_plane.api_server(folder, ports, nodes.api_server_flags(folder), address)
        launcher.start(etcd)
        launcher.start(api_server)
        # Imported here: it takes half a second to load, while the two start.
        from localcluster.api import Api  # noqa: PLC0415

        launcher.wait(etcd)
        launcher.wait(api_server)

        workers = (control_plane.controller_manager(folder, ports), control_plane.scheduler(folder, ports))
        for order in workers:
            launcher.start(order)
        api = Api(folder.kubeconfig, user_agent="localcluster")
        try:
            nodes.start(launcher, api)
            for manifest in _storage_classes():
                api.create(manifest | {"provisioner": nodes.provisioner})
            for order in workers:
                launcher.wait(order)
            nodes.wait(launcher, api)
            # Until then no pod can be created in the namespace.
            api.wait_for("ServiceAccount", "default", "default", lambda _: True)
        finally:
            api.close()
        launcher.check_all()
        record.ready = True
        record.save(folder)

    def _clear(self) -> None:
        """Leave nothing: processes, volumes on the host, the folder."""
        self._stop_processes()
        if self.folder.root.exists():
            shutil.rmtree(self.folder.root)

    def _stop_processes(self) -> None:
        """End the recorded processes and remove what the cluster has outside its folder: volumes, a node's network.

        SIGKILL right away: the data is removed too, so there is nothing to finish.
        """
        record = Record.load(self.folder)
        if record is None:
            return
        running = dict(record.components)
        # First the one that creates volumes, so that the list of them is complete.
        maker = running.pop("kube-controller-manager", None)
        if maker is not None:
            processes.kill(maker.process)
        # Before it was ready there were no volumes, and without both of these they can't be listed.
        can_ask = record.ready and all(processes.is_alive(running[name].process) for name in ("etcd", "kube-apiserver"))
        volumes = _volumes(self.folder) if can_ask else []
        for component in reversed(running.values()):
            processes.kill(component.process)
        KINDS[record.node_kind](record.nodes).stop(self.folder)
        for path in volumes:
            shutil.rmtree(path, ignore_errors=True)
        if volumes:
            _remove_if_empty(_VOLUMES)


def take_down_orphans(state: Path) -> list[str]:
    """Take down orphaned clusters, whose owner has ended without doing so; returns their names."""
    names = []
    for path in sorted(state.glob("*/state.json")):
        folder = Folder(state, path.parent.name)
        record = Record.load(folder)
        if record is not None and record.owner is not None and not processes.is_alive(record.owner):
            LocalCluster(folder).down()
            names.append(folder.name)
    return names


def _write_credentials(folder: Folder, address: str, port: int) -> Authority:
    authority = Authority.create(folder.credentials)
    server = f"https://{address}:{port}"
    hosts = (
        address,
        "127.0.0.1",
        "localhost",
        "10.96.0.1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    )
    authority.issue("server", "kube-apiserver", hosts=hosts)
    write_service_account_key(folder.credentials)
    for file_name, user, groups in (
        ("admin", "admin", ("system:masters",)),
        ("controller-manager", "system:kube-controller-manager", ()),
        ("scheduler", "system:kube-scheduler", ()),
    ):
        certificate, key = authority.issue(file_name, user, groups=groups)
        path = folder.kubeconfig if file_name == "admin" else folder.credentials / f"{file_name}.kubeconfig"
        authority.write_kubeconfig(path, cluster=folder.name, server=server, certificate=certificate, key=key)
    return authority


def _storage_classes() -> list[dict[str, Any]]:
    text = (_MANIFESTS / "storage-classes.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def _volumes(folder: Folder) -> list[Path]:
    from localcluster.api import Api  # noqa: PLC0415 - slow to load, and `status` or `env` don't need it

    api = Api(folder.kubeconfig, user_agent="localcluster")
    try:
        paths = [volume["spec"].get("hostPath", {}).get("path", "") for volume in api.list("PersistentVolume")]
    except (LocalClusterError, OSError):
        return []
    finally:
        api.close()
    # Only what the provisioner created: a test may have volumes of its own that point anywhere.
    return [Path(path) for path in paths if re.fullmatch(rf"{_VOLUMES}/[0-9a-f-]{{36}}", path)]


def _remove_if_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return
