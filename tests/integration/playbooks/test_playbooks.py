# SPDX-License-Identifier: Apache-2.0
"""The role without an operator: one custom resource file, one command, with and without the CRD."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig

import pytest

from support.operating import ROOT, WRITES, install_crd

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


def play(cluster, playbook, file, namespace, *args):
    """(exit status, output, {"ok", "changed", ...}) of ansible-playbook for one custom resource file."""
    command = [
        "ansible-playbook", "-i", "localhost,", str(ROOT / "playbooks" / playbook),
        "-e", f"cr={file}", "-e", f"immich_namespace={namespace}", *args,
    ]  # fmt: skip
    env = {
        **cluster.env,
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{cluster.env['PATH']}",
        "ANSIBLE_FORCE_COLOR": "0",
    }
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    recap = next((line for line in output.splitlines() if line.startswith("localhost") and "ok=" in line), "")
    counts = {key: int(value) for key, value in (pair.split("=") for pair in recap.split() if "=" in pair)}
    return done.returncode, output, counts


def objects(cluster, namespace):
    kinds = "deployment,statefulset,service,configmap,secret,pvc"
    found = json.loads(
        cluster.kubectl("get", kinds, "-n", namespace, "-l", "app.kubernetes.io/instance=photos", "-o", "json")
    )
    return {(item["kind"], item["metadata"]["name"]): item for item in found["items"]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "photos.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_without_the_crd_a_file_becomes_an_instance_and_goes_away_again(bare_cluster, file):
    with bare_cluster.namespace("file") as namespace:
        status, output, counts = play(bare_cluster, "immich.yml", file, namespace)

        assert status == 0, output
        made = objects(bare_cluster, namespace)
        assert ("Deployment", "photos-server") in made
        assert all("ownerReferences" not in item["metadata"] for item in made.values())
        assert "{{ 7 * 7 }}/{{filename}}" in made["ConfigMap", "photos-immich-config"]["data"]["immich-config.yaml"]
        assert "not-for-everybody" not in output

        bare_cluster.kubectl("rollout", "status", "statefulset/photos-postgres", f"--namespace={namespace}")
        status, output, counts = play(bare_cluster, "immich.yml", file, namespace)

        assert (status, counts["changed"]) == (0, 1), (
            "it notes which database the library belongs to, now that there is one"
        )
        mark = bare_cluster.audit.mark()
        status, output, counts = play(bare_cluster, "immich.yml", file, namespace)

        assert (status, counts["changed"]) == (0, 0), output
        entries = bare_cluster.audit.since(mark, user_agent_contains="immich-operator")
        assert [(entry.verb, entry.resource) for entry in entries if entry.verb in WRITES] == []

        status, output, counts = play(bare_cluster, "uninstall.yml", file, namespace)

        assert status == 0, output
        assert set(objects(bare_cluster, namespace)) == KEPT
        assert "kept in namespace" in output
        assert "PersistentVolumeClaim photos-library" in output


def test_with_the_crd_the_file_is_applied_too_and_shows_a_status(bare_cluster, file):
    install_crd(bare_cluster)
    with bare_cluster.namespace("crd") as namespace:
        status, output, _ = play(bare_cluster, "immich.yml", file, namespace)

        assert status == 0, output
        cr = bare_cluster.api.get("Immich", "photos", namespace)
        assert "serverReady" in cr["status"]
        owner = objects(bare_cluster, namespace)["Deployment", "photos-server"]["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["uid"]) == ("Immich", cr["metadata"]["uid"])

        status, output, _ = play(bare_cluster, "uninstall.yml", file, namespace)

        assert status == 0, output
        assert bare_cluster.api.find("Immich", "photos", namespace) is None
        assert set(objects(bare_cluster, namespace)) >= KEPT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(FILE.replace("host: valkey.example.com", "port: 6379"), "spec.valkey.host", id="what-is-missing"),
        pytest.param(FILE.replace("enabled: false", "enabeld: false"), "did you mean", id="misspelt"),
        pytest.param("a: [", "not YAML", id="not-yaml"),
        pytest.param("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "Secret x", id="another-kind"),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_the_path_before_anything_is_sent(bare_cluster, file, text, message):
    file.write_text(text, encoding="utf-8")
    mark = bare_cluster.audit.mark()

    status, output, _ = play(bare_cluster, "immich.yml", file, "default")

    assert status != 0
    assert message.lower() in output.lower()
    assert bare_cluster.audit.since(mark, user_agent_contains="immich-operator") == []
