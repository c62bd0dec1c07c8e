# SPDX-License-Identifier: Apache-2.0
"""From settings to a connection pool, with the official client's configuration, TLS and authentication.

Used of the client, and the same from 33.1 to 37: `Configuration`, `load_kube_config`, `load_kube_config_from_dict`,
`load_incluster_config`, and the pool inside `RESTClientObject`. Importing it takes a quarter of a second, so this module
is imported by `transport.connect`, and once before Ansible forks, by `api_action`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

try:
    import urllib3
    from kubernetes import client, config
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config import kube_config
    from urllib3.connection import HTTPConnection
    from urllib3.util import make_headers
    from urllib3.util.ssl_ import create_urllib3_context
except ImportError as exc:  # for `configured_pool` to raise, so that this module can be inspected without the packages
    _lacking: ImportError | None = exc
else:
    _lacking = None

from .api_error import Misconfigured, without_credentials
from .bounded_yaml import TooLarge, check, exceeds, read_text
from .connection_settings import ConnectionSettings

__all__ = ["configured_pool", "long_lived_pool"]

REMEDY = "Set kubeconfig (or KUBECONFIG), or host and api_key"


def configured_pool(
    settings: ConnectionSettings, environment: Mapping[str, str], *, connections: int
) -> tuple[Any, Any]:
    """(kubernetes.client.Configuration, urllib3 pool manager). Sends no request; raises Misconfigured."""
    if _lacking:
        raise _lacking
    configuration = client.Configuration()
    with TemporaryDirectory(prefix="immich-operator-") as folder:
        if not settings.is_complete:
            _load(settings, environment, configuration, REMEDY, temp_file_path=folder)
        _override(configuration, settings)
        pool = _pool(configuration, connections)
        _share_certificates(configuration, pool)
        _forget_files(folder)
    return configuration, pool


def long_lived_pool(
    settings: ConnectionSettings, environment: Mapping[str, str], *, connections: int, remedy: str
) -> tuple[Any, Any, Callable[[], bool]]:
    """(configuration, pool, renew). Like `configured_pool`, for a process that outlives tokens and certificates: each
    connection reads the files of certificates again.

    `renew` reads all of the source again: a token in a file or in a kubeconfig that was written anew, what a program for
    credentials prints, certificates. The client itself reads a token again only inside a cluster, and then by the clock,
    which may be wrong. It puts these into both, closes the connections that nobody uses, and says whether it could.
    `remedy` is what to do if there is no usable connection.
    """
    if _lacking:
        raise _lacking
    configuration = client.Configuration()
    _load(settings, environment, configuration, remedy)
    pool = _pool(configuration, connections)
    # A watch alone can be silent for hours.
    pool.connection_pool_kw["socket_options"] = HTTPConnection.default_socket_options + _keepalive()

    def renew() -> bool:
        fresh = client.Configuration()
        try:
            _load(settings, environment, fresh, remedy)
        except Misconfigured:
            return False  # somebody is writing it
        for name in ("api_key", "refresh_api_key_hook", "ssl_ca_cert", "cert_file", "key_file"):
            setattr(configuration, name, getattr(fresh, name))
        files = {"ca_certs": fresh.ssl_ca_cert, "cert_file": fresh.cert_file, "key_file": fresh.key_file}
        pool.connection_pool_kw.update(files)
        pool.clear()
        return True

    return configuration, pool, renew


def _keepalive() -> list[tuple[int, int, int]]:
    """TCP options that notice a silent peer within a minute."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60_000)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def _load(
    settings: ConnectionSettings, environment: Mapping[str, str], configuration: Any, remedy: str, **files: str
) -> None:
    options = {"client_configuration": configuration, "context": settings.context, **files}
    options["persist_config"] = bool(settings.persist_config)
    source: Any = settings.kubeconfig or environment.get("KUBECONFIG")
    in_cluster = "KUBERNETES_SERVICE_HOST" in environment and not settings.context
    try:
        if isinstance(source, Mapping):
            if problem := exceeds(source):
                raise TooLarge(problem)
            kube_config.load_kube_config_from_dict(config_dict=json.loads(json.dumps(source)), **options)
        elif not source and in_cluster:
            source = "the pod's service account"
            config.load_incluster_config(client_configuration=configuration)
        else:
            source = str(source or Path("~/.kube/config").expanduser())
            _check(source)
            config.load_kube_config(config_file=source, **options)
    except (config.ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as exc:
        if settings.host and not source:
            return  # everything that matters was given: a host that requires no identity
        where = source if isinstance(source, str) else "the given kubeconfig"
        reason = _why_unusable(exc, where).rstrip(".")
        raise Misconfigured(f"no usable connection to a Kubernetes API server in {where}: {reason}. {remedy}") from exc


_LACKS = re.compile(
    r"Expected (?:key (?P<key>\S+)|object with name (?P<name>.*)) in .*?/?(?P<list>contexts|clusters|users)?(?: list)?$"
)
"""The client's words for a key that is not there and for a name that no entry of a list has."""
_SINGULAR = {"contexts": "context", "clusters": "cluster", "users": "user"}


def _why_unusable(exc: Exception, where: str) -> str:
    """What is wrong with a kubeconfig. The client's own words say it for programmers, and those of the YAML parser quote it."""
    if isinstance(exc, OSError) and exc.strerror:
        other = f"{exc.filename}: " if exc.filename and str(exc.filename) != where else ""
        return f"{other}{exc.strerror}"
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark:
        return f"it is not YAML, line {exc.problem_mark.line + 1}"
    if isinstance(exc, TooLarge):
        return str(exc)
    if not isinstance(exc, config.ConfigException):
        return "it is not a kubeconfig"
    text = str(exc).removeprefix("Invalid kube-config file. ").removeprefix("Invalid kube-config. ")
    if text.startswith("No configuration found"):
        return "there is no such file, or nothing in it"
    found = _LACKS.search(text)
    if not found:
        return text
    if found["key"]:
        return f"it has no {found['key']}"
    if not found["name"].strip():
        return "it has no current context; choose one with `kubectl config use-context`"
    return f"it has no {_SINGULAR.get(found['list'] or '', 'entry')} {found['name']}"


def _check(source: str) -> None:
    """Raise TooLarge if a file among these, separated as in PATH, goes beyond what is read. Others are the client's."""
    for path in map(Path, source.split(os.pathsep)):
        if path.is_file():
            with path.open("rb") as file:
                check(read_text(file))


def _override(configuration: Any, settings: ConnectionSettings) -> None:
    authorization = None
    if settings.api_key:
        authorization = f"Bearer {settings.api_key}"
    elif settings.username and settings.password:
        authorization = make_headers(basic_auth=f"{settings.username}:{settings.password}")["authorization"]
    if authorization:
        configuration.api_key = {"authorization": authorization}
        configuration.refresh_api_key_hook = None
    replacements = {
        "host": settings.host.rstrip("/") if settings.host else None,
        "verify_ssl": settings.validate_certs,
        "ssl_ca_cert": settings.ca_cert,
        "cert_file": settings.client_cert,
        "key_file": settings.client_key,
        "proxy": settings.proxy,
    }
    for name, value in replacements.items():
        if value is not None:
            setattr(configuration, name, value)


def _pool(configuration: Any, connections: int) -> Any:
    """The client's pool manager."""
    configuration.connection_pool_maxsize = connections
    configuration.retries = False
    return RESTClientObject(configuration).pool_manager


def _share_certificates(configuration: Any, pool: Any) -> None:
    """Use one TLS context for all connections.

    The context is created here, once: a pass opens several connections, and certificates embedded in a kubeconfig are
    files only until it is created, so that no private key stays in a temporary folder after a worker was killed.
    """
    if not configuration.verify_ssl:
        # The user has decided so. A warning for each request would come from a thread, and in a worker of ansible-core 2.18
        # the lock of standard error belongs to the main thread, which waits for that thread.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if not configuration.host.startswith("https:"):
        return
    try:
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE)
        authorities = getattr(configuration, "ca_cert_data", None)
        if configuration.ssl_ca_cert or authorities:
            context.load_verify_locations(cafile=configuration.ssl_ca_cert, cadata=authorities)
        elif configuration.verify_ssl:
            context.load_default_certs()
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
    except (OSError, ValueError) as exc:
        raise Misconfigured(
            f"the certificates for {without_credentials(configuration.host)} are unusable: {exc}"
        ) from exc
    for name in ("ca_certs", "ca_cert_data", "cert_file", "key_file", "cert_reqs"):
        pool.connection_pool_kw.pop(name, None)
    pool.connection_pool_kw["ssl_context"] = context


def _forget_files(folder: str) -> None:
    """Let the client forget the certificate files that it wrote below `folder`, which is about to be removed."""
    remembered = getattr(kube_config, "_temp_files", {})
    for content in [content for content, name in remembered.items() if str(name).startswith(folder)]:
        del remembered[content]
