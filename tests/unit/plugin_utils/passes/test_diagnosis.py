# SPDX-License-Identifier: Apache-2.0
"""From what kubelet, scheduler and API server say of pods to a cause and what to do about it."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from ansible_collections.media.immich.plugins.plugin_utils.passes.diagnosis import Written, diagnose

POD = "photos-server-5d8c7b9f6d-x2x7q"
IMAGE = "ghcr.io/immich-app/immich-server:v9.9.9"
SERVER = {
    "kind": "Deployment",
    "metadata": {"name": "photos-server", "generation": 2},
    "spec": {
        "replicas": 1,
        "template": {"spec": {"initContainers": [{"name": "wait-for-postgres"}], "containers": [{"name": "server"}]}},
    },
    "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1},
}


def waiting(reason, message="", **container):
    return {"name": "server", "state": {"waiting": {"reason": reason, "message": message}}, **container}


def ended(code, reason="Error"):
    return {"terminated": {"exitCode": code, "reason": reason}}


def a_pod(*containers, init=(), scheduled=None, name=POD, **metadata):
    conditions = (
        []
        if scheduled is None
        else [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": scheduled}]
    )
    spec = {
        "initContainers": [{"name": "wait-for-postgres", "image": IMAGE}],
        "containers": [{"name": "server", "image": IMAGE}],
    }
    status = {"containerStatuses": list(containers), "initContainerStatuses": list(init), "conditions": conditions}
    metadata = {"name": name, "namespace": "family", **metadata}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def a_claim(phase="Pending", storage_class="local-path"):
    spec = {"storageClassName": storage_class} if storage_class else {}
    return {"kind": "PersistentVolumeClaim", "metadata": {}, "spec": spec, "status": {"phase": phase}}


def cause(*pods, workload=SERVER, claims=(), refusal=""):
    return diagnose(workload, list(pods), list(claims), Written("spec.server", has_image=True), refusal)


PULLS = [
    pytest.param(
        "ErrImagePull",
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": failed to resolve '
        f'reference "{IMAGE}": {IMAGE}: not found',
        "the registry has no such image or tag",
        id="containerd-no-such-tag",
    ),
    pytest.param(
        "ImagePullBackOff",
        f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = NotFound desc = failed to '
        f'resolve reference "{IMAGE}": {IMAGE}: not found',
        "the registry has no such image or tag",
        id="back-off-with-the-cause",
    ),
    pytest.param(
        "ErrImagePull",
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": failed to '
        "authorize: failed to fetch anonymous token: "
        "unexpected status from GET request to https://registry.example.com/token: 403 Forbidden",
        "the registry denies access; name a pull secret in spec.imagePullSecrets",
        id="forbidden",
    ),
    pytest.param(
        "ErrImagePull",
        f'failed to resolve reference "{IMAGE}": unexpected status from HEAD request to '
        "https://registry.example.com/v2/x: 401 Unauthorized",
        "the registry denies access; name a pull secret in spec.imagePullSecrets",
        id="unauthorized",
    ),
    pytest.param(
        "ErrImagePull",
        'failed to resolve reference "docker.io/me/private:1": pull access denied, repository does not '
        "exist or may require authorization: "
        "server message: insufficient_scope: authorization failed",
        "the registry has no such image, or requires a pull secret in spec.imagePullSecrets",
        id="private-or-absent",
    ),
    pytest.param(
        "ErrImagePull",
        "429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated "
        "pull rate limit.",
        "the registry limits the rate of pulls; wait, or name a pull secret in spec.imagePullSecrets",
        id="rate-limit",
    ),
    pytest.param(
        "ErrImagePull",
        'failed to do request: Head "https://ghcr.io/v2/x": dial tcp: lookup ghcr.io on 10.96.0.10:53: '
        f"no such host ({IMAGE})",
        "the registry can't be reached from the node",
        id="no-such-host",
    ),
    pytest.param(
        "ErrImagePull",
        'failed to do request: Head "https://ghcr.io/v2/x": dial tcp 192.0.2.1:443: i/o timeout',
        "the registry can't be reached from the node",
        id="timeout",
    ),
    pytest.param(
        "InvalidImageName",
        'Failed to apply default image tag "Nope:": couldn\'t parse image name "Nope:": invalid reference format',
        "the image reference is malformed",
        id="malformed",
    ),
    pytest.param(
        "ImagePullBackOff",
        f'Back-off pulling image "{IMAGE}"',
        "check the image name, spec.imagePullSecrets and the registry",
        id="no-cause-given",
    ),
    pytest.param(
        "ErrImageNeverPull",
        f'Container image "{IMAGE}" is not present with pull policy of Never',
        "the node does not have the image and may not pull it",
        id="never-pulled",
    ),
]


@pytest.mark.parametrize(("reason", "message", "advice"), PULLS)
def test_an_image_that_cannot_be_pulled_is_named_with_advice(reason, message, advice):
    found = cause(a_pod(waiting(reason, message)))

    assert found.reason == Reason.IMAGE_PULL_FAILED
    assert found.message.startswith(f"Deployment photos-server: image {IMAGE} from spec.server.image can't be pulled: ")
    assert advice in found.message


def of_init_container(reason, message="", **container):
    return a_pod(
        waiting("PodInitializing"), init=[{**waiting(reason, message), "name": "wait-for-postgres", **container}]
    )


def test_an_image_of_an_init_container_is_told_by_the_field_that_names_it():
    found = cause(of_init_container("ErrImagePull", "not found"))

    assert found.reason == Reason.IMAGE_PULL_FAILED
    assert f"image {IMAGE} from spec.server.image can't be pulled" in found.message
    assert "wait-for-postgres" not in found.message


def test_an_image_of_a_container_from_elsewhere_is_told_by_that_container():
    found = cause(a_pod({**waiting("ErrImagePull", "not found"), "name": "mesh-proxy", "image": "mesh:1"}))

    assert "image mesh:1 of container mesh-proxy can't be pulled" in found.message


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(of_init_container("CreateContainerError", "exec: bash: not found"), id="not-started"),
        pytest.param(of_init_container("CrashLoopBackOff", lastState=ended(127)), id="crash-loop"),
    ],
)
def test_a_container_that_nobody_wrote_is_told_by_the_fields_that_it_comes_from(pod):
    found = cause(pod)

    assert (
        "container wait-for-postgres, which the operator runs first with the image and security context of spec.server,"
    ) in found.message


CRASHES = [
    pytest.param(waiting("CrashLoopBackOff", "back-off 10s", lastState=ended(1)), "code 1 (Error)", id="error"),
    pytest.param(
        waiting("CrashLoopBackOff", "back-off 10s", lastState=ended(137, "OOMKilled")),
        "code 137 (OOMKilled: it needs a higher memory limit in resources)",
        id="out-of-memory",
    ),
    pytest.param(
        waiting("CrashLoopBackOff", lastState=ended(0, "Completed")), "code 0 (Completed)", id="ends-without-error"
    ),
    pytest.param(
        {"name": "server", "state": {"running": {}}, "restartCount": 3, "ready": False, "lastState": ended(143)},
        "code 143 (Error: something asked the program to end",
        id="running-again-for-now",
    ),
    pytest.param(
        {"name": "server", "state": ended(137, "OOMKilled"), "restartCount": 2, "ready": False},
        "OOMKilled",
        id="ended-and-about-to-restart",
    ),
]


@pytest.mark.parametrize(("status", "words"), CRASHES)
def test_a_crash_loop_tells_how_the_container_ended_and_where_its_log_is(status, words):
    found = cause(a_pod(status))

    assert found.reason == Reason.CRASH_LOOPING
    assert words in found.message
    assert "kubectl logs -n family deployment/photos-server -c server --previous" in found.message


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"name": "server", "state": {"running": {}}, "restartCount": 0, "ready": False}, id="starting"),
        pytest.param(
            {"name": "server", "state": {"running": {}}, "restartCount": 1, "ready": False, "lastState": ended(1)},
            id="one-restart",
        ),
        pytest.param(
            {"name": "server", "state": {"running": {}}, "restartCount": 9, "ready": True, "lastState": ended(1)},
            id="ready-again",
        ),
        pytest.param(waiting("ContainerCreating"), id="being-made"),
        pytest.param(waiting("PodInitializing"), id="waiting-for-init-containers"),
    ],
)
def test_what_time_heals_is_no_crash(status):
    assert cause(a_pod(status)).reason == Reason.WAITING_FOR_ROLLOUT


STARTS = [
    pytest.param("CreateContainerConfigError", 'secret "db" not found', 'secret "db" not found', id="no-secret"),
    pytest.param(
        "CreateContainerConfigError",
        "couldn't find key p in Secret family/db",
        "couldn't find key p in Secret family/db",
        id="no-key",
    ),
    pytest.param(
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root (pod: "
        f'"{POD}_family(0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0)", container: server)',
        'image will run as root (pod: "POD_family(ID)", container: server)',
        id="root",
    ),
    pytest.param(
        "CreateContainerError",
        f'failed to reserve container name "server_{POD}_family_0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0_3": '
        f'name is reserved for "{"0a" * 32}"',
        'failed to reserve container name "server_POD_family_ID": name is reserved for "ID"',
        id="random-ids",
    ),
    pytest.param(
        "RunContainerError",
        "failed to create containerd task: exec format error",
        "exec format error",
        id="wrong-architecture",
    ),
]


@pytest.mark.parametrize(("reason", "message", "words"), STARTS)
def test_a_container_that_cannot_be_started_says_why_without_random_text(reason, message, words):
    found = cause(a_pod(waiting(reason, message)))

    assert found.reason == Reason.CONTAINER_NOT_STARTED
    assert words in found.message


SCHEDULING = [
    pytest.param(
        "0/3 nodes are available: 3 Insufficient memory.",
        (),
        Reason.POD_UNSCHEDULABLE,
        "3 Insufficient memory",
        id="memory",
    ),
    pytest.param(
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        [("photos-library", a_claim())],
        Reason.POD_UNSCHEDULABLE,
        "node affinity/selector",
        id="no-node-though-the-claim-waits-for-one",
    ),
    pytest.param(
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 "
        "nodes are available.",
        [("photos-library", a_claim())],
        Reason.VOLUME_NOT_BOUND,
        "PersistentVolumeClaim photos-library is waiting for a volume; StorageClass local-path has yet to provide one",
        id="unbound-claim",
    ),
    pytest.param(
        'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
        [("photos-library", a_claim())],
        Reason.VOLUME_NOT_BOUND,
        "photos-library",
        id="provisioner-does-not-answer",
    ),
    pytest.param(
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        [("photos-library", a_claim(storage_class=None))],
        Reason.VOLUME_NOT_BOUND,
        "it names no StorageClass and the cluster has no default one",
        id="no-default-class",
    ),
]


@pytest.mark.parametrize(("message", "claims", "reason", "words"), SCHEDULING)
def test_a_pod_without_a_node_tells_whether_the_node_or_the_volume_is_missing(message, claims, reason, words):
    found = cause(a_pod(scheduled=message), claims=claims)

    assert found.reason == reason
    assert words in found.message


@pytest.mark.parametrize(
    "claims", [[], [("photos-library", None)], [("photos-library", a_claim("Bound"))]], ids=["none", "unknown", "bound"]
)
def test_claims_that_are_bound_or_unknown_are_no_cause(claims):
    assert cause(a_pod(), claims=claims).reason == Reason.WAITING_FOR_ROLLOUT


REFUSALS = [
    pytest.param(
        'pods "photos-server-5d8c7b9f6d-x2x7q" is forbidden: exceeded quota: compute, requested: '
        "limits.memory=4Gi, used: limits.memory=7Gi, limited: limits.memory=8Gi",
        "exceeded quota: compute",
        id="quota",
    ),
    pytest.param(
        'pods "photos-server-5d8c7b9f6d-" is forbidden: violates PodSecurity "restricted:latest": '
        'runAsNonRoot != true (pod or container "server" must set securityContext.runAsNonRoot=true)',
        'violates PodSecurity "restricted:latest": runAsNonRoot != true',
        id="pod-security",
    ),
    pytest.param('admission webhook "policy.example.com" denied the request: no', "denied the request", id="webhook"),
]


@pytest.mark.parametrize(("message", "words"), REFUSALS)
def test_pods_that_the_api_server_refuses_are_reported_without_their_random_names(message, words):
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    workload = {**SERVER, "status": {**SERVER["status"], "conditions": [refused]}}

    found = cause(workload=workload)

    assert found.reason == Reason.POD_REFUSED
    assert words in found.message
    assert "5d8c7b9f6d" not in found.message


def test_a_refusal_that_only_events_show_is_reported_while_there_is_no_pod():
    refusal = 'pods "photos-postgres-0" is forbidden: exceeded quota: compute'

    found = cause(refusal=refusal)

    assert found.reason == Reason.POD_REFUSED
    assert "refuses its pods: exceeded quota: compute" in found.message
    assert cause(a_pod(), refusal=refusal).reason == Reason.WAITING_FOR_ROLLOUT, "Events stay for an hour"


def test_pods_on_their_way_out_are_no_cause():
    assert (
        cause(a_pod(waiting("ErrImagePull"), deletionTimestamp="2026-11-24T10:00:00Z")).reason
        == Reason.WAITING_FOR_ROLLOUT
    )


def test_what_somebody_has_to_fix_comes_before_what_time_may_heal():
    crash, pull = a_pod(waiting("CrashLoopBackOff", lastState=ended(1))), a_pod(waiting("ErrImagePull"))

    assert cause(crash, pull, claims=[("photos-library", a_claim())]).reason == Reason.IMAGE_PULL_FAILED
    assert cause(pull, crash).reason == Reason.IMAGE_PULL_FAILED
    assert cause(crash, claims=[("photos-library", a_claim())]).reason == Reason.CRASH_LOOPING


PROGRESS = [
    pytest.param(
        {"observedGeneration": 1}, 1, "waiting for its controller to observe the last change", id="not-seen-yet"
    ),
    pytest.param({}, 1, "waiting for its controller to observe the last change", id="no-status-yet"),
    pytest.param(
        {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 3},
        3,
        "1 of 3 pods are up to date",
        id="rolling",
    ),
    pytest.param(
        {"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 2},
        3,
        "2 of 3 pods are available",
        id="starting",
    ),
    pytest.param(
        {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 2, "availableReplicas": 2},
        1,
        "old pods still to terminate: 1",
        id="old-pods",
    ),
    pytest.param(
        {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2},
        0,
        "old pods still to terminate: 2",
        id="scaling-to-zero",
    ),
]


@pytest.mark.parametrize(("status", "replicas", "words"), PROGRESS)
def test_without_a_cause_the_progress_is_reported(status, replicas, words):
    found = cause(workload={**SERVER, "spec": {"replicas": replicas}, "status": status})

    assert found[:2] == (Reason.WAITING_FOR_ROLLOUT, f"Deployment photos-server: {words}")


def test_a_workload_that_is_being_deleted_says_so():
    metadata = {**SERVER["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}

    found = cause(workload={**SERVER, "metadata": metadata})

    assert found[:2] == (
        Reason.WAITING_FOR_ROLLOUT,
        "Deployment photos-server: it is being deleted and will be created again",
    )


def stable_twins():
    """Pods in the same trouble a moment later, or another pod of the same template."""
    for parameters in (PULLS, STARTS):
        for entry in parameters:
            reason, message, _ = entry.values
            other = (
                message.replace(POD, "photos-server-5d8c7b9f6d-aaaaa")
                .replace('_3"', '_4"')
                .replace("0a" * 32, "bc" * 32)
            )
            yield pytest.param(
                a_pod(waiting(reason, message, restartCount=1)),
                a_pod(waiting(reason, other, restartCount=7), name="photos-server-5d8c7b9f6d-aaaaa"),
                id=entry.id,
            )
    for entry in CRASHES[:3]:
        yield pytest.param(
            a_pod(entry.values[0]), a_pod({**entry.values[0], "restartCount": 8}, name="other"), id=f"crash-{entry.id}"
        )


@pytest.mark.parametrize(("one", "other"), [*stable_twins()])
def test_messages_hold_still_while_nothing_changes(one, other):
    assert cause(one) == cause(other)


def test_long_messages_are_cut():
    assert len(cause(a_pod(waiting("CreateContainerError", "x " * 1000))).message) < 400


def saying(state, message):
    return {"terminated": {**state["terminated"], "message": message}}


@pytest.mark.parametrize("look", ["look-at-library", "look-at-volume"])
def test_an_image_without_the_program_for_a_look_is_a_crash_and_what_the_look_itself_says_is_not(look):
    crash = {"name": look, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    no_bash = 'exec: "bash": executable file not found in $PATH'

    said = cause(a_pod(waiting("PodInitializing"), init=[{**crash, "lastState": saying(ended(1), "closed")}]))
    missing = cause(
        a_pod(waiting("PodInitializing"), init=[{**crash, "lastState": saying(ended(128, "StartError"), no_bash)}])
    )

    assert said.reason == Reason.WAITING_FOR_ROLLOUT
    assert missing.reason == Reason.CRASH_LOOPING
    assert f"container {look} keeps exiting with code 128 (StartError: the image lacks the program" in missing.message
