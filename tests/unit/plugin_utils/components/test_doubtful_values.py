# SPDX-License-Identifier: Apache-2.0
"""Values that do what nobody meant are told, and never quoted where they come from a Secret."""

from __future__ import annotations

import pytest

from support.instances import a_config_map, a_cr, a_secret, plan_for

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
EXTERNAL = {"enabled": False, "host": "db", "passwordSecretRef": {"name": "s", "key": "p"}}


def told(spec, *objects):
    plan = plan_for(a_cr(spec), objects)
    assert "geheim" not in str(plan.notices)
    return [notice.message for notice in plan.notices if notice.reason == "UnknownSetting"]


def oauth(name):
    return {"immich": {"configuration": {"oauth": {"clientSecretRef": {"name": name, "key": "p"}}}}}


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        pytest.param({"postgres": EXTERNAL}, "spec.postgres.passwordSecretRef: key p of Secret s", id="database"),
        pytest.param(
            {"postgres": {"passwordSecretRef": {"name": "s", "key": "p"}}},
            "spec.postgres.passwordSecretRef: key p of Secret s",
            id="built-in-database",
        ),
        pytest.param(
            {"valkey": {"enabled": False, "host": "redis", "passwordSecretRef": {"name": "s", "key": "p"}}},
            "spec.valkey.passwordSecretRef: key p of Secret s",
            id="queues",
        ),
        pytest.param(
            oauth("s"), "spec.immich.configuration.oauth.clientSecretRef: key p of Secret s", id="configuration"
        ),
        pytest.param(
            {"server": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}]}},
            "spec.server.env[0] (key p of Secret s)",
            id="variable",
        ),
        pytest.param(
            {"machineLearning": {"envFrom": [{"secretRef": {"name": "s"}}]}},
            "spec.machineLearning.envFrom[0] (key p of Secret s)",
            id="all-keys",
        ),
    ],
)
def test_a_line_break_at_the_end_of_a_secret_is_told(spec, where):
    [message] = told(spec, a_secret("s", p="geheim\n"))

    assert message.startswith(f"{where} ends in a line break")
    assert told(spec, a_secret("s", p="geheim")) == []


def test_a_line_break_out_of_a_config_map_is_told():
    spec = {"server": {"envFrom": [{"configMapRef": {"name": "c"}}]}}

    [message] = told(spec, a_config_map("c", TZ="Europe/Berlin\n"))

    assert message.startswith("spec.server.envFrom[0] (key TZ of ConfigMap c) ends in a line break")


def test_a_text_of_several_lines_ends_in_one():
    spec = {"server": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}]}}

    assert told(spec, a_secret("s", p=CERTIFICATE)) == []


@pytest.mark.parametrize("value", ["redis:6379", "redis://queues", "queues/0", "a b"])
def test_a_variable_for_a_host_that_is_none_is_told(value):
    plain = {"server": {"env": [{"name": "REDIS_HOSTNAME", "value": value}]}}
    hidden = {"server": {"env": [{"name": "DB_HOSTNAME", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}]}}

    assert told(plain)[0].startswith("spec.server.env[0]: REDIS_HOSTNAME is no host")
    [message] = told(hidden, a_secret("s", p=f"geheim{value}"))
    assert message.startswith("spec.server.env[0] (key p of Secret s): DB_HOSTNAME is no host")


@pytest.mark.parametrize("value", ["redis", "fd00::1", "192.0.2.1", ""])
def test_a_host_is_nothing_to_tell_of(value):
    assert told({"server": {"env": [{"name": "REDIS_HOSTNAME", "value": value}]}}) == []


def ignored(spec, *objects):
    return [n.message for n in plan_for(a_cr(spec), objects).notices if n.reason == "SettingIgnored"]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(
            {
                "immich": {"configurationKind": "None"},
                "server": {"env": [{"name": "IMMICH_MACHINE_LEARNING_URL", "value": "http://gpu:3003"}]},
            },
            id="without-a-file",
        ),
        pytest.param(
            {"machineLearning": {"env": [{"name": "MACHINE_LEARNING_MODEL_TTL", "value": "9"}]}}, id="where-it-belongs"
        ),
        pytest.param({"server": {"envFrom": [{"configMapRef": {"name": "c"}}]}}, id="an-object-for-both-components"),
    ],
)
def test_a_variable_that_somebody_reads_is_nothing_to_tell_of(spec):
    assert ignored(spec, a_config_map("c", MACHINE_LEARNING_MODEL_TTL="9")) == []
