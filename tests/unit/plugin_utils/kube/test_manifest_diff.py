# SPDX-License-Identifier: Apache-2.0
"""What a diff shows of an object: everything but secrets, wherever these stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube.manifest_diff import object_diff

HIDDEN, CHANGED = "(hidden)", "(hidden, changed)"


def an_object(kind: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "n"}, **content}


def a_config(settings: dict[str, Any]) -> dict[str, Any]:
    return an_object("ConfigMap", data={"immich-config.yaml": yaml.safe_dump(settings)})


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(an_object("Immich", spec={"valkey": {"password": "hunter2"}}), id="plain-password-in-the-spec"),
        pytest.param(
            an_object("Immich", spec={"server": {"env": [{"name": "ANY", "value": "hunter2"}]}}),
            id="variable-in-the-spec",
        ),
        pytest.param(
            an_object("Deployment", spec={"containers": [{"env": [{"name": "ANY", "value": "hunter2"}]}]}),
            id="variable-in-a-pod",
        ),
        pytest.param(a_config({"notifications": {"smtp": {"transport": {"password": "hunter2"}}}}), id="mail-password"),
        pytest.param(a_config({"oauth": {"clientSecret": "hunter2"}}), id="client-secret"),
        pytest.param(a_config({"unknown": {"apiKey": ["hunter2"]}}), id="list-below-a-secret-key"),
        pytest.param(
            a_config({"machineLearning": {"urls": ["http://me:hunter2@ml:3003"]}}), id="password-in-an-address"
        ),
        pytest.param(
            an_object("ConfigMap", data={"immich-config.yaml": "a: [hunter2"}), id="settings-that-are-no-yaml"
        ),
        pytest.param(an_object("Route", spec={"tls": {"termination": "edge", "key": "hunter2"}}), id="key-of-a-route"),
        pytest.param(an_object("Secret", stringData={"a": "hunter2"}), id="secret"),
        pytest.param(
            an_object("Immich")
            | {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}}},
            id="last-applied",
        ),
    ],
)
def test_a_secret_is_hidden_before_and_after(manifest: dict[str, Any]) -> None:
    for before, after in ((None, manifest), (manifest, None), (manifest, manifest)):
        assert "hunter2" not in json.dumps(object_diff("x", before, after))


def test_what_is_hidden_says_whether_it_has_changed() -> None:
    def spec(password: str, variable: str) -> dict[str, Any]:
        env = [{"name": "OTHER", "value": "same"}, {"name": "ANY", "value": variable}]
        return an_object("Immich", spec={"valkey": {"password": password}, "server": {"env": env}})

    diff = object_diff("x", spec("same", "old"), spec("same", "new"))

    assert diff["before"]["spec"]["server"]["env"][1]["value"] == HIDDEN
    assert diff["after"]["spec"]["server"]["env"] == [
        {"name": "OTHER", "value": HIDDEN},
        {"name": "ANY", "value": CHANGED},
    ]
    assert diff["after"]["spec"]["valkey"]["password"] == HIDDEN


def test_what_is_no_secret_is_shown() -> None:
    settings = {"trash": {"days": 7}, "passwordLogin": {"enabled": True}}
    manifest = a_config(settings)
    pod = an_object(
        "Deployment",
        spec={
            "env": [
                {"name": "DB_HOSTNAME", "value": "photos-postgres"},
                {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "photos", "key": "password"}}},
            ],
            "tolerations": [{"key": "gpu", "value": "yes"}],
            "automountServiceAccountToken": False,
        },
    )

    assert object_diff("x", None, manifest)["after"]["data"] == {"immich-config.yaml": settings}
    assert object_diff("x", None, pod)["after"]["spec"] == pod["spec"]
