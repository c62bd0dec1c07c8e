# SPDX-License-Identifier: Apache-2.0
"""The built-in Valkey (job queues), and what Immich needs to know of any Redis-compatible server."""

from __future__ import annotations

import base64
import re
from typing import Any

from ..kube.values import dig, without_none
from ..spec import names
from ..spec.names import Component
from . import pod_fields, pods, security, volumes
from .description import Claim, Description, Image, Removable, Workload, external, named_after
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason
from .required import Used, checksum_of_used, require
from .rollout import apply_deployment

PATH = "spec.valkey"
PORT = 6379

SERVER = ["valkey-server", "--maxmemory-policy", "noeviction"]
"""Immich's queues (BullMQ) must not lose keys to eviction."""
SAVE = ["--save", "60", "1", "--stop-writes-on-bgsave-error", "no"]
"""A snapshot every minute. Not an append-only file: enabling that for a volume with a snapshot starts empty."""
DO_NOT_SAVE = ["--save", ""]

PING = {"exec": {"command": ["sh", "-c", "valkey-cli ping | grep PONG"]}, "periodSeconds": 10, "timeoutSeconds": 5}
"""`valkey-cli ping` alone exits with 0 on error replies, too."""


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    part = Part(Component.VALKEY)
    settings = instance.spec.valkey
    if not settings.enabled:
        _plan_external(part, instance, cluster)
        return [part]
    unused = {"host": settings.host, "password": settings.password, "passwordSecretRef": settings.password_secret_ref}
    for key, given in unused.items():
        if given:
            part.warns(Reason.SETTING_IGNORED, f"{PATH}.{key} is not used, because {PATH}.enabled is true")
    image = draft.image(instance, Component.VALKEY)
    if not image:
        return [part]
    persistence = settings.persistence
    if persistence.enabled and persistence.existing_claim:
        path = f"{PATH}.persistence.existingClaim"
        volumes.check_existing_claim(part, instance, cluster, persistence.existing_claim, path=path)
    elif persistence.enabled:
        claim = names.valkey_claim(instance.name)
        volumes.managed_claim(part, instance, cluster, claim, persistence, path=f"{PATH}.persistence", owned=True)
    if _keeps_user(instance, cluster):
        part.warns(
            Reason.NOT_HARDENED,
            f"Deployment {names.workload_name(instance.name, Component.VALKEY)} keeps user and capabilities of its image "
            f"{image}, because that image is not known to work as uid 999. Set "
            f"{PATH}.podSecurityContext, with runAsUser for example, to harden it",
        )
    security.tell(part, settings, PATH, pods.database_security(cluster))
    pod_fields.check(part, instance, cluster, settings, PATH)
    used = checksum_of_used(draft.checksums, cluster, pod_fields.used(settings))
    apply_deployment(part, cluster, _deployment(part, instance, cluster, image, used))
    part.apply(pods.service(instance, Component.VALKEY, [("redis", PORT)]))
    return [part]


def claim_name(instance: Instance) -> str | None:
    """The claim that holds the data, None if it is not kept."""
    persistence = instance.spec.valkey.persistence
    if not persistence.enabled:
        return None
    return persistence.existing_claim or names.valkey_claim(instance.name)


def server_environment(instance: Instance) -> list[dict[str, Any]]:
    """The variables with which the Immich server finds its queues."""
    settings = instance.spec.valkey
    is_ours = settings.enabled
    env = [
        pods.variable(
            "REDIS_HOSTNAME",
            names.workload_name(instance.name, Component.VALKEY) if is_ours else settings.host,
        ),
        pods.variable("REDIS_PORT", PORT if is_ours else settings.port),
        pods.variable("REDIS_DBINDEX", settings.db_index),
    ]
    used = used_by_server(instance)
    if used:
        env.append(pods.secret_variable("REDIS_PASSWORD", used.name, used.key or ""))
    return env


def used_by_server(instance: Instance) -> Used | None:
    """The Secret with the password of an external server, None if it has none."""
    settings = instance.spec.valkey
    reference = settings.password_secret_ref
    if settings.enabled:
        return None
    if reference:
        return Used("Secret", reference.name, reference.key)
    return Used("Secret", names.valkey_credentials(instance.name), "password") if settings.password else None


def _wants_credentials(instance: Instance, _cluster: Cluster, _draft: Draft) -> bool:
    used = used_by_server(instance)
    return used is not None and used.name == names.valkey_credentials(instance.name)


def _keeps_user(instance: Instance, cluster: Cluster) -> bool:
    """True for an unknown image whose pods run without a configured user: created by another operator."""
    settings = instance.spec.valkey
    image = settings.image
    is_known = image is None or _OWN_IMAGES.search(image) is not None
    if is_known or cluster.is_openshift or settings.pod_security_context or settings.security_context:
        return False
    live = cluster.live("Deployment", names.workload_name(instance.name, Component.VALKEY))
    return live is not None and dig(live, "spec", "template", "spec", "securityContext", "runAsUser") is None


_OWN_IMAGES = re.compile(r"^([^/]*[.:][^/]*/|localhost/)?((valkey|library)/)?(valkey|redis)([:@]|$)")
"""Images of Valkey and Redis themselves, whose servers run as uid 999; not those of others, such as bitnami/valkey."""


def _plan_external(part: Part, instance: Instance, cluster: Cluster) -> None:
    settings = instance.spec.valkey
    reference = settings.password_secret_ref
    if reference:
        path = f"{PATH}.passwordSecretRef"
        require(part, instance, cluster, "Secret", reference.name, reference.key, path)
        if settings.password:
            part.warns(Reason.SETTING_IGNORED, f"{PATH}.password is not used, because {path} is set")
    elif settings.password:
        secret = instance.manifest("v1", "Secret", names.valkey_credentials(instance.name), Component.VALKEY)
        secret["type"] = "Opaque"
        secret["data"] = {"password": base64.b64encode(settings.password.encode()).decode()}
        part.apply(secret)


def _deployment(part: Part, instance: Instance, cluster: Cluster, image: str, used: str | None) -> dict[str, Any]:
    settings, claim = instance.spec.valkey, claim_name(instance)
    container = pods.container(
        "valkey",
        image,
        settings,
        args=[*SERVER, *(SAVE if claim else DO_NOT_SAVE)],
        ports=[{"name": "redis", "containerPort": PORT, "protocol": "TCP"}],
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        startupProbe={**PING, "periodSeconds": 5, "failureThreshold": 2 * pods.STARTUP_FAILURES},
        readinessProbe={**PING, "failureThreshold": 3},
        livenessProbe={**PING, "failureThreshold": 6},
    )
    source = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    keeps_user = _keeps_user(instance, cluster)
    if keeps_user:
        container.pop("securityContext")
    template = pods.pod_template(
        instance,
        Component.VALKEY,
        part,
        pod={"containers": [container], "volumes": [{"name": "data", **source}]},
        ids={} if keeps_user else pods.database_security(cluster),
        checksums=without_none({names.SECRETS_CHECKSUM_ANNOTATION: used}),
    )
    return pods.deployment(instance, Component.VALKEY, template, replicas=1, recreate=True)


DESCRIPTION = Description(
    component=Component.VALKEY,
    title="Valkey",
    plan=plan,
    workload=Workload(
        kind="Deployment", condition="ValkeyReady", flag="valkeyReady", absence=external(Component.VALKEY)
    ),
    image=Image(variable="RELATED_IMAGE_valkey", default="docker.io/valkey/valkey:9-alpine", what="Valkey"),
    claim=Claim(
        name=claim_name,
        made=names.valkey_claim,
        persistence=lambda instance: instance.spec.valkey.persistence,
        path=f"{PATH}.persistence",
        mounted_by=Component.VALKEY,
    ),
    feeds_server=True,
    removable=(
        *named_after(Component.VALKEY, "Deployment", "Service"),
        Removable(kind="Secret", name=names.valkey_credentials, is_wanted=_wants_credentials),
    ),
)
