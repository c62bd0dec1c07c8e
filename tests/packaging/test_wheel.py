# SPDX-License-Identifier: Apache-2.0
"""The wheel is the whole operator: package, collection and watches.yaml."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

import immich_operator
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import documents
from tests.packaging.conftest import ROOT, Environment, run

COLLECTION = "ansible_collections/media/immich"
GOLDEN = ROOT / "tests" / "golden" / "minimal"


def installed_collection(environment: Environment) -> Path:
    [folder] = environment.root.glob(f"lib/python3*/site-packages/{COLLECTION}")
    return folder


def test_the_wheel_holds_the_package_and_the_collection_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    top = {name.split("/")[0] for name in names}
    assert top == {"immich_operator", "ansible_collections", f"immich_operator-{immich_operator.__version__}.dist-info"}
    inside = {name.removeprefix(COLLECTION + "/").split("/")[0] for name in names if name.startswith("ansible_")}
    assert inside == {"crds", "galaxy.yml", "meta", "playbooks", "plugins", "roles", "watches.yaml"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_every_requirement_of_the_wheel_is_met_by_the_lock_file(operator_environment: Environment) -> None:
    python = operator_environment.root / "bin" / "python"

    answer = run(sys.executable, "-m", "pip", "--python", python, "check", cwd=operator_environment.folder)

    assert "No broken requirements found." in answer


def test_version_names_what_matters_for_a_bug_report(operator_environment: Environment) -> None:
    answer = operator_environment.run("immich-operator", "version")

    assert answer.startswith(f"immich-operator {immich_operator.__version__} (Python 3.")
    assert "ansible-core 2." in answer


def test_render_works_from_the_wheel_alone(operator_environment: Environment) -> None:
    rendered = operator_environment.run("immich-operator", "render", "--with-credentials", GOLDEN / "cr.yaml")

    def names(text: str) -> list[tuple[str, str]]:
        return [(item["kind"], item["metadata"]["name"]) for item in documents(text)]

    assert names(rendered) == names((GOLDEN / "objects.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", ["observe", "apply", "k8s_status"])
def test_ansible_finds_the_collection_in_the_wheel(operator_environment: Environment, module: str) -> None:
    name = f"media.immich.{module}"

    answer = operator_environment.run("ansible-doc", "--type", "module", "--json", name)

    assert json.loads(answer)[name]["doc"]["short_description"]


def test_the_operator_runs_from_the_wheel_alone_as_far_as_a_cluster(operator_environment: Environment) -> None:
    status, said = operator_environment.attempt("immich-operator", "run", "--kubeconfig=none")

    assert status == 1
    assert str(installed_collection(operator_environment) / "crds") in said
    assert "API server in none: there is no such file" in said, "it looks for a cluster, and lacks nothing else"


def test_the_operator_finds_role_and_kinds_beside_the_installed_watches_file(operator_environment: Environment) -> None:
    code = (
        "from pathlib import Path; from immich_operator.config import watches; "
        "[watch] = watches.load(Path('watches.yaml')); print(watch.kind.kind, watch.role)"
    )
    folder = installed_collection(operator_environment)

    answer = operator_environment.run("python", "-c", code, cwd=folder)

    assert answer.split() == ["Immich", str(folder / "roles" / "immich")]
