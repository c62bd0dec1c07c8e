# SPDX-License-Identifier: Apache-2.0
"""Warnings of settings that are valid and do nothing, or not what they seem to. Those of one component are in its module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..components import registry
from ..components.instance import Instance
from ..components.reasons import Effect, Notice, Reason
from ..components.required import odd_ends
from ..kube.quantities import quantity_value
from ..kube.values import dig
from ..spec.checks import IS_THE_POD, ITSELF
from ..spec.fields import Ingress, IngressPath, Persistence
from ..spec.immich_settings_values import is_web_url
from ..spec.names import Component, spec_key

Finding = tuple[Component, Reason, str]

MEBIBYTE = 1024**2


def notices(cr: Mapping[str, Any], instance: Instance) -> Iterator[Notice]:
    """What the custom resource says is the only source: the same answer with and without a cluster."""
    for component, reason, message in (
        *_ingress(instance),
        *_persistence(cr, instance),
        *_resources(instance),
        *_addresses(instance),
        *_names(instance),
    ):
        yield Notice(component, Effect.WARNS, reason, message)


def _ingress(instance: Instance) -> Iterator[Finding]:
    server, path = instance.spec.server, "spec.server.ingress"
    ingress = server.ingress
    if not server.enabled:
        return
    if not ingress.enabled:
        given = {"hosts": ingress.hosts, "tls": ingress.tls, "ingressClassName": ingress.ingress_class_name}
        fields = " and ".join(f"{path}.{key}" for key, value in given.items() if value)
        if fields:
            message = (
                f"{fields}: there is no Ingress, because {path}.enabled is not true. Set it to true, or remove the rest"
            )
            yield Component.SERVER, Reason.SETTING_IGNORED, message
        return
    for host in _without_root(ingress):
        shown = f"host {host}" if host else "the rule without a host"
        message = (
            f"{path}.hosts: no path of {shown} leads to all of Immich, which can't be served below a path of its own. Add "
            "path: / with pathType: Prefix"
        )
        yield Component.SERVER, Reason.UNKNOWN_SETTING, message
    hosts = {entry.host for entry in ingress.hosts}
    served = {name for host in hosts for name in (host, f"*.{host.partition('.')[2]}")}
    for index, entry in enumerate(ingress.tls if "" not in hosts else ()):
        if entry.hosts and not served & set(entry.hosts):
            message = (
                f"{path}.tls[{index}] has a certificate for {' and '.join(entry.hosts)}, which is none of the hosts: it is not "
                f"used. Correct the name there or in {path}.hosts"
            )
            yield Component.SERVER, Reason.SETTING_IGNORED, message


def _without_root(ingress: Ingress) -> list[str]:
    """The hosts with one path, which is not for everything. Who writes several may want to serve just these, and what a
    controller makes of its own type of paths, it knows."""
    paths: dict[str, list[IngressPath]] = {}
    for entry in ingress.hosts:
        paths.setdefault(entry.host, []).extend(entry.paths)
    return [host for host, found in paths.items() if len(found) == 1 and not _is_root(found[0])]


def _is_root(path: IngressPath) -> bool:
    return path.path_type == "ImplementationSpecific" or (path.path == "/" and path.path_type != "Exact")


def _persistence(cr: Mapping[str, Any], instance: Instance) -> Iterator[Finding]:
    unset, workloads = Persistence(), registry.workloads()
    for component, claim in registry.claims().items():
        if component in workloads and not instance.is_enabled(component):
            continue
        persistence, path = claim.persistence(instance), claim.path
        if getattr(persistence, "enabled", True) is False:
            # Not by its size alone, which samples of the operator written in Go give too.
            given = {"storageClass": persistence.storage_class, "existingClaim": persistence.existing_claim}
            yield from _unused(component, path, given, f"{path}.enabled is false: set it to true, or remove the rest")
        elif persistence.existing_claim:
            size = persistence.size if persistence.size != unset.size else None
            why = f"{path}.existingClaim names a claim of your own: change that claim, or remove the rest"
            yield from _unused(component, path, {"size": size, "storageClass": persistence.storage_class}, why)
        else:
            yield from _size(component, f"{path}.size", dig(cr, *path.split("."), "size"), persistence)


def _unused(component: Component, path: str, given: Mapping[str, Any], why: str) -> Iterator[Finding]:
    fields = [f"{path}.{key}" for key, value in given.items() if value]
    if fields:
        message = f"{' and '.join(fields)} {'have' if len(fields) > 1 else 'has'} no effect, because {why}"
        yield component, Reason.SETTING_IGNORED, message


def _size(component: Component, path: str, given: Any, persistence: Persistence) -> Iterator[Finding]:
    amount = quantity_value(given)
    if amount == 0:
        message = f"{path} is {given}, which counts as not set: the volume has {persistence.size}. Write the size that is meant"
        yield component, Reason.SETTING_IGNORED, message
    elif amount is not None and amount < MEBIBYTE:
        yield component, Reason.UNKNOWN_SETTING, _too_small(path, given)


def _resources(instance: Instance) -> Iterator[Finding]:
    for component in registry.workloads():
        if not instance.is_enabled(component):
            continue
        for kind in ("requests", "limits"):
            amounts = instance.settings(component).resources.get(kind) or {}
            for name in ("memory", "ephemeral-storage"):
                amount = quantity_value(amounts.get(name))
                if amount is not None and 0 < amount < MEBIBYTE:
                    path = f"spec.{spec_key(component)}.resources.{kind}.{name}"
                    yield component, Reason.UNKNOWN_SETTING, _too_small(path, amounts[name])


def _too_small(path: str, given: Any) -> str:
    return (
        f"{path} is {given}, which is less than a mebibyte: a number without a unit means bytes, and m a thousandth of one. "
        "Write it like 512Mi or 10Gi"
    )


def _addresses(instance: Instance) -> Iterator[Finding]:
    spec, learning = instance.spec, instance.spec.machine_learning
    hosts: Sequence[tuple[Component, str, str]] = [
        *([(Component.VALKEY, "spec.valkey.host", spec.valkey.host)] if not spec.valkey.enabled else []),
        *(
            [(Component.POSTGRES, "spec.postgres.host", spec.postgres.host)]
            if not spec.postgres.enabled and not spec.postgres.url_secret_ref
            else []
        ),
    ]
    if not learning.enabled and learning.url:
        path = "spec.machineLearning.url"
        if not is_web_url(learning.url):
            message = f"{path} does not begin with http:// or https://. Write the whole address, such as http://gpu.example.com:3003"
            yield Component.MACHINE_LEARNING, Reason.UNKNOWN_SETTING, message
        else:
            hosts = [*hosts, (Component.MACHINE_LEARNING, path, _host_of(learning.url))]
    for component, path, host in hosts:
        if ITSELF.fullmatch(host):
            yield component, Reason.UNKNOWN_SETTING, f"{path} is {host}, which {IS_THE_POD}"


def _names(instance: Instance) -> Iterator[Finding]:
    postgres = instance.spec.postgres
    for key, value in (("database", postgres.database), ("username", postgres.username)):
        if oddity := odd_ends(value.encode()):
            yield Component.POSTGRES, Reason.UNKNOWN_SETTING, f"spec.postgres.{key} {oddity.partition(':')[0]}"


def _host_of(url: str) -> str:
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""
