# SPDX-License-Identifier: Apache-2.0
"""How people reach the server from outside: Ingress, HTTPRoute, OpenShift Route, and the address in the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kube.difference import needs_apply
from ..kube.kinds import named
from ..kube.timestamps import seconds_of
from ..kube.values import Manifest, dig, in_one_line, without_none
from ..spec import names
from ..spec.fields import IngressPath
from ..spec.names import Component
from . import addresses, http_route, ingress_presets
from .instance import Cluster, Draft, Instance, Part, add_metadata
from .reasons import Reason

ROUTE_API = named("Route").api_version
INGRESS_API = named("Ingress").api_version

KINDS = ("Ingress", "Route", http_route.KIND)

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
        preset = ingress_presets.annotations_for(part, instance, cluster)
        _apply_ingress(part, ingress(instance, preset), cluster)
    if wants_route(instance, cluster, draft):
        part.apply(route(instance))
    elif instance.spec.server.enabled and instance.spec.server.route.enabled:
        part.warns(
            Reason.ROUTE_UNAVAILABLE,
            f"spec.server.route.enabled is true, but this cluster has no API {ROUTE_API}; "
            "use spec.server.ingress, or leave spec.server.route.enabled unset",
        )
    http_route.plan(part, instance, cluster, draft)
    return part


def ingress(instance: Instance, preset: Mapping[str, str]) -> Manifest:
    """`preset` are annotations beside the user's, which win."""
    settings = instance.spec.server.ingress
    name = names.workload_name(instance.name, Component.SERVER)
    manifest = instance.manifest(INGRESS_API, "Ingress", name, Component.SERVER)
    if annotations := {**preset, **settings.annotations}:
        manifest["metadata"]["annotations"] = annotations
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


CHALLENGES = "/.well-known/acme-challenge/"
"""Below it certificate authorities look for the answer to an ACME challenge (RFC 8555, section 8.3)."""


def _apply_ingress(part: Part, manifest: Manifest, cluster: Cluster) -> None:
    """Apply the Ingress, with the paths of challenges that others have put into it.

    cert-manager does so where an Ingress is to be edited in place, and takes them away when there is a certificate. The
    list of rules has one owner as a whole, so any apply of ours decides on them. There is none while they are all that is
    different: it might bring back what has just been taken away.
    """
    live = cluster.live("Ingress", manifest["metadata"]["name"])
    rules = with_challenges(
        manifest["spec"]["rules"], dig(live, "spec", "rules", default=[]), manifest["metadata"]["name"]
    )
    if live is None or rules == manifest["spec"]["rules"]:
        part.apply(manifest)
        return
    kept = {**manifest, "spec": {**manifest["spec"], "rules": rules}}
    unowned = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    if needs_apply(kept, {**live, "metadata": unowned}):
        part.apply(kept)


def with_challenges(
    rules: list[dict[str, Any]], live_rules: list[dict[str, Any]], service: str
) -> list[dict[str, Any]]:
    """Our rules, and in their places those paths of the live ones that answer a challenge by another Service."""
    challenges: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for rule in live_rules:
        for index, path in enumerate(dig(rule, "http", "paths", default=[])):
            is_ours = dig(path, "backend", "service", "name") == service
            if str(path.get("path", "")).startswith(CHALLENGES) and not is_ours:
                challenges.setdefault(rule.get("host", ""), []).append((index, path))
    result = []
    for rule in rules:
        paths = list(rule["http"]["paths"])
        for index, path in challenges.pop(rule.get("host", ""), []):
            paths.insert(index, path)
        result.append({**rule, "http": {"paths": paths}})
    for host, added in challenges.items():  # hosts of a certificate that have no rule of ours
        result.append(without_none({"host": host or None, "http": {"paths": [path for _unused, path in added]}}))
    return result


def _path_type(path: IngressPath) -> str:
    """The operator written in Go treated whatever it did not know as Prefix, so its custom resources mean that."""
    return path.path_type if path.path_type in PATH_TYPES else "Prefix"


def _warn_of_path_types(part: Part, instance: Instance) -> None:
    for index, host in enumerate(instance.spec.server.ingress.hosts):
        for position, path in enumerate(host.paths):
            given = path.path_type
            if given not in PATH_TYPES and given.lower() != "prefix":
                part.warns(
                    Reason.SETTING_IGNORED,
                    f"spec.server.ingress.hosts[{index}].paths[{position}].pathType is not one of "
                    f"{', '.join(PATH_TYPES)}, so the path is matched as Prefix; use one of them",
                )


def route(instance: Instance) -> Manifest:
    settings = instance.spec.server.route
    name = names.workload_name(instance.name, Component.SERVER)
    manifest = instance.manifest(ROUTE_API, "Route", name, Component.SERVER)
    add_metadata(manifest, settings.labels, settings.annotations)
    insecure = settings.tls.insecure_edge_termination_policy
    tls = {
        "termination": settings.tls.termination,
        # the CRD accepts both spellings, the Route API only this one
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
    """Where people reach the instance: Route host, first Ingress host, the load balancer's address, or "".

    An Ingress is served once its controller has written an address to its status, a Route unless its router refuses it.
    """
    if live_route and not _refused(live_route):
        host = dig(live_route, "spec", "host") or next(
            (entry["host"] for entry in dig(live_route, "status", "ingress", default=[]) if entry.get("host")), ""
        )
        if host:
            path = dig(live_route, "spec", "path", default="")
            return f"{'https' if dig(live_route, 'spec', 'tls') else 'http'}://{host}{path.rstrip('/')}"
    if live_ingress and (address := addresses.of_load_balancer(live_ingress)):
        hosts = [rule.get("host") or "" for rule in dig(live_ingress, "spec", "rules", default=[])]
        host = next((name for name in hosts if name and not name.startswith("*")), "")  # a wildcard is not an address
        tls = dig(live_ingress, "spec", "tls", default=[])
        if host:
            return f"{'https' if any(_covers(entry, host) for entry in tls) else 'http'}://{host}"
        return f"{'https' if tls else 'http'}://{addresses.in_url(address)}"
    return ""


ADDRESS_WITHIN_S = 60.0
"""How long a controller may take to give an Ingress an address."""


def unserved(live_route: Manifest | None, live_ingress: Manifest | None) -> list[tuple[str, float]]:
    """[(message, when it begins to be worth one, in seconds since the epoch)] of the Ingress and the Route that nobody serves."""
    found = []
    if live_route and (refused := _refused(live_route)):
        name = live_route["metadata"]["name"]
        words = in_one_line(f"{refused.get('reason') or ''}: {refused.get('message') or ''}")
        found.append((f"Route {name} is refused by its router: {words}; change spec.server.route as it says", 0.0))
    if live_ingress and not addresses.of_load_balancer(live_ingress):
        metadata = live_ingress["metadata"]
        what = f"Ingress {metadata['name']}"
        class_ = dig(live_ingress, "spec", "ingressClassName") or dig(metadata, "annotations", CLASS_ANNOTATION)
        if class_:
            made = seconds_of(metadata.get("creationTimestamp")) or 0.0
            message = (
                f"{what} has no address: the controller of the class {class_} has given it none; see whether it runs, and "
                "what its log says of the Ingress"
            )
            found.append((message, made + ADDRESS_WITHIN_S))
        else:
            message = (
                f"{what} is served by nobody: it names no class, and the cluster had no default one when it was made; set "
                "spec.server.ingress.ingressClassName to one that kubectl get ingressclass shows"
            )
            found.append((message, 0.0))
    return found


CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""What named the class before Kubernetes 1.18; some controllers still go by it."""


def _refused(live_route: Manifest) -> Mapping[str, Any] | None:
    """The condition by which the only router, or each of several, refuses it; None where one does not."""
    answers: list[Mapping[str, Any]] = [
        next((one for one in entry.get("conditions") or () if one.get("type") == "Admitted"), {})
        for entry in dig(live_route, "status", "ingress", default=[])
    ]
    is_refused = answers and all(answer.get("status") == "False" for answer in answers)
    return answers[0] if is_refused else None


def _covers(tls: Mapping[str, Any], host: str) -> bool:
    """True if a TLS entry is for the host: by name, by wildcard, or for all hosts because it names none."""
    hosts = tls.get("hosts") or []
    parent = f"*.{host.partition('.')[2]}"
    return not hosts or host in hosts or parent in hosts
