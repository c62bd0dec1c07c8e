# SPDX-License-Identifier: Apache-2.0
"""Remove an instance without an operator: everything but its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..components import keeping, registry
from ..components.instance import Cluster, Instance, identity
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.names import Component
from ..spec.references import MADE_ONCE, NAMES
from .planning import CLEAN_UP_STAGE, State
from .sections import Section, in_sections


def removal(cr: Mapping[str, Any], *, seen: Mapping[str, Any]) -> dict[str, Any]:
    """{"state", "steps", "notices", "kept": ["PersistentVolumeClaim photos-library", ...]} for what `observe` saw.

    The first three as in `Plan.as_dict`, so that the pass can be reported like any other.

    Only what has a name that we assign is removed, as far as it is the instance's (`Instance.may_remove`). The library, the
    database volume and its credentials stay, and so do all other claims, whatever their labels.
    """
    if seen.get("problem"):
        return {"state": str(State.UNREAD), "steps": [], "notices": [], "kept": []}
    live_cr = seen.get("cr")
    instance = Instance.from_cr(live_cr or cr)
    objects = {(item["kind"], item["metadata"]["name"]): item for item in seen.get("objects") or ()}
    references = {(item["kind"], item["name"]) for item in seen.get("references") or () if item.get("object")}
    always = {(kind, name_of(instance.name)) for kind, functions in MADE_ONCE.items() for name_of in functions}
    removable = {
        key: component
        for key, component in _names_of_ours(instance.name).items()
        if key in objects and key not in references - always  # a claim that the custom resource names is the user's
    }
    removed = {key: objects[key] for key, component in removable.items() if _is_of(instance, objects[key], component)}
    left = {
        key
        for key, component in removable.items()
        if key not in removed and instance.may_change(objects[key], component)
    }
    # First the custom resource: an operator must not bring the rest back in the meantime. What it owns is removed with
    # it.
    targets = [(live_cr, 0)] if live_cr else []
    targets += [(item, CLEAN_UP_STAGE) for item in removed.values()]
    steps = keeping.without_owner(instance, Cluster(seen)).steps
    steps += [
        {
            "verb": "delete",
            "component": dig(target, "metadata", "labels", "app.kubernetes.io/component", default=""),
            "stage": stage,
            "after": [keeping.COMPONENT],
            "target": identity(target),
        }
        for target, stage in targets
    ]
    data = {(kind, name_of(instance.name)) for kind, functions in NAMES.items() for name_of in functions}
    there = references | set(objects)
    kept = left | {key for key in there - set(removed) if key in data or key[0] == "PersistentVolumeClaim"}
    told = {"state": str(State.DELETING), "notices": [], "kept": sorted(f"{kind} {name}" for kind, name in kept)}
    needs = {"needs": [str(Section.KEPT)]}  # what the custom resource owns goes with it
    steps = [{**step, **(needs if step.get("target", {}).get("kind") == names.KIND else {})} for step in steps]
    return {"steps": in_sections(steps), **told}


def _names_of_ours(instance: str) -> dict[tuple[str, str], Component]:
    """{(kind, name): component} of everything that an instance consists of and that can be created again."""
    objects = {
        (each.kind, each.name(instance)): described.component
        for described in registry.COMPONENTS
        for each in described.removable
    }
    claims = {component: claim.made(instance) for component, claim in registry.claims().items() if not claim.outlives}
    return objects | {("PersistentVolumeClaim", claim): component for component, claim in claims.items()}


def _is_of(instance: Instance, live: Manifest, component: Component) -> bool:
    """Whether it is this instance's, or one that an earlier custom resource of its name has left."""
    owners = dig(live, "metadata", "ownerReferences", default=[])
    is_left = any(owner.get("controller") and instance.is_reference(owner) for owner in owners)
    return is_left or instance.may_remove(live, component)
