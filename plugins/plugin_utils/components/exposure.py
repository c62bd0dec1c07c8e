# SPDX-License-Identifier: Apache-2.0
"""How people reach the server from outside: Ingress, OpenShift Route, and the address in the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kube.values import Manifest, dig, without_none
from ..spec import names
from ..spec.names import Component
from .instance import Instance, Part, Surroundings
from .reasons import Reason

ROUTE_API = "route.openshift.io/v1"
INGRESS_API = "networking.k8s.io/v1"


PATH_TYPES = ("Prefix", "Exact", "ImplementationSpecific")


def wants_ingress(instance: Instance) -> bool:
    server = instance.settings(Component.SERVER)
    return instance.is_enabled(Component.SERVER) and bool(dig(server, "ingress", "enabled"))


def wants_route(instance: Instance, around: Surroundings) -> bool:
    """Where the Route API exists, unless it is switched off."""
    server = instance.settings(Component.SERVER)
    is_on = dig(server, "route", "enabled", default=True)
    return instance.is_enabled(Component.SERVER) and bool(is_on) and around.has_route_api


def plan(instance: Instance, around: Surroundings) -> Part:
    part = Part(Component.SERVER)
    if wants_ingress(instance):
        _warn_of_path_types(part, instance)
        part.apply(ingress(instance))
    if wants_route(instance, around):
        part.apply(route(instance))
    elif instance.is_enabled(Component.SERVER) and dig(instance.settings(Component.SERVER), "route", "enabled"):
        part.warns(
            Reason.ROUTE_UNAVAILABLE,
            f"spec.server.route.enabled is true, but this cluster has no API {ROUTE_API}; "
            "use spec.server.ingress, or leave spec.server.route.enabled unset",
        )
    return part


def ingress(instance: Instance) -> Manifest:
    settings: Mapping[str, Any] = dig(instance.settings(Component.SERVER), "ingress", default={})
    name = names.workload_name(instance.name, Component.SERVER)
    manifest = instance.manifest(INGRESS_API, "Ingress", name, Component.SERVER)
    if settings.get("annotations"):
        manifest["metadata"]["annotations"] = dict(settings["annotations"])
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    rules = [
        without_none(
            {
                "host": host.get("host") or None,
                "http": {
                    "paths": [
                        {
                            "path": path.get("path") or "/",
                            "pathType": _path_type(path),
                            "backend": backend,
                        }
                        for path in host.get("paths") or ()
                    ]
                },
            }
        )
        for host in settings.get("hosts") or ()
    ]
    tls = [
        without_none({"hosts": entry.get("hosts") or None, "secretName": entry.get("secretName") or None})
        for entry in settings.get("tls") or ()
    ]
    manifest["spec"] = without_none(
        {"ingressClassName": settings.get("ingressClassName") or None, "rules": rules, "tls": tls or None}
    )
    return manifest


def _path_type(path: Mapping[str, Any]) -> str:
    """The operator written in Go took whatever it did not know for Prefix, and so do its custom resources mean it."""
    given = path.get("pathType")
    return str(given) if given in PATH_TYPES else "Prefix"


def _warn_of_path_types(part: Part, instance: Instance) -> None:
    hosts = dig(instance.settings(Component.SERVER), "ingress", "hosts", default=[])
    for index, host in enumerate(hosts):
        for position, path in enumerate(host.get("paths") or ()):
            given = str(path.get("pathType") or "Prefix")
            if given not in PATH_TYPES and given.lower() != "prefix":
                part.warns(
                    Reason.SETTING_IGNORED,
                    f"spec.server.ingress.hosts[{index}].paths[{position}].pathType is none of {', '.join(PATH_TYPES)}, so "
                    "the path is compared as Prefix; write one of them",
                )


def route(instance: Instance) -> Manifest:
    settings: Mapping[str, Any] = dig(instance.settings(Component.SERVER), "route", default={})
    name = names.workload_name(instance.name, Component.SERVER)
    manifest = instance.manifest(ROUTE_API, "Route", name, Component.SERVER)
    metadata = manifest["metadata"]
    metadata["labels"] = {**(settings.get("labels") or {}), **metadata["labels"]}
    if settings.get("annotations"):
        metadata["annotations"] = dict(settings["annotations"])
    given: Mapping[str, Any] = settings.get("tls") or {}
    tls = {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}
    tls |= {key: value for key, value in given.items() if value}
    if tls["insecureEdgeTerminationPolicy"] == "Disable":
        tls["insecureEdgeTerminationPolicy"] = "None"  # the CRD takes both spellings, the Route API only this one
    manifest["spec"] = without_none(
        {
            "host": settings.get("host") or None,
            "path": settings.get("path") or None,
            "wildcardPolicy": settings.get("wildcardPolicy") or None,
            "to": {"kind": "Service", "name": name, "weight": 100},
            "port": {"targetPort": "http"},
            "tls": tls,
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
