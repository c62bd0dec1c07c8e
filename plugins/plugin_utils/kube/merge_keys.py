# SPDX-License-Identifier: Apache-2.0
"""What the Kubernetes API's schemas say about lists, maps and values of the kinds that we apply.

Sources: x-kubernetes-list-map-keys, x-kubernetes-list-type and x-kubernetes-map-type in the published OpenAPI of
core/v1, apps/v1 and networking.k8s.io/v1 (1.29 to 1.37).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "DROPPED_WHEN_EMPTY",
    "GRANULAR_MAPS",
    "INT_OR_STRING",
    "KEY_DEFAULTS",
    "QUANTITIES",
    "QUANTITY_MAPS",
    "SETS",
    "is_merged",
    "merge_keys",
]

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "claims": ("name",),
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "resourceClaims": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Lists of maps whose items are identified by these fields. All other lists of maps are replaced as a whole."""

KEY_DEFAULTS = {"protocol": "TCP"}
"""Fields of a merge key that the API server fills in."""

SETS = frozenset({"finalizers"})
"""Lists of scalars to which several managers may add."""

GRANULAR_MAPS = frozenset({"annotations", "binaryData", "data", "labels", "limits", "requests"})
"""Maps to which several managers may add keys; the API server drops them if they are empty."""

ATOMIC_MAPS = frozenset({"matchLabels", "nodeSelector", "selector"})
"""Maps with a single owner; the API server drops them if they are empty."""

OTHER_MAPS = frozenset({"options", "parameters", "volumeAttributes"})
DROPPED_WHEN_EMPTY = GRANULAR_MAPS | ATOMIC_MAPS | OTHER_MAPS
"""Fields that are maps with arbitrary keys. All other mappings are structures: the API server keeps an empty one."""

QUANTITY_MAPS = frozenset({"limits", "requests"})
"""Below `resources`, these map names to quantities."""
QUANTITIES = frozenset({"divisor", "sizeLimit"})
"""Fields that hold one quantity."""

INT_OR_STRING = frozenset({"maxSurge", "maxUnavailable", "minAvailable", "port", "targetPort"})
"""Fields in which 80 and "80" are the same."""


ATOMIC_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "apiVersion": ("v1",),  # fieldRef, volumeClaimTemplates
    "divisor": ("0",),  # resourceFieldRef
    "expirationSeconds": (3600,),  # serviceAccountToken
    "kind": ("PersistentVolumeClaim",),  # volumeClaimTemplates
    "name": ("",),  # references without a name
    "resources": ({},),  # volumeClaimTemplates
    "status": ({}, {"phase": "Pending"}),  # volumeClaimTemplates
    "volumeMode": ("Filesystem",),  # volumeClaimTemplates
}
"""What the API server fills in inside lists and maps that are replaced as a whole."""


def is_default(name: str, value: Any) -> bool:
    """Whether a field may be in an atomic list or map of a live object although nobody asked for it."""
    return value is None or value in ATOMIC_DEFAULTS.get(name, ())


def merge_keys(name: str, item: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that identify the items of the list `name`, () if the list is replaced as a whole."""
    if name == "ports":  # containers and Services both have `ports`, with different keys
        return ("containerPort", "protocol") if "containerPort" in item else ("port", "protocol")
    return MERGE_KEYS.get(name, ())


def is_merged(name: str) -> bool:
    """Whether several managers can each own a part of the list or map `name`."""
    return name == "ports" or name in MERGE_KEYS or name in SETS or name in GRANULAR_MAPS
