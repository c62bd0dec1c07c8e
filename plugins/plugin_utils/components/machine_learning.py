# SPDX-License-Identifier: Apache-2.0
"""The machine learning service: smart search, faces, duplicates, text recognition."""

from __future__ import annotations

from typing import Any

from ..kube.values import without_none
from ..spec import names, ports
from ..spec.images import IMMICH
from ..spec.names import Component
from . import acceleration, autoscaling, environment, pod_fields, pods, rollout, security, volumes
from .beside import removable
from .description import Claim, Description, Image, Workload, named_after, switched_off
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason
from .required import check_environment, checksum_of_used, used_by_environment

PATH = "spec.machineLearning"
PORT = ports.MACHINE_LEARNING
CACHE = "/cache"

CACHE_ENVIRONMENT = [
    pods.variable("TRANSFORMERS_CACHE", CACHE),
    pods.variable("HF_HOME", f"{CACHE}/hf-cache"),
    pods.variable("HF_XET_CACHE", f"{CACHE}/huggingface-xet"),
    pods.variable("MPLCONFIGDIR", f"{CACHE}/matplotlib-config"),
]
"""All downloads go to the volume. Up to 3.1 the image leaves HF_HOME in a home folder that may be read-only."""


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    part = Part(Component.MACHINE_LEARNING)
    settings = instance.spec.machine_learning
    if not settings.enabled:
        return [part]
    if settings.url:
        part.warns(Reason.SETTING_IGNORED, f"{PATH}.url is not used, because {PATH}.enabled is true")
    image = draft.image(instance, Component.MACHINE_LEARNING)
    if not image:
        return [part]
    acceleration.tell_of_image(part, image, settings.acceleration, PATH)
    persistence = settings.persistence
    claim = claim_name(instance)
    if claim and persistence.existing_claim:
        volumes.check_existing_claim(part, instance, cluster, claim, path=f"{PATH}.persistence.existingClaim")
    elif claim:
        volumes.managed_claim(part, instance, cluster, claim, persistence, path=f"{PATH}.persistence", owned=True)
    is_shared = claim is None or volumes.is_shared(volumes.access_modes(cluster, claim, persistence))
    check_environment(part, instance, cluster, settings, PATH)
    pod_fields.check(part, instance, cluster, settings, PATH)
    users = environment.given(cluster, settings, PATH)
    environment.check(part, instance, Component.MACHINE_LEARNING, users, CACHE_ENVIRONMENT)
    pinned = [
        *acceleration.without_cards(settings.gpu, users),
        *environment.pinned(instance, settings, Component.MACHINE_LEARNING, users),
    ]
    used = checksum_of_used(draft.checksums, cluster, [*used_by_environment(settings), *pod_fields.used(settings)])
    recreate = rollout.is_recreated(part, PATH, settings, None if is_shared else claim)
    deployment = _deployment(part, instance, image, claim, pinned, used, recreate=recreate)
    count = autoscaling.at_most(settings, rollout.number_of_pods(cluster, deployment))
    if claim and not is_shared:
        remedy = (
            f"Use a ReadWriteMany claim, or set {PATH}.persistence.enabled to false so that each pod has its own cache"
        )
        rollout.tell_of_several(part, instance, settings, count, claim, remedy)
    security.tell(part, settings, PATH, {})
    environment.check_references(part, cluster, settings, PATH, deployment)
    deployment = draft.checksums.without_a_roll(cluster, deployment)
    rollout.apply_deployment(part, cluster, deployment, autoscaled_from=autoscaling.at_first(settings))
    part.apply(pods.service(instance, Component.MACHINE_LEARNING, [("http", PORT)]))
    return [part]


def claim_name(instance: Instance) -> str | None:
    """The claim that holds the models, None if each pod downloads them again."""
    persistence = instance.spec.machine_learning.persistence
    if not persistence.enabled:
        return None
    return persistence.existing_claim or names.cache_claim(instance.name)


def _deployment(
    part: Part,
    instance: Instance,
    image: str,
    claim: str | None,
    pinned: list[dict[str, Any]],
    used: str | None,
    *,
    recreate: bool,
) -> dict[str, Any]:
    settings = acceleration.with_card(instance.spec.machine_learning, instance.spec.machine_learning.gpu)
    container = pods.container(
        "machine-learning",
        image,
        settings,
        env=pods.environment([*CACHE_ENVIRONMENT, *pinned], settings.env),
        envFrom=list(settings.env_from) or None,
        ports=[{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        volumeMounts=[{"name": "cache", "mountPath": CACHE}],
        **pods.http_probes("/ping"),
    )
    source = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    template = pods.pod_template(
        instance,
        Component.MACHINE_LEARNING,
        part,
        pod={"containers": [container], "volumes": [{"name": "cache", **source}]},
        checksums=without_none({names.SECRETS_CHECKSUM_ANNOTATION: used}),
    )
    replicas = autoscaling.replicas(settings)
    return pods.deployment(instance, Component.MACHINE_LEARNING, template, replicas=replicas, recreate=recreate)


def _absence(instance: Instance) -> tuple[Reason, str]:
    if instance.spec.machine_learning.url:
        return Reason.EXTERNAL, "machine learning is external"
    return switched_off(Component.MACHINE_LEARNING)(instance)


DESCRIPTION = Description(
    component=Component.MACHINE_LEARNING,
    title="Machine learning",
    plan=plan,
    workload=Workload(
        kind="Deployment", condition="MachineLearningReady", flag="machineLearningReady", absence=_absence
    ),
    image=Image(
        variable="RELATED_IMAGE_machineLearning",
        default=f"ghcr.io/immich-app/immich-machine-learning:{IMMICH}",
        what="Immich's machine learning service",
    ),
    claim=Claim(
        name=claim_name,
        made=names.cache_claim,
        persistence=lambda instance: instance.spec.machine_learning.persistence,
        path=f"{PATH}.persistence",
        mounted_by=Component.MACHINE_LEARNING,
        may_be_shared=True,
    ),
    removable=(
        *named_after(Component.MACHINE_LEARNING, "Deployment", "Service"),
        *removable(Component.MACHINE_LEARNING),
    ),
)
