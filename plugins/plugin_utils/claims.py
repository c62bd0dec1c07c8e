# SPDX-License-Identifier: Apache-2.0
"""Claims of the user's that several instances write to, which damages the data of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import library, postgres, valkey
from .instance import Instance
from .names import Component
from .reasons import Effect, Notice, Reason
from .references import values_at

PATHS = {
    Component.LIBRARY: f"{library.PATH}.existingClaim",
    Component.POSTGRES: f"{postgres.PATH}.persistence.existingClaim",
    Component.VALKEY: f"{valkey.PATH}.persistence.existingClaim",
}
"""Not that of machine learning: a cache may be shared."""


def names_claims(cr: Mapping[str, Any]) -> bool:
    """Whether it is worth while to read the other instances of the namespace."""
    return any(name for path in PATHS.values() for name in values_at(cr, path))


def in_use_elsewhere(instance: Instance, neighbours: Iterable[Mapping[str, Any]]) -> list[Notice]:
    """A warning for each claim that the instance names and another one uses; the one that names none hears nothing."""
    others = {other.name: _claims(other) for other in map(Instance.from_cr, neighbours)}
    return [
        Notice(
            component,
            Effect.WARNS,
            Reason.CLAIM_IN_USE,
            f"PersistentVolumeClaim {claim} named in {PATHS[component]} is used by Immich {other} too; "
            "name another one, or both damage the data of the other",
        )
        for component, claim in _claims(instance).items()
        if claim in values_at({"spec": instance.spec}, PATHS[component])
        for other, claims in sorted(others.items())
        if claim in claims.values()
    ]


def _claims(instance: Instance) -> dict[Component, str]:
    """The claims that an instance writes to, its own and those of the user's."""
    found = {Component.LIBRARY: library.claim_name(instance)}
    if instance.is_enabled(Component.POSTGRES):
        found[Component.POSTGRES] = postgres.claim_name(instance)
    if instance.is_enabled(Component.VALKEY) and (claim := valkey.claim_name(instance)):
        found[Component.VALKEY] = claim
    return found
