# SPDX-License-Identifier: Apache-2.0
"""What outlives the custom resource has no owner, and says to the tools that clean up that it is not theirs to remove.

It has labels all the same. Argo CD, tracking by label and pruning, would take it for a leftover of an Application that
has the name of the instance, and Flux and Helm have similar habits.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.references import NAMES
from .instance import Cluster, Instance, Part

COMPONENT = "keeping"
"""The component, of no other use, of the steps that see to it that an object outlives the instance."""

FIRST_STAGE = -1


def annotations_for(live: Manifest | None) -> dict[str, str]:
    """The annotations for an object that is to be kept, less those that somebody has set otherwise.

    Those are none of ours: a value that we completed would be put back by the tool that keeps the other one, and so on.
    """
    found = dig(live, "metadata", "annotations", default={})
    return {key: value for key, value in names.KEEP_ANNOTATIONS.items() if not found.get(key) or found[key] == value}


def plan(instance: Instance, cluster: Cluster, applied: Container[tuple[str, str]]) -> Part:
    """Annotate what is there already and is not `applied`, (kind, name), in this pass. Nothing depends on that."""
    part = Part(COMPONENT)
    for live in _kept(instance, cluster):
        if (live["kind"], live["metadata"]["name"]) not in applied:
            _annotate(part, live)
    return part


def without_owner(instance: Instance, cluster: Cluster) -> Part:
    """Take the instance off the owners of what has to outlive it, before anything else is done.

    We never put it there. The Operator SDK's runtime does with objects made by POST, and once it is there the object
    goes with the custom resource, whoever looks after the instance by then.
    """
    part = Part(COMPONENT)
    for live in _kept(instance, cluster):
        owners = dig(live, "metadata", "ownerReferences", default=[])
        others = [owner for owner in owners if not instance.is_reference(owner)]
        if len(others) < len(owners):
            version = live["metadata"].get("resourceVersion")  # refused when somebody else changed the list meanwhile
            patch = {"metadata": {"ownerReferences": others or None, "resourceVersion": version}}
            part.merge(live, patch, stage=FIRST_STAGE)
    return part


def _kept(instance: Instance, cluster: Cluster) -> Iterator[Manifest]:
    """What is there of library, database volume and credentials."""
    for kind, functions in NAMES.items():
        for name_of in functions:
            if live := cluster.live(kind, name_of(instance.name)):
                yield live


def _annotate(part: Part, live: Manifest) -> None:
    wanted, found = annotations_for(live), dig(live, "metadata", "annotations", default={})
    missing = {key: value for key, value in wanted.items() if found.get(key) != value}
    if missing:
        # The uid makes the API server refuse it for an object that has taken the place of the one that was read.
        metadata: dict[str, Any] = {"uid": live["metadata"].get("uid"), "annotations": missing}
        part.merge(live, {"metadata": metadata})
