# SPDX-License-Identifier: Apache-2.0
"""What outlives the custom resource has no owner, and tells tools that clean up to leave it alone.

It has labels all the same. If Argo CD tracks by label and prunes, it would mistake it for an orphan of an Application
with the name of the instance, and Flux and Helm behave similarly.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.references import NAMES
from .instance import Cluster, Instance, Part

COMPONENT = "keeping"
"""The component, otherwise unused, of the steps that make an object outlive the instance."""

FIRST_STAGE = -1


def annotations_for(live: Manifest | None) -> dict[str, str]:
    """The annotations for an object that has to be kept, without those that somebody has set to other values.

    We leave those alone: the tool that set a value would revert our change to it, and so on.
    """
    found = dig(live, "metadata", "annotations", default={})
    return {key: value for key, value in names.KEEP_ANNOTATIONS.items() if not found.get(key) or found[key] == value}


def plan(instance: Instance, cluster: Cluster, applied: Container[tuple[str, str]]) -> Part:
    """Annotate what already exists and is not `applied`, (kind, name), in this pass. Nothing depends on this.

    What is somebody else's is left as it is, like what the custom resource names: its owner decides what becomes of it.
    """
    part = Part(COMPONENT)
    for live in _kept(instance, cluster):
        if (live["kind"], live["metadata"]["name"]) not in applied and not instance.stranger(live):
            _annotate(part, live)
    return part


def without_owner(instance: Instance, cluster: Cluster) -> Part:
    """Remove the instance from the owners of what has to outlive it, before anything else is done.

    We never put it there. The Operator SDK's runtime does for objects that are created with POST, and then the object
    is removed with the custom resource, whoever manages the instance at that time.
    """
    part = Part(COMPONENT)
    for live in _kept(instance, cluster):
        owners = dig(live, "metadata", "ownerReferences", default=[])
        others = [owner for owner in owners if not instance.is_reference(owner)]
        if len(others) < len(owners):
            version = live["metadata"].get(
                "resourceVersion"
            )  # refused if somebody else has changed the list in the meantime
            patch = {"metadata": {"ownerReferences": others or None, "resourceVersion": version}}
            part.merge(live, patch, stage=FIRST_STAGE)
    return part


def _kept(instance: Instance, cluster: Cluster) -> Iterator[Manifest]:
    """The existing objects among library, database volume and credentials."""
    for kind, functions in NAMES.items():
        for name_of in functions:
            if live := cluster.live(kind, name_of(instance.name)):
                yield live


def _annotate(part: Part, live: Manifest) -> None:
    wanted, found = annotations_for(live), dig(live, "metadata", "annotations", default={})
    missing = {key: value for key, value in wanted.items() if found.get(key) != value}
    if missing:
        # The uid makes the API server refuse it for an object that has replaced the one that was read.
        metadata: dict[str, Any] = {"uid": live["metadata"].get("uid"), "annotations": missing}
        part.merge(live, {"metadata": metadata})
