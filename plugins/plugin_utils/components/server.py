# SPDX-License-Identifier: Apache-2.0
"""The Immich server: web, API and background jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..kube.values import without_none
from ..spec import names, ports
from ..spec.fields import SecretKey
from ..spec.images import IMMICH
from ..spec.names import Component
from . import (
    acceleration,
    autoscaling,
    configuration,
    environment,
    exposure,
    http_route,
    library,
    library_user,
    pod_fields,
    pods,
    postgres,
    rollout,
    security,
    server_service,
    storage,
    valkey_access,
)
from .beside import removable
from .configuration import ConfigFile
from .description import Description, Image, Workload, named_after, switched_off
from .environment import Given
from .expansion import plain_values
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason
from .required import Used, check_database_url, check_environment, checksum_of_used, require, used_by_environment
from .storage import Storage

PATH = "spec.server"
PORT = ports.SERVER


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    return [_workload(instance, cluster, draft), exposure.plan(instance, cluster, draft)]


def _workload(instance: Instance, cluster: Cluster, draft: Draft) -> Part:
    part = Part(Component.SERVER)
    settings, config = instance.spec.server, configuration.planned(instance, draft)
    if not settings.enabled or config is None or Component.SERVER in draft.blocked:
        return part
    image = draft.image(instance, Component.SERVER)
    _check_database_secret(part, instance, cluster)
    if not image or part.is_blocked:
        return part
    check_environment(part, instance, cluster, settings, PATH)
    pod_fields.check(part, instance, cluster, settings, PATH)
    users = environment.given(cluster, settings, PATH)
    own = _own_environment(instance, cluster, config)
    environment.check(part, instance, Component.SERVER, users, own)
    ids = library_user.security(part, instance, cluster, library.claim_name(instance))
    security.tell(part, settings, PATH, ids)
    checksums = _checksums(instance, cluster, config, draft)
    kept = storage.plan(part, instance, cluster, draft)
    recreate = rollout.is_recreated(part, PATH, settings, None if kept.is_shared else kept.claim)
    template = _template(part, instance, image, own, config, users, ids, checksums, kept)
    autoscaling.keep_to_one_architecture(template, instance, settings)
    replicas = autoscaling.replicas(settings)
    deployment = kept.noted_on(
        pods.deployment(instance, Component.SERVER, template, replicas=replicas, recreate=recreate)
    )
    count = autoscaling.at_most(settings, rollout.number_of_pods(cluster, deployment))
    if not kept.is_shared:
        remedy = f"Use a ReadWriteMany claim in {library.PATH}, or one replica"
        rollout.tell_of_several(part, instance, settings, count, kept.claim, remedy)
    environment.check_references(part, cluster, settings, PATH, deployment)
    deployment = draft.checksums.without_a_roll(cluster, deployment)
    rollout.apply_deployment(part, cluster, deployment, autoscaled_from=autoscaling.at_first(settings))
    server_service.apply(part, instance, cluster, _metrics_ports(instance))
    return part


def _check_database_secret(part: Part, instance: Instance, cluster: Cluster) -> None:
    """An external database's Secret; the built-in one handles its own."""
    settings = instance.spec.postgres
    if settings.enabled:
        return
    for key, given in {"parameters": settings.parameters, "storageType": settings.storage_type}.items():
        if given:
            part.warns(
                Reason.SETTING_IGNORED, f"{postgres.PATH}.{key} is not used, because {postgres.PATH}.enabled is false"
            )
    key = "urlSecretRef" if settings.url_secret_ref else "passwordSecretRef"
    reference = settings.url_secret_ref or settings.password_secret_ref or SecretKey()
    path = f"{postgres.PATH}.{key}"
    if require(part, instance, cluster, "Secret", reference.name, reference.key, path) and settings.url_secret_ref:
        check_database_url(part, cluster, reference, path)


def _metrics_ports(instance: Instance) -> list[tuple[str, int]]:
    return list(ports.METRICS.items()) if instance.spec.immich.metrics.enabled else []


def _own_environment(instance: Instance, cluster: Cluster, config: ConfigFile) -> list[dict[str, Any]]:
    env = [*valkey_access.server_environment(instance, cluster), *postgres.server_environment(instance)]
    if config.kind != "None":
        env.append(pods.variable("IMMICH_CONFIG_FILE", f"/config/{names.CONFIG_FILE}"))
    else:
        url = configuration.machine_learning_url(instance)
        env.append(pods.variable("IMMICH_MACHINE_LEARNING_ENABLED", str(bool(url)).lower()))
        if url:
            env.append(pods.variable("IMMICH_MACHINE_LEARNING_URL", url))
    if _metrics_ports(instance):
        env.append(pods.variable("IMMICH_TELEMETRY_INCLUDE", "all"))
    return env


def _runs_the_api(users: Mapping[str, Given]) -> bool:
    """False for pods that run background jobs only: they open no port for probes."""

    def workers(name: str) -> list[str]:
        text = (users[name].value if name in users else None) or ""
        return [worker.strip() for worker in text.split(",") if worker.strip()]

    included = workers("IMMICH_WORKERS_INCLUDE")
    return (not included or "api" in included) and "api" not in workers("IMMICH_WORKERS_EXCLUDE")


DATABASE_ELSEWHERE = ("DB_URL", "DB_URL_FILE", "DB_HOSTNAME_FILE", "CREDENTIALS_DIRECTORY")
QUEUES_ELSEWHERE = ("REDIS_URL", "REDIS_SOCKET")
"""Variables with which the host and port that the operator knows may not be those that Immich uses."""


def _waiters(
    instance: Instance, image: str, env: list[dict[str, Any]], users: Mapping[str, Given]
) -> list[dict[str, Any]]:
    """Init containers for the database and the queues: without either the server exits, seconds after a successful ping.

    A database given as a URL is in a Secret that is not parsed here; the server itself retries until it is up. So it
    does if the user's variables point to a place that is not known here, or that is in a Secret.
    """
    settings = instance.spec.server
    values = plain_values(env)
    wanted = (
        ("postgres", "DB_HOSTNAME", "DB_PORT", DATABASE_ELSEWHERE),
        ("valkey", "REDIS_HOSTNAME", "REDIS_PORT", QUEUES_ELSEWHERE),
    )
    return [
        pods.wait_container(target, image, settings, values[host], values[port])
        for target, host, port, elsewhere in wanted
        if not any(name in users for name in elsewhere)
        and all(values.get(name) and "$(" not in values[name] for name in (host, port))
    ]


def _used_secrets(instance: Instance, cluster: Cluster) -> list[Used]:
    """What the server's environment comes from. The Secrets in the configuration file are in its own checksum."""
    queue_password = valkey_access.used_by_server(instance, cluster)
    return [
        postgres.used_by_server(instance),
        *([queue_password] if queue_password else []),
        *used_by_environment(instance.spec.server),
        *pod_fields.used(instance.spec.server),
    ]


def _checksums(instance: Instance, cluster: Cluster, config: ConfigFile, draft: Draft) -> dict[str, str]:
    """The annotations that change with what the pods use."""
    used = checksum_of_used(draft.checksums, cluster, _used_secrets(instance, cluster), draft.written_secrets())
    return without_none({names.CONFIG_CHECKSUM_ANNOTATION: config.checksum, names.SECRETS_CHECKSUM_ANNOTATION: used})


def _template(  # noqa: PLR0913, PLR0917 # each is another thing that the pods consist of
    part: Part,
    instance: Instance,
    image: str,
    own: Sequence[Mapping[str, Any]],
    config: ConfigFile,
    users: Mapping[str, Given],
    ids: Mapping[str, int],
    checksums: Mapping[str, str],
    kept: Storage,
) -> dict[str, Any]:
    settings = acceleration.with_card(instance.spec.server, instance.spec.server.gpu)
    more = [
        *acceleration.without_cards(settings.gpu, users),
        *environment.pinned(instance, settings, Component.SERVER, users),
    ]
    env = pods.environment([*own, *more], settings.env)
    mounts, volumes = list(kept.mounts), list(kept.volumes)
    if config.kind != "None":
        mounts.append({"name": "config", "mountPath": "/config", "readOnly": True})
        source = (
            {"configMap": {"name": config.name}}
            if config.kind == "ConfigMap"
            else {"secret": {"secretName": config.name}}
        )
        volumes.append({"name": "config", **source})
    container = pods.container(
        "server",
        image,
        settings,
        env=env,
        envFrom=list(settings.env_from) or None,
        ports=[
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in [("http", PORT), *_metrics_ports(instance)]
        ],
        volumeMounts=mounts,
        **(pods.http_probes("/api/server/ping") if _runs_the_api(users) else {}),
    )
    return pods.pod_template(
        instance,
        Component.SERVER,
        part,
        pod={
            "initContainers": [
                *kept.containers_before(image, settings, users),
                *_waiters(instance, image, env, users),
            ],
            "containers": [container],
            "volumes": volumes,
        },
        ids=ids,
        checksums=checksums,
    )


DESCRIPTION = Description(
    component=Component.SERVER,
    title="Server",
    plan=plan,
    workload=Workload(
        kind="Deployment",
        condition="ServerReady",
        flag="serverReady",
        absence=switched_off(Component.SERVER),
    ),
    image=Image(
        variable="RELATED_IMAGE_immich",
        default=f"ghcr.io/immich-app/immich-server:{IMMICH}",
        what="The Immich server, also used to wait for database and queues",
    ),
    removable=(
        *named_after(Component.SERVER, "Deployment", "Service"),
        *named_after(Component.SERVER, "Ingress", is_wanted=exposure.wants_ingress),
        *named_after(Component.SERVER, "Route", is_wanted=exposure.wants_route),
        *named_after(Component.SERVER, http_route.KIND, is_wanted=http_route.is_wanted),
        *removable(Component.SERVER),
    ),
)
