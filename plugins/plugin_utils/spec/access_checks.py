# SPDX-License-Identifier: Apache-2.0
"""The rules of `checks` about ways to the server, autoscalers, disruption budgets and network policies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..kube.problems import Problem
from ..kube.values import items_in, mapping_in
from . import ports
from .fields import Autoscaling, HTTPRoute, PodDisruptionBudget, Service, read

_SHARE = re.compile(r"([1-9][0-9]?|100)%")
_DURATION = re.compile(r"(?:([0-9]{1,5})(h|ms|m|s))")
_MS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def access_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """`spec` is that of a custom resource with defaults."""
    server = mapping_in(spec, "server")
    yield from _service(read(Service, server.get("service")))
    yield from _http_route(read(HTTPRoute, server.get("httpRoute")))
    for name in ("server", "machineLearning"):
        settings = read(Autoscaling, mapping_in(spec, name).get("autoscaling"))
        if settings.enabled and settings.min_replicas > settings.max_replicas:
            yield Problem(
                f"spec.{name}.autoscaling.maxReplicas",
                "an autoscaler has at most as many pods at least as at most",
                "Raise maxReplicas, or lower minReplicas",
            )
    for name in ("server", "machineLearning", "valkey", "postgres"):
        given = read(PodDisruptionBudget, mapping_in(spec, name).get("podDisruptionBudget")).max_unavailable
        if (isinstance(given, int) and given < 1) or (isinstance(given, str) and not _SHARE.fullmatch(given)):
            yield Problem(
                f"spec.{name}.podDisruptionBudget.maxUnavailable",
                "a number of at least 1, or a percentage from 1% to 100%, because a budget of none keeps nodes from being "
                "drained",
                "Raise maxUnavailable",
            )
    yield from _peers(mapping_in(spec, "networkPolicy"))


def _service(settings: Service) -> Iterator[Problem]:
    path = "spec.server.service"
    if settings.port in ports.METRICS.values():
        yield Problem(f"{path}.port", "ports 8081 and 8082 of the Service are for metrics", "Choose another one")
    if settings.type == "ClusterIP" and (settings.node_port is not None or settings.external_traffic_policy):
        yield Problem(
            f"{path}.type",
            "nodePort and externalTrafficPolicy are for Services that are reached from outside",
            "Set type to NodePort or LoadBalancer, or remove them",
        )
    if settings.type != "LoadBalancer" and (settings.load_balancer_class or settings.load_balancer_source_ranges):
        yield Problem(
            f"{path}.type",
            "loadBalancerClass and loadBalancerSourceRanges are for load balancers",
            "Set type to LoadBalancer, or remove them",
        )


def _http_route(settings: HTTPRoute) -> Iterator[Problem]:
    path = "spec.server.httpRoute"
    if settings.enabled and not settings.parent_refs:
        remedy = f"Name one in parentRefs, or set {path}.enabled to false"
        yield Problem(f"{path}.parentRefs", "an HTTPRoute needs a Gateway", remedy)
    whole, part = _milliseconds(settings.timeouts.request), _milliseconds(settings.timeouts.backend_request)
    if whole and part is not None and part > whole:
        yield Problem(
            f"{path}.timeouts.backendRequest",
            "a request to the server is part of the request as a whole",
            "Lower backendRequest, or raise request",
        )


def _milliseconds(text: str) -> int | None:
    """None for no duration at all; of a malformed one the schema tells."""
    return sum(int(number) * _MS[unit] for number, unit in _DURATION.findall(text)) if text else None


def _peers(policy: Mapping[str, Any]) -> Iterator[Problem]:
    lists = {"from": policy, "prometheusFrom": policy, "egress.to": mapping_in(policy, "egress")}
    for path, parent in lists.items():
        for index, entry in enumerate(items_in(parent, path.rpartition(".")[2])):
            if not isinstance(entry, Mapping):
                continue
            selects = "namespaceSelector" in entry or "podSelector" in entry
            if ("ipBlock" in entry) == selects:
                yield Problem(
                    f"spec.networkPolicy.{path}[{index}]",
                    "a peer is either an ipBlock, or a namespaceSelector, a podSelector or both",
                    "Give one of these",
                )
