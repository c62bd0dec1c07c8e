# SPDX-License-Identifier: Apache-2.0
"""The OLM bundle says what config/ and crds/ say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components import images
from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from hack.bundle import generate
from hack.crd import sources


@pytest.fixture(scope="module")
def csv() -> dict[str, Any]:
    return generate.cluster_service_version()


def rules_in(name: str) -> list[dict[str, Any]]:
    text = (generate.CONFIG / "rbac" / f"{name}.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load(text)["rules"])


def deployed(csv: dict[str, Any]) -> dict[str, Any]:
    [deployment] = csv["spec"]["install"]["spec"]["deployments"]
    return dict(deployment)


def test_the_rights_are_those_of_config_rbac(csv: dict[str, Any]) -> None:
    install = csv["spec"]["install"]["spec"]

    [namespaced], [cluster] = install["permissions"], install["clusterPermissions"]

    assert namespaced["rules"] == rules_in("manager_role") + rules_in("leader_election_role")
    assert cluster["rules"] == rules_in("cluster/storage_class_reader_role")
    accounts = {namespaced["serviceAccountName"], cluster["serviceAccountName"]}
    assert accounts == {deployed(csv)["spec"]["template"]["spec"]["serviceAccountName"]}


def test_every_image_that_may_be_pulled_is_related(csv: dict[str, Any]) -> None:
    related = {entry["image"] for entry in csv["spec"]["relatedImages"]}
    [container] = deployed(csv)["spec"]["template"]["spec"]["containers"]

    assert related == {container["image"], *images.DEFAULT_IMAGES.values()}


def test_the_operator_watches_the_namespaces_of_its_operator_group(csv: dict[str, Any]) -> None:
    [container] = deployed(csv)["spec"]["template"]["spec"]["containers"]

    [source] = [entry["valueFrom"] for entry in container["env"] if entry["name"] == "WATCH_NAMESPACE"]

    assert source == {"fieldRef": {"fieldPath": "metadata.annotations['olm.targetNamespaces']"}}


def test_each_example_is_a_custom_resource_that_the_api_accepts(csv: dict[str, Any]) -> None:
    examples = json.loads(csv["metadata"]["annotations"]["alm-examples"])

    problems = {example["metadata"]["name"]: crd.complete(example)[1] for example in examples}

    assert {example["kind"] for example in examples} == {source.kind for source in sources.all_of_them()}
    assert set(map(str, problems.values())) == {"[]"}


def test_the_described_fields_exist(csv: dict[str, Any]) -> None:
    owned = csv["spec"]["customresourcedefinitions"]["owned"][0]
    top = crd.open_api_schema()["properties"]

    for part, descriptors in (("spec", owned["specDescriptors"]), ("status", owned["statusDescriptors"])):
        for descriptor in descriptors:
            node = top[part]
            for key in descriptor["path"].split("."):
                node = node["properties"][key]


@pytest.mark.parametrize("file", [file for file in generate.files() if file.parent.name == "manifests"], ids=str)
def test_a_manifest_is_the_first_document_of_its_file_which_is_all_that_olm_reads(file: Path) -> None:
    text = generate.files()[file]

    first = next(iter(text.split("\n---")))

    [document] = crd.documents(first)
    assert document["kind"]
