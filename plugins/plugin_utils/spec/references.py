# SPDX-License-Identifier: Apache-2.0
"""Which other objects of its namespace a custom resource relies on. The paths are in
`custom_kinds.py`, made from the CRD; watches.yaml has the same for the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..kube import kinds
from ..kube.values import dig, values_at
from . import names
from .custom_kinds import REFERS
from .fields import ImmichWorkload

NAMES: dict[str, tuple[Callable[[str], str], ...]] = {
    "Secret": (names.database_credentials,),
    "PersistentVolumeClaim": (names.library_claim, names.database_claim),
}
"""Objects of an Immich whose data outlives it. One of such a name may be there without the labels that `observe`
lists by, and must be neither overlooked nor replaced."""

MADE_ONCE: dict[str, tuple[Callable[[str], str], ...]] = {**NAMES, "Secret": (*NAMES["Secret"], names.checksum_key)}
"""These, and what must not be made again for other reasons."""


def references(cr: Mapping[str, Any]) -> list[dict[str, str]]:
    """[{"apiVersion", "kind", "name"}, ...] of all that `observe` has to read by name, each once, in a fixed order."""
    instance, own = cr["metadata"]["name"], cr.get("kind") or names.KIND
    always = MADE_ONCE if own == names.KIND else {}
    wanted: dict[tuple[str, str], None] = {
        (kind, name_of(instance)): None for kind, functions in always.items() for name_of in functions
    }
    for kind, paths in REFERS.get(own, {}).items():
        for path in paths:
            wanted.update(((kind, name), None) for name in values_at(cr, path))
    return [{"apiVersion": kinds.named(kind).api_version, "kind": kind, "name": name} for kind, name in wanted]


def env_references(component: ImmichWorkload) -> Iterator[tuple[str, str, str | None, bool]]:
    """(kind, name, key or None for all keys, is it optional) of each Secret and ConfigMap in env and envFrom."""
    sources = (("Secret", "secretKeyRef", "secretRef"), ("ConfigMap", "configMapKeyRef", "configMapRef"))
    for kind, one_key, all_keys in sources:
        for entry in component.env:
            reference = dig(entry, "valueFrom", one_key)
            if reference:
                yield kind, reference.get("name", ""), reference.get("key"), bool(reference.get("optional"))
        for entry in component.env_from:
            reference = entry.get(all_keys)
            if reference:
                yield kind, reference.get("name", ""), None, bool(reference.get("optional"))
