# SPDX-License-Identifier: Apache-2.0
"""The collection works without the operator's package."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from localcluster.testing import Cluster
from tests.packaging.conftest import ROOT, Environment, new_environment, pinned

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
        "requirements.txt", "requirements.yml", "roles", "watches.yaml",
    }  # fmt: skip


def test_the_archive_says_what_it_needs_in_the_same_words_as_the_operator(collection: Path) -> None:
    with tarfile.open(collection) as archive:
        wanted = archive.extractfile("requirements.txt").read().decode()  # type: ignore[union-attr]
        builder = yaml.safe_load(archive.extractfile("meta/execution-environment.yml"))  # type: ignore[arg-type]
    lines = [line for line in wanted.splitlines() if not line.startswith("#")]
    ours = (ROOT / "requirements" / "runtime.in").read_text(encoding="utf-8").splitlines()

    assert builder == {"version": 1, "dependencies": {"python": "requirements.txt"}}
    assert [re.split("[><=]", line)[0] for line in lines] == ["jsonschema", "kubernetes", "pyyaml"]
    assert set(lines) <= set(ours)


@pytest.mark.parametrize("playbook", ["immich", "uninstall"])
def test_in_an_environment_with_ansible_core_alone_one_sentence_says_what_to_install(
    collection: Path, tmp_path: Path, playbook: str
) -> None:
    alone = new_environment(tmp_path)
    alone.install(*pinned(["ansible-core"]))
    alone.run("ansible-galaxy", "collection", "install", "--offline", "--no-deps", collection)
    (alone.folder / "photos.yaml").write_text(CR, encoding="utf-8")

    status, output = alone.attempt("ansible-playbook", f"media.immich.{playbook}", "-e", "cr=photos.yaml")

    assert status == 2, f"a failed task, not {status} of an exception:\n{output}"
    assert "Traceback" not in output
    assert "which runs Ansible; install it: pip install kubernetes jsonschema pyyaml" in output
    assert "pip install kubernetes jsonschema pyyaml" in (ROOT / "README.md").read_text(encoding="utf-8")


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
