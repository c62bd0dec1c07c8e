# SPDX-License-Identifier: Apache-2.0
"""What there is to know of a component beside how it is planned. Each module has one; `registry` has them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..spec.fields import Persistence
from ..spec.names import Component
from .instance import Cluster, Instance
from .reasons import Reason

Wanted: TypeAlias = Callable[[Instance, Cluster], bool]


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
    """The claim in use, one of the user's perhaps; None where nothing is kept."""
    made: Callable[[str], str]
    """The name of the claim that is made for an instance of this name."""
    persistence: Callable[[Instance], Persistence]
    path: str
    """Where that stands in the custom resource."""
    mounted_by: Component
    outlives: bool = False
    """Whether the data is kept when the instance goes."""
    may_be_shared: bool = False
    """Whether somebody else may use the same claim without harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    component: Component
    workload: Workload | None = None
    claim: Claim | None = None
    feeds_server: bool = False
    """Whether the server waits while this is blocked, and keeps it while it is itself held back."""
    objects: Mapping[str, Wanted] | None = None
    """{kind: whether the object of that kind is wanted}, for those that are named after the component."""


def enabled(component: Component) -> Wanted:
    return lambda instance, _cluster: instance.is_enabled(component)


def external(component: Component) -> Callable[[Instance], tuple[Reason, str]]:
    return lambda _instance: (Reason.EXTERNAL, f"{component} is external")


def switched_off(component: Component) -> Callable[[Instance], tuple[Reason, str]]:
    return lambda _instance: (Reason.DISABLED, f"{component} is switched off")
