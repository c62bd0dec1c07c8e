# SPDX-License-Identifier: Apache-2.0
"""The spec of a custom resource as Python sees it: one class for each object of the API, one attribute for each field.

An attribute is the field's name in snake case, its default is that of the CRD (a test compares them). What Kubernetes or
Immich describes, such as affinity or Immich's own settings, stays the mapping that it is. The classes have no repr, because
some fields hold passwords.
"""

# no postponed annotations: the types of the attributes are inspected
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NewType, TypeAlias, TypeVar, get_args, get_origin

from ..kube.quantities import quantity_value

T = TypeVar("T")

Opaque: TypeAlias = Mapping[str, Any]
"""An object whose fields the operator does not interpret."""
Quantity: TypeAlias = str | int
"""What is no quantity, and 0, count as unset."""
Port = NewType("Port", int)
"""0 counts as unset."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SecretKey:
    name: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LocalObjectReference:
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Persistence:
    size: Quantity = "10Gi"
    storage_class: str | None = None
    """None: the cluster's default; "": none at all."""
    access_modes: Sequence[str] = ("ReadWriteOnce",)
    existing_claim: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CachePersistence(Persistence):
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QueuePersistence(Persistence):
    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Workload:
    """What all four workloads have."""

    enabled: bool = True
    image: str | None = None
    image_pull_policy: str = ""
    resources: Opaque = field(default_factory=dict)
    node_selector: Opaque = field(default_factory=dict)
    tolerations: Sequence[Opaque] = ()
    affinity: Opaque = field(default_factory=dict)
    pod_annotations: Opaque = field(default_factory=dict)
    pod_labels: Opaque = field(default_factory=dict)
    pod_security_context: Opaque = field(default_factory=dict)
    security_context: Opaque = field(default_factory=dict)
    annotations: Opaque = field(default_factory=dict)
    priority_class_name: str = ""
    runtime_class_name: str = ""
    service_account_name: str = ""
    termination_grace_period_seconds: int | None = None
    topology_spread_constraints: Sequence[Opaque] = ()
    host_aliases: Sequence[Opaque] = ()
    dns_policy: str = ""
    dns_config: Opaque = field(default_factory=dict)
    resource_claims: Sequence[Opaque] = ()
    volumes: Sequence[Opaque] = ()
    volume_mounts: Sequence[Opaque] = ()
    init_containers: Sequence[Opaque] = ()
    extra_containers: Sequence[Opaque] = ()
    probes: Opaque = field(default_factory=dict)
    """{"startup" | "readiness" | "liveness": fields of a probe}"""
    pod_template: Opaque = field(default_factory=dict)
    """Fields of a PodTemplateSpec, and the directives of a strategic merge patch."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ImmichWorkload(Workload):
    """One of Immich's own programs: it takes variables and may have several pods."""

    replicas: int | None = None
    """None: left to whoever scales the workload."""
    env: Sequence[Opaque] = ()
    env_from: Sequence[Opaque] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IngressPath:
    path: str = "/"
    path_type: str = "Prefix"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IngressHost:
    host: str = ""
    paths: Sequence[IngressPath] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IngressTLS:
    hosts: Sequence[str] = ()
    secret_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ingress:
    enabled: bool = False
    ingress_class_name: str = ""
    annotations: Opaque = field(default_factory=dict)
    hosts: Sequence[IngressHost] = ()
    tls: Sequence[IngressTLS] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RouteTLS:
    termination: str = "edge"
    insecure_edge_termination_policy: str = "Redirect"
    certificate: str = ""
    key: str = ""
    ca_certificate: str = ""
    destination_ca_certificate: str = field(default="", metadata={"key": "destinationCACertificate"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Route:
    enabled: bool | None = None
    """None: where the Route API exists."""
    host: str = ""
    path: str = ""
    wildcard_policy: str = "None"
    annotations: Opaque = field(default_factory=dict)
    labels: Opaque = field(default_factory=dict)
    tls: RouteTLS = field(default_factory=RouteTLS)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Server(ImmichWorkload):
    ingress: Ingress = field(default_factory=Ingress)
    route: Route = field(default_factory=Route)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MachineLearning(ImmichWorkload):
    persistence: CachePersistence = field(default_factory=CachePersistence)
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Valkey(Workload):
    persistence: QueuePersistence = field(default_factory=QueuePersistence)
    host: str = ""
    port: Port = Port(6379)
    db_index: int = 0
    password: str = ""
    password_secret_ref: SecretKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Postgres(Workload):
    persistence: Persistence = field(default_factory=Persistence)
    host: str = ""
    port: Port = Port(5432)
    database: str = "immich"
    username: str = "immich"
    password_secret_ref: SecretKey | None = None
    url_secret_ref: SecretKey | None = None
    parameters: Opaque = field(default_factory=dict)
    storage_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Metrics:
    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ImmichPersistence:
    library: Persistence = field(default_factory=Persistence)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Immich:
    """Settings of the installation as a whole."""

    metrics: Metrics = field(default_factory=Metrics)
    persistence: ImmichPersistence = field(default_factory=ImmichPersistence)
    configuration: Opaque = field(default_factory=dict)
    configuration_kind: str = "ConfigMap"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Spec:
    image_pull_secrets: Sequence[LocalObjectReference] = ()
    common_labels: Opaque = field(default_factory=dict)
    common_annotations: Opaque = field(default_factory=dict)
    immich: Immich = field(default_factory=Immich)
    server: Server = field(default_factory=Server)
    machine_learning: MachineLearning = field(default_factory=MachineLearning)
    valkey: Valkey = field(default_factory=Valkey)
    postgres: Postgres = field(default_factory=Postgres)


def read(kind: Callable[..., T], given: Any) -> T:
    """An object of a class above from what is in a custom resource. Never raises.

    A resource may be older than the rule that would refuse it, so a wrong type counts as unset, like null. So does an
    empty value if there is a default, and an empty reference.
    """
    present = given if isinstance(given, Mapping) else {}
    return kind(**{name: reader(present.get(key), default) for name, key, reader, default in _attributes(kind)})


def key_of(attribute: Any) -> str:
    """The API's name of a dataclass's field: `storageClass` for `storage_class`."""
    camel = re.sub("_([a-z])", lambda found: found[1].upper(), attribute.name)
    return str(attribute.metadata.get("key", camel))


_Reader: TypeAlias = Callable[[Any, Any], Any]
"""(the value there, the default) -> the value of the attribute."""


@functools.cache
def _attributes(kind: Any) -> list[tuple[str, str, _Reader, Any]]:
    """(attribute, key, reader, default) of each field, determined once per class."""
    unset = kind()
    return [(entry.name, key_of(entry), _reader(entry.type), getattr(unset, entry.name)) for entry in fields(kind)]


def _reader(hint: Any) -> _Reader:
    if hint in _READERS:
        return _READERS[hint]
    inner = get_args(hint)[0] if get_args(hint) else hint
    if get_origin(hint) is Sequence:
        return lambda given, default: tuple(read(inner, item) for item in _mappings(given, default))
    if inner is not hint:  # X | None
        return lambda given, _unused: read(inner, given) if isinstance(given, Mapping) and given else None
    return lambda given, _unused: read(inner, given)


def _number(given: Any, default: Any) -> Any:
    return given if isinstance(given, int) and not isinstance(given, bool) else default


def _amount(given: Any, default: Any) -> Any:
    return default if quantity_value(given) in (None, 0) else given


def _of_type(wanted: Any) -> _Reader:
    def reader(given: Any, default: Any) -> Any:
        return given if isinstance(given, wanted) and (given or not default) else default

    return reader


def _items_of_type(wanted: Any) -> _Reader:
    def reader(given: Any, default: Any) -> Any:
        items = tuple(item for item in given if isinstance(item, wanted)) if isinstance(given, list) else ()
        return items or default

    return reader


_text, _mappings = _of_type(str), _items_of_type(Mapping)
_READERS: Mapping[Any, _Reader] = {
    bool: lambda given, default: given if isinstance(given, bool) else default,
    bool | None: lambda given, default: given if isinstance(given, bool) else default,
    int: _number,
    int | None: _number,
    Port: lambda given, default: _number(given, default) or default,
    str: _text,
    str | None: _text,
    Quantity: lambda given, default: _amount(_text(given, None) or _number(given, default), default),
    Opaque: _of_type(Mapping),
    Sequence[str]: _items_of_type(str),
    Sequence[Opaque]: _mappings,
}

read(Spec, {})  # determines all attributes once, now, and not in each fork of a warm process
