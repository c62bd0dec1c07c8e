# SPDX-License-Identifier: Apache-2.0
"""What a diagnosis finds, and how it speaks of pods, nodes and claims: in words that hold still while nothing changes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..components.reasons import Reason
from ..kube.commands import is_name
from ..kube.values import Manifest, dig, in_one_line

__all__ = ["CLAUSES", "Cause", "Told", "node_named", "node_of", "without_ids"]

Told: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""Events by uid, as `cluster_events.read` gives them."""


class Cause(NamedTuple):
    reason: Reason
    message: str
    heals_until: float = 0.0
    """Until when time may heal it, in seconds since the epoch; then somebody has to act. FOR_EVER: time heals it."""
    is_watched: bool = True
    """Whether a change of it is one of an object that the loop watches. Else somebody has to look again."""

    def heals(self, now: float) -> bool:
        return self.heals_until > now


CLAUSES = {
    Reason.VOLUME_NOT_ATTACHED: "a volume of its pod can't be attached to node {node}",
    Reason.VOLUME_NOT_MOUNTED: "node {node} can't mount a volume of its pod",
    Reason.POD_NOT_SET_UP: "node {node} can't set up its pod",
    Reason.NODE_LOST: "its pod has lost its node {node}",
    Reason.POD_EVICTED: "node {node} has evicted or rejected its pod",
    Reason.IMAGE_PULL_FAILED: "node {node} can't pull an image of its pod",
    Reason.CONTAINER_NOT_STARTED: "node {node} can't start a container of its pod",
    Reason.PROBE_FAILING: "its container fails a probe",
    Reason.WAITING_FOR_ROLLOUT: "node {node} is preparing its pod",
    Reason.VOLUME_NOT_PROVIDED: "PersistentVolumeClaim {claim} has no volume",
    Reason.VOLUME_NOT_BOUND: "PersistentVolumeClaim {claim} is waiting for a volume",
    Reason.VOLUME_LOST: "PersistentVolumeClaim {claim} has lost its volume",
}
"""{reason: how a message begins that quotes what the cluster says}"""


def node_of(pod: Manifest) -> str:
    """The name of its node, which stands in commands too; NODE while it has none."""
    return node_named(str(dig(pod, "spec", "nodeName", default="")))


def node_named(name: str) -> str:
    """That name, or NODE where no node can be called so."""
    return name if is_name(name) else "NODE"


def without_ids(message: str, subject: Manifest) -> str:
    """A message less what differs from one attempt or pod to the next."""
    name = dig(subject, "metadata", "name")
    text = message.replace(name, "POD") if name and "containers" in (subject.get("spec") or {}) else message
    return in_one_line(_RANDOM.sub(lambda found: found["kept"] or "ID", text))


_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RANDOM = re.compile(rf"(?P<kept>pvc-{_UUID})|(?<![0-9A-Za-z])(?:{_UUID}|[0-9a-f]{{12,}})(?:_\d+)?(?![0-9A-Za-z])")
"""Ids of containers and pods, the latter with the number of the attempt. Those of volumes (pvc-...) are kept."""
