# SPDX-License-Identifier: Apache-2.0
"""Each kind of change leads to a pass that says why."""

from __future__ import annotations

import pytest

from localcluster.testing import Cluster
from tests.integration.operator.conftest import StartOperator, Widgets
from tests.integration.operator.widgets import HERE, watches

OWN_LABELS = {"app.kubernetes.io/managed-by": "widget-operator", "app.kubernetes.io/instance": "one"}


def a_config_map(name: str, namespace: str, **labels: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


def test_a_new_resource_gets_its_objects_and_its_text_is_never_a_template(
    start: StartOperator, widgets, cluster, namespace
):
    operator = start()

    widgets.create("one", {"message": "{{ 7 * 7 }}"})

    line = operator.wait_pass("one", "created")
    assert (line["result"], line["changed"]) == ("successful", ["created ConfigMap one-widget"])
    assert cluster.api.get("ConfigMap", "one-widget", namespace)["data"] == {"message": "{{ 7 * 7 }}"}


def test_a_resource_that_is_there_at_the_start_gets_a_pass(start, widgets):
    widgets.create("one")

    operator = start()

    assert operator.wait_pass("one", "found at start")["result"] == "successful"


def test_a_change_of_the_spec_triggers_and_a_change_of_status_or_labels_does_not(start, widgets, cluster, namespace):
    operator = start()
    widgets.create("one", {"message": "a"})
    operator.wait_pass("one", "ConfigMap one-widget created")

    widgets.change("one", {"metadata": {"labels": {"a": "b"}}})
    cluster.api.merge_patch("Widget", "one", namespace, {"status": {"seen": True}}, subresource="status")
    widgets.change("one", {"spec": {"message": "b"}})

    operator.wait_pass("one", "generation 1 -> 2")
    assert [line["why"] for line in operator.passes("one")[2:3]] == [["generation 1 -> 2"]]


def test_a_change_of_annotations_triggers(start, widgets):
    operator = start()
    widgets.create("one")
    operator.wait_pass("one", "created")

    widgets.change("one", {"metadata": {"annotations": {"a": "b"}}})

    operator.wait_pass("one", "annotations changed")


def test_an_owned_object_that_is_edited_or_deleted_is_put_right(start, widgets, cluster: Cluster, namespace):
    operator = start()
    widgets.create("one", {"message": "right"})
    operator.wait_pass("one", "ConfigMap one-widget created")

    cluster.api.merge_patch("ConfigMap", "one-widget", namespace, {"data": {"message": "wrong"}})
    cluster.api.wait_for("ConfigMap", "one-widget", namespace, lambda obj: obj["data"]["message"] == "right")
    cluster.api.delete("ConfigMap", "one-widget", namespace)
    cluster.api.wait_for("ConfigMap", "one-widget", namespace, lambda obj: obj["data"]["message"] == "right")

    operator.wait_pass("one", "ConfigMap one-widget changed")
    operator.wait_pass("one", "ConfigMap one-widget deleted")


def test_a_status_of_a_dependent_triggers(start, widgets, cluster: Cluster, namespace):
    operator = start()
    widgets.create("one")
    operator.wait_pass("one", "created")  # what happens to an object before its owner is known needs no pass of its own
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    cluster.api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "extra", "namespace": namespace, "labels": OWN_LABELS},
            "spec": {"replicas": 0, "paused": True, "selector": {"matchLabels": {"a": "b"}}, "template": pod},
        }
    )
    cluster.api.wait_for("Deployment", "extra", namespace, lambda obj: obj["status"]["observedGeneration"] == 1)
    operator.wait_pass("one", "Deployment extra changed")
    count = len(operator.passes("one"))

    condition = {"type": "Told", "status": "True"}
    cluster.api.merge_patch(
        "Deployment", "extra", namespace, {"status": {"conditions": [condition]}}, subresource="status"
    )

    operator.wait_pass("one", "Deployment extra changed", after=count)


def test_an_object_of_nobody_triggers_nothing(start, widgets, cluster: Cluster, namespace):
    operator = start()
    widgets.create("one")
    operator.wait_pass("one", "ConfigMap one-widget created")

    cluster.api.create(a_config_map("stranger", namespace))
    cluster.api.create(a_config_map("other", namespace, **{**OWN_LABELS, "app.kubernetes.io/instance": "two"}))
    widgets.change("one", {"spec": {"message": "b"}})

    operator.wait_pass("one", "generation 1 -> 2")
    assert [line["why"] for line in operator.passes("one")][-1] == ["generation 1 -> 2"]


def test_a_secret_that_appears_changes_or_disappears_triggers_whoever_names_it(
    start, widgets, cluster: Cluster, namespace
):
    operator = start()
    widgets.create("one", {"secretName": "credentials"})
    widgets.create("two", {"secretName": "other"})
    operator.wait_pass("one", "ConfigMap one-widget created")
    operator.wait_pass("two", "ConfigMap two-widget created")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credentials", "namespace": namespace}}

    cluster.api.create({**secret, "stringData": {"password": "first"}})
    operator.wait_pass("one", "referenced Secret credentials created")
    cluster.api.merge_patch("Secret", "credentials", namespace, {"stringData": {"password": "second"}})
    operator.wait_pass("one", "referenced Secret credentials changed")
    cluster.api.delete("Secret", "credentials", namespace)
    operator.wait_pass("one", "referenced Secret credentials deleted")

    assert len(operator.passes("two")) == 2
    assert "first" not in operator.tail(1000)


def test_time_triggers_as_the_annotation_says(start, widgets):
    operator = start()

    widgets.create("one", annotations={"ansible.sdk.operatorframework.io/reconcile-period": "1s"})

    operator.wait_pass("one", "period")


def test_a_failure_is_retried_with_growing_delays_until_the_cause_is_gone(start, widgets):
    operator = start()

    widgets.create("one", {"fail": True})

    line = operator.wait_retry("one", after=3)
    assert line["failures"] == ["Refuse what was asked for: this Widget was told to fail"]
    delays = [line["retry_in_s"] for line in operator.passes("one")[:4]]
    assert all(0.3 * 2**n <= delay + 0.05 <= 0.3 * 2**n * 1.2 + 0.1 for n, delay in enumerate(delays)), delays
    widgets.change("one", {"spec": {"fail": False}})
    assert operator.wait_pass("one", "generation 1 -> 2")["result"] == "successful"


def test_a_burst_of_events_becomes_few_passes(start, widgets, cluster: Cluster, namespace):
    operator = start()
    widgets.create("one")
    operator.wait_pass("one", "ConfigMap one-widget created")
    before = len(operator.passes("one"))

    for number in range(15):
        cluster.api.create(a_config_map(f"burst-{number}", namespace, **OWN_LABELS))
    cluster.api.create(a_config_map("last", namespace, **OWN_LABELS))

    operator.wait_pass("one", "ConfigMap last created")
    assert len(operator.passes("one")) - before <= 4


def test_a_change_during_a_pass_leads_to_one_more_right_after_it(start, widgets, cluster: Cluster, namespace, tmp_path):
    operator = start()
    widgets.create("one", {"goAhead": str(tmp_path / "go")})
    cluster.api.wait_for("ConfigMap", "one-widget", namespace, lambda _: True)

    widgets.change("one", {"spec": {"message": "b"}})
    widgets.change("one", {"spec": {"message": "c"}})
    assert operator.passes("one") == []
    (tmp_path / "go").touch()

    operator.wait_pass("one", "generation 2 -> 3")
    assert sum("generation" in " ".join(line["why"]) for line in operator.passes("one")) <= 2


def test_a_resource_that_is_deleted_leaves_no_folder_and_no_series(start, widgets):
    operator = start()
    widgets.create("one")
    operator.wait_pass("one", "ConfigMap one-widget created")
    assert 'name="one"' in operator.metrics()
    assert list(operator.run_dir.glob("plays/*/v1/Widget/*/one"))

    widgets.delete("one")

    operator.wait_line("gone", name="one")
    assert 'name="one"' not in operator.metrics()
    assert not list(operator.run_dir.glob("plays/*/v1/Widget/*/one"))


@pytest.mark.parametrize(
    "spec", [["a", "list"], "text", 7, {"message": {"not": "text"}}], ids=["list", "text", "number", "mapping"]
)
def test_a_poisoned_resource_does_not_hold_the_others_back(spec, start, widgets: Widgets):
    operator = start()
    widgets.create("poisoned", spec, annotations={"ansible.sdk.operatorframework.io/reconcile-period": "whenever"})
    operator.wait_pass("poisoned", "created")

    widgets.create("one")

    assert operator.wait_pass("one", "created")["result"] == "successful"


def test_a_key_that_no_variable_can_be_made_of_is_an_error_of_that_resource_alone(start, widgets):
    operator = start()
    widgets.create("poisoned", {"": "empty key"})
    widgets.create("one")

    line = operator.wait_pass("poisoned", "created")

    assert (line["level"], line["error"]) == (
        "error", "spec holds an empty key; remove it, or set snakeCaseParameters: false",
    )  # fmt: skip
    assert operator.wait_pass("one", "created")["result"] == "successful"


def test_a_kind_that_appears_later_is_watched_from_then_on_and_triggers(start, widgets, cluster: Cluster, namespace):
    gadget = {"apiVersion": "optional.media.rm3l.org/v1", "kind": "Gadget"}
    dependents = {"selector": "app.kubernetes.io/managed-by=widget-operator", "kinds": [{**gadget, "optional": True}]}
    operator = start(entries=watches(dependents=dependents))
    widgets.create("one")
    operator.wait_pass("one", "created")
    assert operator.probe("/readyz") == (200, "ok\n")

    cluster.kubectl("apply", "-f", str(HERE / "gadgets.yaml"))
    try:
        operator.wait_pass("one", "API Gadget.optional.media.rm3l.org appeared")
        metadata = {"name": "g", "namespace": namespace, "labels": OWN_LABELS}
        cluster.api.create({**gadget, "metadata": metadata})
        operator.wait_pass("one", "Gadget g created")
    finally:
        cluster.kubectl("delete", "-f", str(HERE / "gadgets.yaml"))

    operator.wait_pass("one", "API Gadget.optional.media.rm3l.org went away")
    assert operator.probe("/healthz") == (200, "ok\n")


def test_conditions_are_kept_for_a_role_that_leaves_them_to_the_runtime(start, widgets, cluster: Cluster, namespace):
    operator = start(entries=watches(manageStatus=True))
    widgets.create("one", annotations={"ansible.sdk.operatorframework.io/reconcile-period": "500ms"})

    cr = cluster.api.wait_for("Widget", "one", namespace, lambda obj: len(obj["status"]["conditions"]) == 3)
    operator.wait_pass("one", "period", after=2)

    version = widgets.get("one")["metadata"]["resourceVersion"]
    operator.wait_pass("one", "period", after=len(operator.passes("one")) + 1)
    assert widgets.get("one")["metadata"]["resourceVersion"] == version, "passes that change nothing write nothing"
    conditions = {entry["type"]: (entry["status"], entry["reason"]) for entry in cr["status"]["conditions"]}
    assert conditions["Successful"] == ("True", "Successful")

    widgets.change("one", {"spec": {"fail": True}})

    failed = cluster.api.wait_for(
        "Widget", "one", namespace,
        lambda obj: any(entry["type"] == "Failure" and entry["status"] == "True" for entry in obj["status"]["conditions"]),
    )  # fmt: skip
    (failure,) = (entry for entry in failed["status"]["conditions"] if entry["type"] == "Failure")
    assert failure["message"] == "Refuse what was asked for: this Widget was told to fail"


def test_a_finalizer_runs_its_vars_before_the_resource_goes(start, widgets, cluster: Cluster, namespace):
    finalizer = {"name": "test.media.rm3l.org/finalizer", "vars": {"message_of_finalizer": "bye"}}
    operator = start(entries=watches(finalizer=finalizer))
    widgets.create("one")
    cluster.api.wait_for("Widget", "one", namespace, lambda obj: finalizer["name"] in obj["metadata"]["finalizers"])
    operator.wait_pass("one", "created")

    widgets.delete("one")

    assert operator.wait_pass("one", "deletion requested")["result"] == "successful"
    cluster.api.wait_gone("Widget", "one", namespace)
