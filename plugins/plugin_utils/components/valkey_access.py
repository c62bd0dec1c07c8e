# SPDX-License-Identifier: Apache-2.0
"""How Immich gets to its queues: the built-in Valkey's password, and the address of an external server.

The built-in Valkey asks for a password only once all that connects to it sends one, and Immich stops sending it only once
Valkey's pods no longer ask. So switching it on or off costs no more than a restart: as long as the user `default` has no
password, Valkey takes any (`AUTH default ...`; without a user name it would be an error).
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from ..kube.readiness import is_ready, is_scaled_to_zero
from ..kube.values import Manifest, decoded_text, derived, dig, without_none
from ..spec import names, ports
from ..spec.fields import SecretKey
from ..spec.names import Component
from . import pods
from .instance import Cluster, Instance, Part
from .reasons import Reason
from .required import Used, require, secret_text

PATH = "spec.valkey"
PORT = ports.VALKEY
PASSWORD, URL = "password", "url"
ASKED_FOR = "REDISCLI_AUTH"
"""The variable with the password of the built-in Valkey, from which its command-line client takes it, too."""
SENT = "REDIS_PASSWORD"
DEFAULT_USER = "default"
_USABLE = re.compile(r"[A-Za-z0-9._~+/=-]{8,512}")
"""What needs no quotes in Valkey's configuration file."""


def server_environment(instance: Instance, cluster: Cluster) -> list[dict[str, Any]]:
    """The variables with which the Immich server finds its queues.

    REDIS_URL replaces the others for Immich; the container that waits for Valkey takes its host and port from them.
    """
    settings = instance.spec.valkey
    is_ours = settings.enabled
    host = names.workload_name(instance.name, Component.VALKEY) if is_ours else settings.host
    env = []
    if is_ours or not settings.sentinel:
        env += [
            pods.variable("REDIS_HOSTNAME", host),
            pods.variable("REDIS_PORT", PORT if is_ours else settings.port),
            pods.variable("REDIS_DBINDEX", settings.db_index),
        ]
    used = used_by_server(instance, cluster)
    if _wants_url(instance):
        return [*env, pods.secret_variable("REDIS_URL", names.valkey_credentials(instance.name), URL)]
    username = settings.username if not is_ours else DEFAULT_USER if used else ""
    if username:
        env.append(pods.variable("REDIS_USERNAME", username))
    if used:
        env.append(pods.secret_variable(SENT, used.name, used.key or ""))
    return env


def used_by_server(instance: Instance, cluster: Cluster) -> Used | None:
    """The Secret from which the server gets to its queues, None if it needs none."""
    settings, ours = instance.spec.valkey, names.valkey_credentials(instance.name)
    if settings.enabled:
        return Used("Secret", ours, PASSWORD) if settings.auth.enabled or _still_asks(instance, cluster) else None
    if _wants_url(instance):
        return Used("Secret", ours, URL)
    if settings.password_secret_ref:
        return Used("Secret", settings.password_secret_ref.name, settings.password_secret_ref.key)
    return Used("Secret", ours, PASSWORD) if settings.password else None


def asks_for_password(instance: Instance, cluster: Cluster) -> bool:
    """Whether the built-in Valkey is to ask for one as of this pass."""
    if not instance.spec.valkey.auth.enabled:
        return False
    live = cluster.deployment(instance, Component.VALKEY)
    return live is None or _has_variable(live, ASKED_FOR) or _all_send_it(instance, cluster)


def plan_password(part: Part, instance: Instance, cluster: Cluster, new_password: str) -> dict[str, dict[str, str]]:
    """Make sure of the built-in Valkey's password. Returns {name of the Secret: its data}, empty if it is not known.

    One that another pass makes at the same time is not overwritten. It is derived from `new_password`, which is random in each
    pass, and says nothing of it.
    """
    name = names.valkey_credentials(instance.name)
    live = cluster.live("Secret", name)
    held = _held(live)
    password = held or derived(new_password, "valkey")
    if cluster.is_known_missing("Secret", name):
        part.create(_secret(instance, PASSWORD, password), alone=True)
    elif live is None:
        part.blocks(
            Reason.READ_FAILED,
            f"Secret {name} with the password of Valkey may not be read. Allow the operator to get Secrets in namespace "
            f"{instance.namespace}",
            retry=True,  # roles are not watched
        )
        return {}
    else:
        part.apply(_secret(instance, PASSWORD, password))
    return {name: _data(PASSWORD, password)}


def plan_external(part: Part, instance: Instance, cluster: Cluster) -> None:
    """Check what the server uses of an external Valkey or Redis, and keep what it needs of it in a Secret."""
    settings = instance.spec.valkey
    reference = settings.password_secret_ref
    if reference:
        path = f"{PATH}.passwordSecretRef"
        require(part, instance, cluster, "Secret", reference.name, reference.key, path)
        if settings.password:
            part.warns(Reason.SETTING_IGNORED, f"{PATH}.password is not used, because {path} is set")
    if settings.sentinel and settings.host:
        part.warns(Reason.SETTING_IGNORED, f"{PATH}.host is not used, because {PATH}.sentinel is set")
    if settings.auth.enabled:
        part.warns(
            Reason.SETTING_IGNORED,
            f"{PATH}.auth is not used, because {PATH}.enabled is false. The password of an external one is in "
            f"{PATH}.passwordSecretRef",
        )
    if _wants_url(instance):
        _plan_url(part, instance, cluster)
    elif settings.password and not reference:
        part.apply(_secret(instance, PASSWORD, settings.password))


def _plan_url(part: Part, instance: Instance, cluster: Cluster) -> None:
    """Immich reads TLS and Sentinel from nowhere but the options of its client ioredis, as JSON in base64."""
    settings = instance.spec.valkey
    sentinel = settings.sentinel
    ca = _text(part, instance, cluster, settings.tls.ca_secret_ref, "tls.caSecretRef")
    password = _text(part, instance, cluster, settings.password_secret_ref, "passwordSecretRef") or settings.password
    of_sentinels = sentinel and _text(
        part, instance, cluster, sentinel.password_secret_ref, "sentinel.passwordSecretRef"
    )
    if part.is_blocked:
        return
    options: dict[str, Any] = {
        "db": settings.db_index,
        "username": settings.username or None,
        "password": password or None,
    }
    tls = without_none({"ca": ca}) if settings.tls.enabled else None
    if sentinel:
        options |= {
            "sentinels": [{"host": each.host, "port": each.port} for each in sentinel.hosts],
            "name": sentinel.master_name,
            "sentinelPassword": of_sentinels or None,
            "sentinelTLS": tls,
            "enableTLSForSentinelMode": True if settings.tls.enabled else None,
            "tls": tls,
        }
    else:
        options |= {"host": settings.host, "port": settings.port, "tls": {**(tls or {}), "servername": settings.host}}
    text = json.dumps({key: value for key, value in options.items() if value is not None}, sort_keys=True)
    part.apply(_secret(instance, URL, f"ioredis://{base64.b64encode(text.encode()).decode()}"))


def _text(part: Part, instance: Instance, cluster: Cluster, reference: SecretKey | None, field: str) -> str | None:
    if not reference:
        return None
    return secret_text(part, instance, cluster, {"name": reference.name, "key": reference.key}, f"{PATH}.{field}")


def _wants_url(instance: Instance) -> bool:
    settings = instance.spec.valkey
    return not settings.enabled and bool(settings.tls.enabled or settings.sentinel)


def _still_asks(instance: Instance, cluster: Cluster) -> bool:
    """Whether a pod of the built-in Valkey may be there that asks for a password."""
    live = cluster.deployment(instance, Component.VALKEY)
    if live is None or cluster.live("Secret", names.valkey_credentials(instance.name)) is None:
        return False
    return _has_variable(live, ASKED_FOR) or (_server_sends_it(instance, cluster) and not is_ready(live))


def _all_send_it(instance: Instance, cluster: Cluster) -> bool:
    live = cluster.deployment(instance, Component.SERVER)
    return live is None or is_scaled_to_zero(live) or (_server_sends_it(instance, cluster) and is_ready(live))


def _server_sends_it(instance: Instance, cluster: Cluster) -> bool:
    return _has_variable(cluster.deployment(instance, Component.SERVER), SENT)


def _has_variable(deployment: Manifest | None, name: str) -> bool:
    """Of the component's own container, which is the first one."""
    own = dig(deployment, "spec", "template", "spec", "containers", default=[])[:1]
    return any(entry.get("name") == name for container in own for entry in container.get("env") or ())


def _held(secret: Manifest | None) -> str | None:
    text = decoded_text(dig(secret, "data", PASSWORD))
    return text if text and _USABLE.fullmatch(text) else None


def _secret(instance: Instance, key: str, value: str) -> Manifest:
    secret = instance.manifest("v1", "Secret", names.valkey_credentials(instance.name), Component.VALKEY)
    secret["type"] = "Opaque"
    secret["data"] = _data(key, value)
    return secret


def _data(key: str, value: str) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode()}
