# SPDX-License-Identifier: Apache-2.0
"""What users add to pods, as the API server takes it: it is stored, stays as it is, and heals when what it names appears."""

from __future__ import annotations

from support.operating import WRITES, pod_spec

KINDS = {"server": "Deployment", "machine-learning": "Deployment", "valkey": "Deployment", "postgres": "StatefulSet"}
KEYS = {"server": "server", "machine-learning": "machineLearning", "valkey": "valkey", "postgres": "postgres"}
HELPER = {"image": "example.com/helper:1", "command": ["sleep", "1000000"]}
EVERYTHING = {
    "volumes": [
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "ca", "secret": {"secretName": "ca"}},
        {"name": "dri", "hostPath": {"path": "/dev/dri"}},
    ],
    "volumeMounts": [
        {"name": "scratch", "mountPath": "/mnt/scratch"},
        {"name": "ca", "mountPath": "/ca", "readOnly": True},
    ],
    "initContainers": [{"name": "first", **HELPER, "env": [{"name": "A", "value": "1"}]}],
    "extraContainers": [
        {
            "name": "side",
            **HELPER,
            "envFrom": [{"secretRef": {"name": "ca"}}],
            "resources": {"limits": {"memory": "1024Mi", "cpu": 1}},
            "livenessProbe": {"exec": {"command": ["true"]}},
        }
    ],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["nas"]}],
    "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    "terminationGracePeriodSeconds": 600,
    "annotations": {"example.com/note": "mine"},
    "probes": {"liveness": {"periodSeconds": 20, "failureThreshold": 9}},
    "podTemplate": {
        "metadata": {"labels": {"tier": "photos"}},
        "spec": {
            "shareProcessNamespace": True,
            "containers": [{"name": "side", "tty": True}],
            "volumes": [{"name": "projected", "projected": {"sources": [{"secret": {"name": "ca"}}]}}],
        },
    },
}


def test_every_component_takes_everything_and_a_second_pass_writes_nothing(instances):
    instances.secret("ca", crt="PEM")
    instances.create(dict.fromkeys(KEYS.values(), EVERYTHING))

    instances.wait_ready()

    for component, kind in KINDS.items():
        workload = instances.get(kind, f"photos-{component}")
        spec = pod_spec(workload)
        assert workload["metadata"]["annotations"]["example.com/note"] == "mine"
        assert spec["containers"][0]["name"] == component
        assert spec["containers"][0]["livenessProbe"]["failureThreshold"] == 9
        assert {"scratch", "ca", "dri", "projected"} <= {volume["name"] for volume in spec["volumes"]}
        assert spec["initContainers"][0]["name"] == "first"
        assert [entry["tty"] for entry in spec["containers"] if entry["name"] == "side"] == [True]
        assert spec["shareProcessNamespace"] is True
        assert spec["terminationGracePeriodSeconds"] == 600

    entries = instances.requests_of_one_more_pass()

    assert [(entry.verb, entry.resource) for entry in entries if entry.verb in WRITES] == []


def test_a_volume_of_a_missing_secret_is_told_and_heals_when_it_appears(instances):
    instances.create({"server": {"volumes": [{"name": "ca", "secret": {"secretName": "ca"}}]}})

    told = instances.wait_condition("ServerReady", "SecretNotFound")

    assert "Secret ca named in spec.server.volumes[0].secret.secretName does not exist" in told["message"]
    instances.secret("ca", crt="PEM")
    instances.wait_ready()


def test_what_the_api_server_refuses_is_told_in_its_words(instances):
    instances.create({"valkey": {"volumeMounts": [{"name": "nowhere", "mountPath": "/mnt/x"}]}})

    told = instances.wait_condition("ValkeyReady", "ApplyFailed")

    assert "nowhere" in told["message"]


def test_a_priority_class_that_does_not_exist_is_told(instances):
    instances.create({"machineLearning": {"priorityClassName": "missing"}})

    told = instances.wait_condition("MachineLearningReady", "PodRefused")

    assert "no PriorityClass with name missing was found" in told["message"]


def test_an_overlay_that_undoes_safeguards_is_told_and_selectors_hold(instances):
    overlay = {
        "metadata": {"labels": {"app.kubernetes.io/instance": "else"}},
        "spec": {"containers": [{"name": "server", "livenessProbe": None}], "hostNetwork": True},
    }
    instances.create({"server": {"podTemplate": overlay}})

    told = instances.wait_condition("Warning", "SafeguardRemoved")

    assert "livenessProbe of container server" in told["message"]
    assert "hostNetwork" in told["message"]
    labels = instances.get("Deployment", "photos-server")["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/instance"] == "photos"
