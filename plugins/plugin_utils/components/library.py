# SPDX-License-Identifier: Apache-2.0
"""The photo library: a claim of ours that outlives the instance, or one of the user's."""

from __future__ import annotations

from ..kube.values import dig
from ..spec import names
from ..spec.fields import Persistence
from ..spec.names import Component
from . import volumes
from .description import Claim, Description
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason

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
    elif not _is_left_alone(part, instance, cluster):
        name = names.library_claim(instance.name)
        volumes.managed_claim(part, instance, cluster, name, settings, path=PATH, owned=False)
    return [part]


def _is_left_alone(part: Part, instance: Instance, cluster: Cluster) -> bool:
    """Whether a claim that only happens to have the name of ours keeps the server from starting.

    Beside a full library an empty database looks like a new instance, and its nightly dumps push out the good ones. One
    that the server runs with goes on, and one that our mark says is a database's gets no other: passes/pairing.py
    """
    live = cluster.live("PersistentVolumeClaim", names.library_claim(instance.name))
    server = cluster.deployment(instance, Component.SERVER)
    because = instance.stranger(live)
    if not live or not because or dig(live, "metadata", "annotations", names.DATABASE_ANNOTATION):
        return False
    name = live["metadata"]["name"]
    if name in volumes.mounted_claims(server):
        return False
    part.blocks(
        Reason.NOT_ADOPTED,
        f"PersistentVolumeClaim {name} is somebody else's ({because}), so no server is started with it. If it is this "
        f"instance's library, set {PATH}.existingClaim to {name}, or run {instance.hand_over(live)}. The database has to be "
        "the one of these photos. Else give the Immich another name",
    )
    return True


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
