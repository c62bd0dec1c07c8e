# SPDX-License-Identifier: Apache-2.0
"""What becomes of the writes of a pass: told in words, and by whom they are missed when they are refused."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from support.instances import (
    a_cr,
    an_instance_at_work,
    condition,
    plan_for,
    report_for,
    results_of,
    seen_with,
    summary,
    without,
)

EXTERNAL = {
    "postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}},
    "valkey": {"enabled": False, "host": "redis"},
}


REFUSED = "Deployment photos-server: the API server says no"


def test_a_refused_write_is_reported_by_its_component_and_fails_the_pass():
    result = report_for(a_cr(), an_instance_at_work(a_cr()), errors={("Deployment", "photos-server"): REFUSED})

    server = condition(result, "ServerReady")
    assert (server["status"], server["reason"], server["message"]) == ("False", "ApplyFailed", REFUSED)
    assert result["failures"] == [REFUSED]
    assert condition(result, "MachineLearningReady")["status"] == "True"
    assert summary(result)["Degraded"] == ("True", "ApplyFailed")


@pytest.mark.parametrize(
    ("kind", "name", "condition_type"),
    [
        pytest.param("PersistentVolumeClaim", "photos-library", "ServerReady", id="library"),
        pytest.param("ConfigMap", "photos-immich-config", "ServerReady", id="config"),
        pytest.param("Ingress", "photos-server", "ServerReady", id="ingress"),
        pytest.param("PersistentVolumeClaim", "photos-ml-cache", "MachineLearningReady", id="cache"),
        pytest.param("StatefulSet", "photos-postgres", "PostgresReady", id="database"),
    ],
)
def test_a_refusal_belongs_to_the_component_that_needs_the_object(kind, name, condition_type):
    cr = a_cr({"server": {"ingress": {"enabled": True, "hosts": [{"host": "a.example.com", "paths": [{}]}]}}})

    result = report_for(cr, an_instance_at_work(cr), errors={(kind, name): "no"})

    failed = [entry["type"] for entry in result["status"]["conditions"] if entry["reason"] == "ApplyFailed"]
    assert failed == ["Ready", "Degraded", "Stalled", condition_type]


def test_a_refused_secret_of_an_external_service_is_the_servers_trouble():
    cr = a_cr({"valkey": {**EXTERNAL["valkey"], "password": "word"}})

    result = report_for(cr, an_instance_at_work(cr), errors={("Secret", "photos-valkey-credentials"): "no"})

    assert condition(result, "ServerReady")["reason"] == "ApplyFailed"
    assert condition(result, "ValkeyReady")["status"] == "True"


@pytest.mark.parametrize(
    ("cr", "error"),
    [
        pytest.param(
            a_cr({"machineLearning": {"enabled": False}}), ("Deployment", "photos-machine-learning"), id="removal"
        ),
        pytest.param(a_cr(finalizers=["media.rm3l.org/finalizer"]), ("Immich", "photos"), id="former-finalizer"),
    ],
)
def test_a_refusal_that_no_component_depends_on_degrades_but_leaves_the_instance_ready(cr, error):
    result = report_for(cr, an_instance_at_work(a_cr()), errors={error: "no"})

    assert result["status"]["ready"] is True
    assert summary(result)["Degraded"] == ("True", "ApplyFailed")
    assert result["failures"] == ["no"]


def test_the_report_looks_at_what_the_pass_has_just_written():
    live = an_instance_at_work(a_cr())
    plan = plan_for(a_cr(), live)
    results = results_of(plan)
    for result in results:
        if (result["kind"], result["name"]) == ("Deployment", "photos-server"):
            [old] = [m for m in live if m["kind"] == "Deployment" and m["metadata"]["name"] == "photos-server"]
            result["object"] = {**old, "metadata": {**old["metadata"], "generation": 2}}
            result["changed"] = True

    reported = report(plan.as_dict(), {"results": results}, seen_with(a_cr(), live))

    assert condition(reported, "ServerReady")["status"] == "False"
    assert reported["changed"] == ["changed Deployment photos-server"]


def test_changes_are_reported_in_words():
    cr = a_cr({"machineLearning": {"enabled": False}}, finalizers=["media.rm3l.org/finalizer"])
    live = without(an_instance_at_work(a_cr()), "Service", "photos-server")
    plan = plan_for(cr, live)
    results = [{**result, "changed": True} for result in results_of(plan)]

    words = report(plan.as_dict(), {"results": results}, seen_with(cr, live))["changed"]

    assert "changed Immich photos" in words
    assert "created Service photos-server" in words
    assert "changed Deployment photos-server" in words
    assert "removed Deployment photos-machine-learning" in words
