# SPDX-License-Identifier: Apache-2.0
"""Before and after of an object as people want to read it: none of the API server's bookkeeping, no secret values.

Masked are the data of Secrets, settings and fields whose name says that they are secret, the values of environment
variables except a few that never are, and users and passwords in addresses. A masked value that differs says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from .bounded_yaml import documents
from .redaction import SECRET_NAME
from .values import Manifest

__all__ = ["object_diff", "value_diff"]

BOOKKEEPING = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""An annotation that repeats the whole object."""
MASK = "(hidden)"
CHANGED_MASK = "(hidden, changed)"
SECRET_DATA = ("data", "stringData")
SHOWN_VARIABLES = frozenset(
    {
        "DB_HOSTNAME", "DB_PORT", "DB_DATABASE_NAME", "DB_USERNAME", "HF_HOME", "HF_XET_CACHE", "IMMICH_CONFIG_FILE",
        "IMMICH_MACHINE_LEARNING_ENABLED", "IMMICH_TELEMETRY_INCLUDE", "PGDATA", "POSTGRES_DB", "POSTGRES_INITDB_ARGS",
        "POSTGRES_USER", "REDIS_DBINDEX", "REDIS_HOSTNAME", "REDIS_PORT", "TRANSFORMERS_CACHE", "WAIT_HOST", "WAIT_PORT",
    }
)  # fmt: skip
"""Variables whose values are not secret, whoever sets them."""
_REFERENCE = re.compile(r"Ref$|^secretName$")
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]*@")
_ABSENT: Any = object()


def object_diff(title: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any]:
    """An entry of a task's `diff`; either side may be None for an object that is not there."""
    former, new = _readable(before), _readable(after)
    return value_diff(title, _masked(former, _ABSENT), _masked(new, former if before is not None else _ABSENT))


def value_diff(title: str, before: Any, after: Any) -> dict[str, Any]:
    """The same for a value that needs no preparation."""
    return {"before_header": title, "after_header": title, "before": before, "after": after}


def _readable(manifest: Mapping[str, Any] | None) -> Manifest:
    """The object without the API server's bookkeeping, and with the settings in a ConfigMap as a structure."""
    if manifest is None:
        return {}
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in BOOKKEEPING}
    if LAST_APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED}
    readable = {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}
    if readable.get("kind") == "ConfigMap" and isinstance(readable.get("data"), Mapping):
        readable["data"] = {key: _parsed(value) for key, value in readable["data"].items()}
    return readable


def _parsed(text: Any) -> Any:
    """The structure in a YAML text; what cannot be read is masked as a whole."""
    try:
        [parsed] = documents(text)
    except (TypeError, ValueError, yaml.YAMLError):
        return MASK
    return parsed


def _masked(manifest: Manifest, former: Any) -> Manifest:
    """A copy without secrets; `former` is the object before the change, _ABSENT if there is none to compare with."""
    if manifest.get("kind") != "Secret":
        masked: Manifest = _shown(manifest, former, hides=False)
        return masked
    hidden = {
        field: _shown(manifest[field], _at(former, field), hides=True) for field in SECRET_DATA if field in manifest
    }
    return {**manifest, **hidden}


def _shown(value: Any, former: Any, *, hides: bool) -> Any:
    """`value` in a printable form. `hides`: nothing in it may be quoted."""
    if isinstance(value, Mapping):
        if "name" in value and isinstance(value.get("value"), str) and value["name"] not in SHOWN_VARIABLES:
            value = {**value, "value": _hidden(value["value"], _at(former, "value"))}
            former = {**former, "value": value["value"]} if isinstance(former, Mapping) else former
        return {
            key: _shown(item, _at(former, key), hides=hides or _is_secret(key, value))
            if not _REFERENCE.search(str(key))
            else item
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_shown(item, _partner(item, position, former), hides=hides) for position, item in enumerate(value)]
    if hides and not isinstance(value, bool) and value not in (None, ""):
        return _hidden(value, former)
    if isinstance(value, str):
        return _IN_ADDRESS.sub(f"{MASK}@", value)
    return value


def _is_secret(key: Any, siblings: Mapping[str, Any]) -> bool:
    is_private_key = key == "key" and not siblings.keys().isdisjoint({"termination", "certificate"})  # of a Route
    return is_private_key or bool(SECRET_NAME.search(str(key)))


def _hidden(value: Any, former: Any) -> str:
    return MASK if former is _ABSENT or former == value else CHANGED_MASK


def _at(former: Any, key: Any) -> Any:
    """What was there before: _ABSENT only if there was no object at all, so that new values are shown as new."""
    if former is _ABSENT:
        return _ABSENT
    return former.get(key) if isinstance(former, Mapping) else None


def _partner(item: Any, position: int, former: Any) -> Any:
    """The entry of the former list to compare an item with: the one with the same name, otherwise the same position."""
    if former is _ABSENT or not isinstance(former, list):
        return former if former is _ABSENT else None
    if isinstance(item, Mapping) and "name" in item:
        return next(
            (other for other in former if isinstance(other, Mapping) and other.get("name") == item["name"]), None
        )
    return former[position] if position < len(former) else None
