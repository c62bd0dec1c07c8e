# SPDX-License-Identifier: Apache-2.0
"""The Service of the server, which people may reach directly: a load balancer, or a port of each node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..kube.timestamps import seconds_of
from ..kube.values import Manifest, dig, without_none
from ..spec import names
from ..spec.names import Component
from . import addresses, pods
from .instance import Cluster, Instance, Part, add_metadata
from .reasons import Reason

PATH = "spec.server.service"
LOAD_BALANCER = "LoadBalancer"
ADDRESS_WITHIN_S = 300.0
"""How long a cloud may take to make a load balancer."""
HTTP_PORT = 80


def apply(part: Part, instance: Instance, cluster: Cluster, metrics: Sequence[tuple[str, int]]) -> None:
    """Apply it, without those fields that can't change any more. What Kubernetes has chosen itself is never among ours."""
    settings = instance.spec.server.service
    manifest = pods.service(instance, Component.SERVER, [("http", settings.port), *metrics])
    metadata, spec = manifest["metadata"], manifest["spec"]
    add_metadata(manifest, settings.labels, settings.annotations)
    spec["type"] = settings.type
    spec["ports"][0] |= without_none(
        {"appProtocol": settings.app_protocol or None, "nodePort": settings.node_port or None}
    )
    spec |= without_none(
        {
            "loadBalancerClass": settings.load_balancer_class or None,
            "loadBalancerSourceRanges": list(settings.load_balancer_source_ranges) or None,
            "externalTrafficPolicy": settings.external_traffic_policy or None,
            "ipFamilyPolicy": settings.ip_family_policy or None,
            "ipFamilies": list(settings.ip_families) or None,
        }
    )
    live = cluster.live("Service", metadata["name"])
    if live:
        _keep_what_is_fixed(part, live, spec)
    part.apply(manifest)


def _keep_what_is_fixed(part: Part, live: Manifest, spec: dict[str, Any]) -> None:
    """Have the API server asked for nothing that it refuses each time: the live value stays, and a warning says so."""
    name = live["metadata"]["name"]
    class_, held = spec.get("loadBalancerClass"), dig(live, "spec", "loadBalancerClass")
    if dig(live, "spec", "type") == spec["type"] == LOAD_BALANCER and class_ != held:
        # One that the cluster has chosen is not ours to take off.
        if class_ or _is_class_ours(live):
            part.warns(
                Reason.SERVICE_NOT_CHANGED,
                f"Service {name} keeps its load balancer class {held or '(that of the cluster)'}, because the class of a load "
                f"balancer is fixed. To change it, set {PATH}.type to ClusterIP, wait until the Service is changed, and set it "
                f"back, or set {PATH}.loadBalancerClass back",
            )
        spec.pop("loadBalancerClass", None)
        spec |= without_none({"loadBalancerClass": held if _is_class_ours(live) else None})
    families, present = spec.get("ipFamilies"), dig(live, "spec", "ipFamilies", default=[])
    if families and present and families[0] != present[0]:
        part.warns(
            Reason.SERVICE_NOT_CHANGED,
            f"Service {name} keeps {present[0]} as its first address family, because that is fixed. To change it, delete the "
            f"Service, which is made again at once with another address, or correct {PATH}.ipFamilies",
        )
        spec.pop("ipFamilies")


def _is_class_ours(live: Manifest) -> bool:
    return any(
        entry.get("manager") == names.FIELD_MANAGER
        and "f:loadBalancerClass" in dig(entry, "fieldsV1", "f:spec", default={})
        for entry in dig(live, "metadata", "managedFields", default=[])
    )


def url(live: Manifest | None) -> str:
    """Where the load balancer is reached, "" without one or while it has no address."""
    address = _address(live)
    if not address:
        return ""
    port = next(
        (port["port"] for port in dig(live, "spec", "ports", default=[]) if port.get("name") == "http"), HTTP_PORT
    )
    host = addresses.in_url(address)
    return f"http://{host}" if port == HTTP_PORT else f"http://{host}:{port}"


def unserved(live: Manifest | None) -> list[tuple[str, float]]:
    """[(message, when it begins to be worth one, in seconds since the epoch)] of a load balancer that does not come."""
    if dig(live, "spec", "type") != LOAD_BALANCER or _address(live) or not live:
        return []
    metadata = live["metadata"]
    class_ = dig(live, "spec", "loadBalancerClass")
    provider = f"who provides load balancers of the class {class_}" if class_ else "the cluster"
    message = (
        f"Service {metadata['name']} has no address: {provider} has given it none. See kubectl describe service, and whether "
        f"the cluster has load balancers at all; else use another {PATH}.type"
    )
    return [(message, (written_at(live) or 0.0) + ADDRESS_WITHIN_S)]


def written_at(live: Manifest) -> float | None:
    """When we changed an object last, in seconds since the epoch, else when it was made."""
    metadata = live["metadata"]
    ours = [
        entry.get("time")
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") == names.FIELD_MANAGER
    ]
    return max(
        (at for text in (*ours, metadata.get("creationTimestamp")) if (at := seconds_of(text)) is not None),
        default=None,
    )


def _address(live: Manifest | None) -> str:
    return addresses.of_load_balancer(live) if live and dig(live, "spec", "type") == LOAD_BALANCER else ""
