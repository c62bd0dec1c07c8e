# SPDX-License-Identifier: Apache-2.0
"""What the tag of an image does to a pod on a simulated node."""

from typing import Any

import pytest

from localcluster.testing import Cluster


def a_pod(namespace: str, *, image: str = "example/app:1", init_image: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "app", "image": image}]}
    if init_image:
        spec["initContainers"] = [{"name": "wait", "image": init_image}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "subject", "namespace": namespace},
        "spec": spec,
    }


def condition(pod: dict[str, Any], kind: str) -> str:
    return next(str(entry["status"]) for entry in pod["status"]["conditions"] if entry["type"] == kind)


def test_an_ordinary_pod_becomes_ready_after_its_init_containers(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(a_pod(namespace, init_image="example/wait:1"))

    pod = cluster.api.wait_for("Pod", "subject", namespace, lambda pod: len(pod["status"]["containerStatuses"]) == 1)

    assert condition(pod, "Ready") == "True"
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"].startswith("10.244.")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"


def test_a_deployment_becomes_available_and_scales_to_zero(cluster: Cluster, namespace: str) -> None:
    labels = {"app": "subject"}
    cluster.api.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "subject", "namespace": namespace},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "app", "image": "example/app:1"}]},
                },
            },
        }
    )
    cluster.api.wait_for("Deployment", "subject", namespace, lambda live: live["status"]["availableReplicas"] == 3)

    cluster.api.merge_patch("Deployment", "subject", namespace, {"spec": {"replicas": 0}})

    cluster.api.wait_for_list("Pod", namespace, lambda pods: not pods)


@pytest.mark.parametrize(
    ("tag", "phase", "reason"),
    [
        pytest.param("pull-error", "Pending", "ImagePullBackOff", id="pull-error"),
        pytest.param("crash-loop", "Running", "CrashLoopBackOff", id="crash-loop"),
        pytest.param("oom-killed", "Running", "CrashLoopBackOff", id="oom-killed"),
    ],
)
def test_a_failing_container_waits_with_the_reason_that_kubelet_gives(
    cluster: Cluster, namespace: str, tag: str, phase: str, reason: str
) -> None:
    cluster.api.create(a_pod(namespace, image=f"example/app:{tag}"))

    pod = cluster.api.wait_for(
        "Pod",
        "subject",
        namespace,
        lambda pod: pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason,
    )

    assert pod["status"]["phase"] == phase
    assert condition(pod, "Ready") == "False"
    assert condition(pod, "Initialized") == "True"


@pytest.mark.parametrize(
    ("tag", "code", "reason"),
    [
        pytest.param("crash-loop", 1, "Error", id="crash-loop"),
        pytest.param("oom-killed", 137, "OOMKilled", id="oom-killed"),
    ],
)
def test_a_crashing_container_says_how_it_ended_and_counts_its_restarts(
    cluster: Cluster, namespace: str, tag: str, code: int, reason: str
) -> None:
    cluster.api.create(a_pod(namespace, image=f"example/app:{tag}"))

    pod = cluster.api.wait_for(
        "Pod", "subject", namespace, lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] >= 2
    )

    ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (code, reason)


def test_a_never_ready_container_runs_without_getting_ready(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(a_pod(namespace, image="example/app:never-ready"))

    pod = cluster.api.wait_for(
        "Pod", "subject", namespace, lambda pod: "running" in pod["status"]["containerStatuses"][0]["state"]
    )

    assert condition(pod, "Ready") == "False"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.mark.parametrize(
    ("tag", "state"),
    [
        pytest.param("init-stuck", {"running": None}, id="runs-forever"),
        pytest.param("init-crash", {"waiting": "CrashLoopBackOff"}, id="crashes"),
        pytest.param("pull-error", {"waiting": "ImagePullBackOff"}, id="has-no-image"),
    ],
)
def test_an_init_container_that_does_not_end_holds_the_pod_up(
    cluster: Cluster, namespace: str, tag: str, state: dict[str, str | None]
) -> None:
    cluster.api.create(a_pod(namespace, init_image=f"example/wait:{tag}"))

    def observed(pod: dict[str, Any]) -> dict[str, str | None]:
        live = pod["status"]["initContainerStatuses"][0]["state"]
        return {key: value.get("reason") for key, value in live.items()}

    pod = cluster.api.wait_for("Pod", "subject", namespace, lambda pod: observed(pod) == state)

    assert pod["status"]["phase"] == "Pending"
    assert condition(pod, "Initialized") == "False"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


def test_tags_for_main_containers_let_an_init_container_of_the_same_image_end(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(a_pod(namespace, image="example/app:crash-loop", init_image="example/app:crash-loop"))

    pod = cluster.api.wait_for("Pod", "subject", namespace, lambda pod: len(pod["status"]["containerStatuses"]) == 1)

    assert condition(pod, "Initialized") == "True"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_the_pod_of_a_job_completes(cluster: Cluster, namespace: str) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": "example/app:1"}]}}

    cluster.api.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "subject", "namespace": namespace},
            "spec": {"template": template},
        }
    )

    cluster.api.wait_for("Job", "subject", namespace, lambda job: job["status"]["succeeded"] == 1)
