# SPDX-License-Identifier: Apache-2.0
"""Taking an instance away without an operator: everything but its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import names
from .instance import identity
from .names import Manifest
from .planning import CLEAN_UP_STAGE
from .references import NAMES
from .values import dig


def removal(instance: str, *, seen: Mapping[str, Any]) -> dict[str, Any]:
    """{"steps": [...], "kept": ["PersistentVolumeClaim photos-library", ...]} for what `observe` saw of an instance.

    The library, the database volume and its credentials stay, and so do a claim that nobody made for this instance and
    what somebody else controls.
    """
    kept_names = {(kind, name_of(instance)) for kind, functions in NAMES.items() for name_of in functions}
    objects = {(item["kind"], item["metadata"]["name"]): item for item in seen.get("objects") or ()}
    references = {(item["kind"], item["name"]) for item in seen.get("references") or () if item.get("object")}
    live_cr = seen.get("cr")
    targets = [live_cr] if live_cr else []
    targets += [item for key, item in objects.items() if key not in kept_names and not _is_of_another(item)]
    steps = [
        {
            "verb": "delete",
            "component": dig(target, "metadata", "labels", "app.kubernetes.io/component", default=""),
            "stage": CLEAN_UP_STAGE
            if target is not live_cr
            else 0,  # an operator must not bring the rest back meanwhile
            "target": identity(target),
        }
        for target in targets
    ]
    kept = sorted(f"{kind} {name}" for kind, name in kept_names & (references | set(objects)))
    return {"steps": steps, "kept": kept}


def _is_of_another(live: Manifest) -> bool:
    owners = dig(live, "metadata", "ownerReferences", default=[])
    return any(owner.get("controller") and owner["kind"] != names.KIND for owner in owners)
