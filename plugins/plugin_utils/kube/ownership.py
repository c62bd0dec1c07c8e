# SPDX-License-Identifier: Apache-2.0
"""Whose an object is: one rule for all kinds, asked before anything is adopted or written.

docs/explanation/data-safety.md has the rule as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .commands import command
from .values import Manifest, dig, in_one_line

__all__ = ["INSTANCE", "MANAGED_BY", "belongs_to", "hand_over", "is_unmarked", "taken_from"]

MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"
MARKS = (MANAGED_BY, INSTANCE)
"""The labels that say who manages an object, and for which instance."""

IsOurs: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Whether an owner reference names the custom resource that we act for, or an earlier one of its name."""


def belongs_to(live: Mapping[str, Any], labels: Mapping[str, str], is_ours: IsOurs) -> str:
    """What says that the object is somebody else's, such as "its label app.kubernetes.io/managed-by is Helm"; "" if nothing.

    `labels` are those that it would get from us. A controller comes first: it goes on writing whatever the labels are. An
    owner of ours outweighs changed labels, which are drift.
    """
    owners = dig(live, "metadata", "ownerReferences", default=[])
    for owner in owners:
        if owner.get("controller") and not is_ours(owner):
            return f"{_word(owner.get('kind'))} {_word(owner.get('name'))} controls it"
    if any(map(is_ours, owners)):
        return ""
    found = dig(live, "metadata", "labels", default={})
    for key in MARKS:
        if found.get(key) and labels.get(key) and found[key] != labels[key]:
            return f"its label {key} is {_word(found[key])}"
    return ""


def is_unmarked(live: Mapping[str, Any], is_ours: IsOurs) -> bool:
    """Whether neither its label nor its owner says who made it."""
    owners = dig(live, "metadata", "ownerReferences", default=[])
    return not dig(live, "metadata", "labels", MANAGED_BY) and not any(map(is_ours, owners))


def taken_from(live: Mapping[str, Any], wanted: Manifest) -> str | None:
    """Why `wanted` must not be applied to the object of its name, None if it may be.

    Of an object without marks only a volume claim that has to outlive its instance is adopted: its data is what the
    instance has to find again. Anything else of that kind might be somebody's, and goes with the custom resource. An object
    that is wanted without our labels is the caller's own business.
    """
    labels, owners = (
        dig(wanted, "metadata", "labels", default={}),
        dig(wanted, "metadata", "ownerReferences", default=[]),
    )
    if not labels.get(MANAGED_BY):
        return None
    ours = {owner.get("uid") for owner in owners} | {_identity(owner) for owner in owners}

    def is_ours(owner: Mapping[str, Any]) -> bool:
        # What outlives the instance names no owner. One of the instance's name may have been put there: keeping.py
        return bool(ours & {owner.get("uid"), _identity(owner)}) if ours else owner.get("name") == labels.get(INSTANCE)

    if because := belongs_to(live, labels, is_ours):
        return because
    is_kept_claim = wanted["kind"] == "PersistentVolumeClaim" and not owners
    return None if is_kept_claim or not is_unmarked(live, is_ours) else "nothing says that it is this instance's"


def hand_over(kind: str, namespace: str, name: str, labels: Mapping[str, str]) -> str:
    """The command that makes an object ours, as it is quoted in a message, so that the next pass adopts it."""
    marks = [f"{key}={labels[key]}" for key in MARKS if key in labels]
    return command("kubectl", "label", kind.lower(), name, "--namespace", namespace, "--overwrite", *marks)


def _identity(owner: Mapping[str, Any]) -> tuple[str, Any, Any]:
    return str(owner.get("apiVersion", "")).partition("/")[0], owner.get("kind"), owner.get("name")


def _word(text: Any) -> str:
    return in_one_line(str(text), 63)
