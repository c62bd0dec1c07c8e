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
from ..kube.quantities import quantity_value
from ..kube.values import items_in as _items
from ..kube.values import mapping_in as _mapping
from ..kube.values import mappings_in as _list
from . import external_libraries, variables
from .access_checks import access_problems
from .fields import ImmichWorkload, Spec, Workload, read
from .names import component_of, spec_key

__all__ = ["HOST", "IS_THE_POD", "ITSELF", "NO_NAME", "check"]

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_INGRESS_HOST = re.compile(rf"(?![0-9]+\.[0-9.]+\Z)((\*\.)?{_LABEL}(\.{_LABEL})*)?")
_NO_TLS_HOST = re.compile(r"[^-a-z0-9.*]")
_NAME_PART = r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
HOST = re.compile(rf"{_NAME_PART}(\.{_NAME_PART})*\.?|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9]+)?")
"""A DNS name, underscores included, or an address; one of IPv6 has several colons."""
NO_NAME = re.compile(r"=|^postgres(ql)?://|[\x00-\x1f\x7f]")
"""In what libpq takes for a connection string (recognized_connection_string in fe-connect.c), or what no name holds."""
# Labels and Service names hold 63 characters. The longest ones made from a name are, in this order: the label
# controller-revision-hash (NAME-postgres-0123456789), the Service NAME-machine-learning, the Services NAME-server
# and NAME-valkey.
_LONGEST_WITH_POSTGRES = 43
_LONGEST_WITH_MACHINE_LEARNING = 46
_LONGEST = 56
_COMPONENTS = [
    spec_key(component_of(each.name))
    for each in dataclasses.fields(Spec)
    if isinstance(getattr(Spec(), each.name), Workload)
]
_CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
IS_OUR_CONTAINER = re.compile(r"machine-learning|microservices|postgres|server|valkey|(guard|look|wait)-.*")
"""Names that containers of ours have, or may get."""
_PARAMETER = re.compile(r"[a-z_][a-z0-9_]*([.][a-z_][a-z0-9_]*)?")
_PARAMETERS_OF_OURS = {
    "config_file", "data_directory", "external_pid_file", "hba_file", "ident_file", "listen_addresses", "port",
    "unix_socket_directories",
}  # fmt: skip
_VOLUME_SOURCES = ("configMap", "csi", "emptyDir", "hostPath", "nfs", "persistentVolumeClaim", "secret")
_WITH_VARIABLES = [
    component_of(each.name)
    for each in dataclasses.fields(Spec)
    if isinstance(getattr(Spec(), each.name), ImmichWorkload)
]
ITSELF = re.compile(r"(localhost|127\.[0-9.]+|0\.0\.0\.0|::1?|0:0:0:0:0:0:0:[01])\.?", re.IGNORECASE)
"""Hosts by which a program means its own machine, which in a pod is the pod."""
IS_THE_POD = (
    "is the pod of the server itself, not the machine that you see it from. Name a Service, or a host that pods reach"
)
_LONGEST_HOST = 253
"""Of longer ones the schema tells."""
_COMPARED = ("cpu", "memory", "ephemeral-storage")
"""Of all others the API server wants requests that are equal to the limits."""
_OF_ARM = ("armnn", "rknn")
_SOURCES = ("configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef")


def check(cr: Mapping[str, Any]) -> list[Problem]:
    """What keeps a custom resource (with defaults) from ever working although each field is well-formed."""
    spec = _mapping(cr, "spec")
    return [
        *_name(cr, spec),
        *_environment(spec),
        *_resources(spec),
        *_acceleration(spec),
        *external_libraries.problems(spec),
        *_pods(spec),
        *_ingress(spec),
        *_valkey(spec),
        *_postgres(spec),
        *access_problems(spec),
    ]


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


def _resources(spec: Mapping[str, Any]) -> Iterator[Problem]:
    for component in _COMPONENTS:
        resources = _mapping(_mapping(spec, component), "resources")
        limits, requests = _mapping(resources, "limits"), _mapping(resources, "requests")
        amounts = [(quantity_value(requests.get(name)), quantity_value(limits.get(name))) for name in _COMPARED]
        if any(request is not None and limit is not None and request > limit for request, limit in amounts):
            yield Problem(
                f"spec.{component}.resources.requests",
                "a container can't request more than its limit",
                "Lower the value in requests, or raise that in limits",
            )


def _acceleration(spec: Mapping[str, Any]) -> Iterator[Problem]:
    component = _mapping(spec, "machineLearning")
    chosen = component.get("acceleration", "none")
    architecture = _mapping(component, "nodeSelector").get("kubernetes.io/arch")
    if architecture and chosen != "none" and (chosen in _OF_ARM) != (architecture == "arm64"):
        path = "spec.machineLearning.acceleration"
        what = "cuda, openvino and rocm are there for nodes with amd64, armnn and rknn for those with arm64"
        yield Problem(path, what, f"Change {path} or the node selector")


def _pods(spec: Mapping[str, Any]) -> Iterator[Problem]:
    for component in _COMPONENTS:
        path, settings = f"spec.{component}", _mapping(spec, component)
        yield from _containers(path, settings)
        for index, entry in enumerate(_list(settings, "resourceClaims")):
            if ("resourceClaimName" in entry) == ("resourceClaimTemplateName" in entry):
                what = "an entry names exactly one object"
                remedy = "Give either resourceClaimName or resourceClaimTemplateName"
                yield Problem(f"{path}.resourceClaims[{index}]", what, remedy)
        if settings.get("dnsPolicy") == "None" and not _items(_mapping(settings, "dnsConfig"), "nameservers"):
            what = "with dnsPolicy None the pods know no name server"
            yield Problem(f"{path}.dnsConfig", what, "Set dnsConfig.nameservers, or another dnsPolicy")
        for index, entry in enumerate(_list(settings, "volumes")):
            if sum(source in entry for source in _VOLUME_SOURCES) != 1:
                remedy = "Give one, such as persistentVolumeClaim or emptyDir"
                yield Problem(f"{path}.volumes[{index}]", "a volume has exactly one source", remedy)


def _containers(path: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """The names of a user's containers. The schema leaves them open, so this is the only check; a pass makes it too."""
    seen: set[str] = set()
    for field in ("initContainers", "extraContainers"):
        for index, entry in enumerate(_list(settings, field)):
            name, at = entry.get("name"), f"{path}.{field}[{index}].name"
            if name is None:
                continue  # which the schema refuses
            if not isinstance(name, str) or not _CONTAINER_NAME.fullmatch(name):
                what = "the name of a container consists of at most 63 lower case letters, digits and - between them"
                yield Problem(at, what, "Correct it")
            elif IS_OUR_CONTAINER.fullmatch(name):
                yield Problem(
                    at,
                    "names of components, and those that begin with guard-, look- or wait-, are for containers of the operator",
                    "Choose another name",
                )
            elif name in seen:
                yield Problem(at, f"two containers of a pod are called {name}", "Rename one")
            if isinstance(name, str):
                seen.add(name)


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
    what = (
        "a host of an Ingress is a DNS name: lower case letters, digits, - and dots, each part of at most 63 characters, "
        "without port or scheme, and no address"
    )
    if not all(_INGRESS_HOST.fullmatch(str(host.get("host", ""))) for host in hosts):
        yield Problem(path, what, "Correct the host")
    covered = [host for entry in _list(ingress, "tls") for host in _items(entry, "hosts")]
    if any(_NO_TLS_HOST.search(str(host)) for host in covered):
        yield Problem("spec.server.ingress.tls", what, "Correct the host")


def _service_host(spec: Mapping[str, Any], name: str) -> Iterator[Problem]:
    path, host = f"spec.{name}.host", _mapping(spec, name).get("host")
    if isinstance(host, str) and 0 < len(host) <= _LONGEST_HOST and not HOST.fullmatch(host):
        what = (
            "a host is a name or an address, without scheme, user, port, path, brackets and blanks; an international name is "
            "written as xn--"
        )
        yield Problem(path, what, f"Correct {path}; the port goes into spec.{name}.port")


def _valkey(spec: Mapping[str, Any]) -> Iterator[Problem]:
    valkey = _mapping(spec, "valkey")
    if "sentinel" in valkey and not _list(_mapping(valkey, "sentinel"), "hosts"):
        path = "spec.valkey.sentinel.hosts"
        yield Problem(path, "sentinels are found at their hosts", f"Give at least one in {path}")
    if _enabled(spec, "valkey"):
        return
    if not valkey.get("host") and "sentinel" not in valkey:
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
    yield from _parameters(_mapping(postgres, "parameters"))
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


def _parameters(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    path = "spec.postgres.parameters"
    if not all(_PARAMETER.fullmatch(name) for name in parameters):
        what = (
            "the name of a setting consists of lower case letters, digits and _, with a dot after that of an extension"
        )
        yield Problem(path, what, "Correct it")
    if _PARAMETERS_OF_OURS & parameters.keys():
        *first, last = sorted(_PARAMETERS_OF_OURS)
        what = f"{', '.join(first)} and {last} are where the operator expects the database"
        yield Problem(path, what, "Remove them")
    if "vchord" not in str(parameters.get("shared_preload_libraries", "vchord")):
        what = "Immich does not start without VectorChord"
        yield Problem(path, what, "Add vchord to shared_preload_libraries")


def _enabled(spec: Mapping[str, Any], name: str) -> bool:
    return _mapping(spec, name).get("enabled") is not False
