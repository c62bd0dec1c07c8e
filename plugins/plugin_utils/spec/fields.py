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
IntOrPercent = NewType("IntOrPercent", object)
"""A number, or a text such as `50%`; Kubernetes' IntOrString."""
RouteTimeout = NewType("RouteTimeout", str)
"""A duration as in GEP-2257. "" is none at all, and not the default."""


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
class PodDisruptionBudget:
    enabled: bool = False
    max_unavailable: IntOrPercent = IntOrPercent(1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Autoscaling:
    enabled: bool = False
    min_replicas: int = 1
    max_replicas: int = 3
    target_cpu_utilization_percentage: int | None = field(
        default=None, metadata={"key": "targetCPUUtilizationPercentage"}
    )
    target_memory_utilization_percentage: int | None = None
    behavior: Opaque = field(default_factory=dict)


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
    pod_disruption_budget: PodDisruptionBudget = field(default_factory=PodDisruptionBudget)
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
    strategy: str = "Auto"
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    env: Sequence[Opaque] = ()
    env_from: Sequence[Opaque] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GPU:
    device_plugin: str = ""
    count: int = 1


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
    preset: str = "None"
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
class ParentReference:
    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    namespace: str = ""
    name: str = ""
    section_name: str = ""
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RouteTimeouts:
    request: RouteTimeout = RouteTimeout("0s")
    backend_request: RouteTimeout = RouteTimeout("0s")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HTTPRoute:
    enabled: bool = False
    parent_refs: Sequence[ParentReference] = ()
    hostnames: Sequence[str] = ()
    annotations: Opaque = field(default_factory=dict)
    labels: Opaque = field(default_factory=dict)
    timeouts: RouteTimeouts = field(default_factory=RouteTimeouts)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Service:
    type: str = "ClusterIP"
    annotations: Opaque = field(default_factory=dict)
    labels: Opaque = field(default_factory=dict)
    port: int = 2283
    node_port: int | None = None
    app_protocol: str = ""
    load_balancer_class: str = ""
    load_balancer_source_ranges: Sequence[str] = ()
    external_traffic_policy: str = ""
    ip_family_policy: str = ""
    ip_families: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Server(ImmichWorkload):
    gpu: GPU = field(default_factory=GPU)
    service: Service = field(default_factory=Service)
    ingress: Ingress = field(default_factory=Ingress)
    http_route: HTTPRoute = field(default_factory=HTTPRoute)
    route: Route = field(default_factory=Route)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MachineLearning(ImmichWorkload):
    acceleration: str = "none"
    gpu: GPU = field(default_factory=GPU)
    persistence: CachePersistence = field(default_factory=CachePersistence)
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ValkeyTLS:
    enabled: bool = False
    ca_secret_ref: SecretKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SentinelHost:
    host: str = ""
    port: int = 26379


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sentinel:
    master_name: str = ""
    hosts: Sequence[SentinelHost] = ()
    password_secret_ref: SecretKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ValkeyAuth:
    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Valkey(Workload):
    persistence: QueuePersistence = field(default_factory=QueuePersistence)
    host: str = ""
    port: Port = Port(6379)
    db_index: int = 0
    password: str = ""
    password_secret_ref: SecretKey | None = None
    username: str = ""
    tls: ValkeyTLS = field(default_factory=ValkeyTLS)
    sentinel: Sentinel | None = None
    auth: ValkeyAuth = field(default_factory=ValkeyAuth)


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
class Transcoding:
    acceleration: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Metrics:
    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ImmichPersistence:
    library: Persistence = field(default_factory=Persistence)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NfsSource:
    server: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HostPathSource:
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExternalLibrary:
    name: str = ""
    mount_path: str = ""
    """"": below /mnt/external, see `external_libraries.place`."""
    read_only: bool = True
    existing_claim: str = ""
    nfs: NfsSource | None = None
    csi: Opaque = field(default_factory=dict)
    host_path: HostPathSource | None = None
    allow_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Immich:
    """Settings of the installation as a whole."""

    metrics: Metrics = field(default_factory=Metrics)
    persistence: ImmichPersistence = field(default_factory=ImmichPersistence)
    configuration: Opaque = field(default_factory=dict)
    configuration_kind: str = "ConfigMap"
    external_libraries: Sequence[ExternalLibrary] = ()
    confirm_removed_libraries: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Egress:
    enabled: bool = False
    to: Sequence[Opaque] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NetworkPolicy:
    """Peers are Kubernetes' NetworkPolicyPeer."""

    enabled: bool = False
    from_: Sequence[Opaque] = field(default=(), metadata={"key": "from"})
    """Empty: everybody."""
    prometheus_from: Sequence[Opaque] = ()
    """Empty: everybody."""
    egress: Egress = field(default_factory=Egress)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Spec:
    image_pull_secrets: Sequence[LocalObjectReference] = ()
    common_labels: Opaque = field(default_factory=dict)
    common_annotations: Opaque = field(default_factory=dict)
    network_policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    immich: Immich = field(default_factory=Immich)
    server: Server = field(default_factory=Server)
    machine_learning: MachineLearning = field(default_factory=MachineLearning)
    transcoding: Transcoding = field(default_factory=Transcoding)
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
    IntOrPercent: lambda given, default: given if isinstance(given, str) and given else _number(given, default),
    RouteTimeout: lambda given, default: given if isinstance(given, str) else default,
    str: _text,
    str | None: _text,
    Quantity: lambda given, default: _amount(_text(given, None) or _number(given, default), default),
    Opaque: _of_type(Mapping),
    Sequence[str]: _items_of_type(str),
    Sequence[Opaque]: _mappings,
}

read(Spec, {})  # determines all attributes once, now, and not in each fork of a warm process
