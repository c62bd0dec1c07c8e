# SPDX-License-Identifier: Apache-2.0
"""How Kubernetes asks whether the components are up, and how long they may take."""

import os
import re
import shutil
import socket
import subprocess

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


def test_no_program_gets_the_name_of_database_or_user_as_an_argument(everything):
    probes = container(found(everything, "StatefulSet", "photos-postgres"))

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        command = probes[probe]["exec"]["command"][-1]
        assert "PGDATABASE" in command
        programs = [line for line in command.splitlines() if re.match(r"(exec )?(psql|pg_isready)\b", line)]
        assert programs
        assert not any("$" in line or " -d" in line or " -U" in line for line in programs)


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


@pytest.fixture
def listener():
    """(port, connections) of a server that says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.2)
        yield server


def connects(server):
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("program", ["pg_isready", "psql"])
@pytest.mark.parametrize("name", ["host=127.0.0.1 port={}", "postgresql://127.0.0.1:{}/x", "x host=127.0.0.1 port={}"])
@pytest.mark.parametrize("variable", ["POSTGRES_DB", "POSTGRES_USER"])
def test_postgresqls_own_programs_connect_nowhere_else_whatever_database_and_user_are_called(
    everything, listener, tmp_path, program, name, variable
):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    if program == "psql":  # pg_isready comes first, and says here that the database is up
        (tmp_path / "pg_isready").write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / "pg_isready").chmod(0o755)
    command = container(found(everything, "StatefulSet", "photos-postgres"))["startupProbe"]["exec"]["command"]
    names = {"POSTGRES_DB": "immich", "POSTGRES_USER": "immich", "POSTGRES_PASSWORD": "p"}
    hostile = {variable: name.format(listener.getsockname()[1])}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        command,
        env={
            "PATH": path,
            "PGCONNECT_TIMEOUT": "2",
            "PGSSLMODE": "disable",
            "PGHOST": str(tmp_path),
            **names,
            **hostile,
        },
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert done.returncode != 0, "there is no database here"
    assert not connects(listener)
