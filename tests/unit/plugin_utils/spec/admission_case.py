# SPDX-License-Identifier: Apache-2.0
"""A row of the admission table, and short forms for what rows often need."""

from __future__ import annotations

from typing import Any, NamedTuple

Spec = dict[str, Any]


class Refusal(NamedTuple):
    """`path` is the field that the answer names, `text` a part of the API server's message about it."""

    path: str
    text: str


class Case(NamedTuple):
    """A custom resource with this spec and name; no refusals means that it is accepted."""

    id: str
    spec: Spec | None
    refusals: list[Refusal]
    name: str = "photos"


def accepted(id_: str, spec: Spec | None, *, name: str = "photos") -> Case:
    return Case(id_, spec, [], name)


def refused(id_: str, spec: Spec, *refusals: tuple[str, str], name: str = "photos") -> Case:
    return Case(id_, spec, [Refusal(*refusal) for refusal in refusals], name)


def server(**fields: Any) -> Spec:
    return {"server": fields}


def ingress(**fields: Any) -> Spec:
    return {"server": {"ingress": {"enabled": True} | fields}}


def library(**fields: Any) -> Spec:
    return {"immich": {"persistence": {"library": fields}}}


LEVELS = 8
"""How deep spec.immich.configuration may be nested."""


def nested(levels: int) -> Spec:
    """So many mappings in each other, a number in the last."""
    found: Any = 1
    for _unused in range(levels):
        found = {"a": found}
    return dict(found)


def custom_resource(case: Case) -> dict[str, Any]:
    """The whole object; without the key `spec` where the case has none."""
    cr: dict[str, Any] = {
        "apiVersion": "media.rm3l.org/v1alpha1",
        "kind": "Immich",
        "metadata": {"name": case.name},
    }
    return cr if case.spec is None else cr | {"spec": case.spec}


PASSWORD = {"name": "database", "key": "password"}
EXTERNAL_DATABASE = {"enabled": False, "host": "db.example.com", "passwordSecretRef": PASSWORD}
HOST = {"host": "photos.example.com", "paths": [{"path": "/"}]}

DATABASE_HOST = "an external database needs a host. Set spec.postgres.host, or set spec.postgres.urlSecretRef"
DATABASE_PASSWORD = (
    "an external database needs a password. Set spec.postgres.passwordSecretRef, or set spec.postgres.urlSecretRef"
)
VALKEY_HOST = "an external Valkey needs a host. Set spec.valkey.host, or set spec.valkey.enabled to true"
NO_HOST = {
    name: "a host is a name or an address, without scheme, user, port, path, brackets and blanks; an international name is"
    f" written as xn--. Correct spec.{name}.host; the port goes into spec.{name}.port"
    for name in ("postgres", "valkey")
}
NO_NAME = {
    name: f"a name is no connection string and holds no = and no line break. Correct spec.postgres.{name}"
    for name in ("database", "username")
}
INGRESS_HOST = "an Ingress needs at least one host. Add one, or set spec.server.ingress.enabled to false"
INGRESS_PATH = "every host of an Ingress needs at least one path. Add paths: [{path: /}] to the host that has none"
INGRESS_SLASH = "paths of an Ingress start with a slash. Put / in front of the path"
INGRESS_DNS = (
    "a host of an Ingress is a DNS name: lower case letters, digits, - and dots, each part of at most 63 characters,"
    " without port or scheme, and no address. Correct the host"
)
ENV_BOTH = "an environment variable has a value or a source, not both. Remove value or valueFrom"
ENV_SOURCE = (
    "an environment variable has exactly one source. Give one of configMapKeyRef, fieldRef, fileKeyRef,"
    " resourceFieldRef and secretKeyRef"
)
ENV_FROM = "an entry reads exactly one object. Give either configMapRef or secretRef"
NAME_DOTS = (
    "the name of an Immich becomes part of host names, so it has no dots."
    " Choose a name of lower case letters, digits and -"
)
NAME_LENGTH = (
    "the name is too long for the objects made from it. Choose at most 43 characters, or 46 with an external"
    " database, or 56 if machine learning is off too"
)
MEDIA_LOCATION = (
    "IMMICH_MEDIA_LOCATION has to be /data or a folder below it, because the library is mounted there and files in any"
    " other place are lost with the pod. Remove it, after copying files that a running pod has elsewhere;"
    " spec.immich.persistence.library says which volume holds the photos"
)
SERVER_PORT = (
    "IMMICH_PORT has to be 2283, because probes, Service, Ingress and Route lead there. Remove it; spec.server.ingress"
    " and spec.server.route say where people find the server"
)
LEARNING_PORT = (
    "IMMICH_PORT has to be 3003, because probes, Service and server expect machine learning there. Remove it"
)
ADDRESS = (
    "IMMICH_HOST has to be ::, [::] or 0.0.0.0, because probes and Services connect from outside the container."
    " Remove it"
)
CACHE_FOLDER = (
    "MACHINE_LEARNING_CACHE_FOLDER has to be /cache or a folder below it, because the volume of the models is mounted"
    " there, and each pod downloads models in other places again. Remove it; spec.machineLearning.persistence says"
    " which volume holds the models"
)
METRICS_PORTS = {
    name: f"{name} has to be {port} where spec.immich.metrics.enabled is true, because the Service offers the metrics"
    " there. Remove it"
    for name, port in (("IMMICH_API_METRICS_PORT", 8081), ("IMMICH_MICROSERVICES_METRICS_PORT", 8082))
}
CONFIG_FILE = (
    "IMMICH_CONFIG_FILE has to be /config/immich-config.yaml where spec.immich.configurationKind is not None, because"
    " the operator writes that file from spec.immich.configuration. Remove it and use spec.immich.configuration; or set"
    " spec.immich.configurationKind to None, to bring a file of your own"
)
QUANTITY = (
    "a quantity is a number with a unit, such as 500m, 2 or 10Gi, without blanks, comma, minus sign and B. Correct it"
)
LABEL = (
    "the value of a label consists of letters, digits, -, _ and dots, and begins and ends with a letter or a digit."
    " Correct it"
)
PARAMETER_OF_OURS = (
    "config_file, data_directory, external_pid_file, hba_file, ident_file, listen_addresses, port and"
    " unix_socket_directories are where the operator expects the database. Remove them"
)
NO_VCHORD = "Immich does not start without VectorChord. Add vchord to shared_preload_libraries"
MALFORMED = "in body should match"
IMAGE = (
    "an image is written as registry/name:tag or registry/name@sha256:digest, the name in lower case, without blanks and"
    " scheme. Correct it"
)
REQUESTS = "a container can't request more than its limit. Lower the value in requests, or raise that in limits"
WRONG_CHOICE = "Unsupported value"
WRONG_TYPE = "must be of type"
