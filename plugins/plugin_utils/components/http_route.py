# SPDX-License-Identifier: Apache-2.0
"""The server behind a Gateway: HTTPRoute of the Gateway API, what its parents say of it, and its address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..kube.api_error import ObjectRef
from ..kube.kinds import named
from ..kube.values import Manifest, dig, in_one_line, without_none
from ..spec import names
from ..spec.fields import ParentReference
from ..spec.names import Component
from .addresses import in_url
from .instance import Cluster, Draft, Instance, Part, add_metadata
from .reasons import Reason
from .server_service import written_at

KIND, GATEWAY = "HTTPRoute", "Gateway"
API = named(KIND).api_version
GROUP = named(KIND).group
PATH = "spec.server.httpRoute"
ANSWER_WITHIN_S = 60.0
"""How long a Gateway's controller may take to answer."""
WEB = {"HTTPS": ("https", 443), "HTTP": ("http", 80)}
"""{protocol of a listener: (scheme, usual port)}, what is preferred first."""
WANTED = ("Accepted", "ResolvedRefs")
"""The conditions that each parent gives to the routes that it serves."""


def is_asked_for(instance: Instance) -> bool:
    return instance.spec.server.enabled and instance.spec.server.http_route.enabled


def is_wanted(instance: Instance, cluster: Cluster, _draft: Draft) -> bool:
    return is_asked_for(instance) and cluster.serves(KIND)


def plan(part: Part, instance: Instance, cluster: Cluster, draft: Draft) -> None:
    if is_wanted(instance, cluster, draft):
        part.apply(manifest(instance))
    elif is_asked_for(instance):
        part.warns(
            Reason.HTTP_ROUTE_UNAVAILABLE,
            f"{PATH}.enabled is true, but this cluster has no API {API}; install the CRDs of the Gateway API and a controller, "
            f"which is noticed at once, or set {PATH}.enabled to false",
        )


def manifest(instance: Instance) -> Manifest:
    """With all defaults of the API, because the API server fills them in and lists are compared as a whole."""
    settings = instance.spec.server.http_route
    name = names.workload_name(instance.name, Component.SERVER)
    route = instance.manifest(API, KIND, name, Component.SERVER)
    add_metadata(route, settings.labels, settings.annotations)
    timeouts = {"request": settings.timeouts.request, "backendRequest": settings.timeouts.backend_request}
    backend = {"group": "", "kind": "Service", "name": name, "port": instance.spec.server.service.port, "weight": 1}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [backend],
        "timeouts": {key: given for key, given in timeouts.items() if given} or None,
    }
    route["spec"] = without_none(
        {
            "parentRefs": [_parent(reference) for reference in settings.parent_refs],
            "hostnames": list(settings.hostnames) or None,
            "rules": [without_none(rule)],
        }
    )
    return route


def _parent(reference: ParentReference) -> dict[str, Any]:
    return without_none(
        {
            "group": reference.group,
            "kind": reference.kind,
            "namespace": reference.namespace or None,
            "name": reference.name,
            "sectionName": reference.section_name or None,
            "port": reference.port or None,
        }
    )


def gateways(instance: Instance) -> Iterator[ObjectRef]:
    """The Gateways among the parents: only they know scheme and port of the address."""
    for reference in instance.spec.server.http_route.parent_refs:
        if (reference.group, reference.kind) == (GROUP, GATEWAY):
            yield ObjectRef(API, GATEWAY, reference.name, reference.namespace or instance.namespace)


def unserved(live: Manifest | None) -> list[tuple[str, float]]:
    """[(message, when it begins to be worth one, in seconds since the epoch)] of each parent that does not serve the route."""
    if live is None:
        return []
    found = []
    for parent in dig(live, "spec", "parentRefs", default=[]):
        told = _told_by(live, parent)
        if _serves(told):
            continue
        route, name = f"{KIND} {live['metadata']['name']}", _called(parent, live)
        refused = next((entry for conditions in told for entry in conditions if _is_refusal(entry)), None)
        if refused is None:
            message = (
                f"{route} is served by nobody: {name} has not answered. See whether it exists, whether its listeners allow "
                f"routes of this namespace, and whether its controller runs; else correct {PATH}.parentRefs"
            )
            found.append((message, (written_at(live) or 0.0) + ANSWER_WITHIN_S))
        else:
            words = in_one_line(f"{refused.get('reason') or ''}: {refused.get('message') or ''}")
            found.append((f"{route} is not served by {name}: {words}; change {PATH} or the Gateway as it says", 0.0))
    return found


def url(live: Manifest | None, found: Mapping[tuple[str, str], Manifest]) -> str:
    """The address at the first Gateway that serves the route; "" while none does, or none may be read.

    `found` are Gateways by namespace and name.
    """
    if live is None:
        return ""
    for parent in dig(live, "spec", "parentRefs", default=[]):
        place = (parent.get("namespace") or live["metadata"]["namespace"], parent.get("name"))
        gateway = found.get(place)
        if gateway and _serves(_told_by(live, parent)) and (address := _address(live, parent, gateway)):
            return address
    return ""


def _told_by(live: Manifest, parent: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """What each controller says of a parent: its conditions. There is one usually, and none that has not answered."""
    own = dig(live, "metadata", "namespace")

    def key(reference: Mapping[str, Any]) -> tuple[Any, ...]:
        parts = ("group", "kind", "name", "sectionName", "port")
        return reference.get("namespace") or own, *(reference.get(part) for part in parts)

    entries = dig(live, "status", "parents", default=[])
    return [entry.get("conditions") or [] for entry in entries if key(entry.get("parentRef") or {}) == key(parent)]


def _serves(told: list[list[Mapping[str, Any]]]) -> bool:
    """Whether a controller says so. A condition that it does not write can't be missed."""
    return any(
        conditions
        and any(entry.get("type") == "Accepted" for entry in conditions)
        and not any(_is_refusal(entry) for entry in conditions)
        for conditions in told
    )


def _is_refusal(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") in WANTED and entry.get("status") != "True"


def _called(parent: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    namespace = parent.get("namespace") or live["metadata"]["namespace"]
    section = f", listener {parent['sectionName']}" if parent.get("sectionName") else ""
    return f"{parent.get('kind')} {namespace}/{parent.get('name')}{section}"


def _address(live: Manifest, parent: Mapping[str, Any], gateway: Mapping[str, Any]) -> str:
    hostnames: list[str] = dig(live, "spec", "hostnames", default=[])
    for protocol, (scheme, usual) in WEB.items():
        for listener in dig(gateway, "spec", "listeners", default=[]):
            if listener.get("protocol") != protocol or not _is_meant(listener, parent):
                continue
            own = listener.get("hostname") or ""
            fitting = [name for name in hostnames if not own or _covers(own, name) or _covers(name, own)]
            if hostnames and not fitting:
                continue
            named_hosts = [name for name in (*fitting, own) if name and not name.startswith("*")]
            host = next(iter(named_hosts), "") or _first_address(gateway)
            if host:
                return (
                    f"{scheme}://{host}"
                    if listener.get("port") == usual
                    else f"{scheme}://{host}:{listener.get('port')}"
                )
    return ""


def _is_meant(listener: Mapping[str, Any], parent: Mapping[str, Any]) -> bool:
    section, port = parent.get("sectionName"), parent.get("port")
    return (not section or listener.get("name") == section) and (not port or listener.get("port") == port)


def _covers(pattern: str, name: str) -> bool:
    """Whether a host name, or one whose first label is *, is about another one."""
    return name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _first_address(gateway: Mapping[str, Any]) -> str:
    address = next((str(entry.get("value") or "") for entry in dig(gateway, "status", "addresses", default=[])), "")
    return in_url(address)
