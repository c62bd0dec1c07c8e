# SPDX-License-Identifier: Apache-2.0
"""Pods and volumes that do not get going: the condition has the cause in the cluster's own words, and what to do.

Simulated nodes mount nothing and post no Events, so these tests post what kubelet would. The claim that gets no volume,
and its Event, are the controller-manager's.
"""

from __future__ import annotations

from typing import Any

DENIED = (
    'MountVolume.SetUp failed for volume "library" : mount failed: exit status 32 Output: mount.nfs: access denied by '
    "server while mounting 192.0.2.1:/photos"
)
ATTACHED = 'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node'


def post_event(instances, pod: dict[str, Any], reason: str, message: str, suffix: str = "0") -> None:
    """An Event of a pod as kubelet posts it; those with a higher suffix come later in lists."""
    metadata = pod["metadata"]
    involved = {"apiVersion": "v1", "kind": "Pod", **{key: metadata[key] for key in ("name", "namespace", "uid")}}
    at = metadata["creationTimestamp"]
    instances.api.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{reason.lower()}{suffix}", "namespace": metadata["namespace"]},
            "involvedObject": involved,
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet"},
            "firstTimestamp": at,
            "lastTimestamp": at,
        }
    )


def stuck_pod(instances, component: str) -> dict[str, Any]:
    """The pod of a component, once it has a node and does not run; its containers wait as those of a real one would."""

    def simulated() -> dict[str, Any] | None:
        pods = instances.pods(component)
        return pods[0] if pods and (pods[0].get("status") or {}).get("containerStatuses") else None

    pod = instances.wait(f"the pod of {component}", simulated)
    fields = ("initContainerStatuses", "containerStatuses")
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    states = {
        field: [
            {**status, "started": False, "ready": False, "state": waiting} for status in pod["status"].get(field, ())
        ]
        for field in fields
    }
    patch = {"status": {"phase": "Pending", **states}}
    return instances.api.merge_patch("Pod", pod["metadata"]["name"], instances.namespace, patch, subresource="status")


def test_what_keeps_a_pod_or_a_volume_from_getting_going_is_told_with_what_to_do_and_heals(instances):
    instances.create(
        {
            "server": {"image": "stuck:never-ready"},
            "machineLearning": {"persistence": {"storageClass": ""}},
            "valkey": {"image": "stuck:never-ready"},
            "postgres": {"image": "stuck:never-ready"},
        }
    )
    for component, reason, message in (
        ("server", "FailedMount", DENIED),
        ("valkey", "FailedCreatePodSandBox", "Failed to create pod sandbox: cni plugin not initialized"),
        ("postgres", "FailedAttachVolume", ATTACHED),
    ):
        post_event(instances, stuck_pod(instances, component), reason, message)

    server = instances.wait_condition("ServerReady", "VolumeNotMounted")
    machine_learning = instances.wait_condition("MachineLearningReady", "VolumeNotProvided")
    valkey = instances.wait_condition("ValkeyReady", "PodNotSetUp")
    postgres = instances.wait_condition("PostgresReady", "VolumeNotAttached")

    [pod] = instances.pods("server")
    assert (
        f"Deployment photos-server: node {pod['spec']['nodeName']} can't mount a volume of its pod" in server["message"]
    )
    assert (
        "mount.nfs: access denied by server while mounting 192.0.2.1:/photos; the storage server denies"
        in server["message"]
    )
    assert "no storage class is set; the cluster has no default StorageClass" in machine_learning["message"]
    assert "cni plugin not initialized; check the network plugin's pods on that node" in valkey["message"]
    assert "Multi-Attach error" in postgres["message"]
    assert "only if that machine is switched off for good" in postgres["message"]
    degraded = instances.wait_condition("Degraded", "VolumeNotMounted")["message"]
    assert "access denied" in degraded
    assert "Multi-Attach" not in degraded, "time may heal it: Kubernetes takes the volume away from a node that is gone"

    good = {"image": "fine:1"}
    instances.change({"server": good, "valkey": good, "postgres": good})

    instances.wait("all but the claim heals", lambda: instances.condition("PostgresReady").get("status") == "True")
    instances.wait("the server is ready", lambda: instances.condition("ServerReady").get("status") == "True")


def test_the_newest_event_is_told_although_former_pods_of_the_name_have_left_more_than_are_read(instances):
    instances.create({"postgres": {"image": "stuck:never-ready"}})
    pod = instances.wait("the pod", lambda: next(iter(instances.pods("postgres")), None))
    metadata = pod["metadata"]
    for number in range(210):
        former = {**pod, "metadata": {**metadata, "uid": "00000000-0000-0000-0000-000000000000"}}
        post_event(instances, former, "FailedMount", "of a former pod", f"{number:03}")
    post_event(instances, stuck_pod(instances, "postgres"), "FailedMount", DENIED, "999")

    told = instances.wait_condition("PostgresReady", "VolumeNotMounted")["message"]

    assert "access denied by server while mounting 192.0.2.1:/photos" in told


def test_a_server_that_waits_for_an_external_database_says_for_which_and_since_when(instances):
    instances.secret("db", password="x")
    external = {"enabled": False, "host": "pg-rw.database", "passwordSecretRef": {"name": "db", "key": "password"}}
    instances.create({"server": {"image": "stuck:never-ready"}, "postgres": external})
    pod = stuck_pod(instances, "server")
    began = pod["metadata"]["creationTimestamp"]
    states = [
        {**status, "state": {"running": {"startedAt": began}}} if status["name"] == "wait-for-postgres" else status
        for status in pod["status"]["initContainerStatuses"]
    ]
    waiting = {"status": {"initContainerStatuses": states}}
    instances.api.merge_patch("Pod", pod["metadata"]["name"], instances.namespace, waiting, subresource="status")

    message = instances.wait_condition("ServerReady", "InitContainerWaiting")["message"]

    assert "init container wait-for-postgres has been running since 20" in message
    assert "it is waiting for pg-rw.database:5432 to accept connections" in message
    assert instances.condition("Progressing")["status"] == "True"


def test_events_are_not_read_while_all_is_well(instances, cluster):
    instances.create()
    instances.wait_ready()
    instances.wait_settled()
    mark = cluster.audit.mark()

    instances.change({"machineLearning": {"replicas": 2}})
    instances.wait_ready()
    instances.wait_settled()

    reads = cluster.audit.since(mark, namespace=instances.namespace, resource="events", verbs=["list"])
    assert [entry for entry in reads if "immich" in entry.user_agent] == []
