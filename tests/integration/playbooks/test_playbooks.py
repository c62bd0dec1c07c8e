# SPDX-License-Identifier: Apache-2.0
"""The role without an operator: one custom resource file, one command, with and without the CRD."""

from __future__ import annotations

import pytest
import yaml

from support.operating import ROOT, WRITES, install_crd
from support.plays import objects, run

pytestmark = pytest.mark.every_core

FILE = """\
apiVersion: media.rm3l.org/v1alpha1
kind: Immich
metadata:
  name: photos
spec:
  immich:
    configuration:
      storageTemplate:
        template: "{{ 7 * 7 }}/{{filename}}"
  valkey:
    enabled: false
    host: valkey.example.com
    password: not-for-everybody
"""
KEPT = {
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
}


def play(cluster, playbook, file, namespace, *args, cwd=ROOT, env=None):
    """A playbook of the collection for one custom resource file."""
    args = ("-e", f"cr={file}", "-e", f"immich_namespace={namespace}", *args)
    return run(cluster, ROOT / "playbooks" / playbook, *args, cwd=cwd, env=env)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "photos.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_without_the_crd_a_file_becomes_an_instance_and_goes_away_again(bare_cluster, file):
    with bare_cluster.namespace("file") as namespace:
        played = play(bare_cluster, "immich.yml", file, namespace)

        assert played.status == 0, played.output
        made = objects(bare_cluster, namespace)
        assert ("Deployment", "photos-server") in made
        assert all("ownerReferences" not in item["metadata"] for item in made.values())
        assert "{{ 7 * 7 }}/{{filename}}" in made["ConfigMap", "photos-immich-config"]["data"]["immich-config.yaml"]
        assert "not-for-everybody" not in played.output

        bare_cluster.kubectl("rollout", "status", "statefulset/photos-postgres", f"--namespace={namespace}")
        played = play(bare_cluster, "immich.yml", file, namespace)

        assert (played.status, played.counts["changed"]) == (0, 1), (
            "it notes which database the library belongs to, now that there is one"
        )
        mark = bare_cluster.audit.mark()
        played = play(bare_cluster, "immich.yml", file, namespace)

        assert (played.status, played.counts["changed"]) == (0, 0), played.output
        entries = bare_cluster.audit.since(mark, user_agent_contains="immich-operator")
        assert [(entry.verb, entry.resource) for entry in entries if entry.verb in WRITES] == []

        played = play(bare_cluster, "uninstall.yml", file, namespace)

        assert played.status == 0, played.output
        assert set(objects(bare_cluster, namespace)) == KEPT
        assert "kept in namespace" in played.output
        assert "PersistentVolumeClaim photos-library" in played.output


def test_a_kubeconfig_that_checks_no_certificate_works_without_a_word(bare_cluster, file, tmp_path):
    config = yaml.safe_load(bare_cluster.kubeconfig.read_text(encoding="utf-8"))
    for entry in config["clusters"]:
        entry["cluster"].pop("certificate-authority-data", None)
        entry["cluster"].pop("certificate-authority", None)
        entry["cluster"]["insecure-skip-tls-verify"] = True
    insecure = tmp_path / "insecure"
    insecure.write_text(yaml.safe_dump(config), encoding="utf-8")

    played = play(bare_cluster, "immich.yml", file, "default", "--check", env={"KUBECONFIG": str(insecure)})

    assert played.status == 0, played.output
    assert "InsecureRequestWarning" not in played.output


def test_a_relative_file_is_looked_for_in_the_current_folder(bare_cluster, file):
    with bare_cluster.namespace("relative") as namespace:
        played = play(bare_cluster, "immich.yml", file.name, namespace, cwd=file.parent)

        assert played.status == 0, played.output
        assert ("Deployment", "photos-server") in objects(bare_cluster, namespace)
        assert f"Immich {namespace}/photos: not ready" in played.output


@pytest.fixture
def crd(bare_cluster):
    """For one test; the others are without it."""
    install_crd(bare_cluster)
    yield
    bare_cluster.api.delete("CustomResourceDefinition", "immiches.media.rm3l.org", wait=True)


def test_with_the_crd_the_file_is_applied_too_and_shows_a_status(bare_cluster, crd, file):
    with bare_cluster.namespace("crd") as namespace:
        played = play(bare_cluster, "immich.yml", file, namespace)

        assert played.status == 0, played.output
        cr = bare_cluster.api.get("Immich", "photos", namespace)
        assert "serverReady" in cr["status"]
        owner = objects(bare_cluster, namespace)["Deployment", "photos-server"]["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["uid"]) == ("Immich", cr["metadata"]["uid"])

        played = play(bare_cluster, "uninstall.yml", file, namespace)

        assert played.status == 0, played.output
        assert bare_cluster.api.find("Immich", "photos", namespace) is None
        assert set(objects(bare_cluster, namespace)) >= KEPT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(FILE.replace("host: valkey.example.com", "port: 6379"), "spec.valkey.host", id="what-is-missing"),
        pytest.param(FILE.replace("enabled: false", "enabeld: false"), "did you mean", id="misspelt"),
        pytest.param("a: [", "not YAML", id="not-yaml"),
        pytest.param("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "Secret x", id="another-kind"),
        pytest.param(f"{FILE}\nx: &x [*x]\n", "an alias to what it is in never ends", id="an-alias-to-itself"),
        pytest.param(
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
            "more than 500,000 values",
            id="aliases-to-aliases",
        ),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_the_path_before_anything_is_sent(bare_cluster, file, text, message):
    file.write_text(text, encoding="utf-8")
    mark = bare_cluster.audit.mark()

    played = play(bare_cluster, "immich.yml", file, "default")

    assert played.status != 0
    told = [line for line in played.output.splitlines() if message.lower() in line.lower()]
    assert 1 <= len(told) <= 2, "in the line of the task, and since ansible-core 2.19 in one before it"
    assert str(file) in told[0] or "Immich photos" in told[0]
    assert bare_cluster.audit.since(mark, user_agent_contains="immich-operator") == []
