# SPDX-License-Identifier: Apache-2.0
"""The built-in Valkey, which holds the job queues."""

from __future__ import annotations

import re
from typing import Any

from ..kube.values import dig, without_none
from ..spec import names
from ..spec.names import Component
from . import pod_fields, pods, security, valkey_access, volumes
from .beside import removable
from .description import Claim, Description, Image, Removable, Workload, external, named_after
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason
from .required import checksum_of_used
from .rollout import apply_deployment
from .valkey_access import ASKED_FOR, PASSWORD, PATH, PORT

NEVER_EVICT = ["--maxmemory-policy", "noeviction"]
"""Immich's queues (BullMQ) must not lose keys to eviction."""
SAVE = ["--save", "60", "1", "--stop-writes-on-bgsave-error", "no"]
"""A snapshot every minute. Not an append-only file: enabling that for a volume with a snapshot starts empty."""
DO_NOT_SAVE = ["--save", ""]

WITH_PASSWORD = [
    "sh",
    "-c",
    f'exec valkey-server - "$@" <<END\nrequirepass ${ASKED_FOR}\nEND\n',
    "valkey",
]
"""The password is read from standard input, so that it is neither an argument nor a file."""

PING = {"exec": {"command": ["sh", "-c", "valkey-cli ping | grep PONG"]}, "periodSeconds": 10, "timeoutSeconds": 5}
"""`valkey-cli ping` alone exits with 0 on error replies, too."""


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    part = Part(Component.VALKEY)
    settings = instance.spec.valkey
    if not settings.enabled:
        valkey_access.plan_external(part, instance, cluster)
        return [part]
    unused = {
        "host": settings.host,
        "password": settings.password,
        "passwordSecretRef": settings.password_secret_ref,
        "username": settings.username,
        "tls": settings.tls.enabled,
        "sentinel": settings.sentinel,
    }
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
    made = valkey_access.plan_password(part, instance, cluster, draft.new_password) if settings.auth.enabled else {}
    if part.is_blocked:
        return [part]
    asked_for = (
        valkey_access.used_by_server(instance, cluster) if valkey_access.asks_for_password(instance, cluster) else None
    )
    used = checksum_of_used(
        draft.checksums, cluster, [*([asked_for] if asked_for else []), *pod_fields.used(settings)], made
    )
    apply_deployment(part, cluster, _deployment(part, instance, cluster, image, used, asks=bool(asked_for)))
    part.apply(pods.service(instance, Component.VALKEY, [("redis", PORT)]))
    return [part]


def claim_name(instance: Instance) -> str | None:
    """The claim that holds the data, None if it is not kept."""
    persistence = instance.spec.valkey.persistence
    if not persistence.enabled:
        return None
    return persistence.existing_claim or names.valkey_claim(instance.name)


def _wants_credentials(instance: Instance, cluster: Cluster, _draft: Draft) -> bool:
    used = valkey_access.used_by_server(instance, cluster)
    return used is not None and used.name == names.valkey_credentials(instance.name)


def _keeps_user(instance: Instance, cluster: Cluster) -> bool:
    """True for an unknown image whose pods run without a configured user: created by another operator."""
    settings = instance.spec.valkey
    image = settings.image
    is_known = image is None or _OWN_IMAGES.search(image) is not None
    if is_known or cluster.is_openshift or settings.pod_security_context or settings.security_context:
        return False
    live = cluster.deployment(instance, Component.VALKEY)
    return live is not None and dig(live, "spec", "template", "spec", "securityContext", "runAsUser") is None


_OWN_IMAGES = re.compile(r"^([^/]*[.:][^/]*/|localhost/)?((valkey|library)/)?(valkey|redis)([:@]|$)")
"""Images of Valkey and Redis themselves, whose servers run as uid 999; not those of others, such as bitnami/valkey."""


def _deployment(
    part: Part, instance: Instance, cluster: Cluster, image: str, used: str | None, *, asks: bool
) -> dict[str, Any]:
    """`used` is the checksum of what the pods use; `asks`: whether they ask for a password."""
    settings, claim = instance.spec.valkey, claim_name(instance)
    options = [*NEVER_EVICT, *(SAVE if claim else DO_NOT_SAVE)]
    secret = names.valkey_credentials(instance.name)
    container = pods.container(
        "valkey",
        image,
        settings,
        args=[*WITH_PASSWORD, *options] if asks else ["valkey-server", *options],
        env=[pods.secret_variable(ASKED_FOR, secret, PASSWORD)] if asks else None,
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
        *removable(Component.VALKEY),
    ),
)
