# SPDX-License-Identifier: Apache-2.0
"""All components. Planning, status, removal, clean-up, images and the protection of claims go through this list."""

from __future__ import annotations

from collections.abc import Sequence

from ..spec.names import Component
from . import configuration, library, machine_learning, postgres, server, valkey
from .description import Claim, Description, Image, Workload

COMPONENTS: tuple[Description, ...] = (
    library.DESCRIPTION,
    configuration.DESCRIPTION,
    postgres.DESCRIPTION,
    valkey.DESCRIPTION,
    machine_learning.DESCRIPTION,
    server.DESCRIPTION,
)
"""As they are planned: what cannot be made again first, and each after those that it reads the plan of."""


def shown() -> Sequence[Description]:
    """As people are told of them: the server first."""
    return COMPONENTS[::-1]


def names() -> Sequence[Component]:
    return tuple(each.component for each in COMPONENTS)


def workloads() -> dict[Component, Workload]:
    return {each.component: each.workload for each in shown() if each.workload}


def images() -> dict[Component, Image]:
    return {each.component: each.image for each in shown() if each.image}


def all_images() -> dict[str, Image]:
    """Those of components, and those for data of an older major version."""
    older = {name: image for each in shown() for name, image in each.older_images.items()}
    return {**{str(component): image for component, image in images().items()}, **older}


def claims() -> dict[Component, Claim]:
    return {each.component: each.claim for each in COMPONENTS if each.claim}


def feed_server() -> frozenset[Component]:
    """What holds the server back when it is blocked."""
    return frozenset(each.component for each in COMPONENTS if each.feeds_server)
