# SPDX-License-Identifier: Apache-2.0
"""Kinds, the paths they are served under, and safe looks into raw objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

    @property
    def discovery_path(self) -> str:
        """Where the API server lists the resources of this group and version."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server serves it."""

    kind: Kind
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str = "") -> str:
        """Path of the collection (of all namespaces if `namespace` is None or the kind has none), or of one object."""
        scope = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{self.kind.discovery_path}{scope}/{self.plural}" + (f"/{name}" if name else "")

    def title(self, namespace: str | None = None) -> str:
        """ "deployments.apps in namespace photos", as kubectl and RBAC messages write it."""
        full = f"{self.plural}.{self.kind.group}" if self.kind.group else self.plural
        return f"{full} in namespace {namespace}" if namespace else full


class ObjectRef(NamedTuple):
    """Namespace ("" for cluster-scoped objects) and name."""

    namespace: str
    name: str


def ref_of(obj: object) -> ObjectRef | None:
    """Namespace and name of an object; None for anything that has no usable metadata."""
    metadata = mapping(obj).get("metadata")
    name, namespace = mapping(metadata).get("name"), mapping(metadata).get("namespace") or ""
    return ObjectRef(namespace, name) if isinstance(name, str) and name and isinstance(namespace, str) else None


def metadata_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """`metadata`, or {} when it is not a mapping."""
    return mapping(obj.get("metadata"))


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(metadata_of(obj).get("labels"))


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(metadata_of(obj).get("annotations"))


def owner_of(obj: Mapping[str, Any], kind: Kind) -> str | None:
    """Name of the owner of the given group and kind: the controlling one, else the first."""
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
    """The value if it is a mapping, else an empty one: objects of others are not always what they should be."""
    return value if isinstance(value, Mapping) else {}


def values_at(obj: object, path: str) -> list[str]:
    """Non-empty strings at a path such as `spec.server.env[].valueFrom.secretKeyRef.name`; `[]` is "of each item".

    Whatever does not fit the path is passed over.
    """
    found = [obj]
    for step in path.split("."):
        name = step.removesuffix("[]")
        found = [mapping(value)[name] for value in found if name in mapping(value)]
        if step.endswith("[]"):
            found = [item for value in found if isinstance(value, list) for item in value]
    return [value for value in found if isinstance(value, str) and value]
