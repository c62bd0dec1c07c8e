# SPDX-License-Identifier: Apache-2.0
"""What NetworkPolicies let through, by the rules of the API: for tests, where the network itself enforces none.

https://kubernetes.io/docs/concepts/services-networking/network-policies: a pod that no policy selects for a direction is open
in that direction; else what any of its policies allows passes. Both ends have to let a connection through.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class End:
    """A pod, or with `address` something outside of the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "family"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


def lets_through(
    policies: Sequence[Mapping[str, Any]], source: End, target: End, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection from one end to a port of the other is allowed."""
    return _is_open(policies, target, source, "Ingress", port, protocol) and _is_open(
        policies, source, target, "Egress", port, protocol
    )


def _is_open(
    policies: Sequence[Mapping[str, Any]], end: End, other: End, direction: str, port: int, protocol: str
) -> bool:
    """Whether `end`, if it is a pod, takes part in it: as its target (Ingress) or its source (Egress)."""
    if end.address:
        return True
    key, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    selecting = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == end.namespace
        and direction in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], end.labels)
    ]
    return not selecting or any(
        _fits_ports(rule.get("ports"), port, protocol)
        and _fits_peers(rule.get(peers), other, policy["metadata"]["namespace"])
        for policy in selecting
        for rule in policy["spec"].get(key, ())
    )


def _fits_ports(ports: Sequence[Mapping[str, Any]] | None, port: int, protocol: str) -> bool:
    return not ports or any((entry["port"], entry.get("protocol", "TCP")) == (port, protocol) for entry in ports)


def _fits_peers(peers: Iterable[Mapping[str, Any]] | None, other: End, namespace: str) -> bool:
    """An empty list is nobody in particular, and so everybody."""
    peers = list(peers or ())
    return not peers or any(_is_peer(peer, other, namespace) for peer in peers)


def _is_peer(peer: Mapping[str, Any], other: End, namespace: str) -> bool:
    if "ipBlock" in peer:
        return bool(other.address) and _is_in(peer["ipBlock"], other.address)
    if other.address:
        return False
    selector = peer.get("namespaceSelector")
    is_there = other.namespace == namespace if selector is None else _selects(selector, other.namespace_labels)
    return is_there and _selects(peer.get("podSelector") or {}, other.labels)


def _is_in(block: Mapping[str, Any], address: str) -> bool:
    found = ipaddress.ip_address(address)
    return found in ipaddress.ip_network(block["cidr"]) and not any(
        found in ipaddress.ip_network(other) for other in block.get("except", ())
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Of expressions only what the tests need: NotImplementedError for others."""
    if selector.get("matchExpressions"):
        raise NotImplementedError("matchExpressions")
    return (selector.get("matchLabels") or {}).items() <= labels.items()
