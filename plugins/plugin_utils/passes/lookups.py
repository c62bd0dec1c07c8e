# SPDX-License-Identifier: Apache-2.0
"""What a pass reads besides, where the custom resource asks for it: kinds of few instances, and single objects elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..components import autoscaling, disruption, http_route, ingress_presets, network_policies, registry
from ..components.instance import Instance
from ..kube.api_error import ObjectRef
from ..kube.kinds import KnownKind
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.names import Component


def worth_a_list(cr: Mapping[str, Any], instance: Instance, rows: Iterable[KnownKind]) -> list[KnownKind]:
    """Those of the kinds that are listed on demand of which the instance may have objects.

    That is those that it asks for. After a change of the custom resource, and while something is wrong, it is all of them,
    because there may be some of before the change.
    """
    used = _asked_for(instance)
    is_done = _has_settled(cr)
    return [row for row in rows if not is_done or row.kind in used]


def _has_settled(cr: Mapping[str, Any]) -> bool:
    """Whether nothing of an earlier state may be left: a pass has carried out all of the present custom resource, or there has
    been none before."""
    status = cr.get("status") or {}
    is_degraded = any(
        entry.get("type") == "Degraded" and entry.get("status") != "False" for entry in status.get("conditions") or ()
    )
    generation = dig(cr, "metadata", "generation")
    return generation is not None and status.get("observedGeneration") in (None, generation) and not is_degraded


def _asked_for(instance: Instance) -> set[str]:
    components = list(registry.workloads())
    asked = {
        autoscaling.KIND: any(autoscaling.is_on(instance, each) for each in components),
        disruption.KIND: any(instance.settings(each).pod_disruption_budget.enabled for each in components),
        network_policies.KIND: instance.spec.network_policy.enabled,
        http_route.KIND: http_route.is_asked_for(instance),
    }
    return {kind for kind, is_asked in asked.items() if is_asked}


def objects(instance: Instance, owned: Iterable[Manifest], served: Sequence[str]) -> list[ObjectRef]:
    """Single objects that the instance depends on, and which its custom resource does not name by a path of strings.

    `served` are the optional kinds that the cluster has.
    """
    name = names.workload_name(instance.name, Component.SERVER)
    ingress = next((one for one in owned if (one["kind"], one["metadata"]["name"]) == ("Ingress", name)), None)
    class_ = ingress_presets.class_of(instance, ingress)
    wants_gateways = http_route.is_asked_for(instance) and http_route.KIND in served
    return [*([class_] if class_ else []), *(dict.fromkeys(http_route.gateways(instance)) if wants_gateways else ())]
