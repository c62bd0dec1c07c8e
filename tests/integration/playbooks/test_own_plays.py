# SPDX-License-Identifier: Apache-2.0
"""The role in somebody's own play: whole or not at all, and never in silence."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from support.operating import ROOT, WRITES, install_crd
from support.plays import PROGRAMS, objects, own_play, run

WORKLOADS = {
    ("Deployment", "photos-server"),
    ("Deployment", "photos-machine-learning"),
    ("Deployment", "photos-valkey"),
    ("StatefulSet", "photos-postgres"),
}
KEPT = {
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
}
LACKS_A_SECRET = {
    "immich": {"configuration": {"oauth": {"enabled": True, "clientSecretRef": {"name": "sso", "key": "s"}}}}
}


def images(made):
    return {
        name: item["spec"]["template"]["spec"]["containers"][0]["image"]
        for (kind, name), item in made.items()
        if kind in ("Deployment", "StatefulSet")
    }


@pytest.mark.every_core
def test_a_name_is_a_whole_instance_with_the_schemas_defaults_and_the_default_images(bare_cluster, tmp_path):
    with bare_cluster.namespace("own") as namespace:
        played = own_play(bare_cluster, tmp_path, {"immich_name": "photos", "immich_namespace": namespace})

        assert played.status == 0, played.output
        made = objects(bare_cluster, namespace)
        assert made.keys() >= WORKLOADS
        assert images(made) == {
            "photos-server": DEFAULT_IMAGES["server"],
            "photos-machine-learning": DEFAULT_IMAGES["machine-learning"],
            "photos-valkey": DEFAULT_IMAGES["valkey"],
            "photos-postgres": DEFAULT_IMAGES["postgres"],
        }
        assert f"Immich {namespace}/photos: not ready" in played.output
        assert "Ready: False (ComponentsNotReady)" in played.output


def test_the_spec_stands_in_the_play_and_images_come_from_play_environment_and_defaults(bare_cluster, tmp_path):
    variables = """\
immich_name: photos
immich_namespace: NAMESPACE
immich_images: {valkey: "{{ 'registry.example.com/' ~ 'valkey:9' }}"}
immich_spec:
  server: {image: "registry.example.com/{{ 'server' }}:1"}
  immich:
    configuration:
      storageTemplate: {enabled: true, template: !unsafe "{{y}}/{{filename}}"}
"""
    with bare_cluster.namespace("own") as namespace:
        played = own_play(
            bare_cluster, tmp_path, variables.replace("NAMESPACE", namespace),
            env={"RELATED_IMAGE_postgres": "registry.example.com/postgres:14", "RELATED_IMAGE_valkey": "not:this"},
        )  # fmt: skip

        assert played.status == 0, played.output
        made = objects(bare_cluster, namespace)
        assert images(made) == {
            "photos-server": "registry.example.com/server:1",
            "photos-machine-learning": DEFAULT_IMAGES["machine-learning"],
            "photos-valkey": "registry.example.com/valkey:9",
            "photos-postgres": "registry.example.com/postgres:14",
        }
        assert "{{y}}/{{filename}}" in made["ConfigMap", "photos-immich-config"]["data"]["immich-config.yaml"]


@pytest.mark.every_core
def test_a_whole_resource_without_defaults_is_completed_and_a_second_run_writes_nothing(bare_cluster, tmp_path):
    with bare_cluster.namespace("own") as namespace:
        cr = {
            "apiVersion": "media.rm3l.org/v1alpha1",
            "kind": "Immich",
            "metadata": {"name": "photos", "namespace": namespace},
            "spec": {
                "postgres": {
                    "enabled": False,
                    "host": "db.example.com",
                    "passwordSecretRef": {"name": "db", "key": "p"},
                }
            },
        }
        bare_cluster.kubectl("create", "secret", "generic", "db", "--from-literal=p=x", "-n", namespace)
        played = own_play(bare_cluster, tmp_path, {"immich_cr": cr})
        mark = bare_cluster.audit.mark()

        again = own_play(bare_cluster, tmp_path, {"immich_cr": cr})

        assert (played.status, again.status) == (0, 0), played.output + again.output
        assert again.counts["changed"] == 0
        entries = bare_cluster.audit.since(mark, user_agent_contains="immich-operator")
        assert [(entry.verb, entry.resource) for entry in entries if entry.verb in WRITES] == []
        assert objects(bare_cluster, namespace).keys() >= WORKLOADS - {("StatefulSet", "photos-postgres")}


@pytest.mark.every_core
def test_where_nothing_carries_a_status_the_play_fails_with_the_conditions_and_the_rest_is_made(bare_cluster, tmp_path):
    with bare_cluster.namespace("own") as namespace:
        played = own_play(
            bare_cluster, tmp_path,
            {"immich_name": "photos", "immich_namespace": namespace, "immich_spec": LACKS_A_SECRET},
        )  # fmt: skip

        assert played.status != 0
        assert f"Immich {namespace}/photos cannot work as it is: " in played.output
        assert "Secret sso" in played.output
        assert ("StatefulSet", "photos-postgres") in objects(bare_cluster, namespace)


def test_absent_takes_all_away_but_the_data_and_says_what_is_kept(bare_cluster, tmp_path):
    with bare_cluster.namespace("own") as namespace:
        variables = {"immich_name": "photos", "immich_namespace": namespace}
        own_play(bare_cluster, tmp_path, variables)
        bare_cluster.api.wait_for("PersistentVolumeClaim", "data-photos-postgres-0", namespace, lambda _: True)

        checked = own_play(bare_cluster, tmp_path, variables | {"immich_state": "absent"}, "--check", "--diff")
        still = objects(bare_cluster, namespace)
        played = own_play(bare_cluster, tmp_path, variables | {"immich_state": "absent"})

        assert checked.status == 0, checked.output
        assert still.keys() >= WORKLOADS
        assert "--- before: Deployment " in checked.output
        assert played.status == 0, played.output
        assert set(objects(bare_cluster, namespace)) == KEPT
        assert "kept in namespace" in played.output
        assert "PersistentVolumeClaim photos-library" in played.output


@pytest.mark.parametrize("way", ["file", "own play"])
def test_the_next_run_repairs_drift_grows_volumes_and_finds_the_data_after_a_removal(bare_cluster, tmp_path, way):
    def run_it(namespace, state, size):
        spec = {"immich": {"persistence": {"library": {"size": size}}}}
        variables = {"immich_name": "photos", "immich_namespace": namespace, "immich_spec": spec, "immich_state": state}
        if way == "own play":
            return own_play(bare_cluster, tmp_path, variables)
        resource = {
            "apiVersion": "media.rm3l.org/v1alpha1",
            "kind": "Immich",
            "metadata": {"name": "photos"},
            "spec": spec,
        }
        (tmp_path / "photos.yaml").write_text(yaml.safe_dump(resource), encoding="utf-8")
        playbook = ROOT / "playbooks" / ("immich.yml" if state == "present" else "uninstall.yml")
        return run(bare_cluster, playbook, "-e", "cr=photos.yaml", "-e", f"immich_namespace={namespace}", cwd=tmp_path)

    with bare_cluster.namespace("again") as namespace:
        run_it(namespace, "present", "10Gi")
        bare_cluster.api.wait_for("PersistentVolumeClaim", "data-photos-postgres-0", namespace, lambda _: True)
        first = objects(bare_cluster, namespace)
        bare_cluster.api.delete("Deployment", "photos-valkey", namespace)
        bare_cluster.api.merge_patch("Service", "photos-server", namespace, {"spec": {"ports": [{"port": 1}]}})

        mended = run_it(namespace, "present", "20Gi")
        second = objects(bare_cluster, namespace)
        removed = run_it(namespace, "absent", "20Gi")
        made_again = run_it(namespace, "present", "20Gi")
        third = objects(bare_cluster, namespace)

    assert [played.status for played in (mended, removed, made_again)] == [0, 0, 0], mended.output + made_again.output
    assert second.keys() == first.keys()
    assert second["Service", "photos-server"]["spec"]["ports"] == first["Service", "photos-server"]["spec"]["ports"]
    library = second["PersistentVolumeClaim", "photos-library"]
    assert library["spec"]["resources"]["requests"]["storage"] == "20Gi"
    for kept in KEPT:
        assert third[kept]["metadata"]["uid"] == first[kept]["metadata"]["uid"]
    credentials = "Secret", "photos-postgres-credentials"
    assert third[credentials]["data"] == first[credentials]["data"]
    assert third.keys() == first.keys()


def test_who_names_an_instance_has_a_play_whatever_else_is_defined(bare_cluster, tmp_path):
    of_a_runtime = '{"_media_rm3l_org_immich": {"metadata": {"name": "other", "namespace": "other"}}}'

    by_a_runtime = own_play(bare_cluster, tmp_path, {}, "--list-tasks", "-e", of_a_runtime).output
    named = own_play(bare_cluster, tmp_path, {"immich_name": "photos"}, "--list-tasks", "-e", of_a_runtime).output
    absent = own_play(
        bare_cluster, tmp_path, {}, "--list-tasks", "-e", of_a_runtime, "-e", "immich_state=absent"
    ).output

    assert "Report what became of it" in by_a_runtime
    assert all("store it where the cluster knows its kind" in output for output in (named, absent))


def test_an_encrypted_file_is_read_with_the_vaults_password(bare_cluster, tmp_path):
    password, file = tmp_path / "password", tmp_path / "photos.yaml"
    password.write_text("open sesame\n", encoding="utf-8")
    file.write_text("kind: Immich\napiVersion: media.rm3l.org/v1alpha1\nmetadata: {name: photos}\n", encoding="utf-8")
    vault = [str(PROGRAMS / "ansible-vault"), "encrypt", "--vault-password-file", str(password), str(file)]
    subprocess.run(vault, check=True, capture_output=True)
    variables = {"immich_file": "photos.yaml", "immich_state": "absent"}

    read = own_play(bare_cluster, tmp_path, variables, "--vault-password-file", str(password))
    closed = own_play(bare_cluster, tmp_path, variables)

    assert (read.status, "kept in namespace default: nothing" in read.output) == (0, True), read.output
    assert closed.status != 0
    assert "photos.yaml: cannot be decrypted: " in closed.output


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param({}, "say which instance: set immich_name, immich_file or immich_cr", id="nothing"),
        pytest.param(
            {"immich_name": "a", "immich_file": "b.yaml"}, "set only one of immich_file and immich_name", id="two-names"
        ),
        pytest.param({"immich_file": "b.yaml"}, "b.yaml: No such file or directory (looked for in ", id="no-file"),
        pytest.param(
            {"immich_name": "a", "immich_spec": {"valkey": {"enabeld": False}}},
            "Immich a: spec.valkey.enabeld: there is no such field. Did you mean spec.valkey.enabled?",
            id="misspelt",
        ),
    ],
)
def test_a_mistake_in_the_variables_is_one_sentence_before_anything_is_sent(
    bare_cluster, tmp_path, variables, sentence
):
    mark = bare_cluster.audit.mark()

    played = own_play(bare_cluster, tmp_path, variables)

    assert played.status != 0
    told = [line for line in played.output.splitlines() if sentence in line]
    assert 1 <= len(told) <= 2, "in the line of the task, and since ansible-core 2.19 in one before it"
    assert bare_cluster.audit.since(mark, user_agent_contains="immich-operator") == []


class TestWithTheKind:
    """Where the cluster knows the kind, the custom resource owns the objects and carries the status."""

    @pytest.fixture(autouse=True)
    def crd(self, cluster):
        install_crd(cluster)

    def test_the_resource_is_applied_first_and_carries_what_is_wrong(self, cluster, namespace, tmp_path):
        variables = {"immich_name": "photos", "immich_namespace": namespace, "immich_spec": LACKS_A_SECRET}
        played = own_play(cluster, tmp_path, variables)

        assert played.status == 0, played.output
        cr = cluster.api.get("Immich", "photos", namespace)
        conditions = {condition["type"]: condition for condition in cr["status"]["conditions"]}
        assert conditions["Degraded"]["status"] == "True"
        assert "Secret sso" in conditions["Degraded"]["message"]
        assert "Degraded: True (" in played.output
        made = objects(cluster, namespace)
        assert made["StatefulSet", "photos-postgres"]["metadata"]["ownerReferences"][0]["uid"] == cr["metadata"]["uid"]
        assert "ownerReferences" not in made["PersistentVolumeClaim", "photos-library"]["metadata"]

    def test_what_the_api_server_refuses_is_reported(self, cluster, namespace, tmp_path):
        def variables(size):
            spec = {"immich": {"persistence": {"library": {"size": size}}}}
            return {"immich_name": "photos", "immich_namespace": namespace, "immich_spec": spec}

        own_play(cluster, tmp_path, variables("20Gi"))

        played = own_play(cluster, tmp_path, variables("10Gi"))

        assert played.status != 0
        assert f"Immich {namespace}/photos" in played.output
        assert "size" in played.output.split("PLAY RECAP")[0].rpartition("msg")[2]

    def test_what_a_pass_was_refused_is_not_waited_for_and_stays_reported(self, cluster, namespace, tmp_path):
        quota = {"hard": {"count/deployments.apps": "0"}}
        metadata = {"name": "none", "namespace": namespace}
        cluster.api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": quota})
        cluster.api.wait_for("ResourceQuota", "none", namespace, lambda found: found.get("status", {}).get("hard"))
        variables = {"immich_name": "photos", "immich_namespace": namespace, "immich_wait": "true"}

        played = own_play(cluster, tmp_path, variables)

        assert played.status != 0
        assert "exceeded quota" in played.output
        assert "is not ready after" not in played.output
        cr = cluster.api.get("Immich", "photos", namespace)
        assert next(c for c in cr["status"]["conditions"] if c["type"] == "Degraded")["status"] == "True"

    def test_it_waits_until_ready_and_stores_the_status_by_then(self, cluster, namespace, tmp_path):
        played = own_play(
            cluster, tmp_path,
            {
                "immich_name": "photos", "immich_namespace": namespace, "immich_wait": True, "immich_wait_timeout": 120,
                "immich_spec": {"server": {"ingress": {
                    "enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}],
                    "ingressClassName": "nginx",
                }}},
            },
        )  # fmt: skip

        assert played.status == 0, played.output
        assert f"Immich {namespace}/photos: ready" in played.output
        assert "URL: http://photos.example.com" in played.output
        cr = cluster.api.get("Immich", "photos", namespace)
        assert cr["status"]["ready"] is True

    def test_an_instance_that_is_not_ready_in_time_fails_the_play_with_its_conditions(
        self, cluster, namespace, tmp_path
    ):
        played = own_play(
            cluster, tmp_path,
            {
                "immich_name": "photos", "immich_namespace": namespace, "immich_spec": LACKS_A_SECRET,
                "immich_wait": True, "immich_wait_timeout": 3,
            },
        )  # fmt: skip

        assert played.status != 0
        assert f"Immich {namespace}/photos is not ready after 3" in played.output
        assert "Secret sso" in played.output
        cr = cluster.api.get("Immich", "photos", namespace)
        assert cr["status"]["ready"] is False
