# SPDX-License-Identifier: Apache-2.0
"""Labels and annotations that a user wants on all objects and pods of an instance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..components.instance import Cluster, Instance
from ..components.reasons import Effect, Notice, Reason
from ..kube.commands import is_name
from ..kube.values import Manifest
from ..spec import names
from ..spec.names import Component


def with_common_metadata(step: Mapping[str, Any], instance: Instance, cluster: Cluster) -> dict[str, Any]:
    """The step with the user's labels and annotations on its object and on the pods made from it, below those there are."""
    manifest = step.get("object")
    labels, annotations = _common(instance)
    if manifest is None or not (labels or annotations):
        return dict(step)
    labelled = _added(manifest, labels, annotations)
    spec = dict(manifest.get("spec") or {})
    if "template" in spec:
        spec["template"] = _added(spec["template"], labels, annotations)
    # That of a live one can't change.
    if "volumeClaimTemplates" in spec and not cluster.live(manifest["kind"], manifest["metadata"]["name"]):
        spec["volumeClaimTemplates"] = [_added(t, labels, annotations) for t in spec["volumeClaimTemplates"]]
    return {**step, "object": {**labelled, **({"spec": spec} if spec else {})}}


def notices(instance: Instance) -> Iterator[Notice]:
    """A warning for each label and annotation that is the operator's own business."""
    own = names.labels(instance.name, "")
    spec = instance.spec
    for path, given in (("commonLabels", spec.common_labels), ("commonAnnotations", spec.common_annotations)):
        for key in given:
            if not _is_key(key):
                message = (
                    f"spec.{path}: {key} is left out, because no {'label' if path == 'commonLabels' else 'annotation'} can have "
                    "that name: letters, digits, -, _ and dots, at most 63, after a DNS name and a slash if there is a prefix. "
                    "Correct it"
                )
                yield Notice(Component.SERVER, Effect.WARNS, Reason.SETTING_IGNORED, message)
            elif _is_reserved(key) or (path == "commonLabels" and key in own):
                message = f"spec.{path}: {key} has no effect, because the operator sets it itself; remove it"
                yield Notice(Component.SERVER, Effect.WARNS, Reason.SETTING_IGNORED, message)


def _common(instance: Instance) -> tuple[dict[str, str], dict[str, str]]:
    """(labels, annotations), without those that would say something to the operator itself."""
    given = (instance.spec.common_labels, instance.spec.common_annotations)
    labels, annotations = (
        {key: item for key, item in each.items() if _is_key(key) and not _is_reserved(key)} for each in given
    )
    return labels, annotations


_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def _is_key(key: str) -> bool:
    """As k8s.io/apimachinery `IsQualifiedName`. One that is none would keep each object from being written."""
    prefix, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or is_name(prefix))


def _is_reserved(key: str) -> bool:
    return key.startswith(f"{names.GROUP}/")


def _added(thing: Mapping[str, Any], labels: Mapping[str, str], annotations: Mapping[str, str]) -> Manifest:
    metadata = dict(thing.get("metadata") or {})
    for key, common in (("labels", labels), ("annotations", annotations)):
        if common:
            metadata[key] = {**common, **(metadata.get(key) or {})}
    return {**thing, "metadata": metadata}
