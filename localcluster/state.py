# SPDX-License-Identifier: Apache-2.0
"""What is kept of a cluster between two calls of the command line: one folder with one record."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from localcluster.credentials import write_private
from localcluster.errors import LocalClusterError
from localcluster.processes import Process
from localcluster.programs import cache_folder

__all__ = ["Component", "Folder", "Record", "default_state"]

DEFAULT_NAME = "default"


def default_state(env: Mapping[str, str] | None = None) -> Path:
    """Where the folders of clusters are: $LOCALCLUSTER_STATE, otherwise `clusters` in the user's cache."""
    chosen = (os.environ if env is None else env).get("LOCALCLUSTER_STATE")
    return Path(chosen).absolute() if chosen else cache_folder(env) / "clusters"


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one cluster; everything that the cluster writes is below it."""

    state: Path
    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", self.name):
            raise LocalClusterError(
                f"{self.name!r} cannot be the name of a cluster: use up to 63 lower-case letters, digits and hyphens, "
                "with a letter or digit at both ends"
            )

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self.state / self.name

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops the cluster; outside the folder, because that comes and goes."""
        return self.state / f".{self.name}.lock"

    @property
    def kubeconfig(self) -> Path:
        """For people and tests: cluster administrator."""
        return self.root / "kubeconfig"

    @property
    def credentials(self) -> Path:
        """Keys, certificates, kubeconfig files of the components."""
        return self.root / "credentials"

    @property
    def logs(self) -> Path:
        """One file per component, and the audit log."""
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        """JSON lines, written by the API server."""
        return self.logs / "audit.jsonl"

    @property
    def record(self) -> Path:
        """The Record as JSON."""
        return self.root / "state.json"

    def log(self, component: str) -> Path:
        """Standard output and error of a component."""
        return self.logs / f"{component}.log"


@dataclass(frozen=True, slots=True)
class Component:
    """A process that was started: its identity, its command line (no secrets: they are in files), where it listens."""

    process: Process
    command: tuple[str, ...]
    log: str
    port: int


@dataclass(slots=True)
class Record:
    """What runs. `owner` is the process that wants the cluster; None if it is to stay until `down`."""

    name: str
    nodes: int
    node_kind: str
    owner: Process | None = None
    ready: bool = False
    components: dict[str, Component] = field(default_factory=dict)

    def save(self, folder: Folder) -> None:
        """Replace the record in one step, so that a reader never sees half of it."""
        scratch = folder.record.with_suffix(".new")
        write_private(scratch, json.dumps(asdict(self), indent=2).encode())
        scratch.replace(folder.record)

    @classmethod
    def load(cls, folder: Folder) -> "Record | None":
        """The record of a cluster, None if there is none; LocalClusterError if it cannot be read."""
        try:
            text = folder.record.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            return cls._from(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise LocalClusterError(
                f"{folder.record} cannot be read ({error!r}): another version of localcluster wrote it, or it is damaged. "
                f"End the processes that it names by their pid, then remove {folder.root}"
            ) from error

    @classmethod
    def _from(cls, data: dict[str, Any]) -> "Record":
        components = {
            name: Component(
                process=Process(**entry["process"]),
                command=tuple(entry["command"]),
                log=entry["log"],
                port=entry["port"],
            )
            for name, entry in data["components"].items()
        }
        return cls(
            name=data["name"],
            nodes=data["nodes"],
            node_kind=data["node_kind"],
            owner=Process(**data["owner"]) if data["owner"] else None,
            ready=data["ready"],
            components=components,
        )
