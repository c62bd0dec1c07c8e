# SPDX-License-Identifier: Apache-2.0
"""All components. Status, removal, protection of claims and clean-up go through this list."""

from __future__ import annotations

from ..spec.names import Component
from . import configuration, library, machine_learning, postgres, server, valkey
from .description import Claim, Description, Workload

COMPONENTS: tuple[Description, ...] = (
    server.DESCRIPTION,
    machine_learning.DESCRIPTION,
    valkey.DESCRIPTION,
    postgres.DESCRIPTION,
    configuration.DESCRIPTION,
    library.DESCRIPTION,
)
"""As the status has them."""


def workloads() -> dict[Component, Workload]:
    return {each.component: each.workload for each in COMPONENTS if each.workload}


def claims() -> dict[Component, Claim]:
    """Library and database first: what cannot be made again."""
    return {each.component: each.claim for each in reversed(COMPONENTS) if each.claim}


def feed_server() -> frozenset[Component]:
    """What holds the server back when it is blocked."""
    return frozenset(each.component for each in COMPONENTS if each.feeds_server)
