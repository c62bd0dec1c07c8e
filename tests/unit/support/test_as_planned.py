# SPDX-License-Identifier: Apache-2.0
"""Tests of load find whatever is not as it was planned."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from immich_operator import collection
from support.as_planned import deviations

CR: dict[str, Any] = {
    "apiVersion": "media.rm3l.org/v1alpha1",
    "kind": "Immich",
    "metadata": {"name": "photos", "namespace": "family"},
    "spec": {"immich": {"configuration": {"oauth": {
        "enabled": True, "clientSecretRef": {"name": "login", "key": "secret"},
    }}}},
}  # fmt: skip
OWNER = {"apiVersion": CR["apiVersion"], "kind": "Immich", "name": "photos", "uid": "7"}


@pytest.fixture
def live() -> dict[str, dict[str, Any]]:
    """{"KIND NAME": object}, all as planned."""
    rendering = collection.rendering()
    completed, _ = rendering.complete(copy.deepcopy(CR))
    plan = rendering.offline_plan(completed, images=DEFAULT_IMAGES, password="1" * 32).as_dict()
    found = {f"{one['kind']} {one['metadata']['name']}": one for one in (step["object"] for step in plan["steps"])}
    for one in found.values():
        if "helm.sh/resource-policy" not in one["metadata"].get("annotations", {}):
            one["metadata"] |= {"ownerReferences": [OWNER]}
        annotations = one.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
        annotations.update({name: "another" for name in annotations if name.endswith("checksum")})
    held = found["Secret photos-immich-config"]["data"]
    for key, value in held.items():
        text = base64.b64decode(value).decode().replace("<key secret of Secret login>", "sesame")
        held[key] = base64.b64encode(text.encode()).decode()
    return {**found, "Immich photos": {**CR, "metadata": {**CR["metadata"], "uid": "7"}}}


def found(live: dict[str, dict[str, Any]], login: str = "sesame") -> list[str]:
    return deviations(CR, live.values(), {"login": login})


def test_nothing_is_found_where_all_is_as_planned(live) -> None:
    assert found(live) == []


def test_a_field_with_another_value_is_found(live) -> None:
    live["Deployment photos-server"]["spec"]["template"]["spec"]["containers"][0]["image"] = "else"

    [sentence] = found(live)
    assert sentence.startswith("Deployment photos-server: spec.template.spec.containers")


def test_an_object_that_is_missing_is_found(live) -> None:
    del live["Service photos-server"]

    assert found(live) == ["Service photos-server is missing"]


def test_an_object_that_is_too_much_is_found_and_the_claim_of_the_database_is_none(live) -> None:
    for kind, name in (("ConfigMap", "photos-immich-config"), ("PersistentVolumeClaim", "data-photos-postgres-0")):
        live[f"{kind} {name}"] = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}

    assert found(live) == ["ConfigMap photos-immich-config is too much"]


def test_a_secret_s_value_of_yesterday_is_found(live) -> None:
    assert found(live, login="changed") == ["Secret photos-immich-config: data.immich-config.yaml"]


def test_an_owner_that_is_gone_is_found(live) -> None:
    live["Deployment photos-server"]["metadata"]["ownerReferences"] = [{**OWNER, "uid": "6"}]

    assert found(live) == ["Deployment photos-server has the owners ['6']"]
