# SPDX-License-Identifier: Apache-2.0
"""What every pod that runs Immich mounts, whichever workers it runs, and what has to end well before Immich starts there."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from ..kube.values import Manifest
from ..spec.fields import ImmichWorkload
from ..spec.names import Component
from . import external_libraries, folders, library, library_user
from .external_libraries import Libraries
from .folders import Folders
from .instance import Cluster, Draft, Instance, Part

RUN_IMMICH = (Component.SERVER,)
"""The components whose pods run Immich."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The library, those of its folders that are on other volumes, and external libraries."""

    claim: str
    """The library's."""
    is_shared: bool
    """Whether pods on several nodes can write to the library at the same time."""
    folders: Folders
    waits_for_pods: bool
    """Whether Immich still runs somewhere with its folders where they were: then no pod may start, and move them."""
    external: Libraries

    @property
    def volumes(self) -> list[dict[str, Any]]:
        own = {"name": "library", "persistentVolumeClaim": {"claimName": self.claim}}
        return [own, *self.folders.volumes, *self.external.volumes]

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """For the container that runs Immich."""
        return [*self._data, *self.external.mounts]

    @property
    def _data(self) -> list[dict[str, Any]]:
        return [{"name": "library", "mountPath": library_user.FOLDER}, *self.folders.mounts]

    def replicas(self, wanted: int | None) -> int | None:
        """How many pods there may be now."""
        return 0 if self.waits_for_pods else wanted

    def containers_before(
        self, image: str, settings: ImmichWorkload, variables: Container[str]
    ) -> list[dict[str, Any]]:
        """The init containers; `variables` are the names of those that the user gives."""
        return [
            *library_user.look_container(image, settings, self._data, variables),
            *self.folders.move_container(image, settings),
            *self.external.look_container(image, settings),
        ]

    def noted_on(self, deployment: Manifest) -> Manifest:
        """The Deployment, on which stands what its pods mount. That replaces no pods."""
        notes = {**self.folders.note, **self.external.note}
        annotations = {**(deployment["metadata"].get("annotations") or {}), **notes} if notes else {}
        metadata = {**deployment["metadata"], **({"annotations": annotations} if annotations else {})}
        return {**deployment, "metadata": metadata}


def plan(part: Part, instance: Instance, cluster: Cluster, draft: Draft) -> Storage:
    """What pods of this pass are to mount; `part` gets what is to be noted and told."""
    claim = library.claim_name(instance)
    live = cluster.live("PersistentVolumeClaim", claim)
    apart = folders.plan(part, instance, cluster, live, draft.shared_claims)
    return Storage(
        claim=claim,
        is_shared=library.is_shared(instance, cluster),
        folders=apart,
        waits_for_pods=folders.is_laid_out_otherwise(cluster, apart, RUN_IMMICH),
        external=external_libraries.plan(part, instance, cluster, draft.shared_claims),
    )
