# SPDX-License-Identifier: Apache-2.0
"""What the loop keeps of a custom resource: what it decides by, in a few kilobytes, however much its author has written.

An outline has the form of the object that it was made of. It has all that `triggers`, `settled` and a controller look at, and
of the spec only the names of other objects. What is too large or too deep for a play gets none, and says so itself.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from immich_operator.config.options import PREFIX
from immich_operator.config.watches import Watch, names_at
from immich_operator.kube.resources import Manifest, annotations_of, labels_of, mapping, metadata_of
from immich_operator.kube.texts import DEEPEST

LARGEST: Final = 512 * 1024
"""Characters of a resource. kubectl's annotation, which is not counted, holds half as many."""
MOST_NAMES: Final = 1_000
"""Names of other objects that one resource may rely on, for each entry of `references`."""
LONGEST_TEXT: Final = 500
MOST_CONDITIONS: Final = 32

IGNORED_ANNOTATIONS: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
"""Rewritten by `kubectl apply` together with the spec; they add nothing."""
UNFIT: Final = "unfit"
"""A key of outlines alone: why there can be no play."""
_DIGEST: Final = "digest"
"""In the place of all annotations that only have to be told apart. No annotation of a play's has this name."""
_SCALARS: Final = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
)  # fmt: skip


def outline(cr: Manifest, watch: Watch) -> Manifest:
    """The outline of a custom resource."""
    why = unfit(cr, watch)
    metadata = metadata_of(cr)
    labels = labels_of(cr)
    finalizers = metadata.get("finalizers")
    ours = (watch.finalizer.name if watch.finalizer else None, watch.former_finalizer)
    found: Manifest = {
        "apiVersion": watch.kind.api_version,
        "kind": watch.kind.kind,
        "metadata": {
            **{key: _short(metadata[key]) for key in _SCALARS if key in metadata},
            "labels": {entry.key: labels[entry.key] for entry in watch.selector.requirements if entry.key in labels},
            "annotations": _annotations(cr),
            "finalizers": [name for name in ours if name and name in finalizers]
            if isinstance(finalizers, list)
            else [],
        },
        "status": {"conditions": _conditions(cr)},
    }
    if why:
        return {**found, UNFIT: why}
    for reference in watch.references:
        for path in reference.paths:
            for name in dict.fromkeys(names_at(cr, path)):
                _add_name(found, path.split("."), name)
    return found


def extent(value: Any, most: float = math.inf) -> tuple[int, int]:
    """(about how many characters the value has as JSON, how deep mappings and lists are nested in it), looked at until there
    are more than `most` of either. Without recursion, whose limit the value may exceed."""
    size = levels = 0
    layer = [value]
    while layer and levels <= most:
        below: list[Any] = []
        for item in layer:
            if isinstance(item, dict):
                size += sum(map(len, map(str, item))) + 4 * len(item) + 2
                below.extend(item.values())
            elif isinstance(item, list):
                size += len(item) + 2
                below.extend(item)
            else:
                size += len(item) + 2 if isinstance(item, str) else 4
            if size > most:
                return size, levels
        layer = below
        levels += 1
    return size, levels - 1


def unfit(cr: Manifest, watch: Watch) -> str:
    """Why the resource gets no play, with what to do; "" if nothing is wrong. In time linear in its size, without recursion."""
    counted = {
        **{key: value for key, value in cr.items() if key != "metadata"},
        **{f"metadata.{key}": value for key, value in metadata_of(cr).items() if key != "annotations"},
        "metadata.annotations": {
            key: value for key, value in annotations_of(cr).items() if key not in IGNORED_ANNOTATIONS
        },
    }
    extents = {part: extent(value, LARGEST) for part, value in counted.items()}
    if sum(size for size, _ in extents.values()) > LARGEST:
        part = max(extents, key=lambda part: extents[part][0])
        return f"it has more than {LARGEST // 1024} KiB, most of them in {_short(part)}; make it smaller"
    deep = next((part for part, (_, levels) in extents.items() if levels > DEEPEST), None)
    if deep is not None:
        return f"{_short(deep)} is nested more than {DEEPEST} levels deep; make it flatter"
    for reference in watch.references:
        if len(set(reference.named_by(cr))) > MOST_NAMES:
            return f"it names more than {MOST_NAMES} objects of the kind {reference.kind.kind}; name fewer"
    return ""


def significant_annotations(obj: Manifest) -> dict[str, object]:
    """The annotations whose change requires a pass."""
    return {key: value for key, value in annotations_of(obj).items() if key not in IGNORED_ANNOTATIONS}


def _annotations(cr: Manifest) -> Mapping[str, object]:
    """Those that have a meaning for the loop, and a digest of all."""
    given = significant_annotations(cr)
    if not given:
        return given
    meant = {key: _short(value) for key, value in given.items() if key.startswith(PREFIX)}
    whole = json.dumps(given, sort_keys=True, default=str)
    return {**dict(islice(meant.items(), MOST_NAMES)), _DIGEST: hashlib.sha256(whole.encode()).hexdigest()[:24]}


def _conditions(cr: Manifest) -> list[dict[str, Any]]:
    conditions = mapping(cr.get("status")).get("conditions")
    entries = conditions[:MOST_CONDITIONS] if isinstance(conditions, list) else []
    return [
        {key: _short(entry[key]) for key in ("type", "status", "reason", "message") if key in entry}
        for entry in entries
        if isinstance(entry, Mapping)
    ]


def _short(value: object) -> Any:
    """The beginning of a text; numbers and the like as they are, and None for all that can be of any size."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    return value if isinstance(value, bool | int | float) else None


def _add_name(target: dict[str, Any], steps: list[str], name: str) -> None:
    """Put a name where `values_at` finds it; each in an entry of its own where there is a list on the way."""
    node: Any = target
    for number, step in enumerate(steps, start=1):
        key, is_last = step.removesuffix("[]"), number == len(steps)
        if not step.endswith("[]"):
            if is_last:
                node[key] = name
            else:
                node = node.setdefault(key, {})
            continue
        entries = node.setdefault(key, [])
        entries.append(name if is_last else {})
        node = entries[-1]
