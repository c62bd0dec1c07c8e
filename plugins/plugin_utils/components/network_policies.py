# SPDX-License-Identifier: Apache-2.0
"""Who may reach the pods of an instance, and what they may reach: a NetworkPolicy for each component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..kube.kinds import named
from ..spec import names, ports
from ..spec.names import Component
from .description import Wanted
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason

KIND = "NetworkPolicy"

PORTS: Mapping[Component, Sequence[int]] = {
    Component.SERVER: (ports.SERVER,),
    Component.MACHINE_LEARNING: (ports.MACHINE_LEARNING,),
    Component.VALKEY: (ports.VALKEY,),
    Component.POSTGRES: (ports.POSTGRES,),
}
"""Of the pods, not of the Services: a policy sees a packet after it has got its pod."""
CLIENTS: Sequence[Component] = (Component.SERVER,)
"""The components that use the others."""
DNS_PORT = 53
WEB_PORTS = {"http": 80, "https": 443}


def is_wanted(component: Component) -> Wanted:
    def wanted(instance: Instance, _cluster: Cluster, _draft: Draft) -> bool:
        return instance.spec.network_policy.enabled and instance.is_enabled(component)

    return wanted


def plan(instance: Instance, component: Component) -> Part:
    part = Part(component)
    settings = instance.spec.network_policy
    if not settings.enabled or not instance.is_enabled(component):
        return part
    name = names.workload_name(instance.name, component)
    manifest = instance.manifest(named(KIND).api_version, KIND, name, component)
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": names.selector(instance.name, component)},
        "policyTypes": ["Ingress"],
        "ingress": _ingress(instance, component),
    }
    if settings.egress.enabled:
        spec["policyTypes"] = ["Ingress", "Egress"]
        spec["egress"] = _egress(instance, component)
        _tell_of_unknown_database(part, instance)
    manifest["spec"] = spec
    part.apply(manifest)
    return part


def _ingress(instance: Instance, component: Component) -> list[dict[str, Any]]:
    settings = instance.spec.network_policy
    if component != Component.SERVER:
        return [_rule("from", _pods(instance, CLIENTS), PORTS.get(component, ()))]
    rules = [_rule("from", settings.from_, PORTS[component])]
    if instance.spec.immich.metrics.enabled:
        rules.append(_rule("from", settings.prometheus_from, ports.METRICS.values()))
    return rules


def _egress(instance: Instance, component: Component) -> list[dict[str, Any]]:
    """What starts a connection: clients to what they use, and what looks for models or mail servers. A database does not."""
    if component not in (*CLIENTS, Component.MACHINE_LEARNING):
        return []
    dns = {"ports": [{"port": DNS_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]}
    used = _used(instance) if component in CLIENTS else []
    peers = instance.spec.network_policy.egress.to
    return [dns, *used, *([{"to": list(peers)}] if peers else [])]


def _used(instance: Instance) -> list[dict[str, Any]]:
    """What the server uses. Of an external service only the port is known: its host is a name, a policy takes addresses."""
    rules = []
    database, queues = instance.spec.postgres, instance.spec.valkey
    sentinels = queues.sentinel.hosts if queues.sentinel else ()
    external = {
        Component.POSTGRES: () if database.url_secret_ref else (database.port,),
        Component.VALKEY: (queues.port, *(host.port for host in sentinels)),
        Component.MACHINE_LEARNING: _ports_of(instance.spec.machine_learning.url),
    }
    for component, numbers in external.items():
        if instance.is_enabled(component):
            rules.append(_rule("to", _pods(instance, [component]), PORTS[component]))
        elif numbers:
            rules.append(_rule("to", (), dict.fromkeys(numbers)))
    return rules


def _ports_of(url: str) -> tuple[int, ...]:
    """None for what is not a URL, of which others tell."""
    try:
        parts = urlsplit(url)
        port = parts.port or WEB_PORTS.get(parts.scheme)
    except ValueError:
        return ()
    return (port,) if port else ()


def _tell_of_unknown_database(part: Part, instance: Instance) -> None:
    settings = instance.spec.postgres
    is_unknown = not settings.enabled and settings.url_secret_ref and not instance.spec.network_policy.egress.to
    if part.component == Component.SERVER and is_unknown:
        part.warns(
            Reason.EGRESS_INCOMPLETE,
            f"{KIND} {names.workload_name(instance.name, Component.SERVER)} keeps the server from its database: where that is, "
            "stands in a Secret only. Add its addresses to spec.networkPolicy.egress.to, or set "
            "spec.networkPolicy.egress.enabled to false",
        )


def _pods(instance: Instance, components: Iterable[Component]) -> list[dict[str, Any]]:
    return [{"podSelector": {"matchLabels": names.selector(instance.name, component)}} for component in components]


def _rule(direction: str, peers: Sequence[Mapping[str, Any]], ports: Iterable[int]) -> dict[str, Any]:
    """Without peers, it is about everybody; without ports, about all."""
    allowed = [{"port": port, "protocol": "TCP"} for port in ports]
    return {**({direction: list(peers)} if peers else {}), **({"ports": allowed} if allowed else {})}
