# SPDX-License-Identifier: Apache-2.0
"""Kinds, names, and safe access to raw objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from immich_operator.kube.texts import is_name

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


_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
LONGEST_NAME: Final = 253


def ref_of(obj: object) -> NamespacedName | None:
    """Namespace and name of an object; None for anything that has no usable metadata.

    Names become folders, addresses and lines of logs, so only what an API server stores is a name: a segment of a path
    (apimachinery, ValidatePathSegmentName), and for a namespace a label of DNS.
    """
    metadata = mapping(mapping(obj).get("metadata"))
    name, namespace, uid = metadata.get("name"), metadata.get("namespace") or "", metadata.get("uid")
    is_usable = _is_segment(name) and (namespace == "" or may_be_namespace(namespace))
    is_usable = is_usable and (uid is None or _matches(_UID, uid))
    return NamespacedName(str(namespace), str(name)) if is_usable else None


def may_be_custom_resource(ref: NamespacedName) -> bool:
    """Whether a custom resource may have that name: a DNS subdomain, as of most kinds (apiextensions-apiserver)."""
    return is_name(ref.name)


def may_be_namespace(name: object) -> bool:
    """Whether a namespace may have that name: a label of DNS."""
    return _matches(_LABEL, name)


def _is_segment(name: object) -> bool:
    is_text = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()
    return is_text and name not in (".", "..") and not set("/%\\").intersection(str(name))


def _matches(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and bool(pattern.fullmatch(text))


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
