# SPDX-License-Identifier: Apache-2.0
"""The finalizer of an entry of watches.yaml on its custom resources; without one, deletion needs no pass."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from immich_operator.config.watches import Watch
from immich_operator.errors import NotFound
from immich_operator.kube.client import ApiObjects, ObjectRef
from immich_operator.kube.resources import Manifest, is_deleting, metadata_of


class Finalizers:
    """Adds and removes one finalizer; thread-safe."""

    def __init__(self, watch: Watch, objects: ApiObjects) -> None:
        self._name = watch.finalizer.name if watch.finalizer else None
        self._former = watch.former_finalizer
        self._objects = objects

    def wants_pass(self, cr: Manifest) -> bool:
        """False for an object that is being deleted and does not wait for us."""
        waits_for = _finalizers(cr)
        return not is_deleting(cr) or any(name in waits_for for name in (self._name, self._former) if name is not None)

    def ensure(self, cr: Manifest) -> Manifest:
        """The object with our finalizer, which is added unless it is there or the object is being deleted.

        Raises: TransportError.
        """
        if self._name is None or is_deleting(cr) or self._name in _finalizers(cr):
            return cr
        live = self._objects.get(ObjectRef.of(cr))  # an outline lacks the finalizers of others
        return self._write(live, [*_finalizers(live), self._name])

    def release(self, cr: Manifest) -> None:
        """Let the deletion go on. Raises: TransportError."""
        if self._name is None:
            return
        live = self._objects.find(ObjectRef.of(cr))
        if live is not None:
            with suppress(NotFound):  # somebody else has removed the last finalizer
                self._write(live, [name for name in _finalizers(live) if name != self._name])

    def _write(self, cr: Manifest, names: list[str]) -> Manifest:
        # with the resource version: a finalizer that another controller has added in the meantime must not get lost
        version = metadata_of(cr).get("resourceVersion")
        patch = {"metadata": {"finalizers": names, "resourceVersion": version}}
        return self._objects.merge(ObjectRef.of(cr), patch)


def _finalizers(cr: Manifest) -> list[Any]:
    found = metadata_of(cr).get("finalizers")
    return list(found) if isinstance(found, list) else []
