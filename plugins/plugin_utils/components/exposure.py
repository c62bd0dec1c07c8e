# SPDX-License-Identifier: Apache-2.0
"""How people reach the server from outside: Ingress, OpenShift Route, and the address in the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kube.kinds import named
from ..kube.values import Manifest, dig, without_none
from ..spec import names
from ..spec.fields import IngressPath
from ..spec.names import Component
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason

ROUTE_API = named("Route").api_version
INGRESS_API = named("Ingress").api_version

KINDS = ("Ingress", "Route")

PATH_TYPES = ("Prefix", "Exact", "ImplementationSpecific")


def wants_ingress(instance: Instance, _cluster: Cluster, _draft: Draft) -> bool:
    return instance.spec.server.enabled and instance.spec.server.ingress.enabled


def wants_route(instance: Instance, cluster: Cluster, _draft: Draft) -> bool:
    """Where the Route API exists, unless it is switched off."""
    server = instance.spec.server
    return server.enabled and server.route.enabled is not False and cluster.has_route_api


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> Part:
    part = Part(Component.SERVER)
    if wants_ingress(instance, cluster, draft):
        _warn_of_path_types(part, instance)
        part.apply(ingress(instance))
    if wants_route(instance, cluster, draft):
        part.apply(route(instance))
    elif instance.spec.server.enabled and instance.spec.server.route.enabled:
        part.warns(
            Reason.ROUTE_UNAVAILABLE,
            f"spec.server.route.enabled is true, but this cluster has no API {ROUTE_API}; "
            "use spec.server.ingress, or leave spec.server.route.enabled unset",
        )
    return part


def ingress(instance: Instance) -> Manifest:
    settings = instance.spec.server.ingress
    name = names.workload_name(instance.name, Component.SERVER)
    manifest = instance.manifest(INGRESS_API, "Ingress", name, Component.SERVER)
    if settings.annotations:
        manifest["metadata"]["annotations"] = dict(settings.annotations)
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    rules = [
        without_none(
            {
                "host": host.host or None,
                "http": {
                    "paths": [
                        {
                            "path": path.path,
                            "pathType": _path_type(path),
                            "backend": backend,
                        }
                        for path in host.paths
                    ]
                },
            }
        )
        for host in settings.hosts
    ]
    tls = [
        without_none({"hosts": list(entry.hosts) or None, "secretName": entry.secret_name or None})
        for entry in settings.tls
    ]
    manifest["spec"] = without_none(
        {"ingressClassName": settings.ingress_class_name or None, "rules": rules, "tls": tls or None}
    )
    return manifest


def _path_type(path: IngressPath) -> str:
    """The operator written in Go took whatever it did not know for Prefix, and so do its custom resources mean it."""
    return path.path_type if path.path_type in PATH_TYPES else "Prefix"


def _warn_of_path_types(part: Part, instance: Instance) -> None:
    for index, host in enumerate(instance.spec.server.ingress.hosts):
        for position, path in enumerate(host.paths):
            given = path.path_type
            if given not in PATH_TYPES and given.lower() != "prefix":
                part.warns(
                    Reason.SETTING_IGNORED,
                    f"spec.server.ingress.hosts[{index}].paths[{position}].pathType is none of {', '.join(PATH_TYPES)}, so "
                    "the path is compared as Prefix; write one of them",
                )


def route(instance: Instance) -> Manifest:
    settings = instance.spec.server.route
    name = names.workload_name(instance.name, Component.SERVER)
    manifest = instance.manifest(ROUTE_API, "Route", name, Component.SERVER)
    metadata = manifest["metadata"]
    metadata["labels"] = {**settings.labels, **metadata["labels"]}
    if settings.annotations:
        metadata["annotations"] = dict(settings.annotations)
    insecure = settings.tls.insecure_edge_termination_policy
    tls = {
        "termination": settings.tls.termination,
        # the CRD takes both spellings, the Route API only this one
        "insecureEdgeTerminationPolicy": "None" if insecure == "Disable" else insecure,
        "certificate": settings.tls.certificate or None,
        "key": settings.tls.key or None,
        "caCertificate": settings.tls.ca_certificate or None,
        "destinationCACertificate": settings.tls.destination_ca_certificate or None,
    }
    manifest["spec"] = without_none(
        {
            "host": settings.host or None,
            "path": settings.path or None,
            "wildcardPolicy": settings.wildcard_policy,
            "to": {"kind": "Service", "name": name, "weight": 100},
            "port": {"targetPort": "http"},
            "tls": without_none(tls),
        }
    )
    return manifest


def url(live_route: Manifest | None, live_ingress: Manifest | None) -> str:
    """Where people reach the instance: Route host, first Ingress host, the load balancer's address, or ""."""
    if live_route:
        host = dig(live_route, "spec", "host") or next(
            (entry["host"] for entry in dig(live_route, "status", "ingress", default=[]) if entry.get("host")), ""
        )
        if host:
            path = dig(live_route, "spec", "path", default="")
            return f"{'https' if dig(live_route, 'spec', 'tls') else 'http'}://{host}{path.rstrip('/')}"
    if live_ingress:
        hosts = [rule.get("host") or "" for rule in dig(live_ingress, "spec", "rules", default=[])]
        host = next((name for name in hosts if name and not name.startswith("*")), "")  # a wildcard is no address
        tls = dig(live_ingress, "spec", "tls", default=[])
        if host:
            return f"{'https' if any(_covers(entry, host) for entry in tls) else 'http'}://{host}"
        for entry in dig(live_ingress, "status", "loadBalancer", "ingress", default=[]):
            address = entry.get("hostname") or entry.get("ip") or ""
            if address:
                return f"{'https' if tls else 'http'}://{f'[{address}]' if ':' in address else address}"
    return ""


def _covers(tls: Mapping[str, Any], host: str) -> bool:
    """True when a TLS entry is for the host: by name, by wildcard, or for all hosts because it names none."""
    hosts = tls.get("hosts") or []
    parent = f"*.{host.partition('.')[2]}"
    return not hosts or host in hosts or parent in hosts
