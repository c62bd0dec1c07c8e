# SPDX-License-Identifier: Apache-2.0
"""Kinds, names, and safe access to raw objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

Manifest: TypeAlias = dict[str, Any]  # Any: an object as the API server sends it


class Kind(NamedTuple):
    """What a manifest says about its type."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """ "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


class NamespacedName(NamedTuple):
    """Which object of a kind that is known from the context: namespace ("" for cluster-scoped objects) and name."""

    namespace: str
    name: str


def ref_of(obj: object) -> NamespacedName | None:
    """Namespace and name of an object; None for anything that has no usable metadata."""
    metadata = mapping(obj).get("metadata")
    name, namespace = mapping(metadata).get("name"), mapping(metadata).get("namespace") or ""
    return NamespacedName(namespace, name) if isinstance(name, str) and name and isinstance(namespace, str) else None


def metadata_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """`metadata`, or {} if it is not a mapping."""
    return mapping(obj.get("metadata"))


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(metadata_of(obj).get("labels"))


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(metadata_of(obj).get("annotations"))


def owner_of(obj: Mapping[str, Any], kind: Kind) -> str | None:
    """Name of the owner of the given group and kind: the controlling one, otherwise the first."""
    found = None
    owners = metadata_of(obj).get("ownerReferences")
    for entry in owners if isinstance(owners, list) else []:
        owner = mapping(entry)
        group = Kind(str(owner.get("apiVersion")), "").group
        if (group, owner.get("kind")) == (kind.group, kind.kind) and isinstance(owner.get("name"), str):
            if owner.get("controller") is True:
                return str(owner["name"])
            found = found or str(owner["name"])
    return found


def is_deleting(obj: Mapping[str, Any]) -> bool:
    return bool(metadata_of(obj).get("deletionTimestamp"))


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, otherwise an empty one: other people's objects are not always valid."""
    return value if isinstance(value, Mapping) else {}
