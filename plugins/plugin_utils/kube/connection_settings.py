# SPDX-License-Identifier: Apache-2.0
"""Which API server to talk to, and as whom: the arguments and variables of kubernetes.core's modules, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["CONNECTION_ARGUMENTS", "ConnectionSettings"]

CONNECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"]},
    "proxy": {"type": "str"},
    "persist_config": {"type": "bool"},
}
"""The connection part of an action's argument spec. Unset arguments are read from K8S_AUTH_*."""

VARIABLES = {
    "kubeconfig": ("K8S_AUTH_KUBECONFIG",),
    "context": ("K8S_AUTH_CONTEXT",),
    "host": ("K8S_AUTH_HOST",),
    "api_key": ("K8S_AUTH_API_KEY",),
    "username": ("K8S_AUTH_USERNAME",),
    "password": ("K8S_AUTH_PASSWORD",),
    "validate_certs": ("K8S_AUTH_VERIFY_SSL",),
    "ca_cert": ("K8S_AUTH_SSL_CA_CERT",),
    "client_cert": ("K8S_AUTH_CERT_FILE",),
    "client_key": ("K8S_AUTH_KEY_FILE",),
    "proxy": ("K8S_AUTH_PROXY",),
    "persist_config": ("K8S_AUTH_PERSIST_CONFIG",),
}
FALSE_WORDS = frozenset({"0", "false", "no", "off", "n", "f"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConnectionSettings:
    """Everything that decides where requests go. None means: whatever the kubeconfig or the pod says.

    `kubeconfig` is a file name (several, separated as in KUBECONFIG, are merged) or the parsed content. It never
    shows in a log: its repr shows no values.
    """

    kubeconfig: str | Mapping[str, Any] | None = None
    context: str | None = None
    host: str | None = None
    api_key: str | None = None
    username: str | None = None
    password: str | None = None
    validate_certs: bool | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = None
    persist_config: bool | None = None

    def __repr__(self) -> str:
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        return f"ConnectionSettings({', '.join(given)})"

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> ConnectionSettings:
        """Arguments of a task (unset ones None or absent), then the variables K8S_AUTH_*."""
        chosen: dict[str, Any] = {}
        for name, variables in VARIABLES.items():
            value = arguments.get(name)
            if value is None:
                value = next((environment[key] for key in variables if environment.get(key)), None)
            if value is not None and CONNECTION_ARGUMENTS[name]["type"] == "bool" and not isinstance(value, bool):
                value = str(value).strip().lower() not in FALSE_WORDS
            chosen[name] = value
        return cls(**chosen)

    @property
    def is_complete(self) -> bool:
        """Host and identity are given, so no kubeconfig is needed."""
        has_identity = self.api_key or (self.username and self.password) or (self.client_cert and self.client_key)
        return bool(self.host and has_identity and not self.context and not self.kubeconfig)
