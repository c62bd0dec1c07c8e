# SPDX-License-Identifier: Apache-2.0
"""What holds for the pods of all components: hardening, waiting, probes, and labels that nobody can break."""

from __future__ import annotations

import json

from support.operating import WORKLOADS, environment, pod_spec

KINDS = {"server": "Deployment", "machine-learning": "Deployment", "valkey": "Deployment", "postgres": "StatefulSet"}
AS_USER = {"podSecurityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000}}


def specs(instances):
    """{component: spec of its pods} of the components that are there."""
    workloads = {component: instances.get(kind, f"photos-{component}") for component, kind in KINDS.items()}
    return {component: pod_spec(workload) for component, workload in workloads.items() if workload}


def test_a_whole_instance_passes_pod_security_restricted(instances):
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    instances.api.merge_patch("Namespace", instances.namespace, None, {"metadata": {"labels": levels}})
    instances.create({"server": AS_USER, "machineLearning": AS_USER})

    instances.wait_ready()

    for component, spec in specs(instances).items():
        assert spec["automountServiceAccountToken"] is False, component
        assert spec["enableServiceLinks"] is False, component
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, component
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False, container["name"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, container["name"]
    for component in ("valkey", "postgres"):
        context = specs(instances)[component]["securityContext"]
        assert (context["runAsUser"], context["fsGroup"], context["runAsNonRoot"]) == (999, 999, True)


def test_security_contexts_of_the_users_win(instances):
    instances.create(
        {
            "postgres": {"podSecurityContext": {"runAsUser": 70, "fsGroup": 70}},
            "server": {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}},
        }
    )

    instances.wait_ready()

    postgres, server = (specs(instances)[component] for component in ("postgres", "server"))
    assert (postgres["securityContext"]["runAsUser"], postgres["securityContext"]["fsGroup"]) == (70, 70)
    assert server["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}


def test_labels_and_annotations_of_the_users_cannot_break_selectors(instances):
    labels = {"app.kubernetes.io/instance": "else", "app.kubernetes.io/component": "else", "team": "family"}
    mine = {"podLabels": labels, "podAnnotations": {"media.rm3l.org/config-checksum": "x", "backup": "yes"}}
    instances.create(dict.fromkeys(("server", "machineLearning", "valkey", "postgres"), mine))

    instances.wait_ready()

    for component in WORKLOADS:
        [pod] = instances.pods(component)
        assert pod["metadata"]["labels"]["team"] == "family"
        assert pod["metadata"]["annotations"]["backup"] == "yes"
    [server] = instances.pods("server")
    assert server["metadata"]["annotations"]["media.rm3l.org/config-checksum"] != "x"


def test_startup_may_take_an_hour(instances):
    instances.create()

    instances.wait_ready()

    for component, spec in specs(instances).items():
        probe = spec["containers"][0]["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 3600, component


def test_waiting_for_a_database_runs_no_text_of_the_user(instances):
    host = "db.example.com"
    instances.secret("db", password="x")
    reference = {"name": "db", "key": "password"}
    instances.create({"postgres": {"enabled": False, "host": host, "port": 5433, "passwordSecretRef": reference}})

    instances.wait_ready()

    server = specs(instances)["server"]
    waiter = next(container for container in server["initContainers"] if container["name"] == "wait-for-postgres")
    assert waiter["image"] == server["containers"][0]["image"]
    assert host not in json.dumps(waiter["command"])
    assert {"name": "WAIT_HOST", "value": host} in waiter["env"]
    assert {"name": "WAIT_PORT", "value": "5433"} in waiter["env"]


def test_variables_of_the_users_replace_those_of_the_server_and_metrics_open_their_ports(instances):
    instances.create(
        {
            "server": {
                "env": [{"name": "DB_HOSTNAME", "value": "pgbouncer"}, {"name": "TZ", "value": "Europe/Berlin"}]
            },
            "immich": {"metrics": {"enabled": True}},
        }
    )

    instances.wait_ready()

    deployment = instances.get("Deployment", "photos-server")
    variables = environment(deployment)
    assert (variables["DB_HOSTNAME"], variables["TZ"]) == ("pgbouncer", "Europe/Berlin")
    assert variables["IMMICH_TELEMETRY_INCLUDE"] == "all"
    assert {port["containerPort"] for port in pod_spec(deployment)["containers"][0]["ports"]} == {2283, 8081, 8082}
    assert {port["port"] for port in instances.get("Service", "photos-server")["spec"]["ports"]} == {2283, 8081, 8082}
