# SPDX-License-Identifier: Apache-2.0
"""The Immich server: web, API and background jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import configuration, library, names, pods, postgres, valkey
from .configuration import ConfigFile
from .instance import Instance, Part, Surroundings
from .names import Component
from .reasons import Reason
from .required import Used, check_environment, checksum_of_used, require, used_by_environment
from .rollout import apply_deployment
from .values import dig, without_none

PATH = "spec.server"
PORT = 2283
METRICS_PORTS = [("metrics-api", 8081), ("metrics-jobs", 8082)]


def plan(instance: Instance, around: Surroundings, config: ConfigFile, made: Mapping[str, Mapping[str, str]]) -> Part:
    """`made` is the data of Secrets that the same plan writes, {name: {key: base64}}."""
    part = Part(Component.SERVER)
    settings = instance.settings(Component.SERVER)
    if not instance.is_enabled(Component.SERVER):
        return part
    image = settings.get("image") or around.images.get(Component.SERVER)
    _check_database_secret(part, instance, around)
    if not image or part.is_blocked:
        return part
    is_shared = library.is_shared(instance, around)
    if not is_shared and settings.get("replicas", 1) > 1:
        part.warns(
            Reason.VOLUME_NOT_SHARED,
            f"Deployment {names.workload_name(instance.name, part.component)} has {settings['replicas']} replicas, but "
            f"PersistentVolumeClaim {library.claim_name(instance)} is not ReadWriteMany: all replicas have to fit on one "
            f"node. Use a ReadWriteMany claim in {library.PATH}, or one replica",
        )
    check_environment(part, instance, around, settings, PATH)
    apply_deployment(part, around, _deployment(instance, around, image, config, made, recreate=not is_shared))
    part.apply(pods.service(instance, Component.SERVER, [("http", PORT), *_metrics_ports(instance)]))
    return part


def _check_database_secret(part: Part, instance: Instance, around: Surroundings) -> None:
    """An external database's Secret; the built-in one sees to its own."""
    if instance.is_enabled(Component.POSTGRES):
        return
    settings = instance.settings(Component.POSTGRES)
    key = "urlSecretRef" if settings.get("urlSecretRef") else "passwordSecretRef"
    reference = settings.get(key) or {}
    require(
        part, instance, around, "Secret", reference.get("name", ""), reference.get("key", ""), f"{postgres.PATH}.{key}"
    )


def _metrics_ports(instance: Instance) -> list[tuple[str, int]]:
    return METRICS_PORTS if dig(instance.spec, "immich", "metrics", "enabled") else []


def _environment(instance: Instance, config: ConfigFile) -> list[dict[str, Any]]:
    env = [*valkey.server_environment(instance), *postgres.server_environment(instance)]
    if config.kind != "None":
        env.append(pods.variable("IMMICH_CONFIG_FILE", f"/config/{names.CONFIG_FILE}"))
    else:
        url = configuration.machine_learning_url(instance)
        env.append(pods.variable("IMMICH_MACHINE_LEARNING_ENABLED", str(bool(url)).lower()))
        if url:
            env.append(pods.variable("IMMICH_MACHINE_LEARNING_URL", url))
    if _metrics_ports(instance):
        env.append(pods.variable("IMMICH_TELEMETRY_INCLUDE", "all"))
    return pods.environment(env, instance.settings(Component.SERVER).get("env"))


def _runs_the_api(env: list[dict[str, Any]]) -> bool:
    """False for pods that run background jobs only: they open no port that a probe could ask."""
    values = {entry["name"]: entry.get("value") or "" for entry in env}
    included = [worker.strip() for worker in values.get("IMMICH_WORKERS_INCLUDE", "").split(",") if worker.strip()]
    excluded = [worker.strip() for worker in values.get("IMMICH_WORKERS_EXCLUDE", "").split(",")]
    return (not included or "api" in included) and "api" not in excluded


def _waiters(instance: Instance, image: str) -> list[dict[str, Any]]:
    """Init containers for the database and the queues: without either the server ends, some seconds after a good ping.

    A database given as URL is in a Secret that is not taken apart here; the server itself tries again until it is up.
    """
    settings = instance.settings(Component.SERVER)
    database = {entry["name"]: entry.get("value") for entry in postgres.server_environment(instance)}
    queues = {entry["name"]: entry.get("value") for entry in valkey.server_environment(instance)}
    waiters = []
    if "DB_HOSTNAME" in database:
        waiters.append(
            pods.wait_container("postgres", image, settings, database["DB_HOSTNAME"] or "", database["DB_PORT"])
        )
    waiters.append(pods.wait_container("valkey", image, settings, queues["REDIS_HOSTNAME"] or "", queues["REDIS_PORT"]))
    return waiters


def _used_secrets(instance: Instance) -> list[Used]:
    """What the server's environment comes from. The Secrets in the configuration file are in its own checksum."""
    queue_password = valkey.used_by_server(instance)
    return [
        postgres.used_by_server(instance),
        *([queue_password] if queue_password else []),
        *used_by_environment(instance.settings(Component.SERVER)),
    ]


def _deployment(
    instance: Instance,
    around: Surroundings,
    image: str,
    config: ConfigFile,
    made: Mapping[str, Mapping[str, str]],
    *,
    recreate: bool,
) -> dict[str, Any]:
    settings = instance.settings(Component.SERVER)
    env = _environment(instance, config)
    mounts = [{"name": "library", "mountPath": "/data"}]
    volumes: list[dict[str, Any]] = [
        {"name": "library", "persistentVolumeClaim": {"claimName": library.claim_name(instance)}}
    ]
    if config.kind != "None":
        mounts.append({"name": "config", "mountPath": "/config", "readOnly": True})  # type: ignore[dict-item]
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
        envFrom=settings.get("envFrom") or None,
        ports=[
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in [("http", PORT), *_metrics_ports(instance)]
        ],
        volumeMounts=mounts,
        **(pods.http_probes("/api/server/ping") if _runs_the_api(env) else {}),
    )
    checksums = {
        names.CONFIG_CHECKSUM_ANNOTATION: config.checksum,
        names.SECRETS_CHECKSUM_ANNOTATION: checksum_of_used(instance, around, _used_secrets(instance), made),
    }
    template = pods.pod_template(
        instance,
        Component.SERVER,
        pod={"initContainers": _waiters(instance, image), "containers": [container], "volumes": volumes},
        checksums=without_none(checksums),
    )
    return pods.deployment(
        instance, Component.SERVER, template, replicas=settings.get("replicas", 1), recreate=recreate
    )
