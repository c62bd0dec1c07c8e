# SPDX-License-Identifier: Apache-2.0
"""Whether the objects of an instance are those that `immich-operator render` prints for it, field by field."""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.kube.difference import differing_fields, needs_apply
from immich_operator import collection

__all__ = ["OWN_KINDS", "deviations"]

OWN_KINDS = (
    "Deployment", "StatefulSet", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim", "Ingress",
)  # fmt: skip
_KEPT = "helm.sh/resource-policy"
"""An annotation of what outlives its instance."""
_CHECKSUMS = re.compile(r"media\.rm3l\.org/.*checksum")
"""Annotations of pods that are made with a random key, so nobody can know them without it."""


def deviations(cr: Mapping[str, Any], live: Iterable[Mapping[str, Any]], secrets: Mapping[str, str]) -> list[str]:
    """What is missing, differs or is too much, as sentences.

    Args:
        cr: as somebody has written it.
        live: the objects with the label of the instance, of `OWN_KINDS`; the stored custom resource too.
        secrets: {name of a Secret: the value that a setting names}.
    """
    rendering = collection.rendering()
    completed, problems = rendering.complete(copy.deepcopy(cr))
    assert not problems, problems
    plan = rendering.offline_plan(completed, images=DEFAULT_IMAGES, password="0" * 32)
    there = {(one["kind"], one["metadata"]["name"]): one for one in live}
    uid = there.pop((cr["kind"], cr["metadata"]["name"]))["metadata"]["uid"]
    found, planned = [], set()
    for step in plan.as_dict()["steps"]:
        wanted = step["object"]
        key = wanted["kind"], wanted["metadata"]["name"]
        planned.add(key)
        if (one := there.get(key)) is None:
            found.append(f"{' '.join(key)} is missing")
            continue
        owners = [owner["uid"] for owner in one["metadata"].get("ownerReferences", ())]
        if owners != ([] if _KEPT in wanted["metadata"].get("annotations", {}) else [uid]):
            found.append(f"{' '.join(key)} has the owners {owners}")
        if step["verb"] == "create":
            if sorted(one.get("data") or {}) != sorted(wanted["data"]):
                found.append(f"{' '.join(key)} has the keys {sorted(one.get('data') or {})}")
        else:
            found += _compared(_with_what_only_a_cluster_knows(wanted, one, secrets), one)
    return found + [f"{' '.join(key)} is too much" for key in there.keys() - planned if not _is_of_a_template(key)]


def _compared(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    title = f"{wanted['kind']} {wanted['metadata']['name']}"
    if different := differing_fields(wanted, live):
        return [f"{title}: {', '.join(different)}"]
    # Not of claims, which are created once and bear notes of later passes.
    if wanted["kind"] != "PersistentVolumeClaim" and needs_apply(wanted, live):
        return [f"{title} has fields of ours that are not planned"]
    return []


def _with_what_only_a_cluster_knows(
    wanted: Mapping[str, Any], live: Mapping[str, Any], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """The owners, the checksums, and what Secrets hold."""
    made = _with_values(wanted, live, secrets)
    if owners := live["metadata"].get("ownerReferences"):
        made["metadata"]["ownerReferences"] = owners
    annotations = made.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    of_live = live.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    for name in filter(_CHECKSUMS.fullmatch, annotations):
        annotations[name] = of_live.get(name)
    return made


def _with_values(wanted: Mapping[str, Any], live: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """How a value is written may depend on it, so what is stored counts if it means the same."""
    made = copy.deepcopy(dict(wanted))
    for key, value in made.get("data", {}).items() if made["kind"] == "Secret" else ():
        stored = (live.get("data") or {}).get(key, "")
        if _meaning(value, secrets) == _meaning(stored, {}):
            made["data"][key] = stored
    return made


def _meaning(encoded: str, secrets: Mapping[str, str]) -> Any:
    return _filled_in(yaml.safe_load(base64.b64decode(encoded)), secrets)


def _filled_in(value: Any, secrets: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _filled_in(item, secrets) for key, item in value.items()}
        case list():
            return [_filled_in(item, secrets) for item in value]
        case str() if secrets:
            return re.sub(r"<key \S+ of Secret (\S+)>", lambda match: secrets[match[1]], value)
    return value


def _is_of_a_template(key: tuple[str, str]) -> bool:
    """A claim that the StatefulSet of the database makes."""
    return key[0] == "PersistentVolumeClaim" and key[1].startswith("data-")
