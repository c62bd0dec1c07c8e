# SPDX-License-Identifier: Apache-2.0
"""Which other objects of its namespace a custom resource relies on. The paths are in
`custom_kinds.py`, made from the CRD; watches.yaml has the same for the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..kube import kinds
from ..kube.values import dig, values_at
from . import names
from .custom_kinds import REFERS
from .fields import ImmichWorkload, Opaque, Workload

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
    if own == names.KIND and dig(cr, "spec", "valkey", "auth", "enabled") is True:
        wanted["Secret", names.valkey_credentials(instance)] = None  # made once, too, where there is to be one
    for kind, paths in REFERS.get(own, {}).items():
        for path in paths:
            wanted.update(((kind, name), None) for name in values_at(cr, path))
    return [{"apiVersion": kinds.named(kind).api_version, "kind": kind, "name": name} for kind, name in wanted]


SOURCES = (("Secret", "secretKeyRef", "secretRef"), ("ConfigMap", "configMapKeyRef", "configMapRef"))
"""Of variables: the kind, where one names a key of it, and where a container takes all of its keys."""


def env_references(component: ImmichWorkload) -> Iterator[tuple[str, str, str | None, bool]]:
    """(kind, name, key or None for all keys, is it optional) of each Secret and ConfigMap in env and envFrom."""
    for kind, one_key, all_keys in SOURCES:
        for entry in component.env:
            reference = dig(entry, "valueFrom", one_key)
            if reference:
                yield kind, reference.get("name", ""), reference.get("key"), bool(reference.get("optional"))
        for entry in component.env_from:
            reference = entry.get(all_keys)
            if reference:
                yield kind, reference.get("name", ""), None, bool(reference.get("optional"))


class PodReference(NamedTuple):
    """A Secret, ConfigMap or claim that a container or a volume of the user's names."""

    kind: str
    name: str
    key: str | None
    """None for all keys, and of a claim."""
    is_optional: bool
    path: str
    """Where, below the component: `volumes[0].secret.secretName`."""


VOLUME_SOURCES = (
    ("ConfigMap", "configMap", "name"),
    ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
    ("Secret", "secret", "secretName"),
)


def pod_references(settings: Workload) -> Iterator[PodReference]:
    """What the user's own containers and volumes name. Never raises, whatever a container of them holds."""
    for field, containers in (
        ("initContainers", settings.init_containers),
        ("extraContainers", settings.extra_containers),
    ):
        for index, container in enumerate(containers):
            yield from _of_container(container, f"{field}[{index}]")
    for index, volume in enumerate(settings.volumes):
        at = f"volumes[{index}]"
        for kind, source, key in VOLUME_SOURCES:
            name, optional = dig(volume, source, key), bool(dig(volume, source, "optional"))
            if _is_text(name):
                yield PodReference(kind, name, None, optional, f"{at}.{source}.{key}")
        name = dig(volume, "csi", "nodePublishSecretRef", "name")
        if _is_text(name):
            yield PodReference("Secret", name, None, False, f"{at}.csi.nodePublishSecretRef.name")


def _of_container(container: Opaque, at: str) -> Iterator[PodReference]:
    for kind, one_key, all_keys in SOURCES:
        for field, source in (("env", ("valueFrom", one_key)), ("envFrom", (all_keys,))):
            entries = container.get(field)
            for index, entry in enumerate(entries if isinstance(entries, list) else ()):
                name, key, optional = (dig(entry, *source, word) for word in ("name", "key", "optional"))
                if _is_text(name) and (field == "envFrom" or _is_text(key)):
                    path = f"{at}.{field}[{index}].{'.'.join(source)}"
                    yield PodReference(kind, name, key if field == "env" else None, bool(optional), path)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
