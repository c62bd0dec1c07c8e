# SPDX-License-Identifier: Apache-2.0
"""The status of an instance: always complete, true to what is there, and steady."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_merge import wanted_status
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from support.instances import (
    a_claim,
    a_cr,
    a_pod,
    a_secret,
    an_instance_at_work,
    condition,
    plan_for,
    report_for,
    results_of,
    seen_with,
    summary,
    with_status,
    without,
)

BOOLEANS = {"ready", "serverReady", "machineLearningReady", "valkeyReady", "postgresReady"}
COMPONENTS = {
    "server": ("Deployment", "photos-server", "ServerReady", "serverReady"),
    "machine-learning": ("Deployment", "photos-machine-learning", "MachineLearningReady", "machineLearningReady"),
    "valkey": ("Deployment", "photos-valkey", "ValkeyReady", "valkeyReady"),
    "postgres": ("StatefulSet", "photos-postgres", "PostgresReady", "postgresReady"),
}
SUMMARY = ["Ready", "Progressing", "Degraded", "Warning", "Reconciling", "Stalled"]
CONDITIONS = [*SUMMARY, *(entry[2] for entry in COMPONENTS.values())]
EXTERNAL = {
    "postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}},
    "valkey": {"enabled": False, "host": "redis"},
}
SECRETS = [a_secret("db", p="x")]


def test_an_instance_at_work_is_ready():
    result = report_for(a_cr(), an_instance_at_work(a_cr()))

    assert {key: result["status"][key] for key in BOOLEANS} == dict.fromkeys(BOOLEANS, True)
    assert summary(result) == {
        "Ready": ("True", "AllComponentsReady"),
        "Progressing": ("False", "RolloutComplete"),
        "Degraded": ("False", "AsExpected"),
    }
    assert condition(result, "Ready")["message"] == "All Immich components are ready"
    assert result["failures"] == []


def test_a_new_instance_is_on_its_way():
    result = report_for(a_cr())

    assert {key: result["status"][key] for key in BOOLEANS} == dict.fromkeys(BOOLEANS, False)
    assert summary(result) == {
        "Ready": ("False", "ComponentsNotReady"),
        "Progressing": ("True", "WaitingForRollout"),
        "Degraded": ("False", "AsExpected"),
    }
    assert result["events"] == []


@pytest.mark.parametrize(
    ("spec", "objects"),
    [
        pytest.param({}, [], id="nothing-there"),
        pytest.param({"postgres": {"passwordSecretRef": {"name": "absent", "key": "p"}}}, [], id="blocked"),
        pytest.param(
            {**EXTERNAL, "server": {"enabled": False}, "machineLearning": {"enabled": False}}, SECRETS, id="all-off"
        ),
    ],
)
def test_every_field_is_always_there(spec, objects):
    status = report_for(a_cr(spec, generation=7), objects)["status"]

    assert {key: type(status[key]) for key in BOOLEANS} == dict.fromkeys(BOOLEANS, bool)
    assert status["url"] == ""
    assert status["observedGeneration"] == 7
    assert [entry["type"] for entry in status["conditions"]] == CONDITIONS
    for entry in status["conditions"]:
        assert set(entry) == {"type", "status", "reason", "message", "observedGeneration"}
        assert entry["observedGeneration"] == 7


@pytest.mark.parametrize("component", COMPONENTS)
def test_one_component_that_is_not_ready_holds_back_only_itself_and_the_whole(component):
    kind, name, condition_type, boolean = COMPONENTS[component]
    live = with_status(an_instance_at_work(a_cr()), kind, name, availableReplicas=0)

    result = report_for(a_cr(), live)

    assert {key for key in BOOLEANS if not result["status"][key]} == {"ready", boolean}
    own = condition(result, condition_type)
    assert (own["reason"], own["message"]) == ("WaitingForRollout", f"{kind} {name}: 0 of 1 pods are available")
    assert condition(result, "Ready")["message"] == f"{component}: {own['message']}"


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_change_that_its_controller_has_not_taken_up_is_not_ready(component):
    kind, name, condition_type, _ = COMPONENTS[component]
    live = with_status(an_instance_at_work(a_cr()), kind, name, observedGeneration=0)

    assert condition(report_for(a_cr(), live), condition_type)["status"] == "False"


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_workload_that_is_missing_is_waited_for(component):
    kind, name, condition_type, _ = COMPONENTS[component]

    found = condition(report_for(a_cr(), without(an_instance_at_work(a_cr()), kind, name)), condition_type)

    assert (found["status"], found["message"]) == ("False", f"{kind} {name}: waiting to be created")


@pytest.mark.parametrize(
    ("spec", "condition_type", "reason", "message"),
    [
        pytest.param({"server": {"enabled": False}}, "ServerReady", "Disabled", "server is switched off", id="server"),
        pytest.param(
            {"machineLearning": {"enabled": False}},
            "MachineLearningReady",
            "Disabled",
            "machine-learning is switched off",
            id="ml-off",
        ),
        pytest.param(
            {"machineLearning": {"enabled": False, "url": "http://gpu"}},
            "MachineLearningReady",
            "External",
            "machine learning is external",
            id="ml-external",
        ),
        pytest.param({"valkey": EXTERNAL["valkey"]}, "ValkeyReady", "External", "valkey is external", id="valkey"),
        pytest.param(
            {"postgres": EXTERNAL["postgres"]}, "PostgresReady", "External", "postgres is external", id="postgres"
        ),
    ],
)
def test_what_is_off_or_external_does_not_hold_ready_back(spec, condition_type, reason, message):
    result = report_for(a_cr(spec), an_instance_at_work(a_cr(spec), SECRETS))

    found = condition(result, condition_type)
    assert (found["status"], found["reason"], found["message"]) == ("True", reason, message)
    assert result["status"]["ready"] is True


def test_no_replicas_as_asked_is_ready():
    cr = a_cr({"server": {"replicas": 0}, "machineLearning": {"replicas": 0}})

    result = report_for(cr, an_instance_at_work(cr))

    assert result["status"]["ready"] is True
    assert condition(result, "ServerReady")["reason"] == "ScaledToZero"
    assert condition(result, "ServerReady")["message"] == "Deployment photos-server has no replicas, as requested"


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        pytest.param("Running", "WaitingForRollout", id="on-its-way-out"),
        pytest.param("Failed", "ScaledToZero", id="evicted"),
    ],
)
def test_no_replicas_is_reached_when_no_pod_runs_any_more(phase: str, reason: str):
    cr = a_cr({"server": {"replicas": 0}})
    pod = {**a_pod("server", ""), "status": {"phase": phase}}

    result = report_for(cr, an_instance_at_work(cr), pods=[pod])

    assert condition(result, "ServerReady")["reason"] == reason


def test_a_pod_in_trouble_is_degraded_with_its_cause():
    live = with_status(an_instance_at_work(a_cr()), "Deployment", "photos-server", availableReplicas=0)

    result = report_for(a_cr(), live, pods=[a_pod("server", "CreateContainerConfigError", 'secret "x" not found')])

    assert summary(result) == {
        "Ready": ("False", "ContainerNotStarted"),
        "Progressing": ("False", "Blocked"),
        "Degraded": ("True", "ContainerNotStarted"),
    }
    for kind in ("Ready", "Degraded", "ServerReady"):
        assert 'container server can\'t be started: secret "x" not found' in condition(result, kind)["message"]


def test_pods_of_another_component_are_not_taken_for_the_cause():
    live = with_status(an_instance_at_work(a_cr()), "Deployment", "photos-server", availableReplicas=0)

    result = report_for(a_cr(), live, pods=[a_pod("valkey", "CreateContainerConfigError")])

    assert condition(result, "ServerReady")["reason"] == "WaitingForRollout"


@pytest.mark.parametrize(
    ("spec", "component", "claim"),
    [
        pytest.param({}, "server", "photos-library", id="library"),
        pytest.param({}, "postgres", "data-photos-postgres-0", id="database"),
        pytest.param({}, "machine-learning", "photos-ml-cache", id="cache"),
        pytest.param({"valkey": {"persistence": {"enabled": True}}}, "valkey", "photos-valkey-data", id="queues"),
    ],
)
def test_a_claim_that_waits_is_named_by_the_component_that_mounts_it(spec, component, claim):
    kind, name, condition_type, _ = COMPONENTS[component]
    live = with_status(an_instance_at_work(a_cr(spec)), kind, name, availableReplicas=0)
    live = with_status(live, "PersistentVolumeClaim", claim, phase="Pending")

    found = condition(report_for(a_cr(spec), live), condition_type)

    assert found["reason"] == "VolumeNotBound"
    assert f"PersistentVolumeClaim {claim} is waiting for a volume" in found["message"]


def test_an_error_while_another_component_is_on_its_way_shows_in_both_summaries():
    live = with_status(an_instance_at_work(a_cr()), "Deployment", "photos-server", availableReplicas=0)
    live = with_status(live, "Deployment", "photos-valkey", availableReplicas=0)

    result = report_for(a_cr(), live, pods=[a_pod("valkey", "ErrImagePull", "not found")])

    assert summary(result) == {
        "Ready": ("False", "ImagePullFailed"),
        "Progressing": ("True", "WaitingForRollout"),
        "Degraded": ("True", "ImagePullFailed"),
    }


@pytest.mark.parametrize("component", ["server", "machine-learning", "valkey", "postgres"])
def test_no_message_about_an_image_names_a_container_that_the_user_never_wrote(component):
    kind, name, condition_type, _ = COMPONENTS[component]
    key = "machineLearning" if component == "machine-learning" else component
    for spec, words in (
        ({key: {"image": "x:wrong"}}, f"from spec.{key}.image can't be pulled"),
        ({}, f"(the default, as spec.{key}.image is not set) can't be pulled"),
    ):
        live = with_status(an_instance_at_work(a_cr(spec)), kind, name, availableReplicas=0)
        [workload] = [item for item in live if item["metadata"]["name"] == name and item["kind"] == kind]
        template = workload["spec"]["template"]["spec"]
        for container in (*template.get("initContainers", ()), *template["containers"]):
            status = {"name": container["name"], "state": {"waiting": {"reason": "ErrImagePull"}}}
            key_of_status = "containerStatuses" if container in template["containers"] else "initContainerStatuses"
            pod = {**a_pod(component, "ContainerCreating"), "spec": template}
            pod["status"] = {key_of_status: [status]}

            found = condition(report_for(a_cr(spec), live, pods=[pod]), condition_type)

            assert found["reason"] == "ImagePullFailed"
            assert f"{kind} {name}: image {container['image']} {words}" in found["message"]


WITHOUT_SECRETS = [
    pytest.param(
        {"valkey": {**EXTERNAL["valkey"], "passwordSecretRef": {"name": "absent", "key": "p"}}},
        "absent",
        "SecretNotFound",
        id="queues",
    ),
    pytest.param({"postgres": EXTERNAL["postgres"]}, "db", "SecretNotFound", id="database"),
    pytest.param(
        {"postgres": {"enabled": False, "urlSecretRef": {"name": "absent", "key": "p"}}},
        "absent",
        "SecretNotFound",
        id="database-url",
    ),
]


@pytest.mark.parametrize(("spec", "name", "reason"), WITHOUT_SECRETS)
def test_a_missing_secret_of_an_external_service_is_named_where_it_hurts(spec, name, reason):
    result = report_for(a_cr(spec), an_instance_at_work(a_cr()))

    server = condition(result, "ServerReady")
    assert (server["status"], server["reason"]) == ("False", reason)
    assert f"Secret {name} named in spec." in server["message"]
    assert result["status"]["ready"] is False


def test_an_incomplete_external_service_is_named_where_it_hurts():
    cr = a_cr()
    cr["spec"]["postgres"] = {"enabled": False}

    result = report_for(cr)

    assert condition(result, "ServerReady")["reason"] == "SpecInvalid"
    assert "spec.postgres.host: an external database needs a host" in condition(result, "Ready")["message"]


def test_what_no_component_has_to_report_is_still_reported():
    spec = {
        "server": {"enabled": False},
        "immich": {"configuration": {"oauth": {"clientSecretRef": {"name": "absent", "key": "s"}}}},
    }

    result = report_for(a_cr(spec), an_instance_at_work(a_cr({"server": {"enabled": False}})))

    assert result["status"]["ready"] is True
    assert summary(result)["Degraded"] == ("True", "SecretNotFound")
    assert "Secret absent" in condition(result, "Degraded")["message"]


def test_a_running_server_whose_environment_lost_a_secret_is_ready_but_degraded():
    cr = a_cr({"server": {"envFrom": [{"secretRef": {"name": "db"}}]}})
    live = without(an_instance_at_work(cr, SECRETS), "Secret", "db")

    result = report_for(cr, live)

    assert summary(result) == {
        "Ready": ("True", "AllComponentsReady"),
        "Progressing": ("False", "RolloutComplete"),
        "Degraded": ("True", "SecretNotFound"),
    }


def test_what_nothing_watches_is_tried_again():
    cr = a_cr({"immich": {"persistence": {"library": {"storageClass": "fast"}}}})

    result = report_for(cr)

    assert len(result["failures"]) == 1
    assert result["failures"][0].startswith(
        "StorageClass fast named in spec.immich.persistence.library.storageClass does not exist"
    )


def test_what_is_watched_is_waited_for():
    assert report_for(a_cr({"postgres": EXTERNAL["postgres"]}))["failures"] == []


def test_warnings_leave_the_instance_ready():
    cr = a_cr({"server": {"replicas": 2}, "valkey": {"host": "ignored"}})

    result = report_for(cr, an_instance_at_work(cr))

    assert result["status"]["ready"] is True
    warning = condition(result, "Warning")
    assert warning["status"] == "True"
    assert "spec.valkey.host is not used" in warning["message"]
    assert "photos-server has 2 replicas" in warning["message"]


def test_more_warnings_than_a_condition_takes_are_counted():
    env = [{"name": f"V{number}", "value": f"$(NOWHERE_{number})"} for number in range(400)]
    cr = a_cr({"server": {"env": env}})

    result = report_for(cr, an_instance_at_work(cr))

    message = condition(result, "Warning")["message"]
    assert "NOWHERE_0" in message
    assert re.search(r"; and \d+ more$", message)
    assert all(len(entry["message"]) < 32768 for entry in result["status"]["conditions"]), "the CRD's limit"


def test_a_single_message_that_is_too_long_is_cut():
    cr = a_cr({"server": {"env": [{"name": "V", "value": f"$({'N' * 100_000})"}]}})

    message = condition(report_for(cr, an_instance_at_work(cr)), "Warning")["message"]

    assert "$(NNN" in message
    assert len(message) < 32768


def test_without_warnings_the_condition_says_so():
    warning = condition(report_for(a_cr()), "Warning")

    assert (warning["status"], warning["reason"], warning["message"]) == ("False", "NoWarnings", "")


CHANCES = st.sampled_from(["ErrImagePull", "CrashLoopBackOff", "CreateContainerError", "ContainerCreating"])
SPECS = st.sampled_from(
    [
        {},
        EXTERNAL,
        {"postgres": {"passwordSecretRef": {"name": "absent", "key": "p"}}},
        {"server": {"enabled": False}},
        {"server": {"replicas": 2, "route": {"enabled": True}}},
        {"immich": {"persistence": {"library": {"existingClaim": "nas", "storageClass": "fast"}}}},
        {"immich": {"configuration": {"oauth": {"clientSecretRef": {"name": "absent", "key": "s"}}}}},
        {"imagePullSecrets": [{"name": "absent"}]},
    ]
)


@settings(max_examples=80, deadline=None)
@given(SPECS, st.sets(st.integers(0, 20)), st.lists(CHANCES, max_size=2), st.booleans())
def test_reasons_are_from_the_closed_list_and_ready_is_what_the_components_are(spec, lost, troubles, refused):
    cr = a_cr(spec)
    live = [m for index, m in enumerate(an_instance_at_work(a_cr(), [*SECRETS, a_claim("nas")])) if index not in lost]
    errors = {("Deployment", "photos-server"): "no"} if refused else {}

    result = report_for(cr, live, pods=[a_pod("server", reason) for reason in troubles], errors=errors)

    status = result["status"]
    conditions = {entry["type"]: entry for entry in status["conditions"]}
    assert {entry["reason"] for entry in conditions.values()} <= set(Reason)
    assert {event["reason"] for event in result["events"]} <= set(Reason)
    assert status["ready"] is all(status[boolean] for _, _, _, boolean in COMPONENTS.values())
    for _, _, kind, boolean in COMPONENTS.values():
        assert (conditions[kind]["status"] == "True") is status[boolean]
    if not status["ready"]:
        assert "True" in {conditions["Progressing"]["status"], conditions["Degraded"]["status"]}


UNREAD = "Pod in photos: 403 Forbidden: pods is forbidden"


def report_unread(cr):
    seen = {"problem": UNREAD, "cr": cr}
    made = plan(cr, seen=seen, images={}, new_password="unused")
    assert made.steps == []
    return report(made.as_dict(), {"results": []}, seen)


def test_an_instance_that_could_not_be_read_keeps_its_status_and_says_why():
    known = report_for(a_cr(), an_instance_at_work(a_cr()))["status"]

    result = report_unread({**a_cr(), "status": known})

    status = wanted_status(known, result["status"], None, now="now")
    assert {key: status[key] for key in BOOLEANS} == dict.fromkeys(BOOLEANS, True)
    assert summary({"status": status}) == {
        "Ready": ("True", "AllComponentsReady"),
        "Progressing": ("False", "RolloutComplete"),
        "Degraded": ("True", "ReadFailed"),
    }
    assert condition({"status": status}, "Degraded")["message"] == UNREAD
    assert (result["failures"], result["observed"]) == ([UNREAD], None)


ANNOUNCED = {"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "a pass is about to run"}


@pytest.mark.parametrize(
    "before", [pytest.param({}, id="no-status"), pytest.param({"conditions": [ANNOUNCED]}, id="seen-by-the-loop")]
)
def test_a_new_instance_that_could_not_be_read_is_not_ready(before):
    status = report_unread({**a_cr(), "status": before})["status"]

    assert {key: status[key] for key in BOOLEANS} == dict.fromkeys(BOOLEANS, False)
    found = {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}
    assert found == {
        "Ready": ("False", "ReadFailed"),
        "Degraded": ("True", "ReadFailed"),
        "Reconciling": ("False", "ReadFailed"),
        "Stalled": ("True", "ReadFailed"),
    }


def test_a_pass_that_could_not_write_at_all_fails_and_says_why():
    seen = seen_with(a_cr(), [])
    outcome = {"results": [], "problem": "Deployment photos-server: API server https://k8s: no answer"}

    result = report(plan_for(a_cr()).as_dict(), outcome, seen)

    assert (result["status"], result["failures"]) == (None, [outcome["problem"]])
    assert result["observed"] is None


def test_what_admission_rewrites_is_a_warning_that_stays_the_same():
    cr = a_cr()
    objects = an_instance_at_work(cr)
    plan = plan_for(cr, objects)
    fields = [f"spec.template.spec.containers[server].{field}" for field in ("image", "args", "command", "workingDir")]
    results = [
        {**result, "rewritten": fields if (result["kind"], result["name"]) == ("Deployment", "photos-server") else []}
        for result in results_of(plan)
    ]

    told = report(plan.as_dict(), {"results": results}, seen_with(cr, objects))

    warning = condition(told, "Warning")
    assert (warning["status"], warning["reason"]) == ("True", "FieldRewritten")
    assert warning["message"].startswith(
        "Deployment photos-server: the cluster makes something else of spec.template.spec.containers[server].image, "
    )
    assert "containers[server].command and 1 more than the operator writes" in warning["message"]
    assert told["status"]["ready"] is True
    assert (told["observed"], told["requeue_after"]) == (None, None), (
        "the periodic pass sees whether the policy is gone"
    )


def a_running_pod(component, image, *, made="2026-01-01T00:00:00Z", ready="True", **metadata):
    """A pod of that component with a sidecar before its container."""
    pod = a_pod(component, "")
    return {
        **pod,
        "metadata": {**pod["metadata"], "creationTimestamp": made, **metadata},
        "spec": {"containers": [{"name": "sidecar", "image": "sidecar:9.9.9"}, {"name": component, "image": image}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


RUNNING_IMAGE = "ghcr.io/immich-app/immich-server:v3.1.0"
RUNNING = a_running_pod("server", RUNNING_IMAGE)
NEWER = "ghcr.io/immich-app/immich-server:v3.2.0"


def wanting(image):
    return {"server": {"image": image}, "machineLearning": {"enabled": False}}


@pytest.mark.parametrize(
    ("pods", "version"),
    [
        pytest.param([RUNNING], "3.1.0", id="what-runs"),
        pytest.param(
            [RUNNING, a_running_pod("server", NEWER, made="2026-02-01T00:00:00Z")], "3.2.0", id="the-newest-that-runs"
        ),
        pytest.param(
            [RUNNING, a_running_pod("server", NEWER, made="2026-02-01T00:00:00Z", ready="False")],
            "3.1.0",
            id="not-what-is-to-run",
        ),
        pytest.param([a_running_pod("server", "server@sha256:0123")], "", id="by-digest-alone"),
        pytest.param([a_running_pod("server", "server:release")], "", id="a-tag-that-tells-no-version"),
    ],
)
def test_the_version_is_that_of_the_server_that_runs(pods, version):
    status = report_for(a_cr(), an_instance_at_work(a_cr()), pods=pods)["status"]

    assert status["version"] == version


def test_in_a_rollout_the_version_is_the_wanted_one_as_soon_as_a_pod_of_it_runs():
    cr = a_cr(wanting(NEWER))
    old, evicted = RUNNING, a_running_pod("server", RUNNING_IMAGE, made="2026-03-01T00:00:00Z")
    new = a_running_pod("server", NEWER, made="2026-02-01T00:00:00Z")

    objects = an_instance_at_work(cr)
    before = report_for(cr, objects, pods=[old])["status"]
    after = report_for(cr, objects, pods=[old, evicted, new])["status"]

    assert (before["version"], before["images"]["server"]) == ("3.1.0", RUNNING_IMAGE), "the only one that runs"
    assert (after["version"], after["images"]["server"]) == ("3.2.0", NEWER), "an older version may have the newer pod"


def test_the_version_and_image_that_ran_last_stay_while_none_runs():
    known = report_for(a_cr(), an_instance_at_work(a_cr()), pods=[RUNNING])["status"]

    status = wanted_status(known, report_for(a_cr(), an_instance_at_work(a_cr()))["status"], None, now="now")

    assert (status["version"], status["images"]["server"]) == ("3.1.0", "ghcr.io/immich-app/immich-server:v3.1.0")


def test_images_are_those_that_run_and_none_of_what_is_switched_off():
    pods = [RUNNING, a_running_pod("machine-learning", "ml:v3.1.0-cuda")]
    known = report_for(a_cr(), an_instance_at_work(a_cr()), pods=pods)["status"]
    assert known["images"] == {"server": "ghcr.io/immich-app/immich-server:v3.1.0", "machineLearning": "ml:v3.1.0-cuda"}
    off = a_cr({"machineLearning": {"enabled": False}})

    status = wanted_status(known, report_for(off, an_instance_at_work(off))["status"], None, now="now")

    assert status["images"] == {"server": "ghcr.io/immich-app/immich-server:v3.1.0"}
