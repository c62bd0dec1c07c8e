# SPDX-License-Identifier: Apache-2.0
"""Checksums of what pods use, in annotations of their templates: pods are replaced when one changes, and tell nobody more.

More people can read pods than Secrets. Whoever knows how a checksum is made, and nearly all of a value, could try the
rest until it fits: a million passwords take seconds. So each checksum is made with a key, and the key is in a Secret
of the instance. It is made once: another one would replace all pods.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from ..kube.difference import differing_fields
from ..kube.values import Manifest, checksum, decoded_text, derived, dig
from ..spec import names
from ..spec.names import Component
from . import configuration, pod_fields
from .instance import Cluster, Instance, Part
from .reasons import Reason

COMPONENT = "checksums"
"""The component, otherwise unused, of the step that stores the key. Workloads with a checksum wait for it."""
KEY = "key"
WITH_CHECKSUMS = (Component.SERVER, Component.POSTGRES, Component.MACHINE_LEARNING)
ANNOTATIONS = (names.CONFIG_CHECKSUM_ANNOTATION, names.SECRETS_CHECKSUM_ANNOTATION)


class Checksums:
    """The checksums of one instance, made with its key."""

    def __init__(self, instance: Instance, key: str) -> None:
        self._place = f"{instance.namespace}/{instance.name}"
        self._key = key
        self._former: dict[str, str] = {}

    def of(self, content: Iterable[str] | Mapping[str, Any] | str) -> str:
        """Sixteen hexadecimal digits that change with the content, and are others for each instance."""
        made = checksum(f"{self._key} {self._place}", content)
        self._former[made] = checksum(self._place, content)
        return made

    def without_a_roll(self, cluster: Cluster, workload: Manifest) -> Manifest:
        """The workload, with the checksums of its live pods if an earlier version has made these, without a key, of the same
        content. As soon as anything replaces the pods, they get ours.

        But for what only takes something out of the pods, such as a variable: what is live and not wanted may be of anybody,
        so it is no difference here, and the pods that this makes get ours with the next change.

        Where admission rewrites fields, a difference does not say that pods are replaced: then it waits for other content.
        """
        live = cluster.live(workload["kind"], workload["metadata"]["name"])
        template = workload["spec"]["template"]
        made, held = (
            dig(each, "metadata", "annotations", default={}) for each in (template, dig(live, "spec", "template"))
        )
        former = {key: self._former.get(made[key]) for key in ANNOTATIONS if key in made}
        kept = {key: value for key, value in former.items() if value and held.get(key) == value}
        if not kept:
            return workload
        metadata = {**template["metadata"], "annotations": {**made, **kept}}
        same = {**workload, "spec": {**workload["spec"], "template": {**template, "metadata": metadata}}}
        is_rewritten = dig(live, "metadata", "annotations", names.REWRITTEN_ANNOTATION)
        wanted, there = ({"spec": {"template": dig(each, "spec", "template")}} for each in (same, live))
        return same if is_rewritten or not differing_fields(wanted, there) else workload


def plan(instance: Instance, cluster: Cluster, new_password: str) -> tuple[Part, Checksums]:
    """The step that makes sure of the key, and what is made with it.

    A key is derived from `new_password`, which is random in each pass, and says nothing of it. One that another pass makes
    at the same time is not overwritten: then the workloads wait for the next pass, which uses that one.
    """
    name = names.checksum_key(instance.name)
    live = cluster.live("Secret", name)
    held = decoded_text(dig(live, "data", KEY))
    key = held or derived(new_password, "checksums")
    secret = instance.manifest("v1", "Secret", name, configuration.COMPONENT)
    secret["type"] = "Opaque"
    secret["data"] = {KEY: base64.b64encode(key.encode()).decode()}
    part = Part(COMPONENT)
    if cluster.is_known_missing("Secret", name):
        part.create(secret, alone=True)
    elif live is None:
        _wait(part, instance, name)
    elif not held or instance.stranger(live) or not instance.owns(live):
        # Refused if it is somebody else's, or has an earlier Immich of the name as its controller: then it is about to be
        # collected, and pods with its key would be replaced when the next one is made.
        part.apply(secret)
    return part, Checksums(instance, key)


def _wait(part: Part, instance: Instance, name: str) -> None:
    """What may have a checksum stays as it is while its key is not known."""
    valkey = instance.spec.valkey
    with_more = [Component.VALKEY] if valkey.auth.enabled or pod_fields.used(valkey) else []
    for component in filter(instance.is_enabled, [*WITH_CHECKSUMS, *with_more]):
        part.blocks(
            Reason.READ_FAILED,
            f"Secret {name} may not be read, so {component} is left as it is: with another key its pods would be replaced. "
            f"Allow the operator to get Secrets in namespace {instance.namespace}",
            component=component,
            retry=True,  # roles are not watched
        )


def held_back_without_key(step: Mapping[str, Any]) -> dict[str, Any]:
    """The step of a workload with a checksum, so that it waits until the key is stored: with another one, the pods would be
    replaced again in the next pass."""
    annotations = dig(step, "object", "spec", "template", "metadata", "annotations", default={})
    return {**step, "after": [COMPONENT]} if any(key in annotations for key in ANNOTATIONS) else dict(step)
