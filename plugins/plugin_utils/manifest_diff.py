# SPDX-License-Identifier: Apache-2.0
"""Before and after of an object as people want to read it: no bookkeeping of the API server, no secret values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["object_diff", "value_diff"]

Manifest: TypeAlias = dict[str, Any]

BOOKKEEPING = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
MASK = "(hidden)"
CHANGED_MASK = "(hidden, changed)"


def object_diff(title: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any]:
    """An entry of a task's `diff`; either side may be None for an object that is not there."""
    masked_before, masked_after = _masked(before, None), _masked(after, before)
    return value_diff(title, _readable(masked_before), _readable(masked_after))


def value_diff(title: str, before: Any, after: Any) -> dict[str, Any]:
    """The same for a value that needs no preparation."""
    return {"before_header": title, "after_header": title, "before": before, "after": after}


def _readable(manifest: Mapping[str, Any] | None) -> Manifest:
    if manifest is None:
        return {}
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in BOOKKEEPING}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def _masked(manifest: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Manifest | None:
    """Keys of a Secret stay, values go; those that differ from `other` say so."""
    if manifest is None or manifest.get("kind") != "Secret":
        return None if manifest is None else dict(manifest)
    masked = dict(manifest)
    for field in ("data", "stringData"):
        values = manifest.get(field)
        if isinstance(values, Mapping):
            former = (other or {}).get(field) or {}
            is_changed = {key: other is not None and former.get(key) != value for key, value in values.items()}
            masked[field] = {key: CHANGED_MASK if changed else MASK for key, changed in is_changed.items()}
    return masked
