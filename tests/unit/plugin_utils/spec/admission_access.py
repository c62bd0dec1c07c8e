# SPDX-License-Identifier: Apache-2.0
"""Admission of ways to the server, autoscalers, disruption budgets and network policies."""

from __future__ import annotations

from typing import Any

from tests.unit.plugin_utils.spec import admission_case as say
from tests.unit.plugin_utils.spec.admission_case import Spec, accepted, refused, server

AT_MOST = "an autoscaler has at most as many pods at least as at most. Raise maxReplicas, or lower minReplicas"
BUDGET = (
    "a number of at least 1, or a percentage from 1% to 100%, because a budget of none keeps nodes from being drained."
    " Raise maxUnavailable"
)
METRICS = "ports 8081 and 8082 of the Service are for metrics. Choose another one"
OUTSIDE = (
    "nodePort and externalTrafficPolicy are for Services that are reached from outside. Set type to NodePort or"
    " LoadBalancer, or remove them"
)
BALANCER = (
    "loadBalancerClass and loadBalancerSourceRanges are for load balancers. Set type to LoadBalancer, or remove them"
)
NO_GATEWAY = "an HTTPRoute needs a Gateway. Name one in parentRefs, or set spec.server.httpRoute.enabled to false"
TOO_LONG = "a request to the server is part of the request as a whole. Lower backendRequest, or raise request"
NO_PEER = "a peer is either an ipBlock, or a namespaceSelector, a podSelector or both. Give one of these"
GATEWAY = {"name": "public", "namespace": "infra"}


def service(**fields: Any) -> Spec:
    return server(service=fields)


def route(**fields: Any) -> Spec:
    return server(httpRoute={"enabled": True, "parentRefs": [GATEWAY], **fields})


def peers(*entries: Spec) -> Spec:
    return {"networkPolicy": {"enabled": True, "from": list(entries)}}


SERVICES = [
    accepted("service-as-load-balancer", service(type="LoadBalancer", port=80, loadBalancerClass="example.com/lb")),
    accepted("service-as-node-port", service(type="NodePort", nodePort=32283, externalTrafficPolicy="Local")),
    accepted(
        "service-with-networks", service(type="LoadBalancer", loadBalancerSourceRanges=["192.0.2.0/24", "fd00::/8"])
    ),
    accepted("service-with-both-families", service(ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv4", "IPv6"])),
    accepted("service-for-web-sockets", service(appProtocol="kubernetes.io/ws")),
    refused("service-elsewhere", service(type="ExternalName"), ("spec.server.service.type", say.WRONG_CHOICE)),
    refused("service-at-the-port-of-metrics", service(port=8081), ("spec.server.service.port", METRICS)),
    refused("service-port-zero", service(port=0), ("spec.server.service.port", "greater than or equal to 1")),
    refused("node-port-of-a-cluster-ip", service(nodePort=32283), ("spec.server.service.type", OUTSIDE)),
    refused(
        "traffic-policy-of-a-cluster-ip", service(externalTrafficPolicy="Local"), ("spec.server.service.type", OUTSIDE)
    ),
    refused(
        "class-of-a-node-port",
        service(type="NodePort", loadBalancerClass="a/b"),
        ("spec.server.service.type", BALANCER),
    ),
    refused(
        "networks-of-a-node-port",
        service(type="NodePort", loadBalancerSourceRanges=["192.0.2.0/24"]),
        ("spec.server.service.type", BALANCER),
    ),
    refused(
        "networks-without-length",
        service(type="LoadBalancer", loadBalancerSourceRanges=["192.0.2.1"]),
        ("spec.server.service.loadBalancerSourceRanges[0]", say.MALFORMED),
    ),
    refused("protocol-with-blank", service(appProtocol="a b"), ("spec.server.service.appProtocol", say.MALFORMED)),
]

ROUTES = [
    accepted("http-route", route(hostnames=["photos.example.com", "*.example.com"])),
    accepted("http-route-to-a-listener", route(parentRefs=[{**GATEWAY, "sectionName": "https", "port": 443}])),
    accepted("http-route-with-timeouts", route(timeouts={"request": "1h30m", "backendRequest": "90m"})),
    accepted("http-route-without-timeouts", route(timeouts={"request": "", "backendRequest": ""})),
    accepted("http-route-with-one-timeout", route(timeouts={"request": "0s", "backendRequest": "10m"})),
    accepted("http-route-that-is-off", server(httpRoute={"parentRefs": []})),
    refused("http-route-without-gateway", route(parentRefs=[]), ("spec.server.httpRoute.parentRefs", NO_GATEWAY)),
    refused(
        "http-route-gateway-without-name",
        route(parentRefs=[{"namespace": "infra"}]),
        ("spec.server.httpRoute.parentRefs[0].name", "Required value"),
    ),
    refused(
        "http-route-hostname-with-port",
        route(hostnames=["photos.example.com:443"]),
        ("spec.server.httpRoute.hostnames[0]", say.MALFORMED),
    ),
    refused(
        "http-route-timeout-in-days",
        route(timeouts={"request": "1d"}),
        ("spec.server.httpRoute.timeouts.request", say.MALFORMED),
    ),
    refused(
        "http-route-with-a-longer-part",
        route(timeouts={"request": "5m", "backendRequest": "600s"}),
        ("spec.server.httpRoute.timeouts.backendRequest", TOO_LONG),
    ),
    accepted("preset", server(ingress={"preset": "Auto"})),
    refused("preset-by-name", server(ingress={"preset": "nginx"}), ("spec.server.ingress.preset", say.WRONG_CHOICE)),
]

SCALING = [
    *(
        refused(
            f"autoscaler-of-{name}-with-more-at-least",
            {name: {"autoscaling": {"enabled": True, "minReplicas": 4}}},
            (f"spec.{name}.autoscaling.maxReplicas", AT_MOST),
        )
        for name in ("server", "machineLearning")
    ),
    accepted("autoscaler-that-is-off", server(autoscaling={"minReplicas": 4})),
    accepted(
        "autoscaler",
        server(
            autoscaling={
                "enabled": True,
                "minReplicas": 2,
                "maxReplicas": 4,
                "targetCPUUtilizationPercentage": 70,
                "targetMemoryUtilizationPercentage": 80,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600, "selectPolicy": "Min"}},
            }
        ),
    ),
    refused(
        "autoscaler-to-zero",
        server(autoscaling={"enabled": True, "minReplicas": 0}),
        ("spec.server.autoscaling.minReplicas", "greater than or equal to 1"),
    ),
    refused(
        "autoscaler-by-an-unknown-policy",
        server(autoscaling={"behavior": {"scaleUp": {"selectPolicy": "Fast"}}}),
        ("spec.server.autoscaling.behavior.scaleUp.selectPolicy", say.WRONG_CHOICE),
    ),
    *(
        accepted(
            f"budget-of-{share}", {"postgres": {"podDisruptionBudget": {"enabled": True, "maxUnavailable": share}}}
        )
        for share in (1, 2, "1%", "50%", "100%")
    ),
    *(
        refused(
            f"budget-of-{name}-of-{share}",
            {name: {"podDisruptionBudget": {"maxUnavailable": share}}},
            (f"spec.{name}.podDisruptionBudget.maxUnavailable", BUDGET),
        )
        for name in ("server", "machineLearning", "valkey", "postgres")
        for share in (0, -1, "0%", "101%", "1", "half")
    ),
    accepted("strategy", {"server": {"strategy": "RollingUpdate"}, "machineLearning": {"strategy": "Recreate"}}),
    refused("strategy-unknown", server(strategy="OnDelete"), ("spec.server.strategy", say.WRONG_CHOICE)),
]

NETWORK = [
    accepted("policy-for-everybody", {"networkPolicy": {"enabled": True}}),
    accepted(
        "policy-with-peers",
        peers(
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}, "podSelector": {}},
            {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.1/32"]}},
        ),
    ),
    refused("peer-of-nothing", peers({}), ("spec.networkPolicy.from[0]", NO_PEER)),
    refused(
        "peer-of-both",
        {"networkPolicy": {"egress": {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}, "podSelector": {}}]}}},
        ("spec.networkPolicy.egress.to[0]", NO_PEER),
    ),
    refused(
        "peer-that-is-misspelt",
        peers({"podSelector": {"matchLabel": {}}}),
        ("spec.networkPolicy.from[0].podSelector.matchLabel", "unknown field"),
    ),
]

ACCESS = [*SERVICES, *ROUTES, *SCALING, *NETWORK]
