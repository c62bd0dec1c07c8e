# SPDX-License-Identifier: Apache-2.0
"""Values that do what nobody meant are told, and never quoted where they come from a Secret."""

from __future__ import annotations

import pytest

from support.instances import a_config_map, a_cr, a_secret, container, found, plan_for

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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param("geheim\r\n", "ends in a line break", id="line-break-of-windows"),
        pytest.param("geheim\r", "ends in a line break", id="half-a-line-break"),
        pytest.param("geheim ", "begins or ends with a blank", id="blank-after-it"),
        pytest.param("\tgeheim", "begins or ends with a blank", id="tab-before-it"),
        pytest.param("geheim\u00a0", "begins or ends with a blank", id="blank-that-does-not-break"),
        pytest.param("\ufeffgeheim", "begins with a byte order mark", id="byte-order-mark"),
        pytest.param("", "is empty. Store the value that is meant", id="nothing"),
    ],
)
def test_what_nobody_sees_of_a_password_is_told(value, said):
    [message] = told({"postgres": EXTERNAL}, a_secret("s", p=value))

    assert message.startswith(f"spec.postgres.passwordSecretRef: key p of Secret s {said}")


@pytest.mark.parametrize("value", ["geheim", "a b", "\u00fcn\u00efcode"])
def test_a_password_with_anything_in_its_middle_is_nothing_to_tell_of(value):
    assert told({"postgres": EXTERNAL}, a_secret("s", p=value)) == []


def test_a_variable_that_is_written_as_a_block_is_told_of_its_line_break():
    [message] = told({"server": {"env": [{"name": "TZ", "value": "Europe/Berlin\n"}]}})

    assert message.startswith("spec.server.env[0] ends in a line break")
    assert "write it in one line, without |" in message


BY_URL = {"postgres": {"enabled": False, "urlSecretRef": {"name": "s", "key": "p"}}}


@pytest.mark.parametrize("value", ["db:5432/immich", "mysql://geheim@db/immich", "jdbc:postgresql://db/immich"])
def test_an_address_of_another_kind_than_that_of_a_database_is_told(value):
    [message] = told(BY_URL, a_secret("s", p=value))

    assert message.startswith("spec.postgres.urlSecretRef: key p of Secret s is no address of a PostgreSQL database")


@pytest.mark.parametrize("value", ["postgres://immich:geheim@db/immich", "postgresql://db", "socket:/run/pg"])
def test_an_address_of_a_database_is_nothing_to_tell_of(value):
    assert told(BY_URL, a_secret("s", p=value)) == []


def variables(**values):
    return {"server": {"env": [{"name": name, "value": value} for name, value in values.items()]}}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("IMMICH_LOGLEVEL", "IMMICH_LOG_LEVEL"),
        ("IMMICH_TRUSTED_PROXY", "IMMICH_TRUSTED_PROXIES"),
        ("DB_HOST", "DB_HOSTNAME"),
        ("REDIS_HOST", "REDIS_HOSTNAME"),
    ],
)
def test_a_variable_that_nobody_reads_is_told_with_the_one_that_was_meant(name, meant):
    assert told(variables(**{name: "x"})) == [
        f"spec.server.env[0]: {name} is no variable that Immich is known to read. Did you mean {meant}?"
    ]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"DB_PASS": "x", "DB_URL": "postgres://immich:$(DB_PASS)@db/immich"}, id="used-by-another-one"),
        pytest.param({"MY_PROXY": "x", "HTTPS_PROXY": "x", "LD_PRELOAD": "x"}, id="not-immichs"),
        pytest.param(
            {"IMMICH_WORKERS_INCLUDE": "microservices , api", "DB_PORT": "5432", "REDIS_PORT": ""}, id="lists"
        ),
        pytest.param({"IMMICH_WHOLLY_NEW_SETTING_OF_4_0": "x"}, id="like-none-that-is-known"),
        pytest.param({"IMMICH_LOG_LEVEL": "debug", "MODE": "require", "DB_SSL_MODE": "$(MODE)"}, id="known"),
    ],
)
def test_a_variable_of_another_name_is_nothing_to_tell_of(values):
    assert told(variables(**values)) == []


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("IMMICH_LOG_LEVEL", "DEBUG", "verbose, debug, log, warn, error or fatal"),
        ("IMMICH_ENV", "prod", "production, development or testing"),
        ("DB_SSL_MODE", "on", "disable, allow, prefer, require or verify-full"),
        ("IMMICH_WORKERS_INCLUDE", "api, microservice", "some of api, microservices, separated by commas"),
        ("IMMICH_TELEMETRY_INCLUDE", "true", "some of all, host, api, io, repo, job, separated by commas"),
        ("DB_PORT", "5432/tcp", "a number"),
        ("REDIS_DBINDEX", "zero", "a number"),
    ],
)
def test_a_value_with_which_immich_does_not_start_is_told(name, value, choices):
    hidden = {"server": {"env": [{"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}]}}

    assert told(variables(**{name: value})) == [
        f"spec.server.env[0]: {name} has to be {choices}, or Immich does not start. Correct it"
    ]
    assert told(hidden, a_secret("s", p="geheim"))[0].endswith(
        f"{name} has to be {choices}, or Immich does not start. Correct it"
    )


def test_a_variable_with_a_blank_at_its_name_is_told():
    assert told(variables(**{"TZ ": "UTC"})) == [
        "spec.server.env[0]: the name TZ has a blank before or after it, so nobody reads the variable. Remove the blank"
    ]


def test_a_variable_for_a_host_that_is_the_pod_itself_is_told():
    [message] = told(variables(DB_HOSTNAME="127.0.0.1"))

    assert message.startswith("spec.server.env[0]: DB_HOSTNAME is the pod of the server itself")


def test_what_refers_to_a_value_of_ours_gets_it_though_the_user_replaces_it_afterwards():
    """As if both lists of variables were one behind the other."""
    spec = variables(A="$(DB_HOSTNAME)", DB_HOSTNAME="$(DB_HOSTNAME).family.svc")

    env = {entry["name"]: entry.get("value") for entry in container_env(spec)}

    assert (env["A"], env["DB_HOSTNAME"]) == ("photos-postgres", "photos-postgres.family.svc")
    assert told(spec) == []


def test_a_password_cannot_refer_to_itself_and_is_told_what_to_write():
    [message] = told(variables(DB_PASSWORD="x$(DB_PASSWORD)"))

    assert "DB_PASSWORD refers to $(DB_PASSWORD), which does not come before it" in message
    assert "Write the value, or write $$(DB_PASSWORD)" in message


def container_env(spec):
    return container(found(plan_for(a_cr(spec)), "Deployment", "photos-server"))["env"]
