# SPDX-License-Identifier: Apache-2.0
"""What check mode announces is what the run then does, judged by the file in hand, and it shows no secret."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
from ansible_collections.media.immich.plugins.plugin_utils.kube.applying import apply_steps
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import Transport, connect
from ansible_collections.media.immich.plugins.plugin_utils.passes import planning
from ansible_collections.media.immich.plugins.plugin_utils.passes.observation import observe
from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from support.operating import ROOT, WRITES, install_crd
from support.plays import objects, own_play, run

AT_REST_WITHIN_S = 60.0
EXTERNAL_DATABASE = {"enabled": False, "host": "db.example.com", "passwordSecretRef": {"name": "db", "key": "p"}}
EXTERNAL_QUEUES = {"enabled": False, "host": "valkey.example.com"}
SMTP = {"notifications": {"smtp": {"transport": {"passwordSecretRef": {"name": "mail", "key": "p"}}}}}
INGRESS = {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}


def library(**settings: Any) -> dict[str, Any]:
    return {"immich": {"persistence": {"library": settings}}}


EDITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "another-image": ({}, {"server": {"image": "registry.example.com/server:2"}}),
    "more-replicas": ({}, {"server": {"replicas": 3}}),
    "no-replicas": ({}, {"server": {"replicas": 0}}),
    "a-variable": ({}, {"server": {"env": [{"name": "TZ", "value": "UTC"}]}}),
    "another-value": (
        {"server": {"env": [{"name": "TZ", "value": "UTC"}]}}, {"server": {"env": [{"name": "TZ", "value": "CET"}]}}
    ),
    "no-variable": ({"server": {"env": [{"name": "TZ", "value": "UTC"}]}}, {}),
    "recreate-to-rolling": ({}, library(accessModes=["ReadWriteMany"], existingClaim="other")),
    "rolling-to-recreate": (library(accessModes=["ReadWriteMany"]), library(existingClaim="other")),
    "growth-of-the-library": (library(size="10Gi"), library(size="20Gi")),
    "growth-of-the-database": ({}, {"postgres": {"persistence": {"size": "100Gi"}}}),
    "refused-shrinking": (library(size="20Gi"), library(size="10Gi")),
    "machine-learning-off": ({}, {"machineLearning": {"enabled": False}}),
    "machine-learning-on": ({"machineLearning": {"enabled": False}}, {}),
    "no-cache": ({}, {"machineLearning": {"persistence": {"enabled": False}}}),
    "server-off": ({}, {"server": {"enabled": False}}),
    "server-on": ({"server": {"enabled": False}}, {}),
    "queues-that-last": ({}, {"valkey": {"persistence": {"enabled": True}}}),
    "queues-elsewhere": ({}, {"valkey": EXTERNAL_QUEUES}),
    "queues-with-a-password": ({}, {"valkey": {**EXTERNAL_QUEUES, "password": "hunter2"}}),
    "another-password": (
        {"valkey": {**EXTERNAL_QUEUES, "password": "hunter2"}}, {"valkey": {**EXTERNAL_QUEUES, "password": "hunter3"}}
    ),
    "database-elsewhere": ({}, {"postgres": EXTERNAL_DATABASE}),
    "database-here": ({"postgres": EXTERNAL_DATABASE}, {}),
    "settings": ({}, {"immich": {"configuration": {"trash": {"days": 7}}}}),
    "settings-in-a-secret": ({}, {"immich": {"configurationKind": "Secret"}}),
    "no-settings": ({}, {"immich": {"configurationKind": "None"}}),
    "settings-with-a-password": ({}, {"immich": {"configuration": SMTP}}),
    "a-secret-that-is-missing": (
        {}, {"immich": {"configuration": {"oauth": {"clientSecretRef": {"name": "none", "key": "s"}}}}}
    ),
    "a-claim-that-is-missing": ({}, library(existingClaim="none")),
    "an-address": ({}, {"server": {"ingress": INGRESS}}),
    "no-address": ({"server": {"ingress": INGRESS}}, {}),
    "metrics": ({}, {"immich": {"metrics": {"enabled": True}}}),
    "service-links": ({}, {"server": {"podAnnotations": {"a": "b"}, "nodeSelector": {"disk": "fast"}}}),
}  # fmt: skip
"""{what the edit is: (spec before, spec after)}"""


@pytest.fixture(scope="module")
def transport(cluster) -> Iterator[Transport]:
    install_crd(cluster)
    with connect(ConnectionSettings(kubeconfig=str(cluster.kubeconfig)), {}) as transport:
        yield transport


def told_by(transport: Transport, cr: dict[str, Any], *, check: bool) -> list[str]:
    """What a run of the role for a file changes and what is refused: the calls of its actions, without Ansible around."""
    stored = ApiObjects(transport, dry_run=check, field_manager="ansible-playbook")
    [resource] = apply_steps(
        [{"verb": "apply", "object": cr}], None,
        objects_for=lambda _: stored, in_parallel=transport.parallel, field_manager="ansible-playbook",
    )  # fmt: skip
    told = ["changed Immich"] if resource.changed else []
    if resource.error or resource.object is None:
        return [*told, f"refused: {resource.error}"]
    seen = observe(resource.object, ApiObjects(transport), in_parallel=transport.parallel, now=0.0, is_current=True)
    plan = planning.plan(resource.object, seen=seen, images=DEFAULT_IMAGES, new_password="of-a-test")
    written = ApiObjects(transport, dry_run=check)
    live = [resource.object, *seen["objects"], *(item["object"] for item in seen["references"] if item["object"])]
    outcomes = apply_steps(
        plan.steps, live, objects_for=lambda _: written, in_parallel=transport.parallel, dry_run=check
    )  # fmt: skip
    return (
        told
        + sorted(
            f"refused {outcome.ref}: {outcome.error}"
            if outcome.error
            else f"{outcome.verb} {outcome.ref.kind} {outcome.ref.name}"
            for outcome in outcomes
            if outcome.changed or outcome.error
        )
        + sorted(notice.message for notice in plan.notices)
    )


def bring_to_rest(transport: Transport, cr: dict[str, Any]) -> None:
    """Run the role until it has nothing to do any more and all pods are there: then only the file makes a difference."""
    end = time.monotonic() + AT_REST_WITHIN_S
    quiet = 0
    while quiet < 2:
        quiet = quiet + 1 if not [line for line in told_by(transport, cr, check=False) if line.startswith(VERBS)] else 0
        assert time.monotonic() < end, f"{cr['metadata']} does not come to rest"
        time.sleep(1)


VERBS = ("apply ", "create ", "merge ", "delete ", "changed ")


def edited(transport: Transport, namespace: str, what: str) -> dict[str, list[list[str]]]:
    """{"made": [announced, done], "edited": [announced, done], "again": [announced]} for one row of EDITS."""
    before, after = (
        {
            "apiVersion": crd.API_VERSION,
            "kind": crd.KIND,
            "metadata": {"name": "photos", "namespace": namespace},
            "spec": spec,
        }
        for spec in EDITS[what]
    )
    made = [told_by(transport, before, check=check) for check in (True, False)]
    bring_to_rest(transport, before)
    changed = [told_by(transport, after, check=check) for check in (True, False)]
    return {"made": made, "edited": changed}


def test_what_check_mode_announces_is_what_the_run_then_does(cluster, transport):
    assert len(EDITS) >= 30
    with ExitStack() as stack:
        namespaces = {what: stack.enter_context(cluster.namespace(f"check-{what}")) for what in EDITS}
        for namespace in namespaces.values():
            for secret in ("db", "mail"):
                cluster.api.create(
                    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": namespace},
                     "stringData": {"p": "x"}}
                )  # fmt: skip
            cluster.api.create(
                {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "other", "namespace": namespace},
                 "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
            )  # fmt: skip
        with ThreadPoolExecutor(8) as pool:
            told = dict(
                zip(EDITS, pool.map(lambda what: edited(transport, namespaces[what], what), EDITS), strict=True)
            )

    different = {
        f"{what}, {moment}": {
            "only announced": sorted(set(pair[0]) - set(pair[1])),
            "only done": sorted(set(pair[1]) - set(pair[0])),
        }
        for what, moments in told.items()
        for moment, pair in moments.items()
        if pair[0] != pair[1]
    }
    assert different == {}
    idle = [what for what, moments in told.items() if what != "nothing" and not moments["edited"][1]]
    assert idle == [], "an edit that does nothing tells nothing"


def titles(output: str) -> list[str]:
    """The objects whose difference is shown."""
    return sorted(set(re.findall(r"^(?:---|\+\+\+) (?:before|after): (\S+ \S+)", output, re.MULTILINE)))


@pytest.mark.parametrize(
    "what",
    [
        "machine-learning-off",
        pytest.param("another-password", marks=pytest.mark.weekly),
        pytest.param("rolling-to-recreate", marks=pytest.mark.weekly),
    ],
)
def test_the_playbook_shows_the_same_differences_before_and_while_it_makes_them(
    cluster, transport, namespace, tmp_path, what
):
    before, after = (
        {"immich_name": "photos", "immich_namespace": namespace, "immich_spec": spec} for spec in EDITS[what]
    )
    own_play(cluster, tmp_path, before)
    bring_to_rest(transport, {
        "apiVersion": crd.API_VERSION, "kind": crd.KIND, "metadata": {"name": "photos", "namespace": namespace},
        "spec": EDITS[what][0],
    })  # fmt: skip
    stored = cluster.api.get("Immich", "photos", namespace)["spec"]
    there = objects(cluster, namespace).keys()
    mark = cluster.audit.mark()

    checked = own_play(cluster, tmp_path, after, "--check", "--diff")

    assert checked.status == 0, checked.output
    assert cluster.api.get("Immich", "photos", namespace)["spec"] == stored
    entries = cluster.audit.since(mark, user_agent_contains="immich-operator")
    assert [str(entry) for entry in entries if entry.verb in WRITES and "dryRun=All" not in entry.uri] == [
        str(entry) for entry in entries if entry.verb == "delete"
    ], "of a deletion, the body says it"
    assert objects(cluster, namespace).keys() == there

    played = own_play(cluster, tmp_path, after, "--diff")

    assert played.status == 0, played.output
    assert f"Immich {namespace}/photos" in titles(checked.output), "it judges the file, not what is stored"
    assert len(titles(checked.output)) > 1
    assert [t for t in titles(checked.output) if "status" not in t] == [
        t for t in titles(played.output) if "status" not in t
    ]


SECRETS = ("hunter2", "hunter3", "hunter4", "hunter5")


@pytest.mark.parametrize("args", [("--check", "--diff", "-vvv"), ("--diff", "-vvv")], ids=["check", "run"])
def test_no_secret_is_shown_whatever_is_asked_for(cluster, transport, namespace, tmp_path, args):
    file = tmp_path / "photos.yaml"
    spec = {
        "valkey": {"enabled": False, "host": "valkey.example.com", "password": "hunter2"},
        "server": {"env": [{"name": "SOME_KEY", "value": "hunter3"}]},
        "immich": {"configuration": {
            "notifications": {"smtp": {"transport": {"password": "hunter4"}}}, "oauth": {"clientSecret": "hunter5"},
        }},
    }  # fmt: skip
    cr = {"apiVersion": crd.API_VERSION, "kind": crd.KIND, "metadata": {"name": "photos"}, "spec": spec}
    file.write_text(yaml.safe_dump(cr), encoding="utf-8")
    # As kubectl does it, with the whole resource once more in an annotation.
    cluster.kubectl("apply", "-n", namespace, "-f", str(file))
    cr["spec"]["server"]["replicas"] = 2
    file.write_text(yaml.safe_dump(cr), encoding="utf-8")

    outputs = [
        run(
            cluster, ROOT / "playbooks" / "immich.yml", "-e", f"cr={file}", "-e", f"immich_namespace={namespace}", *args
        ),
        own_play(
            cluster, tmp_path, {"immich_name": "photos", "immich_namespace": namespace, "immich_spec": spec}, *args
        ),
        run(
            cluster,
            ROOT / "playbooks" / "uninstall.yml",
            "-e",
            f"cr={file}",
            "-e",
            f"immich_namespace={namespace}",
            *args,
        ),
    ]

    credentials = objects(cluster, namespace).get(("Secret", "photos-postgres-credentials"), {"data": {}})["data"]
    assert "(hidden" in outputs[0].output
    for played in outputs:
        assert played.status == 0, played.output
        assert titles(played.output), "there is a difference to be shown"
        assert [secret for secret in SECRETS if secret in played.output] == []
        assert credentials.get("password", "no such thing") not in played.output
