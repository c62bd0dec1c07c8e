# SPDX-License-Identifier: Apache-2.0
"""Manifests of each kind that a pass applies, written with the liberties that a custom resource allows."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

LABELS = {"app.kubernetes.io/name": "immich", "app.kubernetes.io/instance": "photos"}


def pod_template(**spec: Any) -> Manifest:
    """Two containers with everything that the API server fills in, normalises or drops."""
    return {
        "metadata": {"labels": dict(LABELS), "annotations": {"media.rm3l.org/checksum": "a1"}},
        "spec": {
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "hostNetwork": False,
            "nodeSelector": {},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "imagePullSecrets": [],
            "affinity": {},
            "securityContext": {"fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [
                {
                    "name": "wait",
                    "image": "registry.example/immich:v3",
                    "command": ["node", "-e", "0"],
                    "args": [],
                    "resources": {},
                    "env": [{"name": "TARGETS", "value": ""}],
                }
            ],
            "containers": [
                {
                    "name": "server",
                    "image": "registry.example/immich:v3",
                    "env": [
                        {"name": "Z", "value": "last letter first"},
                        {"name": "EMPTY", "value": ""},
                        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "password"}}},
                        {
                            "name": "CPU",
                            "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1000m"}},
                        },
                    ],
                    "envFrom": [{"secretRef": {"name": "more", "optional": False}}],
                    "ports": [
                        {"name": "http", "containerPort": 2283},
                        {"name": "dns", "containerPort": 2283, "protocol": "UDP"},
                    ],
                    "resources": {
                        "limits": {"cpu": "1000m", "memory": "1024Mi"},
                        "requests": {"cpu": "0.5", "memory": 536870912},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [
                        {"name": "library", "mountPath": "/data"},
                        {"name": "config", "mountPath": "/config", "readOnly": True},
                        {"name": "shm", "mountPath": "/scratch", "readOnly": False},
                    ],
                    "startupProbe": {
                        "httpGet": {"path": "/ping", "port": "http"},
                        "failureThreshold": 360,
                        "periodSeconds": 10,
                    },
                    "livenessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 0},
                },
                {
                    "name": "second",
                    "image": "registry.example/immich:v3",
                    "resources": {},
                    "securityContext": {},
                    "command": [],
                },
            ],
            "volumes": [
                {"name": "library", "persistentVolumeClaim": {"claimName": "photos-library"}},
                {"name": "config", "configMap": {"name": "photos-config", "items": [{"key": "a", "path": "a"}]}},
                {"name": "scratch", "emptyDir": {}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "131072Ki"}},
            ],
            **spec,
        },
    }


def manifests(namespace: str, name: str = "photos") -> dict[str, Manifest]:
    """{kind: manifest}, all of the same name."""

    def of(api_version: str, kind: str, **rest: Any) -> Manifest:
        metadata = {"name": name, "namespace": namespace, "labels": dict(LABELS)}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}

    return {
        "Deployment": of(
            "apps/v1",
            "Deployment",
            spec={
                "replicas": 0,
                "minReadySeconds": 0,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": dict(LABELS)},
                "template": pod_template(),
            },
        ),
        "StatefulSet": of(
            "apps/v1",
            "StatefulSet",
            spec={
                "replicas": 0,
                "serviceName": "photos-postgres",
                "selector": {"matchLabels": dict(LABELS)},
                "template": pod_template(terminationGracePeriodSeconds=120),
                "volumeClaimTemplates": [
                    {
                        "metadata": {
                            "name": "data",
                            "labels": dict(LABELS),
                            "annotations": {"media.rm3l.org/pgdata": "pgdata"},
                        },
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10240Mi"}}},
                    }
                ],
            },
        ),
        "Service": of(
            "v1",
            "Service",
            spec={
                "selector": dict(LABELS),
                "ports": [
                    {"name": "http", "port": 2283, "targetPort": "http"},
                    {"name": "metrics", "port": 8081, "targetPort": 8081},
                ],
            },
        ),
        "ConfigMap": of("v1", "ConfigMap", data={"immich-config.yaml": "a: 1000m\n", "empty": ""}),
        "Secret": of("v1", "Secret", data={"password": "c2VjcmV0"}, type="Opaque"),
        "PersistentVolumeClaim": of(
            "v1",
            "PersistentVolumeClaim",
            spec={"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "0.5Ti"}}},
        ),
        "Ingress": of(
            "networking.k8s.io/v1",
            "Ingress",
            spec={
                "ingressClassName": "nginx",
                "rules": [
                    {
                        "host": "photos.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "photos-server", "port": {"name": "http"}}},
                                }
                            ]
                        },
                    }
                ],
                "tls": [{"hosts": ["photos.example.com"], "secretName": "photos-tls"}],
            },
        ),
    }


KINDS = tuple(manifests(""))
"""What `manifests` has."""
