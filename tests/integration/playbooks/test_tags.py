# SPDX-License-Identifier: Apache-2.0
"""A play applies an instance component by component: it says which one changed, and tags choose some."""

from __future__ import annotations

import re

import pytest
import yaml

from support.operating import ROOT, install_crd
from support.plays import Played, objects, run

CHECKED = {"check": ("--check", "--diff"), "run": ("--diff",)}
COMPONENTS = (
    "Keeping of data", "Custom resource", "Library", "Settings", "PostgreSQL", "Valkey", "Machine learning", "Server",
    "Ingress and Route", "Clean-up of what is switched off",
)  # fmt: skip
QUEUES_ELSEWHERE = {"enabled": False, "host": "valkey.example.com"}
INGRESS = {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}


def changed(played: Played) -> list[str]:
    """The components whose tasks have changed something, in their order."""
    found = re.findall(
        r"^TASK \[media\.immich\.immich : (.+?)\] \*+\n(?:.*\n)*?(\w+): \[localhost\]", played.output, re.M
    )
    return [name for name, status in found if status == "changed" and name in COMPONENTS]


def shown(played: Played) -> list[str]:
    """Whose differences are shown: "Deployment photos-server (server)"."""
    titles = re.findall(r"^--- before: (\S+) \S+/(\S+ \(\S+\))$", played.output, re.M)
    return [" ".join(title) for title in titles]


def content(item):
    return item.get("spec"), item.get("data")


class Instance:
    """An instance that is kept up by a playbook and its file."""

    def __init__(self, cluster, namespace, folder):
        self.cluster, self.namespace, self._file = cluster, namespace, folder / "photos.yaml"

    def play(self, spec, *args, playbook="immich.yml"):
        cr = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos"}, "spec": spec}
        self._file.write_text(yaml.safe_dump(cr), encoding="utf-8")
        args = ("-e", f"cr={self._file}", "-e", f"immich_namespace={self.namespace}", *args)
        return run(self.cluster, ROOT / "playbooks" / playbook, *args)

    def objects(self):
        return objects(self.cluster, self.namespace)

    def status(self):
        return self.cluster.api.get("Immich", "photos", self.namespace).get("status")


@pytest.fixture
def instance(cluster, namespace, tmp_path):
    install_crd(cluster)
    return Instance(cluster, namespace, tmp_path)


def test_a_play_says_which_component_changed_and_shows_the_differences_of_each(instance):
    first = [instance.play({"server": {"ingress": INGRESS}}, *args) for args in CHECKED.values()]
    instance.cluster.kubectl("rollout", "status", "statefulset/photos-postgres", "-n", instance.namespace)
    instance.play({"server": {"ingress": INGRESS}})
    after = {"immich": {"configuration": {"trash": {"days": 7}}}, "valkey": QUEUES_ELSEWHERE}
    edited = [instance.play(after, *args) for args in CHECKED.values()]
    again = instance.play(after, "--diff")

    assert [played.status for played in (*first, *edited, again)] == [0] * 5, again.output
    made = ["Library", "Settings", "PostgreSQL", "Valkey", "Machine learning", "Server", "Ingress and Route"]
    assert [changed(played) for played in first] == [made, made]
    assert [changed(played) for played in edited] == [
        ["Settings", "Server", "Clean-up of what is switched off"],
        ["Settings", "Server", "Clean-up of what is switched off"],
    ]
    assert shown(edited[0]) == shown(edited[1])
    assert shown(edited[1])[:2] == ["ConfigMap photos-immich-config (config)", "Deployment photos-server (server)"]
    assert {title.rpartition(" ")[2] for title in shown(edited[1])[2:]} == {"(clean-up)"}
    assert (changed(again), shown(again)) == ([], [])


@pytest.mark.every_core
def test_a_tag_applies_one_component_and_the_status_tells_nothing_new(instance):
    instance.play({})
    before, status = instance.objects(), instance.status()
    spec = {"server": {"env": [{"name": "TZ", "value": "UTC"}]}, "immich": {"configuration": {"trash": {"days": 7}}}}

    checked, played = (instance.play(spec, "--tags", "server", *args) for args in CHECKED.values())
    after = instance.objects()

    assert (checked.status, played.status) == (0, 0), checked.output + played.output
    assert changed(checked) == changed(played) == ["Server"]
    assert shown(checked) == shown(played) == ["Deployment photos-server (server)"]
    written = {key for key, item in after.items() if content(item) != content(before[key])}
    assert written == {("Deployment", "photos-server")}
    assert "days" not in str(after["ConfigMap", "photos-immich-config"]["data"])
    assert instance.status() == status
    assert "only a part was chosen; left out: library, config, " in played.output
    assert "photos: not ready" not in played.output

    whole = instance.play(spec)

    assert "Settings" in changed(whole)
    assert instance.status()["observedGeneration"] == status["observedGeneration"] + 1


def test_what_is_switched_off_goes_with_its_tag_once_the_server_does_without_it(instance):
    instance.play({})

    alone = instance.play({"valkey": QUEUES_ELSEWHERE}, "--tags", "valkey")
    still = instance.objects()
    both = instance.play({"valkey": QUEUES_ELSEWHERE}, "--tags", "valkey,server")

    assert (changed(alone), changed(both)) == ([], ["Server", "Clean-up of what is switched off"])
    assert "clean-up" in alone.output.partition("left out: ")[2]
    assert ("Deployment", "photos-valkey") in still
    assert ("Deployment", "photos-valkey") not in instance.objects()


def test_a_component_that_was_chosen_and_cannot_work_fails_the_play_although_no_status_is_written(instance):
    spec = {"immich": {"configuration": {"oauth": {"clientSecretRef": {"name": "sso", "key": "s"}}}}}
    instance.play({})

    server = instance.play(spec, "--tags", "server")
    postgres = instance.play(spec, "--tags", "postgres")

    assert (server.status == 0, postgres.status) == (False, 0)
    assert f"Immich {instance.namespace}/photos cannot work as it is: Secret sso" in server.output


def test_a_component_that_is_refused_does_not_hold_up_the_others(instance):
    quota = {"hard": {"count/statefulsets.apps": "0"}}
    metadata = {"name": "none", "namespace": instance.namespace}
    instance.cluster.api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": quota})
    instance.cluster.api.wait_for(
        "ResourceQuota", "none", instance.namespace, lambda found: found.get("status", {}).get("hard")
    )

    played = instance.play({})

    assert played.status != 0
    assert "exceeded quota" in played.output.partition("Fail when it cannot work")[2]
    assert changed(played)[-3:] == ["Valkey", "Machine learning", "Server"]
    assert ("Deployment", "photos-server") in instance.objects()


def test_a_removal_takes_the_component_of_a_tag_and_leaves_the_rest_with_the_resource(instance):
    instance.play({})

    checked, played = (
        instance.play({}, "--tags", "machine-learning", *args, playbook="uninstall.yml") for args in CHECKED.values()
    )
    after = instance.objects()
    whole = instance.play({}, playbook="uninstall.yml")

    assert [one.status for one in (checked, played, whole)] == [0, 0, 0], played.output + whole.output
    assert changed(checked) == changed(played) == ["Machine learning"]
    assert shown(checked) == shown(played)
    assert ("Deployment", "photos-machine-learning") not in after
    assert ("Deployment", "photos-server") in after
    assert "left out: custom-resource, " in played.output
    assert instance.cluster.api.find("Immich", "photos", instance.namespace) is None
    assert "kept in namespace" in whole.output


def test_who_leaves_out_a_component_of_a_removal_keeps_the_resource_that_owns_it(instance):
    instance.play({})

    played = instance.play({}, "--skip-tags", "server", playbook="uninstall.yml")

    assert played.status == 0, played.output
    assert instance.cluster.api.find("Immich", "photos", instance.namespace) is not None
    assert ("Deployment", "photos-server") in instance.objects()
    assert ("Deployment", "photos-valkey") not in instance.objects()
    assert "The custom resource stays, because everything that it owns goes with it" in played.output


def test_a_tag_of_somebodys_own_play_that_is_skipped_leaves_nothing_of_the_instance_out(instance):
    instance.play({})

    again = instance.play({}, "--skip-tags", "backup")
    played = instance.play({}, "--skip-tags", "backup", playbook="uninstall.yml")

    assert (again.status, played.status) == (0, 0), again.output + played.output
    assert "left out" not in again.output + played.output
    assert instance.cluster.api.find("Immich", "photos", instance.namespace) is None


def test_a_part_shows_no_secret_either(instance):
    spec = {"valkey": {**QUEUES_ELSEWHERE, "password": "hunter2"}}
    instance.play(spec)
    spec["valkey"]["password"] = "hunter3"

    played = [instance.play(spec, "--tags", "valkey,server", "-vvv", *args) for args in CHECKED.values()]

    assert [one.status for one in played] == [0, 0]
    for one in played:
        assert "Secret photos-valkey-credentials (valkey)" in shown(one)
        assert [secret for secret in ("hunter2", "hunter3") if secret in one.output] == []


OWN_PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Run Immich
      ansible.builtin.import_role: {name: media.immich.immich}
      vars: {immich_name: photos}
      tags: photos
"""


def test_a_tag_of_the_role_in_somebodys_own_play_chooses_the_whole(cluster, instance, tmp_path):
    playbook = tmp_path / "own.yml"
    playbook.write_text(OWN_PLAY, encoding="utf-8")

    played = run(cluster, playbook, "-e", f"immich_namespace={instance.namespace}", "--tags", "photos")

    assert played.status == 0, played.output
    assert "left out" not in played.output
    assert ("Deployment", "photos-server") in instance.objects()
    assert instance.status()["observedGeneration"] == 1
