# SPDX-License-Identifier: Apache-2.0
"""The collection works without the operator's package."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from localcluster.testing import Cluster
from tests.packaging.conftest import Environment

CR = """\
apiVersion: media.rm3l.org/v1alpha1
kind: Immich
metadata:
  name: photos
"""


def test_the_collection_holds_what_ansible_uses_and_nothing_else(collection: Path) -> None:
    with tarfile.open(collection) as archive:
        top = {name.split("/")[0] for name in archive.getnames()}

    assert top == {
        "CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "crds", "meta", "playbooks", "plugins",
        "requirements.yml", "roles", "watches.yaml",
    }  # fmt: skip


def test_nothing_of_the_operator_is_there(collection_environment: Environment) -> None:
    answer = collection_environment.run(
        "python",
        "-c",
        "import importlib.util as u; print([n for n in ('immich_operator', 'ansible_runner') if u.find_spec(n)])",
    )

    assert answer.strip() == "[]"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("module", "observe", id="observe"),
        pytest.param("module", "apply", id="apply"),
        pytest.param("module", "k8s_status", id="k8s_status"),
        pytest.param("filter", "plan", id="plan"),
        pytest.param("filter", "custom_resource", id="custom_resource"),
        pytest.param("role", "immich", id="role"),
    ],
)
def test_everything_is_documented_where_users_look(collection_environment: Environment, kind: str, name: str) -> None:
    answer = collection_environment.run("ansible-doc", "--type", kind, "--json", f"media.immich.{name}")

    assert f"media.immich.{name}" in json.loads(answer)


def test_a_playbook_of_the_collection_makes_an_instance(
    collection_environment: Environment, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    cr = tmp_path / "photos.yaml"
    cr.write_text(CR, encoding="utf-8")

    collection_environment.run(
        "ansible-playbook", "media.immich.immich", "-e", f"cr={cr}", "-e", f"immich_namespace={namespace}",
        env=cluster.local.environment(),
    )  # fmt: skip

    deployments = json.loads(cluster.kubectl("get", "deployments", "-n", namespace, "-o", "json"))["items"]
    assert {item["metadata"]["name"] for item in deployments} == {
        "photos-server", "photos-machine-learning", "photos-valkey",
    }  # fmt: skip
