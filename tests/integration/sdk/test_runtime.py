# SPDX-License-Identifier: Apache-2.0
"""The role on the Operator SDK's own Ansible runtime: everything that our loop does, a little later.

The instances of the module are made at once, because each waits for periods of the runtime most of the time.
"""

from __future__ import annotations

import base64
import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from support.operating import WORKLOADS, WRITES, environment
from tests.integration.sdk.conftest import USER

OUTLIVING = [
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
]
READY_GOAL_S, DRIFT_GOAL_S, QUIET_S = 15, 30, 30
PERIOD, PERIOD_S = "ansible.sdk.operatorframework.io/reconcile-period", 8
PLAIN_PASSWORD = "plain-5f0c2d"


@pytest.fixture(scope="module")
def hostile_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is made if text of a custom resource is ever taken for a template."""
    return tmp_path_factory.mktemp("hostile") / "was-here"


@pytest.fixture(scope="module")
def family(start, hostile_file):
    """{what it is for: the Instances of a namespace}"""

    def quota(instances):
        hard = {"metadata": {"name": "few", "namespace": instances.namespace}, "spec": {"hard": {"services": "3"}}}
        instances.api.create({"apiVersion": "v1", "kind": "ResourceQuota", **hard})

    trap = "{{ lookup('pipe', 'touch " + str(hostile_file) + "') }}"
    return {
        "main": start(),
        "waiting": start({"postgres": {"passwordSecretRef": {"name": "later", "key": "word"}}}),
        "refused": start(first=quota),
        "hostile": start(
            {
                "server": {"env": [{"name": "TRAP", "value": trap}], "podAnnotations": {"example.org/trap": trap}},
                "immich": {"configuration": {"server": {"loginPageMessage": trap}}},
                "valkey": {"enabled": False, "host": "valkey.example.org", "password": PLAIN_PASSWORD},
            }
        ),
    }


def when(text):
    return datetime.fromisoformat(text)


def goal(seconds):
    """The goal on a machine that does nothing else; on one that is busy with other things all takes longer."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def within(seconds, since):
    """Whether less than the goal has passed; waiting as such has a longer deadline."""
    return time.monotonic() - since < goal(seconds)


def test_create_makes_an_instance_and_the_status_follows_its_pods(family):
    main = family["main"]

    cr = main.wait_ready()

    ready = next(entry for entry in cr["status"]["conditions"] if entry["type"] == "Ready")
    pods = [pod for component in WORKLOADS for pod in main.pods(component)]
    assert len(pods) == len(WORKLOADS)
    times = [c["lastTransitionTime"] for pod in pods for c in pod["status"]["conditions"] if c["type"] == "Ready"]
    waited = when(ready["lastTransitionTime"]) - max(map(when, times))
    assert waited.total_seconds() <= goal(READY_GOAL_S)
    assert cr["status"]["url"] == ""


def test_nothing_that_outlives_the_instance_gets_an_owner(family, cluster, since_start):
    """The runtime adds one to what is made by POST; a later pass would take it off, unless it comes too late."""
    main = family["main"]
    main.wait_ready()

    posted = {entry.resource for entry in cluster.audit.since(since_start, verbs={"create"}) if entry.user == USER}
    owned = [name for kind, name in OUTLIVING if "ownerReferences" in main.get(kind, name)["metadata"]]

    assert posted <= {"events"}
    assert owned == []


def test_text_of_a_custom_resource_is_data_and_never_a_template(family, hostile_file):
    hostile = family["hostile"]
    hostile.wait_ready()
    spec = hostile.get("Immich", "photos")["spec"]
    trap = spec["server"]["env"][0]["value"]

    deployment = hostile.get("Deployment", "photos-server")

    assert trap.startswith("{{ lookup(")
    assert environment(deployment)["TRAP"] == trap
    assert deployment["spec"]["template"]["metadata"]["annotations"]["example.org/trap"] == trap
    assert hostile.configuration()["server"]["loginPageMessage"] == trap
    assert not hostile_file.exists()


def test_a_missing_secret_is_named_and_seen_when_it_appears(family):
    waiting = family["waiting"]
    condition = waiting.wait_condition("PostgresReady", "SecretNotFound")
    assert "Secret later" in condition["message"]

    waiting.secret("later", word="open sesame")
    since = time.monotonic()

    waiting.wait("the database", lambda: waiting.get("StatefulSet", "photos-postgres"))
    assert within(DRIFT_GOAL_S, since)
    waiting.wait_ready()


def test_a_refusal_is_reported_without_failing_plays_and_heals(family, sdk):
    refused = family["refused"]
    condition = refused.wait_condition("Degraded", "ApplyFailed")
    assert "exceeded quota: few" in condition["message"]
    before, began = sdk.plays("photos", refused.namespace), time.monotonic()
    assert '"event_type":"runner_on_failed"' not in sdk.text(), "no play fails because of a refusal"

    refused.api.delete("ResourceQuota", "few", refused.namespace)
    since = time.monotonic()

    refused.wait_ready()
    assert within(DRIFT_GOAL_S + READY_GOAL_S, since)
    plays = sdk.plays("photos", refused.namespace) - before
    assert plays <= 2 + (time.monotonic() - began) / PERIOD_S, "not more than one play per period"


def test_an_edit_takes_effect_without_waiting_for_a_period(family):
    main = family["main"]
    main.wait_ready()
    before = main.pod_uids()
    main.api.merge_patch("Immich", "photos", main.namespace, {"metadata": {"annotations": {PERIOD: "1h"}}})

    main.change({"server": {"env": [{"name": "COLOUR", "value": "blue"}]}})

    main.wait("the edit", lambda: environment(main.get("Deployment", "photos-server")).get("COLOUR") == "blue")
    main.api.merge_patch("Immich", "photos", main.namespace, {"metadata": {"annotations": {PERIOD: None}}})
    main.wait_rolled(before, "server")


def test_a_volume_grows(family):
    main = family["main"]
    main.wait_ready()

    main.change({"immich": {"persistence": {"library": {"size": "20Gi"}}}})

    def size(name):
        return main.get("PersistentVolumeClaim", name)["spec"]["resources"]["requests"]["storage"]

    main.wait("growth", lambda: size("photos-library") == "20Gi")


def test_what_is_switched_off_goes_and_its_volume_stays_until_the_end(family):
    main = family["main"]
    main.wait_ready()

    main.change({"machineLearning": {"enabled": False}})

    gone = [("Deployment", "photos-machine-learning"), ("Service", "photos-machine-learning")]
    main.wait("machine learning gone", lambda: not any(main.get(*item) for item in gone))
    assert main.get("PersistentVolumeClaim", "photos-ml-cache")
    main.wait_ready()


@pytest.mark.parametrize("what", ["deleted", "changed"])
def test_drift_is_repaired(family, what):
    main = family["main"]
    main.wait_ready()
    uid = main.get("Deployment", "photos-valkey")["metadata"]["uid"]
    if what == "deleted":
        main.api.delete("Deployment", "photos-valkey", main.namespace)
    else:
        main.api.merge_patch("Deployment", "photos-valkey", main.namespace, {"spec": {"replicas": 0}})
    since = time.monotonic()

    def repaired():
        live = main.get("Deployment", "photos-valkey")
        return live and live["spec"]["replicas"] == 1 and (what == "changed" or live["metadata"]["uid"] != uid)

    main.wait("repair", repaired)
    assert within(DRIFT_GOAL_S, since)
    main.wait_ready()


def test_an_owner_that_the_runtime_has_added_is_taken_off(family):
    main = family["main"]
    cr = main.wait_ready()
    owner = {"apiVersion": cr["apiVersion"], "kind": "Immich", "name": "photos", "uid": cr["metadata"]["uid"]}
    for kind, name in OUTLIVING:
        main.api.merge_patch(kind, name, main.namespace, {"metadata": {"ownerReferences": [owner]}})

    main.wait(
        "no owners",
        lambda: not any(main.get(kind, name)["metadata"].get("ownerReferences") for kind, name in OUTLIVING),
    )


def test_a_quiet_instance_is_looked_at_once_per_period_and_nothing_is_written(family, cluster, sdk):
    quiet = {name: family[name] for name in ("main", "hostile")}
    for instances in quiet.values():
        instances.wait_ready()
    time.sleep(PERIOD_S + 3)  # the last pass that has something to say has ended
    mark, plays = cluster.audit.mark(), {name: sdk.plays("photos", item.namespace) for name, item in quiet.items()}

    time.sleep(QUIET_S)  # nothing to wait for: what is shown is that nothing happens

    entries = [entry for entry in cluster.audit.since(mark, include_open=True) if entry.user == USER]
    namespaces = {instances.namespace for instances in quiet.values()}
    assert [entry for entry in entries if entry.verb in WRITES and entry.namespace in namespaces] == []
    for name, instances in quiet.items():
        run = sdk.plays("photos", instances.namespace) - plays[name]
        assert 1 <= run <= 1 + QUIET_S / PERIOD_S, f"{name}: {run} plays in {QUIET_S} s"
        reads = [entry for entry in entries if entry.namespace == instances.namespace]
        assert len(reads) <= 16 * (run + 1), f"{name}: {len(reads)} reads in {run} plays"


def test_the_runtime_keeps_no_object_but_the_custom_resources_and_needs_no_right_more(family, cluster, since_start):
    """Its cache would hold all Secrets of the cluster, and answer with what was there a moment ago."""
    for name in ("main", "hostile"):
        family[name].wait_ready()

    sent = [entry for entry in cluster.audit.since(since_start, include_open=True) if entry.user == USER]

    assert {entry.resource for entry in sent if entry.verb == "watch"} == {"immiches"}
    objects = [entry for entry in sent if entry.verb in ("get", "list") and entry.resource]
    assert {entry.resource for entry in objects if not entry.namespace} == {"immiches"}, "the rest is read by namespace"
    assert [entry for entry in sent if entry.forbidden] == []


def test_no_password_is_in_the_log_or_the_working_files(family, sdk):
    main, hostile = family["main"], family["hostile"]
    main.wait_ready()
    hostile.wait_ready()
    stored = main.get("Secret", "photos-postgres-credentials")["data"]["password"]
    secrets = {base64.b64decode(stored).decode(), stored, PLAIN_PASSWORD}
    secrets |= {base64.b64encode(PLAIN_PASSWORD.encode()).decode()}

    written = sdk.text() + json.dumps(
        [sdk.artifacts("photos", item.namespace) for item in (main, hostile)], ensure_ascii=False
    )

    assert "Apply what is wanted" in written
    assert [secret for secret in secrets if secret in written] == []


def test_delete_keeps_data_and_password_and_re_creation_finds_them(family):
    main = family["main"]
    main.wait_ready()
    before = {name: main.get(kind, name)["metadata"]["uid"] for kind, name in OUTLIVING}
    password = main.get("Secret", "photos-postgres-credentials")["data"]

    main.api.delete("Immich", "photos", main.namespace)
    main.wait("the rest gone", lambda: len(main.owned()) <= len(OUTLIVING) and not main.get("Service", "photos-server"))
    kept = set(main.owned())
    main.create()
    main.wait_ready()

    assert kept == set(OUTLIVING)
    assert {name: main.get(kind, name)["metadata"]["uid"] for kind, name in OUTLIVING} == before
    assert main.get("Secret", "photos-postgres-credentials")["data"] == password
