# SPDX-License-Identifier: Apache-2.0
"""Admission of names, of the shape of the whole, and of what all components have in common."""

from __future__ import annotations

from tests.unit.plugin_utils.spec import admission_case as say
from tests.unit.plugin_utils.spec.admission_case import EXTERNAL_DATABASE, PASSWORD, accepted, refused, server

NAMES = [
    accepted("name-of-43-characters", None, name="a" * 43),
    refused("name-of-44-characters", {}, ("metadata.name", say.NAME_LENGTH), name="a" * 44),
    accepted("name-of-46-characters-with-external-database", {"postgres": EXTERNAL_DATABASE}, name="a" * 46),
    refused(
        "name-of-47-characters-with-external-database",
        {"postgres": EXTERNAL_DATABASE},
        ("metadata.name", say.NAME_LENGTH),
        name="a" * 47,
    ),
    accepted(
        "name-of-56-characters-with-server-and-valkey-only",
        {"postgres": EXTERNAL_DATABASE, "machineLearning": {"enabled": False}},
        name="a" * 56,
    ),
    refused(
        "name-of-57-characters",
        {"postgres": EXTERNAL_DATABASE, "machineLearning": {"enabled": False}},
        ("metadata.name", say.NAME_LENGTH),
        name="a" * 57,
    ),
    refused("name-with-a-dot", {}, ("metadata.name", say.NAME_DOTS), name="my.photos"),
    accepted("name-that-starts-with-a-digit", {}, name="2nd-photos"),
]

SHAPES = [
    accepted("no-spec", None),
    accepted("empty-spec", {}),
    accepted("empty-components", {"immich": {}, "server": {}, "machineLearning": {}, "valkey": {}, "postgres": {}}),
    accepted("null-components", {"server": None, "postgres": None}),
    accepted("null-where-a-default-is", server(replicas=None)),
    refused("unknown-component", {"servr": {}}, ("spec.servr", 'unknown field "spec.servr"')),
    refused("unknown-field", server(replica=1), ("spec.server.replica", 'unknown field "spec.server.replica"')),
    refused("component-as-text", {"valkey": "off"}, ("spec.valkey", say.WRONG_TYPE)),
    refused("component-as-switch", {"machineLearning": False}, ("spec.machineLearning", say.WRONG_TYPE)),
    refused("switch-as-text", server(enabled="true"), ("spec.server.enabled", say.WRONG_TYPE)),
    accepted("pull-secrets", {"imagePullSecrets": [{"name": "registry"}]}),
    accepted("pull-secret-without-name", {"imagePullSecrets": [{"name": ""}, {}]}),
    refused(
        "pull-secret-in-capitals",
        {"imagePullSecrets": [{"name": "Registry"}]},
        ("spec.imagePullSecrets[0].name", say.MALFORMED),
    ),
    refused("pull-secret-as-text", {"imagePullSecrets": ["registry"]}, ("spec.imagePullSecrets[0]", say.WRONG_TYPE)),
]

COMPONENTS = [
    accepted("no-server-pods", server(replicas=0)),
    accepted("several-replicas-on-read-write-once", server(replicas=3)),
    refused("negative-replicas", server(replicas=-1), ("spec.server.replicas", "greater than or equal to 0")),
    refused("replicas-as-text", server(replicas="2"), ("spec.server.replicas", say.WRONG_TYPE)),
    refused(
        "negative-learners", {"machineLearning": {"replicas": -2}}, ("spec.machineLearning.replicas", "equal to 0")
    ),
    *(
        accepted(f"image-{image}", server(image=image))
        for image in (
            "immich",
            "localhost:5000/immich-app/immich-server",
            "[fd00::1]:5000/immich:v3.1.0",
            "Registry.example.com/a__b/c-d.e:1_2-x@sha256:" + "0" * 64,
        )
    ),
    *(
        refused(f"image-with-{what}", server(image=image), ("spec.server.image", say.IMAGE))
        for what, image in (
            ("blank", "ghcr.io/immich-app/immich-server:v3.1.0 "),
            ("line-break", "ghcr.io/immich-app/immich-server:v3.1.0\n"),
            ("upper-case", "ghcr.io/Immich-App/immich-server:v3.1.0"),
            ("scheme", "https://ghcr.io/immich-app/immich-server:v3.1.0"),
            ("two-tags", "ghcr.io/immich-app/immich-server:v3:v4"),
            ("empty-tag", "ghcr.io/immich-app/immich-server:"),
            ("short-digest", "ghcr.io/immich-app/immich-server@sha256:abc"),
            ("variable", "ghcr.io/immich-app/immich-server:${VERSION}"),
        )
    ),
    refused(
        "requests-above-limits",
        {
            "valkey": {
                "resources": {"requests": {"memory": "2Gi", "cpu": "1"}, "limits": {"memory": "1536Mi", "cpu": 1}}
            }
        },
        ("spec.valkey.resources.requests", say.REQUESTS),
    ),
    accepted(
        "requests-like-limits-in-another-unit",
        server(resources={"requests": {"memory": "1Gi", "cpu": "1000m"}, "limits": {"memory": "1024Mi", "cpu": 1}}),
    ),
    accepted("empty-image-as-unset", server(image="", imagePullPolicy="")),
    accepted("pull-policy", {"postgres": {"imagePullPolicy": "Always"}}),
    refused(
        "pull-policy-lower-case", server(imagePullPolicy="always"), ("spec.server.imagePullPolicy", say.WRONG_CHOICE)
    ),
    refused(
        "pull-policy-of-valkey",
        {"valkey": {"imagePullPolicy": "Sometimes"}},
        ("spec.valkey.imagePullPolicy", say.WRONG_CHOICE),
    ),
    accepted("resources", server(resources={"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": 2}})),
    refused(
        "resources-malformed",
        server(resources={"limits": {"memory": "4 GB"}}),
        ("spec.server.resources.limits.memory", say.QUANTITY),
    ),
    refused(
        "resources-negative",
        {"postgres": {"resources": {"requests": {"cpu": "-1"}}}},
        ("spec.postgres.resources.requests.cpu", say.QUANTITY),
    ),
    refused("resources-typo", server(resources={"limit": {}}), ("spec.server.resources.limit", "unknown field")),
    accepted("node-selector", server(nodeSelector={"kubernetes.io/arch": "amd64"})),
    accepted("common-metadata", {"commonLabels": {"team": "family"}, "commonAnnotations": {"example.com/owner": "me"}}),
    refused("common-label-with-space", {"commonLabels": {"tier": "a b"}}, ("spec.commonLabels.tier", say.LABEL)),
    refused(
        "common-annotation-as-number", {"commonAnnotations": {"a": 3}}, ("spec.commonAnnotations.a", say.WRONG_TYPE)
    ),
    refused("pod-label-with-space", server(podLabels={"tier": "a b"}), ("spec.server.podLabels.tier", say.LABEL)),
    refused(
        "pod-annotation-as-number",
        server(podAnnotations={"weight": 3}),
        ("spec.server.podAnnotations.weight", say.WRONG_TYPE),
    ),
    accepted(
        "toleration-with-empty-effect", server(tolerations=[{"key": "photos", "operator": "Exists", "effect": ""}])
    ),
    refused(
        "toleration-with-wrong-effect",
        server(tolerations=[{"key": "photos", "effect": "NoRun"}]),
        ("spec.server.tolerations[0].effect", say.WRONG_CHOICE),
    ),
    accepted(
        "affinity",
        server(
            affinity={
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
                    ]
                }
            }
        ),
    ),
    refused(
        "affinity-without-topology",
        server(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}}]}}),
        (
            "spec.server.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey",
            "Required value",
        ),
    ),
    accepted(
        "security-contexts",
        server(
            podSecurityContext={"runAsUser": 1000, "runAsNonRoot": True},
            securityContext={"readOnlyRootFilesystem": True},
        ),
    ),
    refused(
        "user-as-text",
        server(podSecurityContext={"runAsUser": "1000"}),
        ("spec.server.podSecurityContext.runAsUser", say.WRONG_TYPE),
    ),
]

ARCHITECTURE = (
    "cuda, openvino and rocm are there for nodes with amd64, armnn and rknn for those with arm64. Change "
    "spec.machineLearning.acceleration or the node selector"
)


def learning_on(architecture: str, acceleration: str) -> dict[str, object]:
    selector = {"kubernetes.io/arch": architecture}
    return {"machineLearning": {"acceleration": acceleration, "nodeSelector": selector}}


ACCELERATION = [
    accepted("cuda-anywhere", {"machineLearning": {"acceleration": "cuda", "nodeSelector": {"zone": "a"}}}),
    *(accepted(f"{kind}-on-{arch}", learning_on(arch, kind)) for kind, arch in (("cuda", "amd64"), ("rknn", "arm64"))),
    accepted("no-accelerator-on-arm64", learning_on("arm64", "none")),
    *(
        refused(f"{kind}-on-{arch}", learning_on(arch, kind), ("spec.machineLearning.acceleration", ARCHITECTURE))
        for kind, arch in (("cuda", "arm64"), ("armnn", "amd64"))
    ),
    refused(
        "cards-of-an-unknown-plugin",
        {"server": {"gpu": {"devicePlugin": "voodoo"}}},
        ("spec.server.gpu.devicePlugin", say.WRONG_CHOICE),
    ),
]

ENVIRONMENT = [
    accepted("env-value", server(env=[{"name": "TZ", "value": "Europe/Berlin"}, {"name": "EMPTY"}])),
    accepted("env-source", server(env=[{"name": "A", "valueFrom": {"secretKeyRef": PASSWORD}}])),
    accepted(
        "env-empty-value-beside-source",
        server(env=[{"name": "A", "value": "", "valueFrom": {"secretKeyRef": PASSWORD}}]),
    ),
    refused("env-without-name", server(env=[{"value": "x"}]), ("spec.server.env[0].name", "Required value")),
    refused("env-with-empty-name", server(env=[{"name": ""}]), ("spec.server.env[0].name", "at least 1 char")),
    refused(
        "env-value-as-number", server(env=[{"name": "A", "value": 1}]), ("spec.server.env[0].value", say.WRONG_TYPE)
    ),
    refused(
        "env-value-and-source",
        server(env=[{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": PASSWORD}}]),
        ("spec.server.env[0]", say.ENV_BOTH),
    ),
    refused(
        "env-two-sources",
        {
            "machineLearning": {
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": PASSWORD, "fieldRef": {"fieldPath": "metadata.name"}}}
                ]
            }
        },
        ("spec.machineLearning.env[0].valueFrom", say.ENV_SOURCE),
    ),
    refused(
        "env-no-source", server(env=[{"name": "A", "valueFrom": {}}]), ("spec.server.env[0].valueFrom", say.ENV_SOURCE)
    ),
    refused(
        "env-config-map-above",
        server(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "..", "key": "k"}}}]),
        ("spec.server.env[0].valueFrom.configMapKeyRef.name", say.MALFORMED),
    ),
    refused(
        "env-from-secret-above",
        server(envFrom=[{"secretRef": {"name": ".."}}]),
        ("spec.server.envFrom[0].secretRef.name", say.MALFORMED),
    ),
    refused(
        "env-secret-without-key",
        server(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]),
        ("spec.server.env[0].valueFrom.secretKeyRef.key", "Required value"),
    ),
    accepted(
        "env-from", server(envFrom=[{"secretRef": {"name": "s"}}, {"prefix": "X_", "configMapRef": {"name": "c"}}])
    ),
    refused("env-from-nothing", server(envFrom=[{"prefix": "X_"}]), ("spec.server.envFrom[0]", say.ENV_FROM)),
    refused(
        "env-from-two-objects",
        {"machineLearning": {"envFrom": [{"secretRef": {"name": "s"}, "configMapRef": {"name": "c"}}]}},
        ("spec.machineLearning.envFrom[0]", say.ENV_FROM),
    ),
    refused(
        "env-from-unnamed",
        server(envFrom=[{"secretRef": {}}]),
        ("spec.server.envFrom[0].secretRef.name", "Required value"),
    ),
]
