# SPDX-License-Identifier: Apache-2.0
"""Which other objects of its namespace a custom resource relies on. watches.yaml lists the same paths for the loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..kube.values import dig
from . import names
from .fields import ImmichWorkload

SECRET_PATHS = (
    "spec.imagePullSecrets[].name",
    "spec.postgres.passwordSecretRef.name",
    "spec.postgres.urlSecretRef.name",
    "spec.valkey.passwordSecretRef.name",
    "spec.immich.configuration.notifications.smtp.transport.passwordSecretRef.name",
    "spec.immich.configuration.oauth.clientSecretRef.name",
    "spec.server.env[].valueFrom.secretKeyRef.name",
    "spec.server.envFrom[].secretRef.name",
    "spec.machineLearning.env[].valueFrom.secretKeyRef.name",
    "spec.machineLearning.envFrom[].secretRef.name",
)
CONFIG_MAP_PATHS = (
    "spec.server.env[].valueFrom.configMapKeyRef.name",
    "spec.server.envFrom[].configMapRef.name",
    "spec.machineLearning.env[].valueFrom.configMapKeyRef.name",
    "spec.machineLearning.envFrom[].configMapRef.name",
)
CLAIM_PATHS = (
    "spec.immich.persistence.library.existingClaim",
    "spec.postgres.persistence.existingClaim",
    "spec.valkey.persistence.existingClaim",
    "spec.machineLearning.persistence.existingClaim",
)
STORAGE_CLASS_PATHS = (
    "spec.immich.persistence.library.storageClass",
    "spec.postgres.persistence.storageClass",
    "spec.valkey.persistence.storageClass",
    "spec.machineLearning.persistence.storageClass",
)
PATHS = {"Secret": SECRET_PATHS, "ConfigMap": CONFIG_MAP_PATHS, "PersistentVolumeClaim": CLAIM_PATHS}
"""What lives in the instance's namespace, so that the loop can watch it."""
NAMES = {
    "Secret": (names.database_credentials,),
    "PersistentVolumeClaim": (names.library_claim, names.database_claim),
}
"""Objects whose data outlives the custom resource. One of such a name may be there without the labels that `observe`
lists by, and must be neither overlooked nor replaced."""


def references(cr: Mapping[str, Any]) -> list[dict[str, str]]:
    """[{"apiVersion", "kind", "name"}, ...] of all that `observe` has to read by name, each once, in a fixed order."""
    instance = cr["metadata"]["name"]
    wanted: dict[tuple[str, str], None] = {
        (kind, name_of(instance)): None for kind, functions in NAMES.items() for name_of in functions
    }
    for kind, paths in (*PATHS.items(), ("StorageClass", STORAGE_CLASS_PATHS)):
        for path in paths:
            wanted.update(((kind, name), None) for name in values_at(cr, path))
    return [
        {"apiVersion": "storage.k8s.io/v1" if kind == "StorageClass" else "v1", "kind": kind, "name": name}
        for kind, name in wanted
    ]


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


def values_at(value: Any, path: str) -> Iterable[str]:
    """Non-empty strings at a path such as `spec.server.env[].valueFrom.secretKeyRef.name`; [] stands for each item.

    The rule is that of `values_at` of the loop, which may not import this collection: one table tests both.
    """
    head, _unused, rest = path.partition(".")
    key = head.removesuffix("[]")
    found = value.get(key) if isinstance(value, Mapping) else None
    items = found if head.endswith("[]") and isinstance(found, list) else [] if head.endswith("[]") else [found]
    for item in items:
        if rest:
            yield from values_at(item, rest)
        elif isinstance(item, str) and item:
            yield item
