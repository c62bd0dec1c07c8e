# SPDX-License-Identifier: Apache-2.0
"""What was settled, kept beyond the life of a process: a new pod of the operator runs no plays that change nothing.

A ConfigMap in the operator's namespace holds the digests of all controllers (see `settled`) and what they depend on:
the roles, the versions of operator and Ansible, and the environment. If any of this differs, all are discarded, and
each custom resource gets a pass. Only the leader reads and writes it. Losing it costs plays, nothing else.

Who may write ConfigMaps there must not be able to say what needs no pass. So the content carries a seal, made with a key in
a Secret of the same name that the operator generates. What has no valid seal is not even parsed, and is replaced.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import re
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from immich_operator import __version__
from immich_operator.config.watches import Watch
from immich_operator.errors import ApiError, TransportError
from immich_operator.kube.client import FIELD_MANAGER, ApiObjects, ObjectRef, named
from immich_operator.kube.resources import Manifest, NamespacedName, mapping
from immich_operator.passes.settled import Digest, Settled

__all__ = ["Memory", "keyed", "program_digest", "seal"]

SAVE_S: Final = 30.0
"""How often it is written while it changes. Each entry that a crash loses costs a play."""
TIMEOUT_S: Final = 5.0
"""It is read before any pass and written during shutdown: better lost than late."""
MAX_BYTES: Final = 900_000
"""The API server takes objects of about a mebibyte."""
NOTHING: Final = "{}"
KEY_BYTES: Final = 32
INVALID: Final = 422
"""Status code for a change of an object that is `immutable`, or of another type."""
_DIGEST: Final = re.compile(r"[0-9a-f]{1,24}", re.ASCII)
_LATEST: Final = 2**53
"""Seconds since the epoch; JSON promises no larger number."""
OWN_NAMES: Final = frozenset({"HOSTNAME", "POD_NAME", "POD_IP", "PWD", "OLDPWD", "SHLVL", "_"})
"""Variables that differ between pods or shells and mean nothing to a role."""


class Memory:
    """The digests of all controllers of a process in one ConfigMap.

    Args:
        name: of the ConfigMap and of the Secret with the key, in `namespace`.
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
        self._key_ref = ObjectRef(named("Secret").api_version, "Secret", name, namespace)
        self._program = program
        self._settled = settled
        self._log = log
        self._lock = threading.Lock()
        self._loaded = False
        self._saved: str | None = None
        self._key: bytes | None = None
        self._told: str | None = None

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
            found = self._objects.find(self._ref)
            self._key = _key_of(self._objects.find(self._key_ref))
        except TransportError as exc:
            self._log.warning(
                "what was settled could not be read; every resource gets a pass", extra={"error": str(exc)}
            )
            return NOTHING  # it may hold a lot
        if found is None:
            return None
        sealed = self._sealed(mapping(found.get("data")))
        if sealed is None:
            self._log.warning(
                "what was settled was not written by this operator; every resource gets a pass",
                extra={"object": str(self._ref), "key": str(self._key_ref)},
            )
            return None
        program, settled = sealed
        if program != keyed(self._key or b"", self._program):
            return None
        for controller, digests in _parsed(settled).items():
            if controller in self._settled:
                self._settled[controller].restore(digests)
        return self._content()

    def _sealed(self, data: Mapping[str, Any]) -> tuple[str, str] | None:
        """(program, settled), None if somebody else has written either, or an older version without a seal."""
        program, settled, given = (data.get(name) for name in ("program", "settled", "seal"))
        if self._key is None or not (isinstance(program, str) and isinstance(settled, str) and isinstance(given, str)):
            return None
        expected = seal(self._key, self._ref, program, settled)
        return (program, settled) if hmac.compare_digest(expected.encode(), given.encode(errors="replace")) else None

    def save(self) -> None:
        """Write it unless it has not changed since it was last written."""
        with self._lock:  # otherwise an older content could arrive after a newer one
            if self._loaded and (content := self._content()) != self._saved:
                self._write(content)

    def _write(self, content: str) -> None:
        try:
            key = self._key or self._new_key()
            program = keyed(key, self._program)
            data = {"program": program, "settled": content, "seal": seal(key, self._ref, program, content)}
            self._put(self._ref, {"data": data})
        except TransportError as exc:
            if self._told != str(exc):  # once, though it is tried again and again
                self._told = str(exc)
                self._log.warning("what is settled could not be written", extra={"error": self._told})
        else:
            self._saved, self._key, self._told = content, key, None

    def _new_key(self) -> bytes:
        """The key, made unless there is one. Raises: TransportError."""
        key = _key_of(self._objects.find(self._key_ref))
        if key is None:
            key = secrets.token_bytes(KEY_BYTES)
            self._put(self._key_ref, {"type": "Opaque", "data": {"key": base64.b64encode(key).decode()}})
        return key

    def _put(self, ref: ObjectRef, content: Mapping[str, Any]) -> None:
        """Apply it; an object that refuses every change is made anew. Raises: TransportError."""
        manifest = {
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "metadata": {
                "name": ref.name,
                "namespace": ref.namespace,
                "labels": {"app.kubernetes.io/name": FIELD_MANAGER, "app.kubernetes.io/component": "memory"},
            },
            **content,
        }
        try:
            self._objects.apply(manifest)
        except ApiError as exc:
            if exc.status_code != INVALID:
                raise
            self._objects.delete(ref)
            self._objects.apply(manifest)

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


def seal(key: bytes, ref: ObjectRef, program: str, settled: str) -> str:
    """What only the holder of the key can make of a content, for the one object that has it."""
    return keyed(key, json.dumps([ref.namespace, ref.name, program, settled]))


def keyed(key: bytes, text: str) -> str:
    """A digest of which nobody without the key can tell what it is of: the environment may hold a proxy's password."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key_of(secret: Manifest | None) -> bytes | None:
    """None for anything but a key that is long enough to be ours."""
    text = mapping((secret or {}).get("data")).get("key")
    try:
        key = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= KEY_BYTES else None


def _parsed(text: str) -> dict[str, dict[NamespacedName, Digest]]:
    """What `_content` has written; what has another form is left out."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {
        controller: {
            NamespacedName(*key.split("/", 1)): digest
            for key, entry in found.items()
            if (digest := _digest(key, entry))
        }
        for controller, found in mapping(whole).items()
        if isinstance(found, dict)
    }


def _digest(key: str, entry: Any) -> Digest | None:
    match entry:
        case [str(text), int(since)] if "/" in key and _DIGEST.fullmatch(text) and 0 <= since < _LATEST:
            return Digest(text.zfill(24), since) if not isinstance(since, bool) else None
    return None
