# SPDX-License-Identifier: Apache-2.0
"""Which other objects are read and watched for an instance."""

from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components import registry
from ansible_collections.media.immich.plugins.plugin_utils.kube import kinds
from ansible_collections.media.immich.plugins.plugin_utils.spec.custom_kinds import REFERS
from ansible_collections.media.immich.plugins.plugin_utils.spec.references import NAMES, references
from hack.crd import sources
from support.instances import a_cr

WATCHES = Path(__file__).resolve().parents[4] / "watches.yaml"
ALWAYS = [
    ("Secret", "photos-postgres-credentials"),
    ("Secret", "photos-checksum-key"),
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
]


def named(cr):
    return [(reference["kind"], reference["name"]) for reference in references(cr)]


def nested(path, value):
    """A custom resource with a value at a path of REFERS."""
    *keys, last = path.split(".")
    result = {last.removesuffix("[]"): [value] if last.endswith("[]") else value}
    for key in reversed(keys):
        result = {key.removesuffix("[]"): [result] if key.endswith("[]") else result}
    return {"metadata": {"name": "photos"}, **result}


def test_what_outlives_an_instance_or_must_not_be_made_twice_is_always_read_by_name():
    assert named(a_cr()) == ALWAYS


ALL_PATHS = [(kind, path) for kind, paths in REFERS["Immich"].items() for path in paths]


@pytest.mark.parametrize(("kind", "path"), [pytest.param(*entry, id=entry[1]) for entry in ALL_PATHS])
def test_every_path_leads_to_a_reference(kind, path):
    cr = nested(path, "theirs")

    assert named(cr) == [*ALWAYS, (kind, "theirs")]


def test_api_versions_fit_the_kinds():
    cr = a_cr(
        {"immich": {"persistence": {"library": {"storageClass": "fast"}}}, "imagePullSecrets": [{"name": "registry"}]}
    )

    assert {reference["kind"]: reference["apiVersion"] for reference in references(cr)} == {
        "Secret": "v1",
        "PersistentVolumeClaim": "v1",
        "StorageClass": "storage.k8s.io/v1",
    }


def test_an_object_named_twice_is_read_once():
    source = {"secretKeyRef": {"name": "shared", "key": "a"}}
    env = [{"name": "A", "valueFrom": source}, {"name": "B", "valueFrom": source}]

    cr = a_cr({"server": {"env": env, "envFrom": [{"secretRef": {"name": "shared"}}]}, "machineLearning": {"env": env}})

    assert named(cr) == [*ALWAYS, ("Secret", "shared")]


def test_empty_names_are_not_read():
    assert named(a_cr({"immich": {"persistence": {"library": {"existingClaim": "", "storageClass": ""}}}})) == ALWAYS


def test_every_name_of_an_object_in_the_spec_is_read_but_those_that_only_others_read():
    """`objectName` in a source without `refers` would be a Secret whose change nobody notices."""

    def of_objects(node, path=""):
        if node.get("use") == "objectName":
            yield path, node.get("refers")
        for name, child in node.get("properties", {}).items():
            yield from of_objects(child, f"{path}.{name}")
        if "items" in node:
            yield from of_objects(node["items"], f"{path}[]")

    parts = [part for source in sources.all_of_them() for part in (source.schema, *source.shared.values())]
    fields = [field for part in parts for field in of_objects(part)]

    assert [path for path, refers in fields if not refers] == [
        ".spec.immich.externalLibraries[].csi.nodePublishSecretRef.name",
        ".spec.server.ingress.tls[].secretName",
    ]


def test_the_loop_watches_what_passes_read():
    watch = next(entry for entry in yaml.safe_load(WATCHES.read_text(encoding="utf-8")) if entry["kind"] == "Immich")
    in_the_namespace = {kind: paths for kind, paths in REFERS["Immich"].items() if kinds.named(kind).namespaced}
    assert {entry["kind"]: entry["paths"] for entry in watch["references"]} == in_the_namespace
    assert {entry["apiVersion"] for entry in watch["references"]} == {"v1"}
    assert {entry["kind"]: entry["names"] for entry in watch["references"] if "names" in entry} == {
        kind: [name_of("{name}") for name_of in functions] for kind, functions in NAMES.items()
    }


def test_each_claim_that_outlives_the_instance_is_read_by_its_name():
    outliving = {claim.made for claim in registry.claims().values() if claim.outlives}

    assert outliving == set(NAMES["PersistentVolumeClaim"])
