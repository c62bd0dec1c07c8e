# SPDX-License-Identifier: Apache-2.0
"""What was settled, kept beyond the life of a process: a new pod of the operator runs no plays that change nothing.

A ConfigMap in the operator's namespace holds the digests of all controllers (see `settled`) and what they depend on:
the roles, the versions of operator and Ansible, and the environment. If any of this differs, all are discarded, and
each custom resource gets a pass. Only the leader reads and writes it. Losing it costs plays, nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from immich_operator import __version__
from immich_operator.config.watches import Watch
from immich_operator.errors import TransportError
from immich_operator.kube.client import FIELD_MANAGER, ApiObjects, ObjectRef, named
from immich_operator.kube.resources import NamespacedName
from immich_operator.passes.settled import Digest, Settled

__all__ = ["Memory", "program_digest"]

SAVE_S: Final = 30.0
"""How often it is written while it changes. Each entry that a crash loses costs a play."""
TIMEOUT_S: Final = 5.0
"""It is read before any pass and written during shutdown: better lost than late."""
MAX_BYTES: Final = 900_000
"""The API server takes objects of about a mebibyte."""
NOTHING: Final = "{}"
OWN_NAMES: Final = frozenset({"HOSTNAME", "POD_NAME", "POD_IP", "PWD", "OLDPWD", "SHLVL", "_"})
"""Variables that differ between pods or shells and mean nothing to a role."""


class Memory:
    """The digests of all controllers of a process in one ConfigMap.

    Args:
        name: of the ConfigMap, in `namespace`.
        program: see `program_digest`.
        settled: by the controller's name.
    """

    def __init__(
        self,
        objects: ApiObjects,
        *,
        namespace: str,
        name: str,
        program: str,
        settled: Mapping[str, Settled],
        log: logging.Logger,
    ) -> None:
        self._objects = objects.within(TIMEOUT_S)
        self._ref = ObjectRef(named("ConfigMap").api_version, "ConfigMap", name, namespace)
        self._program = program
        self._settled = settled
        self._log = log
        self._lock = threading.Lock()
        self._loaded = False
        self._saved: str | None = None

    def load(self) -> None:
        """Call it once, before the first pass and after the caches were filled.

        Nothing is saved until it has ended, because that would overwrite what is still to be read.
        """
        saved = self._load()
        with self._lock:
            self._loaded, self._saved = True, saved

    def _load(self) -> str | None:
        """Content for which the ConfigMap need not be written."""
        try:
            data = (self._objects.find(self._ref) or {}).get("data") or {}
        except TransportError as exc:
            self._log.warning(
                "what was settled could not be read; every resource gets a pass", extra={"error": str(exc)}
            )
            return NOTHING  # it may hold a lot
        if data.get("program") != self._program:
            return None
        for controller, found in _parsed(data.get("settled")).items():
            if controller in self._settled:
                self._settled[controller].restore(found)
        return self._content()

    def save(self) -> None:
        """Write it unless it has not changed since it was last written."""
        with self._lock:  # otherwise an older content could arrive after a newer one
            if self._loaded and (content := self._content()) != self._saved:
                self._write(content)

    def _write(self, content: str) -> None:
        manifest = {
            "apiVersion": self._ref.api_version,
            "kind": self._ref.kind,
            "metadata": {
                "name": self._ref.name,
                "namespace": self._ref.namespace,
                "labels": {"app.kubernetes.io/name": FIELD_MANAGER, "app.kubernetes.io/component": "memory"},
            },
            "data": {"program": self._program, "settled": content},
        }
        try:
            self._objects.apply(manifest)
        except TransportError as exc:
            self._log.warning("what is settled could not be written", extra={"error": str(exc)})
        else:
            self._saved = content

    def run(self, stop: threading.Event) -> None:
        """Save periodically, until `stop` is set."""
        while not stop.wait(SAVE_S):
            self.save()

    def _content(self) -> str:
        """{controller: {"namespace/name": [digest, since]}} as JSON, as much of it as fits."""
        whole: dict[str, dict[str, Digest]] = {}
        size = 0
        for controller, settled in sorted(self._settled.items()):
            for ref, digest in sorted(settled.digests().items()):
                key = f"{ref.namespace}/{ref.name}"
                size += len(key) + len(digest.text) + 24
                if size > MAX_BYTES:
                    break
                whole.setdefault(controller, {})[key] = digest
        return json.dumps(whole, separators=(",", ":"))


def program_digest(watches: Sequence[Watch], environ: Mapping[str, str], ansible_args: str) -> str:
    """A digest of everything that decides what a pass does, except the cluster.

    That is the versions of this package and of ansible-core, watches.yaml as parsed, the environment except OWN_NAMES,
    the arguments of each play, and all files next to roles and playbooks. What these take from elsewhere (roles
    of other collections, files that ansible.cfg names) is part of an image and changes with its version.
    """
    digest = hashlib.sha256()
    environment = sorted((name, value) for name, value in environ.items() if name not in OWN_NAMES)
    for part in (__version__, version("ansible-core"), repr(watches), repr(environment), ansible_args):
        digest.update(part.encode(errors="surrogateescape") + b"\0")
    for folder in sorted({folder for watch in watches for folder in _code_of(watch)}):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path}\0".encode(errors="surrogateescape") + path.read_bytes())
    return digest.hexdigest()[:24]


def _code_of(watch: Watch) -> Iterator[Path]:
    """Folders that decide what its passes do; for a role in a collection, all roles and plugins of that collection."""
    finalizer = watch.finalizer
    for role in (watch.role, finalizer.role if finalizer else None):
        if role is not None and role.absolute().parts[-5:-4] == ("ansible_collections",):
            yield from (role.absolute().parent, role.absolute().parents[1] / "plugins")
        elif role is not None:
            yield role.absolute()
    for playbook in (watch.playbook, finalizer.playbook if finalizer else None):
        if playbook is not None:
            yield playbook.absolute().parent


def _parsed(text: Any) -> dict[str, dict[NamespacedName, Digest]]:
    """What `_content` has written; {} for anything else."""
    try:
        whole = json.loads(text)
        return {
            str(controller): {
                NamespacedName(*key.split("/", 1)): Digest(f"{int(digest, 16):024x}", int(since))
                for key, (digest, since) in found.items()
            }
            for controller, found in whole.items()
        }
    except (AttributeError, TypeError, ValueError):
        return {}
