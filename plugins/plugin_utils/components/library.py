# SPDX-License-Identifier: Apache-2.0
"""The photo library: a claim of ours that outlives the instance, or one of the user's."""

from __future__ import annotations

from ..spec import names
from ..spec.fields import Persistence
from ..spec.names import Component
from . import volumes
from .description import Claim, Description
from .instance import Cluster, Draft, Instance, Part

COMPONENT = Component("library")
PATH = "spec.immich.persistence.library"


def persistence(instance: Instance) -> Persistence:
    return instance.spec.immich.persistence.library


def claim_name(instance: Instance) -> str:
    return persistence(instance).existing_claim or names.library_claim(instance.name)


def is_shared(instance: Instance, cluster: Cluster) -> bool:
    """True if server pods on several nodes can write to the library at the same time."""
    return volumes.is_shared(volumes.access_modes(cluster, claim_name(instance), persistence(instance)))


def plan(instance: Instance, cluster: Cluster, _draft: Draft) -> list[Part]:
    part = Part(COMPONENT)
    settings = persistence(instance)
    if settings.existing_claim:
        volumes.check_existing_claim(part, instance, cluster, settings.existing_claim, path=f"{PATH}.existingClaim")
    else:
        name = names.library_claim(instance.name)
        volumes.managed_claim(part, instance, cluster, name, settings, path=PATH, owned=False)
    return [part]


DESCRIPTION = Description(
    component=COMPONENT,
    title="Library",
    plan=plan,
    claim=Claim(
        name=claim_name,
        made=names.library_claim,
        persistence=persistence,
        path=PATH,
        mounted_by=Component.SERVER,
        outlives=True,
    ),
    feeds_server=True,
)
