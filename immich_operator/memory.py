# SPDX-License-Identifier: Apache-2.0
"""What was settled, kept over the life of a process: a new pod of the operator runs no plays that change nothing.

A ConfigMap in the operator's namespace holds the digests of all controllers (see `settled`) and what they were made by:
the roles, the operator's version, and its environment. Where any of this differs, all is forgotten, and
each custom resource gets a pass. Only the leader reads and writes it. Losing it costs plays, nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from immich_operator import __version__
from immich_operator.errors import NotFoundError, OperatorError
from immich_operator.kube import Client
from immich_operator.resources import ObjectRef
from immich_operator.settled import Settled
from immich_operator.watches import Watch

__all__ = ["Memory", "program_digest"]

SAVE_S: Final = 30.0
"""How often it is written while it changes. What a crash loses costs a play each."""
MAX_BYTES: Final = 900_000
"""The API server takes objects of about a mebibyte."""
CODE: Final = frozenset({".j2", ".json", ".py", ".yaml", ".yml"})
OWN_NAMES: Final = frozenset({"HOSTNAME", "POD_NAME", "POD_IP", "PWD", "OLDPWD", "SHLVL", "_"})
"""Variables that differ from one pod or shell to the next and mean nothing to a role."""


class Memory:
    """The digests of all controllers of a process in one ConfigMap.

    Args:
        name: of the ConfigMap, in `namespace`.
        program: see `program_digest`.
        settled: by the controller's name.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        program: str,
        settled: Mapping[str, Settled],
        log: logging.Logger,
    ) -> None:
        self._client = client
        self._namespace, self._name = namespace, name
        self._what = f"ConfigMap {namespace}/{name}"
        self._program = program
        self._settled = settled
        self._log = log
        self._saved: str | None = None

    def load(self) -> None:
        """To be called once, before the first pass and after the caches were filled."""
        path = f"/api/v1/namespaces/{self._namespace}/configmaps/{self._name}"
        try:
            data = self._client.get(path, what=f"read {self._what}").get("data") or {}
        except NotFoundError:
            return
        except OperatorError as exc:
            self._log.warning(
                "what was settled could not be read; every resource gets a pass", extra={"error": str(exc)}
            )
            return
        if data.get("program") != self._program:
            return
        for controller, found in _parsed(data.get("settled")).items():
            if controller in self._settled:
                self._settled[controller].restore(found)
        self._saved = self._content()

    def save(self) -> None:
        """Write it unless it is as it was written last."""
        content = self._content()
        if content == self._saved:
            return
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "labels": {"app.kubernetes.io/name": "immich-operator", "app.kubernetes.io/component": "memory"},
            },
            "data": {"program": self._program, "settled": content},
        }
        path = f"/api/v1/namespaces/{self._namespace}/configmaps/{self._name}?fieldManager=immich-operator&force=true"
        try:
            self._client.send(
                "PATCH", path, manifest, what=f"write {self._what}", content_type="application/apply-patch+yaml"
            )
        except OperatorError as exc:
            self._log.warning("what is settled could not be written", extra={"error": str(exc)})
        else:
            self._saved = content

    def run(self, stop: threading.Event) -> None:
        """Save from time to time, until `stop` is set."""
        while not stop.wait(SAVE_S):
            self.save()

    def _content(self) -> str:
        """{controller: {"namespace/name": digest}} as JSON, as much of it as fits."""
        whole: dict[str, dict[str, str]] = {}
        size = 0
        for controller, settled in sorted(self._settled.items()):
            for ref, digest in sorted(settled.digests().items()):
                key = f"{ref.namespace}/{ref.name}"
                size += len(key) + len(digest) + 8
                if size > MAX_BYTES:
                    break
                whole.setdefault(controller, {})[key] = digest
        return json.dumps(whole, separators=(",", ":"))


def program_digest(watches: Sequence[Watch], environ: Mapping[str, str], ansible_args: str) -> str:
    """A digest of all that decides what a pass does, the cluster aside.

    That is the version of this package, watches.yaml as it was understood, the environment but for OWN_NAMES, arguments
    of each play, and the contents of the roles' folders; of a role in a collection those of the whole collection.
    """
    digest = hashlib.sha256()
    environment = sorted((name, value) for name, value in environ.items() if name not in OWN_NAMES)
    for part in (__version__, repr(watches), repr(environment), ansible_args):
        digest.update(part.encode(errors="surrogateescape"))
    for folder in sorted({folder for watch in watches if watch.role is not None for folder in _code_of(watch.role)}):
        for path in sorted(folder.rglob("*")):
            if path.suffix in CODE and path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _code_of(role: Path) -> list[Path]:
    """Folders that decide what a role does: its own; in `ansible_collections/NAMESPACE/NAME/roles` all roles and plugins."""
    role = role.absolute()
    in_collection = role.parts[-5:-4] == ("ansible_collections",)
    return [role.parent, role.parents[1] / "plugins"] if in_collection else [role]


def _parsed(text: Any) -> dict[str, dict[ObjectRef, str]]:
    """What `_content` has written; {} for anything else."""
    try:
        whole = json.loads(text)
        return {
            str(controller): {ObjectRef(*key.split("/", 1)): str(digest) for key, digest in found.items()}
            for controller, found in whole.items()
        }
    except (AttributeError, TypeError, ValueError):
        return {}
