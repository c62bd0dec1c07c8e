# SPDX-License-Identifier: Apache-2.0
"""How Kubernetes asks whether the components are up, and how long they may take."""

import pytest

from support.instances import a_cr, container, found, plan_for, pod_template, workloads


@pytest.fixture(scope="module")
def everything():
    return plan_for(a_cr())


@pytest.mark.parametrize(
    ("component", "path"), [("server", "/api/server/ping"), ("machine-learning", "/ping")], ids=["server", "ml"]
)
def test_web_services_are_asked_over_http(everything, component, path):
    probes = container(found(everything, "Deployment", f"photos-{component}"))

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert probes[probe]["httpGet"] == {"path": path, "port": "http"}


def test_the_database_is_asked_by_pg_isready_and_the_queues_by_a_ping_that_has_to_answer_pong(everything):
    database = container(found(everything, "StatefulSet", "photos-postgres"))
    queues = container(found(everything, "Deployment", "photos-valkey"))

    assert "pg_isready" in database["readinessProbe"]["exec"]["command"][-1]
    assert "grep PONG" in queues["readinessProbe"]["exec"]["command"][-1]
    assert queues["args"][:3] == ["valkey-server", "--maxmemory-policy", "noeviction"]


def test_every_component_may_take_an_hour_to_start(everything):
    for workload in workloads(everything):
        probe = container(workload)["startupProbe"]

        assert probe["periodSeconds"] * probe["failureThreshold"] >= 3600, workload["metadata"]["name"]


def test_the_database_has_minutes_to_end(everything):
    assert (
        pod_template(found(everything, "StatefulSet", "photos-postgres"))["spec"]["terminationGracePeriodSeconds"]
        == 300
    )


@pytest.mark.parametrize(
    ("workers", "probed"),
    [
        pytest.param({}, True, id="all-workers"),
        pytest.param({"IMMICH_WORKERS_INCLUDE": "api"}, True, id="api-only"),
        pytest.param({"IMMICH_WORKERS_INCLUDE": "microservices"}, False, id="jobs-only"),
        pytest.param({"IMMICH_WORKERS_EXCLUDE": "api"}, False, id="all-but-api"),
    ],
)
def test_pods_that_open_no_port_are_not_probed_there(workers, probed):
    env = [{"name": name, "value": value} for name, value in workers.items()]

    server = container(found(plan_for(a_cr({"server": {"env": env}})), "Deployment", "photos-server"))

    assert ("readinessProbe" in server, "livenessProbe" in server) == (probed, probed)
