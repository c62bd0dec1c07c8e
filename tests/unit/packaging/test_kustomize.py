# SPDX-License-Identifier: Apache-2.0
"""config/kustomize knows where an Immich names other objects, and kustomize follows it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.spec.custom_kinds import REFERS
from hack.installer import InstallerError, kubectl
from support.verdicts import CASES, ROOT

SHIPPED = ROOT / "config" / "kustomize"
FOR_OTHERS_ALONE = {"Secret": ["spec/server/ingress/tls/secretName"]}
"""What the operator itself does not read."""


def program() -> str:
    try:
        return kubectl()
    except InstallerError as error:
        pytest.skip(str(error))


def built(folder: Path, *documents: dict[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
    """{kind: object} of what kustomize makes of a folder with the shipped component."""
    shutil.copytree(SHIPPED, folder / "shipped")
    (folder / "mine").mkdir(exist_ok=True)
    path = folder / "mine" / "kustomization.yaml"
    kustomization = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {"resources": []}
    for number, document in enumerate(documents):
        (path.parent / f"{number}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        kustomization["resources"].append(f"{number}.yaml")
    path.write_text(yaml.safe_dump({**kustomization, "components": ["../shipped"], **more}), encoding="utf-8")
    done = subprocess.run(
        [program(), "kustomize", str(path.parent)], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}


@pytest.mark.parametrize("kind", sorted(REFERS["Immich"]))
def test_every_field_with_a_name_is_known(kind):
    shipped = yaml.safe_load((SHIPPED / "immich.yaml").read_text(encoding="utf-8"))["nameReference"]

    [known] = [[field["path"] for field in entry["fieldSpecs"]] for entry in shipped if entry["kind"] == kind]

    paths = [path.replace("[]", "").replace(".", "/") for path in REFERS["Immich"][kind]]
    assert known == [*paths, *FOR_OTHERS_ALONE.get(kind, [])]


def test_45_generated_secrets_keep_their_references(tmp_path):
    shutil.copytree(CASES / "45-kustomize-generator", tmp_path / "mine")

    made = built(tmp_path)

    name = made["Secret"]["metadata"]["name"]
    assert name.startswith("home-db-")
    assert made["Immich"]["spec"]["postgres"]["passwordSecretRef"] == {"name": name, "key": "password"}
    assert made["Immich"]["spec"]["server"]["envFrom"] == [{"secretRef": {"name": name}}]


def test_names_of_claims_classes_and_settings_are_changed_too(tmp_path):
    def named(api_version: str, kind: str) -> dict[str, Any]:
        return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "mine"}}

    immich = {
        **named("media.rm3l.org/v1alpha1", "Immich"),
        "spec": {
            "immich": {"persistence": {"library": {"existingClaim": "mine"}}},
            "postgres": {"persistence": {"storageClass": "mine"}},
            "server": {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "mine", "key": "a"}}}]},
        },
    }
    others = [
        named("v1", "PersistentVolumeClaim"),
        named("storage.k8s.io/v1", "StorageClass"),
        named("v1", "ConfigMap"),
    ]

    spec = built(tmp_path, immich, *others, nameSuffix="-2")["Immich"]["spec"]

    assert spec["immich"]["persistence"]["library"]["existingClaim"] == "mine-2"
    assert spec["postgres"]["persistence"]["storageClass"] == "mine-2"
    assert spec["server"]["env"][0]["valueFrom"]["configMapKeyRef"]["name"] == "mine-2"
