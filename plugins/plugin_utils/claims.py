# SPDX-License-Identifier: Apache-2.0
"""Claims that several instances write to, which damages the data of all of them."""

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


def may_be_shared(cr: Mapping[str, Any], neighbours: Iterable[Mapping[str, Any]]) -> bool:
    """False when no instance of the namespace names a claim: those that they have by default are their own."""
    return any(map(_names_one, (cr, *neighbours)))


def worth_a_look(cr: Mapping[str, Any], neighbours: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the other instances that may use a claim of this one: all if it names one, else those that name one."""
    return [other for other in neighbours if _names_one(cr) or _names_one(other)]


def _names_one(cr: Mapping[str, Any]) -> bool:
    return any(name for path in PATHS.values() for name in values_at(cr, path))


def in_use_elsewhere(instance: Instance, neighbours: Iterable[Mapping[str, Any]]) -> list[Notice]:
    """A warning for each claim that another instance uses too, whichever of the two names it."""
    others = {other.name: _claims(other) for other in map(Instance.from_cr, neighbours)}
    return [
        Notice(
            component,
            Effect.WARNS,
            Reason.CLAIM_IN_USE,
            f"PersistentVolumeClaim {claim}{_where_named(instance, component)} is used by Immich {other} too; "
            "name another one in one of the two, or each damages the data of the other",
        )
        for component, claim in _claims(instance).items()
        for other, claims in sorted(others.items())
        if claim in claims.values()
    ]


def _where_named(instance: Instance, component: Component) -> str:
    path = PATHS[component]
    return f" named in {path}" if any(values_at({"spec": instance.spec}, path)) else ""


def _claims(instance: Instance) -> dict[Component, str]:
    """The claims that an instance writes to, its own and those of the user's."""
    found = {Component.LIBRARY: library.claim_name(instance)}
    if instance.is_enabled(Component.POSTGRES):
        found[Component.POSTGRES] = postgres.claim_name(instance)
    if instance.is_enabled(Component.VALKEY) and (claim := valkey.claim_name(instance)):
        found[Component.VALKEY] = claim
    return found
