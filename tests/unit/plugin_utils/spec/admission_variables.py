# SPDX-License-Identifier: Apache-2.0
"""Admission of variables that the operator relies on: mounts, ports, probes and Services are made for one value."""

from __future__ import annotations

from typing import Any

from tests.unit.plugin_utils.spec import admission_case as say
from tests.unit.plugin_utils.spec.admission_case import PASSWORD, Case, Spec, accepted, refused

ELSEWHERE = {"valueFrom": {"secretKeyRef": PASSWORD}}


def server(name: str, value: str, **immich: Any) -> Spec:
    return {"server": {"env": [{"name": name, "value": value}]}, **({"immich": immich} if immich else {})}


def learning(name: str, value: str) -> Spec:
    return {"machineLearning": {"env": [{"name": name, "value": value}]}}


def metrics_port(name: str) -> list[Case]:
    where = ("spec.server.env", say.METRICS_PORTS[name])
    port = "8081" if "API" in name else "8082"
    return [
        refused(f"{name}-moved", server(name, "9090", metrics={"enabled": True}), where),
        accepted(f"{name}-as-it-is", server(name, port, metrics={"enabled": True})),
        accepted(f"{name}-without-a-service-for-it", server(name, "9090", metrics={"enabled": False})),
    ]


MEDIA = ("spec.server.env[0]", say.MEDIA_LOCATION)

VARIABLES = [
    refused("media-location-moved", server("IMMICH_MEDIA_LOCATION", "/usr/src/app/upload"), MEDIA),
    refused("media-location-beside", server("IMMICH_MEDIA_LOCATION", "/database"), MEDIA),
    refused("media-location-by-another-variable", server("IMMICH_MEDIA_LOCATION", "$(WHERE)"), MEDIA),
    refused("media-location-empty", {"server": {"env": [{"name": "IMMICH_MEDIA_LOCATION"}]}}, MEDIA),
    accepted("media-location-as-it-is", server("IMMICH_MEDIA_LOCATION", "/data")),
    accepted("media-location-below", server("IMMICH_MEDIA_LOCATION", "/data/photos")),
    accepted("media-location-from-elsewhere", {"server": {"env": [{"name": "IMMICH_MEDIA_LOCATION", **ELSEWHERE}]}}),
    accepted("media-location-of-another-component", learning("IMMICH_MEDIA_LOCATION", "/srv")),
    refused("server-port-moved", server("IMMICH_PORT", "8080"), ("spec.server.env[0]", say.SERVER_PORT)),
    accepted("server-port-as-it-is", server("IMMICH_PORT", "2283")),
    refused("server-on-loopback", server("IMMICH_HOST", "127.0.0.1"), ("spec.server.env[0]", say.ADDRESS)),
    *(accepted(f"server-on-{host}", server("IMMICH_HOST", host)) for host in ("0.0.0.0", "::", "[::]")),  # noqa: S104
    accepted(
        "server-on-its-own-address",
        {"server": {"env": [{"name": "IMMICH_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}},
    ),
    *metrics_port("IMMICH_API_METRICS_PORT"),
    *metrics_port("IMMICH_MICROSERVICES_METRICS_PORT"),
    refused(
        "configuration-file-moved", server("IMMICH_CONFIG_FILE", "/data/my.yaml"), ("spec.server.env", say.CONFIG_FILE)
    ),
    accepted("configuration-file-as-it-is", server("IMMICH_CONFIG_FILE", "/config/immich-config.yaml")),
    accepted("configuration-file-of-the-user", server("IMMICH_CONFIG_FILE", "/data/my.yaml", configurationKind="None")),
    refused("learning-port-moved", learning("IMMICH_PORT", "8080"), ("spec.machineLearning.env[0]", say.LEARNING_PORT)),
    refused(
        "learning-port-of-the-server",
        learning("IMMICH_PORT", "2283"),
        ("spec.machineLearning.env[0]", say.LEARNING_PORT),
    ),
    accepted("learning-port-as-it-is", learning("IMMICH_PORT", "3003")),
    refused("learning-on-loopback", learning("IMMICH_HOST", "::1"), ("spec.machineLearning.env[0]", say.ADDRESS)),
    refused(
        "learning-cache-moved",
        learning("MACHINE_LEARNING_CACHE_FOLDER", "/models"),
        ("spec.machineLearning.env[0]", say.CACHE_FOLDER),
    ),
    accepted("learning-cache-below", learning("MACHINE_LEARNING_CACHE_FOLDER", "/cache/models")),
    refused(
        "each-variable-is-named",
        {
            "server": {"env": [{"name": "TZ", "value": "UTC"}, {"name": "IMMICH_PORT", "value": "80"}]},
            "machineLearning": {"env": [{"name": "IMMICH_PORT", "value": "80"}]},
        },
        ("spec.server.env[1]", say.SERVER_PORT),
        ("spec.machineLearning.env[0]", say.LEARNING_PORT),
    ),
    accepted(
        "variables-that-only-lead-elsewhere",
        {"server": {"env": [{"name": "REDIS_HOSTNAME", "value": "$(QUEUES)"}, {"name": "DB_URL", **ELSEWHERE}]}},
    ),
]
