# SPDX-License-Identifier: Apache-2.0
"""The rules between fields of a custom resource, in Python and in the words of the CRD's CEL rules.

The API server runs the CEL rules at admission; these functions give the same answers for a custom resource that is
rendered without a cluster, or was stored before the rules existed. Rules about changes (a volume that would shrink)
need the previous object and are left to the API server. A wrong type is none of their business: it counts as unset.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..kube.problems import Problem
from . import variables
from .fields import ImmichWorkload, Spec, read
from .names import component_of, spec_key

__all__ = ["NO_HOST", "NO_NAME", "check"]

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_INGRESS_HOST = re.compile(r"((\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?")
NO_HOST = re.compile(r"[\s\x00-\x1f\x7f/@]|^[^:]*:[^:]*$|\]:", re.ASCII)
"""In what is no host: a blank, a slash, a user, or a port; an address of IPv6 has several colons."""
NO_NAME = re.compile(r"=|^postgres(ql)?://|[\x00-\x1f\x7f]")
"""In what libpq takes for a connection string (recognized_connection_string in fe-connect.c), or what no name holds."""
# Labels and Service names hold 63 characters. The longest ones made from a name are, in this order: the label
# controller-revision-hash (NAME-postgres-0123456789), the Service NAME-machine-learning, the Services NAME-server
# and NAME-valkey.
_LONGEST_WITH_POSTGRES = 43
_LONGEST_WITH_MACHINE_LEARNING = 46
_LONGEST = 56
_WITH_VARIABLES = [
    component_of(each.name)
    for each in dataclasses.fields(Spec)
    if isinstance(getattr(Spec(), each.name), ImmichWorkload)
]
_SOURCES = ("configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef")


def check(cr: Mapping[str, Any]) -> list[Problem]:
    """What keeps a custom resource (with defaults) from ever working although each field is well-formed."""
    spec = _mapping(cr, "spec")
    return [*_name(cr, spec), *_environment(spec), *_ingress(spec), *_valkey(spec), *_postgres(spec)]


def _name(cr: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Problem]:
    namespace = _mapping(cr, "metadata").get("namespace")
    if namespace and not (isinstance(namespace, str) and _DNS_LABEL.fullmatch(namespace) and len(namespace) <= 63):
        yield Problem(
            "metadata.namespace",
            "a namespace has a name of at most 63 lower case letters, digits and -",
            "Correct it",
        )
    name = _mapping(cr, "metadata").get("name")
    if name is not None and not isinstance(name, str):
        yield Problem("metadata.name", "must be text", "Put it in quotes")
        return
    if not isinstance(name, str) or not name:
        yield Problem("metadata.name", "an Immich needs a name", "Set it")
        return
    if not _DNS_LABEL.fullmatch(name):
        yield Problem(
            "metadata.name",
            "the name of an Immich becomes part of host names, so it has no dots",
            "Choose a name of lower case letters, digits and -",
        )
    longest = _LONGEST
    if _enabled(spec, "postgres"):
        longest = _LONGEST_WITH_POSTGRES
    elif _enabled(spec, "machineLearning"):
        longest = _LONGEST_WITH_MACHINE_LEARNING
    if len(name) > longest:
        yield Problem(
            "metadata.name",
            "the name is too long for the objects made from it",
            f"Choose at most {_LONGEST_WITH_POSTGRES} characters, or {_LONGEST_WITH_MACHINE_LEARNING} with an external"
            f" database, or {_LONGEST} if machine learning is off too",
        )


def _environment(spec: Mapping[str, Any]) -> Iterator[Problem]:
    fields = read(Spec, spec)
    for kind in _WITH_VARIABLES:
        component = spec_key(kind)
        yield from variables.problems(kind, component, _items(_mapping(spec, component), "env"), fields)
        for index, entry in enumerate(_list(_mapping(spec, component), "env")):
            path = f"spec.{component}.env[{index}]"
            if entry.get("value") and "valueFrom" in entry:
                yield Problem(
                    path, "an environment variable has a value or a source, not both", "Remove value or valueFrom"
                )
            if "valueFrom" in entry and sum(source in _mapping(entry, "valueFrom") for source in _SOURCES) != 1:
                yield Problem(
                    f"{path}.valueFrom",
                    "an environment variable has exactly one source",
                    f"Give one of {', '.join(_SOURCES[:-1])} and {_SOURCES[-1]}",
                )
        for index, entry in enumerate(_list(_mapping(spec, component), "envFrom")):
            if ("configMapRef" in entry) == ("secretRef" in entry):
                path = f"spec.{component}.envFrom[{index}]"
                yield Problem(path, "an entry reads exactly one object", "Give either configMapRef or secretRef")


def _ingress(spec: Mapping[str, Any]) -> Iterator[Problem]:
    server = _mapping(spec, "server")
    ingress = _mapping(server, "ingress")
    if not _enabled(spec, "server") or ingress.get("enabled") is not True:
        return
    path = "spec.server.ingress.hosts"
    hosts = _list(ingress, "hosts")
    paths = [entry.get("path") for host in hosts for entry in _list(host, "paths")]
    if not ingress.get("hosts"):
        yield Problem(
            path, "an Ingress needs at least one host", "Add one, or set spec.server.ingress.enabled to false"
        )
    if not all(_list(host, "paths") for host in hosts):
        remedy = "Add paths: [{path: /}] to the host that has none"
        yield Problem(path, "every host of an Ingress needs at least one path", remedy)
    if not all(entry.startswith("/") for entry in paths if isinstance(entry, str) and entry):
        yield Problem(path, "paths of an Ingress start with a slash", "Put / in front of the path")
    if not all(_INGRESS_HOST.fullmatch(str(host.get("host", ""))) for host in hosts):
        yield Problem(
            path,
            "a host of an Ingress is a DNS name: lower case letters, digits, - and dots, without port or scheme",
            "Correct the host",
        )


def _service_host(spec: Mapping[str, Any], name: str) -> Iterator[Problem]:
    path, host = f"spec.{name}.host", _mapping(spec, name).get("host")
    if isinstance(host, str) and NO_HOST.search(host):
        what = "a host is a name or an address, without scheme, user, port, path and blanks"
        yield Problem(path, what, f"Correct {path}; the port goes into spec.{name}.port")


def _valkey(spec: Mapping[str, Any]) -> Iterator[Problem]:
    if _enabled(spec, "valkey"):
        return
    if not _mapping(spec, "valkey").get("host"):
        remedy = "Set spec.valkey.host, or set spec.valkey.enabled to true"
        yield Problem("spec.valkey.host", "an external Valkey needs a host", remedy)
    yield from _service_host(spec, "valkey")


def _postgres(spec: Mapping[str, Any]) -> Iterator[Problem]:
    postgres = _mapping(spec, "postgres")
    for field in ("database", "username"):
        if NO_NAME.search(str(postgres.get(field, ""))):
            path = f"spec.postgres.{field}"
            what = "a name is no connection string and holds no = and no line break"
            yield Problem(path, what, f"Correct {path}")
    if _enabled(spec, "postgres") or "urlSecretRef" in postgres:
        return
    alternative = "or set spec.postgres.urlSecretRef"
    if not postgres.get("host"):
        remedy = f"Set spec.postgres.host, {alternative}"
        yield Problem("spec.postgres.host", "an external database needs a host", remedy)
    yield from _service_host(spec, "postgres")
    if "passwordSecretRef" not in postgres:
        remedy = f"Set spec.postgres.passwordSecretRef, {alternative}"
        yield Problem("spec.postgres.passwordSecretRef", "an external database needs a password", remedy)


def _enabled(spec: Mapping[str, Any], name: str) -> bool:
    return _mapping(spec, name).get("enabled") is not False


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, Mapping) else {}


def _items(parent: Mapping[str, Any], name: str) -> list[Any]:
    value = parent.get(name)
    return value if isinstance(value, list) else []


def _list(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The mappings in a list of mappings."""
    return [entry for entry in _items(parent, name) if isinstance(entry, Mapping)]
