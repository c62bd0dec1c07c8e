# SPDX-License-Identifier: Apache-2.0
"""Everything that passes know about a component. Each component's module has a description; `registry` has them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..spec import names
from ..spec.fields import Persistence
from ..spec.names import Component
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason

Planner: TypeAlias = Callable[[Instance, Cluster, Draft], Iterable[Part]]
Wanted: TypeAlias = Callable[[Instance, Cluster, Draft], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What runs the component's pods, and what the status calls it."""

    kind: str
    condition: str
    """Type of the condition, such as `ServerReady`."""
    flag: str
    """The boolean in the status, such as `serverReady`."""
    absence: Callable[[Instance], tuple[Reason, str]]
    """Reason and message of the condition while the component is switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The component's data."""

    name: Callable[[Instance], str | None]
    """The claim in use, possibly one of the user's; None if nothing is kept."""
    made: Callable[[str], str]
    """The name of the claim that is created for an instance of this name."""
    persistence: Callable[[Instance], Persistence]
    path: str
    """Where that is in the custom resource."""
    mounted_by: Component
    outlives: bool = False
    """Whether the data is kept when the instance is removed."""
    may_be_shared: bool = False
    """Whether somebody else may use the same claim without harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the component's pods run if the custom resource names no image."""

    variable: str
    """The environment variable of the operator that says so."""
    default: str
    """What the variable is in a deployed operator, see `images.DEFAULT_IMAGES`."""
    what: str
    """What is in the image, for people who have to choose another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """An object that can be created again, so it is deleted when it is not wanted, and when the instance is removed."""

    kind: str
    name: Callable[[str], str]
    """Its name for an instance of this name."""
    is_wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    component: Component
    title: str
    """What people call it; the name of its task in a play."""
    plan: Planner
    """What the component contributes to the plan, in order. A part of another name than the component's is carried out
    also while the component is blocked."""
    workload: Workload | None = None
    image: Image | None = None
    older_images: Mapping[str, Image] = field(default_factory=dict)
    """Images for data that a new major version can't read, by the names under which plans are given them."""
    claim: Claim | None = None
    feeds_server: bool = False
    """Whether the server waits while this is blocked, and keeps it while the server itself is held back."""
    removable: Sequence[Removable] = ()


def named_after(component: Component, *kinds: str, is_wanted: Wanted | None = None) -> tuple[Removable, ...]:
    """Objects that carry the component's name; wanted while the component is enabled, unless `is_wanted` says otherwise."""
    return tuple(
        Removable(
            kind=kind,
            name=lambda instance: names.workload_name(instance, component),
            is_wanted=is_wanted or (lambda instance, _cluster, _draft: instance.is_enabled(component)),
        )
        for kind in kinds
    )


def external(component: Component) -> Callable[[Instance], tuple[Reason, str]]:
    return lambda _instance: (Reason.EXTERNAL, f"{component} is external")


def switched_off(component: Component) -> Callable[[Instance], tuple[Reason, str]]:
    return lambda _instance: (Reason.DISABLED, f"{component} is switched off")
