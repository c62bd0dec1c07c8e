# SPDX-License-Identifier: Apache-2.0
"""What every pod that runs Immich mounts, whichever workers it runs, and what has to end well before Immich starts there."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from ..kube.values import Manifest
from ..spec.fields import ImmichWorkload
from . import external_libraries, library, library_user
from .external_libraries import Libraries
from .instance import Cluster, Draft, Instance, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The library, and the external ones."""

    claim: str
    """The library's."""
    is_shared: bool
    """Whether pods on several nodes can write to the library at the same time."""
    external: Libraries

    @property
    def volumes(self) -> list[dict[str, Any]]:
        return [{"name": "library", "persistentVolumeClaim": {"claimName": self.claim}}, *self.external.volumes]

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """For the container that runs Immich."""
        return [{"name": "library", "mountPath": library_user.FOLDER}, *self.external.mounts]

    def containers_before(
        self, image: str, settings: ImmichWorkload, variables: Container[str]
    ) -> list[dict[str, Any]]:
        """The init containers; `variables` are the names of those that the user gives."""
        return [
            *library_user.look_container(image, settings, self.mounts, variables),
            *self.external.look_container(image, settings),
        ]

    def noted_on(self, deployment: Manifest) -> Manifest:
        """The Deployment, on which stands what its pods mount. That replaces no pods."""
        notes = self.external.note
        annotations = {**(deployment["metadata"].get("annotations") or {}), **notes} if notes else {}
        metadata = {**deployment["metadata"], **({"annotations": annotations} if annotations else {})}
        return {**deployment, "metadata": metadata}


def plan(part: Part, instance: Instance, cluster: Cluster, draft: Draft) -> Storage:
    """What pods of this pass are to mount; `part` gets what is to be noted and told."""
    return Storage(
        claim=library.claim_name(instance),
        is_shared=library.is_shared(instance, cluster),
        external=external_libraries.plan(part, instance, cluster, draft.shared_claims),
    )
