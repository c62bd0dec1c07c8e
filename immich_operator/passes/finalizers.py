# SPDX-License-Identifier: Apache-2.0
"""The finalizer of an entry of watches.yaml on its custom resources; without one, deletion needs no pass."""

from __future__ import annotations

from typing import Any

from immich_operator.config.watches import Watch
from immich_operator.errors import ClusterError, NotFoundError
from immich_operator.kube.client import Client
from immich_operator.kube.discovery import Discovery
from immich_operator.kube.resources import Manifest, Resource, is_deleting, metadata_of, ref_of


class Finalizers:
    """Adds and removes one finalizer; thread-safe."""

    def __init__(self, watch: Watch, client: Client, discovery: Discovery) -> None:
        self._name = watch.finalizer.name if watch.finalizer else None
        self._former = watch.former_finalizer
        self._kind = watch.kind
        self._client = client
        self._discovery = discovery

    def wants_pass(self, cr: Manifest) -> bool:
        """False for an object that is being deleted and does not wait for us."""
        waits_for = _finalizers(cr)
        return not is_deleting(cr) or any(name in waits_for for name in (self._name, self._former) if name is not None)

    def ensure(self, cr: Manifest) -> Manifest:
        """The object with our finalizer, which is added unless it is there or the object is being deleted.

        Raises: ClusterError.
        """
        if self._name is None or is_deleting(cr) or self._name in _finalizers(cr):
            return cr
        return self._write(cr, [*_finalizers(cr), self._name])

    def release(self, cr: Manifest) -> None:
        """Let the deletion go on. Raises: ClusterError."""
        if self._name is None:
            return
        try:
            live = self._client.get(self._path(cr), what=f"get {self._title(cr)}")
            self._write(live, [name for name in _finalizers(live) if name != self._name])
        except NotFoundError:
            return  # somebody else took the last finalizer away

    def _write(self, cr: Manifest, names: list[str]) -> Manifest:
        # with the resource version: a finalizer that another controller added meanwhile must not get lost
        version = metadata_of(cr).get("resourceVersion")
        return self._client.send(
            "PATCH",
            self._path(cr),
            {"metadata": {"finalizers": names, "resourceVersion": version}},
            what=f"set finalizers of {self._title(cr)}",
            content_type="application/merge-patch+json",
        )

    def _path(self, cr: Manifest) -> str:
        return object_path(cr, self._discovery.find(self._kind), self._title(cr))

    def _title(self, cr: Manifest) -> str:
        return object_title(cr)


def object_title(cr: Manifest) -> str:
    """ "Immich photos/main" """
    ref = ref_of(cr)
    return f"{cr.get('kind')} {ref.namespace + '/' if ref and ref.namespace else ''}{ref.name if ref else '?'}"


def object_path(cr: Manifest, resource: Resource | None, title: str) -> str:
    """Raises: ClusterError when the API is gone or the object has no name."""
    ref = ref_of(cr)
    if resource is None or ref is None:
        raise ClusterError(f"{title}: the API server does not serve this kind any more")
    return resource.path(ref.namespace or None, ref.name)


def _finalizers(cr: Manifest) -> list[Any]:
    found = metadata_of(cr).get("finalizers")
    return list(found) if isinstance(found, list) else []
