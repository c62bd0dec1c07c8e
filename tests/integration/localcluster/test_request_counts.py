# SPDX-License-Identifier: Apache-2.0
"""The audit log counts exactly, and the helpers around it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcluster.api import Api
from localcluster.audit import WRITES
from localcluster.errors import ApiError, KubectlError, WaitError
from localcluster.testing import Cluster

AGENT = "counted-client"


@pytest.fixture
def counted(cluster: Cluster) -> Api:
    """A client that can be told from all others."""
    return Api(cluster.kubeconfig, user_agent=AGENT)


def a_config_map(namespace: str, name: str = "subject", value: str = "1") -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


def test_every_request_after_the_mark_is_counted_once(cluster: Cluster, namespace: str, counted: Api) -> None:
    counted.list("ConfigMap", namespace)
    mark = cluster.audit.mark()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: counted.apply(a_config_map(namespace, f"map-{number}")), range(200)))
    entries = cluster.audit.since(mark, user_agent_contains=AGENT)

    assert len(entries) == 200
    assert {entry.name for entry in entries} == {f"map-{number}" for number in range(200)}
    assert {(entry.verb, entry.resource, entry.namespace, entry.code) for entry in entries} == {
        ("patch", "configmaps", namespace, 201)
    }


def test_the_last_request_before_the_mark_is_not_counted(cluster: Cluster, namespace: str, counted: Api) -> None:
    for number in range(20):
        counted.apply(a_config_map(namespace, value=str(number)))
        mark = cluster.audit.mark()

        assert cluster.audit.since(mark, user_agent_contains=AGENT) == []


def test_filters_choose_by_verb_resource_and_namespace(cluster: Cluster, namespace: str, counted: Api) -> None:
    mark = cluster.audit.mark()
    counted.create(a_config_map(namespace))
    counted.get("ConfigMap", "subject", namespace)
    counted.merge_patch("Namespace", namespace, None, {"metadata": {"labels": {"seen": "yes"}}})
    counted.find("Secret", "absent", namespace)

    def verbs(**filters: str) -> list[str]:
        return [entry.verb for entry in cluster.audit.since(mark, user_agent_contains=AGENT, **filters)]  # type: ignore[arg-type]

    assert verbs(resource="configmaps") == ["create", "get"]
    assert verbs(resource="secrets") == ["get"]
    writes = cluster.audit.since(mark, user_agent_contains=AGENT, verbs=WRITES)
    assert [(entry.verb, entry.resource) for entry in writes] == [("create", "configmaps"), ("patch", "namespaces")]
    assert cluster.audit.since(mark, namespace="kube-system", user_agent_contains=AGENT) == []


def test_a_running_watch_is_seen_only_when_open_requests_are_asked_for(
    cluster: Cluster, namespace: str, counted: Api
) -> None:
    mark = cluster.audit.mark()
    watch = counted.watch("ConfigMap", namespace, since="0", timeout=20)
    cluster.api.create(a_config_map(namespace))
    next(watch)

    finished = cluster.audit.since(mark, user_agent_contains=AGENT, verbs=["watch"])
    running = cluster.audit.since(mark, user_agent_contains=AGENT, verbs=["watch"], include_open=True)
    watch.close()  # type: ignore[attr-defined]

    assert finished == []
    assert [(entry.resource, entry.code) for entry in running] == [("configmaps", None)]


def test_a_wait_in_vain_shows_the_last_object(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(a_config_map(namespace, value="as-it-was"))

    with pytest.raises(WaitError, match="as-it-was"):
        cluster.api.wait_for("ConfigMap", "subject", namespace, lambda live: live["data"]["key"] == "other", timeout=1)


def test_a_wait_ends_when_the_object_comes_and_when_it_goes(cluster: Cluster, namespace: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        coming = pool.submit(cluster.api.wait_for, "ConfigMap", "subject", namespace, lambda _: True, 10)
        cluster.api.create(a_config_map(namespace))
        assert coming.result()["metadata"]["name"] == "subject"

        going = pool.submit(cluster.api.wait_gone, "ConfigMap", "subject", namespace, 10)
        cluster.api.delete("ConfigMap", "subject", namespace)
        going.result()


def test_kubectl_speaks_to_the_cluster_and_its_failures_are_readable(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl(
        "create", "-n", namespace, "-f", "-", input='{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}'
    )

    assert cluster.kubectl("get", "secret", "x", "-n", namespace, "-o", "name") == "secret/x\n"
    with pytest.raises(KubectlError, match='secrets "y" not found'):
        cluster.kubectl("get", "secret", "y", "-n", namespace)


def test_a_service_account_may_do_only_what_a_role_says(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    limited = Api(cluster.kubeconfig_for("default", namespace, tmp_path))

    with pytest.raises(ApiError, match=f"system:serviceaccount:{namespace}:default") as refusal:
        limited.list("Secret", namespace)

    assert refusal.value.status == 403
