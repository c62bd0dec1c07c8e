# SPDX-License-Identifier: Apache-2.0
"""What every component with pods may have beside its workload: autoscaler, disruption budget, network policy."""

from __future__ import annotations

from collections.abc import Iterator

from ..spec.names import Component
from . import autoscaling, disruption, network_policies
from .description import Removable, named_after
from .instance import Cluster, Instance, Part

OF_KIND = {each.KIND: each.is_wanted for each in (autoscaling, disruption, network_policies)}


def plan(instance: Instance, cluster: Cluster, component: Component) -> Iterator[Part]:
    yield autoscaling.plan(instance, cluster, component)
    yield disruption.plan(instance, cluster, component)
    yield network_policies.plan(instance, component)


def removable(component: Component) -> tuple[Removable, ...]:
    return tuple(
        each
        for kind, is_wanted in OF_KIND.items()
        for each in named_after(component, kind, is_wanted=is_wanted(component))
    )
