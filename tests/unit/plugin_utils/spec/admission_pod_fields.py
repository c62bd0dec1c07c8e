# SPDX-License-Identifier: Apache-2.0
"""Admission of what users add to pods: volumes, containers, scheduling, probes, and the overlay."""

from __future__ import annotations

from typing import Any

from tests.unit.plugin_utils.spec import admission_case as say
from tests.unit.plugin_utils.spec.admission_case import Case, Spec, accepted, refused, server

SOURCE = "a volume has exactly one source. Give one, such as persistentVolumeClaim or emptyDir"
VOLUME_NAME = (
    "cache, config, data, library, shm, tmp, and etc-, immich-, run- and var- at the beginning, are for the operator's"
    " volumes. Choose another name"
)
CLAIM_SOURCE = "an entry names exactly one object. Give either resourceClaimName or resourceClaimTemplateName"
NO_NAME_SERVER = "with dnsPolicy None the pods know no name server. Set dnsConfig.nameservers, or another dnsPolicy"
OURS = {
    "server": ("/data and /config", ("/data", "/config", "//data/", "/mnt/../data", "/", "/./config")),
    "machineLearning": ("/cache", ("/cache",)),
    "valkey": ("/data", ("/data",)),
    "postgres": ("/var/lib/postgresql/data and /dev/shm", ("/var/lib/postgresql/data", "/dev/shm")),  # noqa: S108 - a mount in the container
}
SIDECAR = {"name": "sidecar", "image": "example.com/sidecar:1"}
EMPTY = {"name": "scratch", "emptyDir": {}}


def mounts(component: str, path: str) -> Spec:
    return {component: {"volumes": [EMPTY], "volumeMounts": [{"name": "scratch", "mountPath": path}]}}


def _mounts_over_ours() -> list[Case]:
    return [
        refused(
            f"mount-over-{path}-of-{component}",
            mounts(component, path),
            (
                f"spec.{component}.volumeMounts[0].mountPath",
                f"the operator mounts {shown}, and a path has no . and .. in it. Choose another path",
            ),
        )
        for component, (shown, paths) in OURS.items()
        for path in paths
    ]


def volume(**source: Any) -> Spec:
    return server(volumes=[{"name": "extra", **source}])


KEY = {"name": "db", "key": "k"}
FULL_CONTAINER = {
    **SIDECAR,
    "command": ["sh", "-c"],
    "args": ["exec tail"],
    "env": [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"secretKeyRef": {**KEY, "optional": True}}}],
    "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}],
    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
    "resources": {"limits": {"memory": "64Mi", "cpu": 1}, "claims": [{"name": "gpu"}]},
    "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "Unconfined"}},
    "livenessProbe": {"httpGet": {"path": "/", "port": "http", "httpHeaders": [{"name": "X", "value": "y"}]}},
    "lifecycle": {
        "preStop": {"exec": {"command": ["sleep", "5"]}},
        "postStart": {"httpGet": {"port": 1, "httpHeaders": [{"name": "X", "value": "y"}]}},
    },
    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    "tty": True,
}
TERM = {"key": "disk", "operator": "In", "values": ["ssd"]}

POD_FIELDS = [
    *_mounts_over_ours(),
    accepted("mount-below-ours", mounts("server", "/data/thumbs")),
    accepted("mount-elsewhere", mounts("postgres", "/var/lib/postgresql/wal")),
    refused("relative-mount", mounts("server", "photos"), ("spec.server.volumeMounts[0].mountPath", say.MALFORMED)),
    refused(
        "two-mounts-at-one-path",
        server(volumes=[EMPTY], volumeMounts=2 * [{"name": "scratch", "mountPath": "/a"}]),
        ("spec.server.volumeMounts[1]", "Duplicate value"),
    ),
    *(
        accepted(f"volume-{next(iter(source))}", volume(**source))
        for source in (
            {"configMap": {"name": "ca", "optional": True, "defaultMode": 0o444}},
            {"csi": {"driver": "secrets", "volumeAttributes": {"a": "b"}, "nodePublishSecretRef": {"name": "s"}}},
            {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            {"hostPath": {"path": "/dev/dri", "type": "Directory"}},
            {"nfs": {"server": "nas", "path": "/photos", "readOnly": True}},
            {"persistentVolumeClaim": {"claimName": "nas", "readOnly": True}},
            {"secret": {"secretName": "ca"}},
        )
    ),
    refused("volume-without-source", volume(), ("spec.server.volumes[0]", SOURCE)),
    refused(
        "volume-with-two-sources",
        volume(emptyDir={}, nfs={"server": "nas", "path": "/"}),
        ("spec.server.volumes[0]", SOURCE),
    ),
    refused(
        "volume-called-like-ours",
        server(volumes=[{**EMPTY, "name": "library"}]),
        ("spec.server.volumes[0].name", VOLUME_NAME),
    ),
    refused("volume-twice", server(volumes=[EMPTY, EMPTY]), ("spec.server.volumes[1]", "Duplicate value")),
    refused(
        "volume-in-capitals", server(volumes=[{**EMPTY, "name": "NAS"}]), ("spec.server.volumes[0].name", say.MALFORMED)
    ),
    accepted(
        "containers-with-everything",
        server(
            initContainers=[{**FULL_CONTAINER, "name": "first", "restartPolicy": "Always"}],
            extraContainers=[FULL_CONTAINER],
        ),
    ),
    refused(
        "container-without-image",
        server(extraContainers=[{"name": "a"}]),
        ("spec.server.extraContainers[0].image", "Required value"),
    ),
    refused(
        "container-without-name",
        server(initContainers=[{"image": "a"}]),
        ("spec.server.initContainers[0].name", "Required value"),
    ),
    accepted(
        "scheduling",
        server(
            priorityClassName="high",
            runtimeClassName="nvidia",
            serviceAccountName="immich",
            terminationGracePeriodSeconds=0,
            hostAliases=[{"ip": "10.0.0.1", "hostnames": ["nas"]}],
            dnsPolicy="None",
            dnsConfig={"nameservers": ["10.0.0.2"], "options": [{"name": "ndots", "value": "1"}]},
            resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
            topologySpreadConstraints=[
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
            ],
            annotations={"example.com/a": "b"},
        ),
    ),
    accepted(
        "scheduling-as-unset", {"valkey": {"priorityClassName": "", "dnsPolicy": "", "topologySpreadConstraints": []}}
    ),
    refused("dns-of-nobody", {"postgres": {"dnsPolicy": "None"}}, ("spec.postgres.dnsConfig", NO_NAME_SERVER)),
    refused(
        "dns-of-an-empty-list",
        server(dnsPolicy="None", dnsConfig={"nameservers": []}),
        ("spec.server.dnsConfig", NO_NAME_SERVER),
    ),
    refused(
        "claim-of-nothing", server(resourceClaims=[{"name": "gpu"}]), ("spec.server.resourceClaims[0]", CLAIM_SOURCE)
    ),
    refused(
        "negative-end",
        server(terminationGracePeriodSeconds=-1),
        ("spec.server.terminationGracePeriodSeconds", "equal to 0"),
    ),
    accepted(
        "probes", {"postgres": {"probes": {"startup": {"failureThreshold": 9000}, "liveness": {"timeoutSeconds": 60}}}}
    ),
    refused(
        "probe-without-pause",
        server(probes={"liveness": {"periodSeconds": 0}}),
        ("spec.server.probes.liveness.periodSeconds", "equal to 1"),
    ),
    refused("probe-of-another-name", server(probes={"ready": {}}), ("spec.server.probes.ready", "unknown field")),
]
