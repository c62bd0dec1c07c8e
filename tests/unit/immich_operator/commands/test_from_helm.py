# SPDX-License-Identifier: Apache-2.0
"""Values of the Helm chart become an Immich, and what has no place in one is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete
from immich_operator.cli import main
from immich_operator.commands.helm_values import Converted, convert

VALUES = Path(__file__).parents[3] / "fixtures" / "helm"


def converted(name: str, release: str = "immich") -> Converted:
    return convert(yaml.safe_load((VALUES / f"{name}.yaml").read_text(encoding="utf-8")), release)


@pytest.mark.parametrize("file", sorted(VALUES.glob("*.yaml")), ids=lambda file: file.stem)
def test_what_comes_out_is_an_immich_that_the_api_server_takes(file, capsys):
    main(["from-helm", str(file)])

    _, problems = complete({**yaml.safe_load(capsys.readouterr().out)})
    assert problems == []


def test_a_release_with_a_database_elsewhere():
    made = converted("database-elsewhere")

    assert made.spec == {
        "immich": {
            "metrics": {"enabled": True},
            "persistence": {"library": {"existingClaim": "immich-library"}},
            "configuration": {
                "trash": {"enabled": True, "days": 30},
                "storageTemplate": {"enabled": True, "template": "{{y}}/{{y}}-{{MM}}-{{dd}}/{{filename}}"},
            },
            "externalLibraries": [
                {
                    "name": "before",
                    "mountPath": "/mnt/photo",
                    "nfs": {"server": "nas.example.com", "path": "/volume1/photo"},
                }
            ],
        },
        "server": {
            "resources": {"requests": {"cpu": "200m", "memory": "1Gi"}},
            "image": "ghcr.io/immich-app/immich-server:v3.2.1",
            "ingress": {
                "enabled": True,
                "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
                "ingressClassName": "nginx",
                "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}],
                "tls": [{"hosts": ["photos.example.com"], "secretName": "photos-tls"}],
            },
            "env": [{"name": "TZ", "value": "Europe/Berlin"}],
        },
        "machineLearning": {
            "resources": {"limits": {"nvidia.com/gpu": 1}},
            "image": "ghcr.io/immich-app/immich-machine-learning:v3.2.1-cuda",
            "persistence": {"size": "20Gi", "storageClass": "nfs", "accessModes": ["ReadWriteMany"]},
        },
        "valkey": {"persistence": {"enabled": True, "size": "1Gi", "accessModes": ["ReadWriteOnce"]}},
        "postgres": {
            "enabled": False,
            "host": "immich-rw.databases.svc.cluster.local",
            "port": 5432,
            "database": "immich",
            "username": "immich",
            "passwordSecretRef": {"name": "immich-app", "key": "password"},
        },
    }
    assert (made.left, made.remarks) == ([], [])


def test_a_release_that_runs_everything_itself():
    made = converted("everything-in-the-release")

    assert made.spec == {
        "immich": {"persistence": {"library": {"existingClaim": "photos"}}},
        "server": {"imagePullPolicy": "IfNotPresent", "image": "ghcr.io/immich-app/immich-server:v1.119.0"},
        "machineLearning": {
            "image": "ghcr.io/immich-app/immich-machine-learning:v1.119.0",
            "persistence": {"enabled": False},
        },
    }
    assert made.left == ["server.probes.liveness.spec.failureThreshold"]
    assert [remark.partition(":")[0] for remark in made.remarks] == [
        "waiting jobs of the chart's Redis are lost",
        "the chart's own PostgreSQL ends with the release",
    ]


def test_a_release_of_nothing_but_the_server():
    made = converted("nothing-but-the-server")

    on_nodes = {
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "podSecurityContext": {"runAsUser": 1000, "fsGroup": 1000},
    }
    assert made.spec == {
        "immich": {
            "persistence": {"library": {"existingClaim": "library"}},
            "externalLibraries": [
                {"name": "old-disk", "mountPath": "/mnt/old", "hostPath": {"path": "/srv/photos"}, "readOnly": False}
            ],
        },
        "server": {
            "image": "ghcr.io/immich-app/immich-server:v3.3.1",
            "replicas": 1,
            **on_nodes,
            "service": {"type": "LoadBalancer", "annotations": {"metallb.io/loadBalancerIPs": "192.0.2.7"}},
            "env": [{"name": "IMMICH_TRUSTED_PROXIES", "value": "10.0.0.0/8"}],
        },
        "machineLearning": {
            "enabled": False,
            "image": "ghcr.io/immich-app/immich-machine-learning:v3.3.1",
            **on_nodes,
            "url": "http://gpu.example.com:3003",
        },
        "valkey": {"enabled": False, "host": "dragonfly.databases.svc.cluster.local"},
        "postgres": {"enabled": False, "urlSecretRef": {"name": "database", "key": "uri"}},
    }
    assert made.left == []
    assert made.remarks == [
        "REDIS_PASSWORD stands in the values: put it into a Secret, and name that in spec.valkey.passwordSecretRef"
    ]


def test_a_password_in_the_values_is_printed_nowhere(capsys):
    main(["from-helm", str(VALUES / "nothing-but-the-server.yaml")])

    printed = capsys.readouterr()
    assert "plain-text" not in printed.out + printed.err


def test_a_template_that_cannot_be_filled_in_is_told():
    made = convert({"env": {"DB_HOSTNAME": "{{ .Values.database.host }}"}}, "immich")

    assert "spec.postgres.host is a template: write its value" in made.remarks


def test_a_template_with_the_name_of_the_release_is_filled_in():
    made = convert({"env": {"DB_HOSTNAME": "{{ .Release.Name }}-db"}}, "family")

    assert made.spec["postgres"]["host"] == "family-db"


def test_without_a_claim_the_library_is_a_new_one_which_is_told():
    assert [remark for remark in convert({}, "immich").remarks if "new, empty volume" in remark]


def test_a_value_without_a_place_is_named_and_ends_with_1(tmp_path, capsys):
    file = tmp_path / "values.yaml"
    file.write_text("server: {probes: {liveness: {enabled: true}}, serviceMonitor: {main: {interval: 1m}}}\n")

    assert main(["from-helm", str(file)]) == 1
    told = capsys.readouterr().err
    assert "server.probes.liveness.enabled has no place in an Immich" in told
    assert "server.serviceMonitor.main.interval has no place in an Immich" in told


@pytest.mark.parametrize("text", ["- 1\n", "a: 1\n---\nb: 2\n", ""])
def test_what_is_no_mapping_with_values_is_refused(text, tmp_path, capsys):
    file = tmp_path / "values.yaml"
    file.write_text(text)

    assert main(["from-helm", str(file)]) == 2
    assert "one mapping with values is needed" in capsys.readouterr().err


def test_a_url_takes_the_place_of_the_parts_of_a_database_and_their_password():
    url = {"valueFrom": {"secretKeyRef": {"name": "database", "key": "uri"}}}

    made = convert({"env": {"DB_URL": url, "DB_HOSTNAME": "db", "DB_PASSWORD": "plain"}}, "immich")

    assert made.spec["postgres"] == {"enabled": False, "urlSecretRef": {"name": "database", "key": "uri"}}
    assert "env" not in made.spec.get("server", {})


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        ({"env": 5}, {}),
        (
            {"server": {"ingress": {"main": {"enabled": True, "hosts": ["a", {"host": "b", "paths": ["/"]}]}}}},
            {"server": {"ingress": {"enabled": True, "hosts": [{"host": "b", "paths": [{"path": "/"}]}]}}},
        ),
        ({"server": {"persistence": {"old": {"existingClaim": "c", "globalMounts": [{"readOnly": True}]}}}}, {}),
    ],
)
def test_what_has_another_shape_than_the_charts_is_passed_over(values, spec):
    assert convert(values, "immich").spec == spec


def test_a_number_is_a_text_where_immich_wants_one():
    made = convert({"env": [{"name": "IMMICH_PORT", "value": 80}, {"name": "CPU_CORES", "value": True}]}, "immich")

    assert [entry["value"] for entry in made.spec["server"]["env"]] == ["80", "true"]
