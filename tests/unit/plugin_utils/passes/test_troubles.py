# SPDX-License-Identifier: Apache-2.0
"""Each trouble of the table, in the words of Kubernetes: what a person reads, and when it is theirs to act."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from ansible_collections.media.immich.plugins.plugin_utils.passes import cluster_events
from ansible_collections.media.immich.plugins.plugin_utils.passes.causes import Cause
from ansible_collections.media.immich.plugins.plugin_utils.passes.diagnosis import Written, diagnose
from ansible_collections.media.immich.plugins.plugin_utils.passes.troubles import (
    FOR_EVER,
    TROUBLES,
    Source,
    Trouble,
    recognise,
)
from support.instances import a_cr, an_instance_at_work, condition, report_for, summary, with_status

BEGAN = 1_800_000_000.0
WRITTEN = Written("spec.server", has_image=True)
STARTED = "2027-01-15T08:00:00Z"
NODE, POD_UID, CLAIM_UID = "node-1", "uid-of-the-pod", "uid-of-the-claim"
SERVER = {
    "kind": "Deployment",
    "metadata": {"name": "photos-server", "generation": 1},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1},
}


def a_pod(*, init: Any = (), containers: Any = (), node: str | None = NODE, **status: Any) -> dict[str, Any]:
    """A pod of the server, made at BEGAN and not ready since."""
    creating = {"name": "server", "state": {"waiting": {"reason": "ContainerCreating"}}}
    metadata = {
        "name": "photos-server-5d8c7b9f6d-x2x7q",
        "namespace": "family",
        "uid": POD_UID,
        "creationTimestamp": STARTED,
        "labels": {"app.kubernetes.io/instance": "photos", "app.kubernetes.io/component": "server"},
    }
    spec = {
        "initContainers": [{"name": "look-at-library"}, {"name": "wait-for-postgres"}],
        "containers": [{"name": "server", "image": "immich-server:v3"}],
        **({"nodeName": node} if node else {}),
    }
    states = {"initContainerStatuses": list(init), "containerStatuses": list(containers or [creating])}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending", **states, **status}}


def a_claim(**status: Any) -> dict[str, Any]:
    metadata = {"name": "photos-library", "namespace": "family", "uid": CLAIM_UID, "creationTimestamp": STARTED}
    status = {"phase": "Pending", **status}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {"storageClassName": "fast"},
        "status": status,
    }


def an_event(sign: str, message: str, after_s: float = 30) -> dict[str, Any]:
    return {"reason": sign, "message": message, "at": BEGAN + after_s}


def waiting_for(host: str) -> dict[str, Any]:
    """The template of the server's pods."""
    variables = [{"name": "WAIT_HOST", "value": host}, {"name": "WAIT_PORT", "value": "5432"}]
    return {"spec": {"initContainers": [{"name": "look-at-library"}, {"name": "wait-for-postgres", "env": variables}]}}


def found(
    *pods: dict[str, Any],
    events: Any = (),
    claim: dict[str, Any] | None = None,
    after_s: float = 60,
    host: str = "pg-rw.database",
) -> Cause:
    claims = [("photos-library", claim)] if claim else []
    told = {CLAIM_UID if claim else POD_UID: list(events)}
    workload = {**SERVER, "spec": {"replicas": 1, "template": waiting_for(host)}}
    return diagnose(workload, pods, claims, WRITTEN, told=told, now=BEGAN + after_s)


def shown(row: Trouble, after_s: float) -> Cause:
    """What is told so long after a pod or claim was made that has the row's trouble."""
    sign = row.sign.replace("OutOf*", "OutOfmemory").replace("Preempt*", "Preempting")
    match row.source:
        case Source.SCHEDULER:
            scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": row.example}
            return found(a_pod(node=None, conditions=[scheduled]), after_s=after_s)
        case Source.CLAIM:
            return found(events=[an_event(sign, row.example)], claim=a_claim(), after_s=after_s)
        case Source.POD:
            return found(a_pod(), events=[an_event(sign, row.example)], after_s=after_s)
        case Source.STATUS:
            return found(a_pod(phase="Failed", reason=sign, message=row.example), after_s=after_s)
        case Source.CONTAINER if row.reason is Reason.CRASH_LOOPING:
            ended = {"exitCode": int(row.example), "reason": "Error" if sign.startswith("exit") else sign}
            state = {"waiting": {"reason": "CrashLoopBackOff"}}
            container = {"name": "server", "state": state, "lastState": {"terminated": ended}}
            return found(a_pod(containers=[container]), after_s=after_s)
        case _:
            waiting = {"name": "server", "state": {"waiting": {"reason": sign, "message": row.example}}}
            return found(a_pod(containers=[waiting]), after_s=after_s)


EACH = pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row.sign}-{number}") for number, row in enumerate(TROUBLES)]
)


def test_the_forty_commonest_are_there():
    assert len(TROUBLES) >= 40
    assert len({(row.source, row.sign, row.words) for row in TROUBLES}) == len(TROUBLES)


@EACH
def test_a_message_of_kubernetes_is_taken_for_what_it_is(row: Trouble):
    sign = row.sign.replace("*", "x")

    assert recognise(row.source, sign, row.example) == row


@EACH
def test_a_trouble_is_told_with_its_cause_and_what_to_do(row: Trouble):
    cause = shown(row, after_s=row.quiet_s + 60)

    assert cause.reason is row.reason
    assert row.advice.replace("NODE", NODE) in cause.message.replace("NODE", NODE)
    if row.is_quoted:
        assert row.example.replace("0123456789ab", "ID")[:200] in cause.message
    assert cause.message.startswith("Deployment photos-server: ")


@EACH
def test_a_trouble_that_time_does_not_heal_is_somebodys_to_act_on(row: Trouble):
    begin, end = BEGAN + row.quiet_s + 1, BEGAN + max(row.patience_s, row.quiet_s) + 1

    if row.patience_s:
        assert shown(row, after_s=begin - BEGAN).heals(begin)
    if row.patience_s < FOR_EVER:
        assert not shown(row, after_s=end - BEGAN).heals(end)


def test_what_belongs_to_a_usual_start_is_not_told():
    refused = an_event("Unhealthy", "Startup probe failed: connection refused")
    running = {"name": "server", "state": {"running": {"startedAt": STARTED}}}

    assert found(a_pod(containers=[running]), events=[refused], after_s=60).reason is Reason.WAITING_FOR_ROLLOUT
    assert found(a_pod(containers=[running]), events=[refused], after_s=130).reason is Reason.PROBE_FAILING


@pytest.mark.parametrize("sign", ["Scheduled", "SuccessfulAttachVolume", "Pulled", "Created", "ProvisioningSucceeded"])
def test_events_of_success_are_no_trouble(sign: str):
    assert found(a_pod(), events=[an_event(sign, "all is well")]).reason is Reason.WAITING_FOR_ROLLOUT


@pytest.mark.parametrize(
    ("trouble", "success"),
    [
        (("FailedMount", "mount.nfs: access denied by server"), "Pulling"),
        (("FailedAttachVolume", "Multi-Attach error for volume"), "Created"),
        (("FailedCreatePodSandBox", "cni plugin not initialized"), "Pulled"),
        (("Failed", "Failed to pull image: not found"), "Pulled"),
        (("Pulling", 'Pulling image "x"'), "Pulled"),
    ],
)
def test_what_is_over_is_not_reported(trouble: tuple[str, str], success: str):
    later, earlier = (an_event(success, "all is well", at) for at in (40, 20))

    assert found(a_pod(), events=[an_event(*trouble), later]).reason in (Reason.WAITING_FOR_ROLLOUT,)
    assert "all is well" not in found(a_pod(), events=[an_event(*trouble), earlier]).message
    assert found(a_pod(), events=[an_event(*trouble), earlier]).message != found(a_pod()).message


def test_of_several_events_the_one_that_says_most_is_told_in_whatever_order_they_come():
    denied = an_event("FailedMount", "mount.nfs: access denied by server while mounting 192.0.2.1:/photos", 30)
    timeout = an_event("FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition", 90)

    one, other = (found(a_pod(), events=order) for order in ([denied, timeout], [timeout, denied]))

    assert one == other
    assert "access denied by server" in one.message


def test_of_an_earlier_trouble_nothing_is_told_once_there_is_another():
    attach = an_event("FailedAttachVolume", "Multi-Attach error for volume", 30)
    mount = an_event("FailedMount", "mount.nfs: access denied by server", 30 + 600)

    assert found(a_pod(), events=[attach, mount], after_s=900).reason is Reason.VOLUME_NOT_MOUNTED


def test_a_node_that_is_back_is_not_blamed_for_what_comes_later():
    lost, refused = (
        an_event("NodeNotReady", "Node is not ready", 0),
        an_event("Unhealthy", "Readiness probe failed: 500", 120),
    )
    running = {"name": "server", "state": {"running": {"startedAt": STARTED}}}
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": "2027-01-15T08:02:00Z"}

    def told(*conditions: Any) -> Reason:
        return found(a_pod(containers=[running], conditions=conditions), events=[lost, refused], after_s=200).reason

    assert told(unready) is Reason.PROBE_FAILING
    assert told({**unready, "lastTransitionTime": STARTED}) is Reason.NODE_LOST


def test_a_pod_that_is_no_longer_to_be_deleted_is_not_told():
    kept = an_event("TaintManagerEviction", "Cancelling deletion of Pod family/photos-server-0")

    assert found(a_pod(), events=[kept]).reason is Reason.WAITING_FOR_ROLLOUT


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        pytest.param(
            "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
            "2 Insufficient memory.",
            "lower the requests",
            id="the-nodes-for-pods-are-full",
        ),
        pytest.param(
            "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) had untolerated "
            "taint(s).",
            "the volume is on a node or in a zone where the pod may not run",
            id="the-volume-is-elsewhere",
        ),
        pytest.param(
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
            "the node does not respond",
            id="the-node-is-lost",
        ),
    ],
)
def test_of_what_the_scheduler_says_of_several_nodes_the_advice_is_for_those_that_could_take_the_pod(
    message: str, advice: str
):
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}

    assert advice in found(a_pod(node=None, conditions=[scheduled])).message


def test_what_the_status_of_the_pod_tells_comes_before_its_events():
    waiting = {"name": "server", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}

    cause = found(a_pod(containers=[waiting]), events=[an_event("FailedMount", "timed out waiting for the condition")])

    assert (cause.reason, cause.is_watched) == (Reason.IMAGE_PULL_FAILED, True)


def test_what_somebody_has_to_act_on_comes_before_what_time_may_heal():
    attached = an_event("FailedAttachVolume", "Multi-Attach error for volume")
    no_class = an_event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
    told = {POD_UID: [attached], CLAIM_UID: [no_class]}

    cause = diagnose(SERVER, [a_pod()], [("photos-library", a_claim())], WRITTEN, told=told, now=BEGAN + 60)

    assert cause.reason is Reason.VOLUME_NOT_PROVIDED


def held_up_by(name: str, *later: str) -> dict[str, Any]:
    running = {"name": name, "state": {"running": {"startedAt": STARTED}}}
    waiting = [{"name": other, "state": {"waiting": {"reason": "PodInitializing"}}} for other in later]
    return a_pod(init=[running, *waiting])


def test_an_init_container_that_waits_says_for_what_and_since_when():
    cause = found(held_up_by("wait-for-postgres"), after_s=60)

    assert cause.reason is Reason.INIT_CONTAINER_WAITING
    assert "init container wait-for-postgres has been running since 2027-01-15 08:00 UTC" in cause.message
    assert "it is waiting for pg-rw.database:5432 to accept connections" in cause.message
    assert cause == found(held_up_by("wait-for-postgres"), after_s=90), "the message holds still"
    assert cause.heals(BEGAN + 60)
    assert not found(held_up_by("wait-for-postgres"), after_s=130).heals(BEGAN + 130)


def test_an_init_container_of_any_purpose_is_told_with_where_its_log_is():
    cause = found(held_up_by("look-at-library", "wait-for-postgres"), after_s=60)

    assert "init container look-at-library has been running since" in cause.message
    assert "still to run after it: wait-for-postgres (pg-rw.database:5432)" in cause.message
    assert "kubectl logs -n family deployment/photos-server -c look-at-library" in cause.message
    assert cause.heals(BEGAN + 300), "a large library takes its time"
    assert not cause.heals(BEGAN + 700)


def test_an_init_container_that_has_just_started_is_progress():
    assert found(held_up_by("wait-for-postgres"), after_s=5).reason is Reason.WAITING_FOR_ROLLOUT


def test_a_database_of_the_instances_own_has_an_hour():
    pod = held_up_by("wait-for-postgres")

    def waits(after_s: float) -> bool:
        return found(pod, host="photos-postgres", after_s=after_s).heals(BEGAN + after_s)

    assert (waits(3000), waits(3700)) == (True, False)


def test_a_pod_of_which_nothing_becomes_and_nobody_says_why_is_told_in_the_end():
    assert found(a_pod(), after_s=300).reason is Reason.WAITING_FOR_ROLLOUT

    cause = found(a_pod(), after_s=700)

    assert cause.reason is Reason.POD_NOT_SET_UP
    assert (
        f"its pod has been waiting to start on node {NODE} since 2027-01-15 08:00 UTC, and no Event says why"
        in cause.message
    )
    assert not cause.heals(BEGAN + 700)


def test_a_pod_that_was_to_end_and_does_not_names_its_node():
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = STARTED

    assert found(pod, after_s=20).reason is Reason.WAITING_FOR_ROLLOUT
    cause = found(pod, after_s=60)

    assert cause.reason is Reason.NODE_LOST
    assert f"its old pod on node {NODE} should have ended by 2027-01-15 08:00 UTC and has not" in cause.message
    assert (
        "Delete its Node object only if that machine is switched off for good and no volume of the instance is on its disks"
        in cause.message
    )
    assert "kubectl delete" not in cause.message
    assert cause.heals(BEGAN + 60)
    assert not found(pod, after_s=200).heals(BEGAN + 200)


def test_a_pod_that_its_node_cannot_end_is_told_in_the_words_of_the_node():
    stuck = an_event("FailedKillPod", 'error killing pod: failed to "KillContainer" for "server": DeadlineExceeded', 40)
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = STARTED

    cause = found(pod, events=[stuck], after_s=60)

    assert cause.reason is Reason.NODE_LOST
    assert (
        f"its old pod on node {NODE} should have ended by 2027-01-15 08:00 UTC and has not: error killing"
        in cause.message
    )
    assert "check the container runtime on that node, and the storage that the pod uses" in cause.message
    assert "does not respond" not in cause.message


def test_the_events_of_a_pod_that_does_not_end_are_read():
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = STARTED

    assert cluster_events.worth_a_look([pod], BEGAN + 20) == []
    assert cluster_events.worth_a_look([pod], BEGAN + 60) == [pod]


LOW = "The node was low on resource: memory."


def evicted(at: str = STARTED) -> dict[str, Any]:
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": at}
    return a_pod(phase="Failed", reason="Evicted", message=LOW, conditions=[unready])


def made(at: str, **status: Any) -> dict[str, Any]:
    pod = a_pod(**status)
    pod["metadata"]["creationTimestamp"] = at
    return pod


def test_a_pod_that_was_evicted_is_told_until_the_one_that_replaces_it_is_ready():
    cause = found(evicted(), made("2027-01-15T08:00:03Z"))

    assert cause.reason is Reason.POD_EVICTED
    assert (
        f"Deployment photos-server: node {NODE} has evicted or rejected its old pod (Evicted): {LOW}" in cause.message
    )
    assert cause.heals(BEGAN + 3600), "the next one is starting"


def test_a_pod_whose_controller_deletes_what_failed_is_told_by_the_event_of_the_one_before():
    evicted_before = {**an_event("Evicted", LOW, 0), "former_node": "node-2"}

    soon = found(made("2027-01-15T08:00:03Z"), events=[evicted_before])
    later = found(made("2027-01-15T08:30:00Z"), events=[evicted_before], after_s=1860)

    assert (soon.reason, later.reason) == (Reason.POD_EVICTED, Reason.WAITING_FOR_ROLLOUT)
    assert f"node node-2 has evicted or rejected its old pod (Evicted): {LOW}" in soon.message


def test_what_keeps_the_next_pod_from_starting_comes_before_why_there_had_to_be_one():
    waiting = {"name": "wait-for-postgres", "state": {"running": {"startedAt": STARTED}}}

    assert found(evicted(), made("2027-01-15T08:00:03Z", init=[waiting])).reason is Reason.INIT_CONTAINER_WAITING


def test_a_pod_that_was_evicted_once_says_nothing_about_a_rollout_later_on():
    assert found(evicted(), made("2027-01-16T08:00:00Z"), after_s=24 * 3600).reason is Reason.WAITING_FOR_ROLLOUT


def test_somebody_has_to_act_when_a_pod_is_evicted_again_and_again_within_an_hour():
    times = ("2027-01-15T08:00:00Z", "2027-01-15T08:10:00Z", "2027-01-15T08:20:00Z")

    soon = found(*map(evicted, times), made("2027-01-15T08:20:03Z"), after_s=1300)
    days_later = found(*map(evicted, times), made("2027-01-17T08:00:00Z"), after_s=2 * 24 * 3600)

    assert (soon.reason, soon.heals(BEGAN + 1300)) == (Reason.POD_EVICTED, False)
    assert days_later.reason is Reason.WAITING_FOR_ROLLOUT


def test_a_pod_that_was_evicted_and_has_no_successor_is_told():
    assert found(evicted()).reason is Reason.POD_EVICTED


def test_a_claim_that_has_lost_its_volume_needs_no_event():
    cause = found(claim=a_claim(phase="Lost"))

    assert (cause.reason, cause.heals(BEGAN + 60)) == (Reason.VOLUME_LOST, False)
    assert "PersistentVolumeClaim photos-library has lost its volume" in cause.message


def test_messages_are_bounded_and_hold_no_control_characters():
    nasty = "mount failed: \x1b[31mred\x1b[0m\x00\u202e" + "x " * 3000

    message = found(a_pod(), events=[an_event("FailedMount", nasty)]).message

    assert len(message) < 600
    assert r"\x1b[31mred" in message
    assert message.isprintable()


def test_messages_are_the_same_for_another_pod_and_another_attempt():
    words = 'failed to setup network for sandbox "{}": pod photos-server-{}_family({}): cni plugin not initialized'
    ids = ("0123456789abcdef", "5d8c7b9f6d-x2x7q", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    others = ("fedcba9876543210", "5d8c7b9f6d-aaaaa", "1f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    other = a_pod()
    other["metadata"]["name"] = "photos-server-5d8c7b9f6d-aaaaa"

    one = found(a_pod(), events=[an_event("FailedCreatePodSandBox", words.format(*ids))])
    two = found(other, events=[an_event("FailedCreatePodSandBox", words.format(*others))])

    assert one == two


def test_the_name_of_a_volume_stays():
    volume = "pvc-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

    assert (
        volume in found(a_pod(), events=[an_event("FailedAttachVolume", f'Multi-Attach error for "{volume}"')]).message
    )


def told_of(*events: dict[str, Any], after_s: float) -> dict[str, Any]:
    """The report of an instance whose server has such Events."""
    live = with_status(an_instance_at_work(a_cr()), "Deployment", "photos-server", availableReplicas=0)
    return report_for(a_cr(), live, pods=[a_pod()], events={POD_UID: list(events)}, now=BEGAN + after_s)


def test_an_instance_is_progressing_while_time_may_heal_it_and_then_degraded():
    attached_elsewhere = an_event("FailedAttachVolume", "Multi-Attach error for volume pvc-1")

    early, late = (told_of(attached_elsewhere, after_s=at) for at in (60, 500))

    assert condition(early, "ServerReady")["reason"] == condition(late, "ServerReady")["reason"] == "VolumeNotAttached"
    assert summary(early) == {
        "Ready": ("False", "ComponentsNotReady"),
        "Progressing": ("True", "WaitingForRollout"),
        "Degraded": ("False", "AsExpected"),
    }
    assert summary(late) == {
        "Ready": ("False", "VolumeNotAttached"),
        "Progressing": ("False", "Blocked"),
        "Degraded": ("True", "VolumeNotAttached"),
    }
    assert early["events"] == []
    assert [event["reason"] for event in late["events"]] == ["VolumeNotAttached"]


def test_where_data_is_at_stake_the_condition_names_the_section_that_tells_more():
    lost = an_event("NodeNotReady", "Node is not ready")

    late = told_of(lost, after_s=500)

    assert condition(late, "Degraded")["message"].endswith("; more in docs/reference/conditions.md#nodelost")
    assert condition(told_of(lost, after_s=60), "Degraded")["message"] == ""
    assert (
        "more in"
        not in condition(told_of(an_event("FailedMount", "access denied"), after_s=500), "Degraded")["message"]
    )


@pytest.mark.parametrize(
    ("after_s", "again"),
    [
        pytest.param(2, "15s", id="just-made"),
        pytest.param(200, "100s", id="after-half-its-age"),
        pytest.param(400, "21s", id="when-it-is-no-longer-for-time-to-heal"),
        pytest.param(7 * 24 * 3600, "600s", id="for-days"),
    ],
)
def test_the_pauses_between_looks_grow_with_the_age_of_the_trouble(after_s: float, again: str):
    report = told_of(an_event("FailedAttachVolume", "Multi-Attach error", after_s), after_s=after_s)

    assert report["requeue_after"] == again


def test_what_the_loop_watches_is_not_looked_at_again():
    live = with_status(an_instance_at_work(a_cr()), "Deployment", "photos-server", availableReplicas=0)
    waiting = {"name": "server", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}

    report = report_for(a_cr(), live, pods=[a_pod(containers=[waiting])], now=BEGAN + 60)

    assert report["requeue_after"] is None
    assert report["observed"] is not None


def test_an_instance_that_is_well_is_not_looked_at_again():
    report = report_for(a_cr(), an_instance_at_work(a_cr()), now=BEGAN)

    assert (report["requeue_after"], report["observed"] is not None) == (None, True)
