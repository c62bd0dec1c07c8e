# SPDX-License-Identifier: Apache-2.0
"""Variables of the user: what moves the operator's mounts and ports is refused wherever it comes from, the rest counts."""

import re
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.passes.offline import offline_plan
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import Component, spec_key
from ansible_collections.media.immich.plugins.plugin_utils.spec.variables import (
    TABLE,
    Policy,
    When,
    by_name,
    fixed_variables,
)
from support.instances import (
    a_config_map,
    a_cr,
    a_secret,
    an_instance_at_work,
    condition,
    container,
    environment,
    found,
    has,
    notices,
    plan_for,
    report_for,
    workloads,
)

ROOT = Path(__file__).resolve().parents[4]
STAND_IN = ROOT / "tests" / "e2e" / "images" / "stand_in"
DEPLOYMENTS = {Component.SERVER: "photos-server", Component.MACHINE_LEARNING: "photos-machine-learning"}
EVERYWHERE = [
    {},
    {"immich": {"metrics": {"enabled": True}}},
    {"immich": {"configurationKind": "None"}},
    {
        "postgres": {"enabled": False, "urlSecretRef": {"name": "db", "key": "url"}},
        "valkey": {"enabled": False, "host": "redis", "password": "x"},
    },
]
"""Specs that together bring every variable that the operator sets."""
RELIED_ON = [
    pytest.param(component, name, fixed, id=f"{component}-{name}")
    for component in DEPLOYMENTS
    for name, fixed in fixed_variables(component)
]
WRONG = "not-what-the-operator-relies-on"


def a_spec(component, fixed=None, **settings):
    """A spec with these settings of a component, in which the operator relies on a variable."""
    metrics = {"immich": {"metrics": {"enabled": True}}} if fixed and fixed.when is When.METRICS else {}
    return {spec_key(component): settings, **metrics}


def sources(name, value):
    """{how: (settings of the component, the objects they read, the source as a message names it)}"""
    key = {"name": "given", "key": "it"}
    return {
        "config-map-key": (
            {"env": [{"name": name, "valueFrom": {"configMapKeyRef": key}}]},
            [a_config_map("given", it=value)],
            "env[0] (key it of ConfigMap given)",
        ),
        "secret-key": (
            {"env": [{"name": name, "valueFrom": {"secretKeyRef": key}}]},
            [a_secret("given", it=value)],
            "env[0] (key it of Secret given)",
        ),
        "config-map": (
            {"envFrom": [{"configMapRef": {"name": "given"}}]},
            [a_config_map("given", **{name: value})],
            f"envFrom[0] (key {name} of ConfigMap given)",
        ),
        "secret-with-prefix": (
            {"envFrom": [{"prefix": name[:4], "secretRef": {"name": "given"}}]},
            [a_secret("given", **{name[4:]: value})],
            f"envFrom[0] (key {name[4:]} of Secret given)",
        ),
    }


MOVING = [
    pytest.param(*relied_on.values, how, id=f"{relied_on.id}-{how}")
    for relied_on in RELIED_ON
    for how in ("config-map-key", "secret-key", "config-map", "secret-with-prefix")
    # The operator has an entry of its own, which counts more than envFrom: see the test of keys without effect.
    if relied_on.values[1] != "IMMICH_CONFIG_FILE" or how.endswith("-key")
]


@pytest.mark.parametrize(("component", "name", "fixed", "how"), MOVING)
def test_what_moves_the_operators_ground_leaves_the_component_as_it_is_and_names_the_source(
    component, name, fixed, how
):
    settings, objects, source = sources(name, WRONG)[how]
    cr = a_cr(a_spec(component, fixed, **settings))

    plan = plan_for(cr, objects)
    report = report_for(cr, objects)

    assert not has(plan, "Deployment", DEPLOYMENTS[component])
    told = condition(report, "ServerReady" if component == Component.SERVER else "MachineLearningReady")
    assert (told["status"], told["reason"]) == ("False", "SpecInvalid")
    assert f"spec.{spec_key(component)}.{source}: {name} has to be {fixed.values[0]}" in told["message"]
    assert fixed.instead in told["message"]
    assert WRONG not in str(report["status"])
    assert condition(report, "Ready")["status"] == "False"


@pytest.mark.parametrize("how", ["config-map-key", "secret-key", "config-map", "secret-with-prefix"])
@pytest.mark.parametrize(("component", "name", "fixed"), RELIED_ON)
def test_what_the_operator_relies_on_may_be_said_again(component, name, fixed, how):
    for value in fixed.values:
        settings, objects, _ = sources(name, value)[how]

        plan = plan_for(a_cr(a_spec(component, fixed, **settings)), objects)

        assert has(plan, "Deployment", DEPLOYMENTS[component])
        assert notices(plan, "blocks") == []


@pytest.mark.parametrize(("component", "name", "fixed"), RELIED_ON)
def test_a_stored_value_that_admission_would_refuse_now_leaves_the_running_pods_alone(component, name, fixed):
    cr = a_cr(a_spec(component, fixed))
    live = an_instance_at_work(cr)
    cr["spec"][spec_key(component)]["env"] = [{"name": name, "value": WRONG}]

    plan = plan_for(cr, live)

    assert not has(plan, "Deployment", DEPLOYMENTS[component])
    assert notices(plan, "blocks") == [(str(component), "SpecInvalid")]


def test_a_running_pod_with_photos_beside_the_library_is_kept_and_the_condition_says_to_copy_them():
    cr = a_cr()
    live = an_instance_at_work(cr)
    cr["spec"]["server"]["env"] = [{"name": "IMMICH_MEDIA_LOCATION", "value": "/usr/src/app/upload"}]

    told = condition(report_for(cr, live), "ServerReady")

    assert not has(plan_for(cr, live), "Deployment", "photos-server")
    assert "files in any other place are lost with the pod" in told["message"]
    assert "after copying files that a running pod has elsewhere" in told["message"]


def test_a_way_out_of_the_library_is_no_folder_below_it():
    env = [{"name": "IMMICH_MEDIA_LOCATION", "value": "/data/../srv"}]

    assert not has(plan_for(a_cr({"server": {"env": env}})), "Deployment", "photos-server")


@pytest.mark.parametrize(
    ("name", "field", "runs"),
    [
        pytest.param("IMMICH_HOST", "status.podIP", True, id="own-address"),
        pytest.param("IMMICH_PORT", "metadata.labels['port']", False, id="port-that-nobody-knows"),
        pytest.param("IMMICH_MEDIA_LOCATION", "metadata.name", False, id="folder-that-nobody-knows"),
    ],
)
def test_a_field_of_the_pod_tells_its_address_and_nothing_else(name, field, runs):
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}]

    assert has(plan_for(a_cr({"server": {"env": env}})), "Deployment", "photos-server") is runs


@pytest.mark.parametrize(
    ("objects", "runs"),
    [
        pytest.param([], True, id="there-is-none"),
        pytest.param([a_config_map("given")], True, id="it-has-no-such-key"),
        pytest.param([a_config_map("given", it="8080")], False, id="it-has-one"),
    ],
)
def test_an_optional_key_counts_only_where_it_is(objects, runs):
    reference = {"configMapKeyRef": {"name": "given", "key": "it", "optional": True}}
    env = [{"name": "IMMICH_PORT", "valueFrom": reference}]

    assert has(plan_for(a_cr({"server": {"env": env}}), objects), "Deployment", "photos-server") is runs


def test_of_several_sources_the_one_counts_that_kubernetes_takes():
    first, last = a_config_map("first", IMMICH_PORT="8080"), a_config_map("last", IMMICH_PORT="2283")
    both = [{"configMapRef": {"name": "first"}}, {"configMapRef": {"name": "last"}}]
    beside = [{"name": "IMMICH_PORT", "value": "2283"}]

    assert notices(plan_for(a_cr({"server": {"envFrom": both}}), [first, last]), "blocks") == []
    assert notices(plan_for(a_cr({"server": {"envFrom": both[:1], "env": beside}}), [first]), "blocks") == []
    assert notices(plan_for(a_cr({"server": {"envFrom": both[::-1]}}), [first, last]), "blocks") == [
        ("server", "SpecInvalid")
    ]


@pytest.mark.parametrize("component", list(DEPLOYMENTS))
def test_what_a_secret_may_bring_later_cannot_move_what_the_operator_relies_on(component):
    """The pods that start between such a change and the next pass read the Secret too."""
    settings = {"envFrom": [{"secretRef": {"name": "later", "optional": True}}]}
    relied_on = [(name, f.values[0]) for name, f in fixed_variables(component) if not f.when and not f.is_address]

    variables = environment(found(plan_for(a_cr(a_spec(component, **settings))), "Deployment", DEPLOYMENTS[component]))
    offline = offline_plan(a_cr(a_spec(component, **settings)), images=DEFAULT_IMAGES, password="", route=False)

    assert set(relied_on) <= set(variables.items())
    assert set(relied_on) <= set(environment(found(offline, "Deployment", DEPLOYMENTS[component])).items())


def test_without_envfrom_nothing_is_said_twice():
    assert "IMMICH_MEDIA_LOCATION" not in environment(found(plan_for(a_cr()), "Deployment", "photos-server"))


def test_keys_without_effect_are_reported_with_the_field_that_has_one():
    secret = a_secret("immich-secret", DB_HOSTNAME="pg-rw", IMMICH_CONFIG_FILE="/x", TZ="UTC", REDIS_PORT="6379")
    cr = a_cr({"server": {"envFrom": [{"secretRef": {"name": "immich-secret"}}]}})

    plan = plan_for(cr, [secret])
    warning = condition(report_for(cr, [secret]), "Warning")

    assert notices(plan, "warns") == [("server", "SettingIgnored")] * 2
    where = "spec.server.envFrom[0] (key {} of Secret immich-secret) has no effect"
    assert (
        f"{where.format('DB_HOSTNAME')}, because the operator sets DB_HOSTNAME itself; use spec.postgres.host"
        in (warning["message"])
    )
    assert where.format("IMMICH_CONFIG_FILE") in warning["message"]
    assert "pg-rw" not in warning["message"]
    assert has(plan, "Deployment", "photos-server")


WORKERS = [
    pytest.param("IMMICH_WORKERS_INCLUDE", "microservices", False, id="jobs-only"),
    pytest.param("IMMICH_WORKERS_EXCLUDE", "api", False, id="all-but-api"),
    pytest.param("IMMICH_WORKERS_INCLUDE", "api, microservices", True, id="both"),
]


@pytest.mark.parametrize("how", ["config-map-key", "secret-key", "config-map", "secret-with-prefix"])
@pytest.mark.parametrize(("name", "value", "probed"), WORKERS)
def test_probes_follow_the_workers_wherever_their_list_comes_from(name, value, probed, how):
    settings, objects, _ = sources(name, value)[how]

    server = container(found(plan_for(a_cr({"server": settings}), objects), "Deployment", "photos-server"))

    assert ("readinessProbe" in server) is probed


def waited_for(spec, objects=()):
    """{target: host:port} of the init containers that wait."""
    pod = found(plan_for(a_cr(spec), objects), "Deployment", "photos-server")["spec"]["template"]["spec"]
    waiters = [c for c in pod.get("initContainers", ()) if c["name"].startswith("wait-for-")]
    values = [(c["name"], {e["name"]: e["value"] for e in c["env"]}) for c in waiters]
    return {name.removeprefix("wait-for-"): f"{v['WAIT_HOST']}:{v['WAIT_PORT']}" for name, v in values}


BUILT_IN = {"postgres": "photos-postgres:5432", "valkey": "photos-valkey:6379"}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        pytest.param([], BUILT_IN, id="ours"),
        pytest.param(
            [{"name": "REDIS_HOSTNAME", "value": "dragonfly"}, {"name": "REDIS_PORT", "value": "6380"}],
            {**BUILT_IN, "valkey": "dragonfly:6380"},
            id="queues-elsewhere",
        ),
        pytest.param(
            [{"name": "DB_PORT", "value": "6432"}], {**BUILT_IN, "postgres": "photos-postgres:6432"}, id="port"
        ),
        pytest.param(
            [{"name": "DB_URL", "value": "postgresql://db"}], {"valkey": BUILT_IN["valkey"]}, id="database-by-url"
        ),
        pytest.param(
            [{"name": "REDIS_URL", "value": "ioredis://e30="}], {"postgres": BUILT_IN["postgres"]}, id="queues-by-url"
        ),
        pytest.param(
            [{"name": "REDIS_HOSTNAME", "value": "$(QUEUES)"}], {"postgres": BUILT_IN["postgres"]}, id="not-known-here"
        ),
        pytest.param(
            [{"name": "DB_HOSTNAME", "valueFrom": {"secretKeyRef": {"name": "db", "key": "host"}}}],
            {"valkey": BUILT_IN["valkey"]},
            id="in-a-secret-and-so-not-for-a-log",
        ),
        pytest.param(
            [{"name": "CREDENTIALS_DIRECTORY", "value": "/data/secrets"}], {"valkey": BUILT_IN["valkey"]}, id="in-files"
        ),
    ],
)
def test_the_pods_wait_for_what_the_server_is_going_to_use(env, expected):
    assert waited_for({"server": {"env": env}}, [a_secret("db", host="db.example.com")]) == expected


def test_the_pods_do_not_wait_for_what_a_secret_sends_elsewhere():
    spec = {"server": {"envFrom": [{"secretRef": {"name": "all"}}]}}

    assert waited_for(spec, [a_secret("all", DB_URL="postgresql://db")]) == {"valkey": BUILT_IN["valkey"]}


# ---- The table


def test_the_table_has_every_variable_that_the_operator_sets_and_no_other_as_set():
    kinds = {"photos-" + str(component): component for component in TABLE}
    made = {component: set() for component in TABLE}
    for spec in EVERYWHERE:
        for workload in workloads(plan_for(a_cr(spec), [a_secret("db", url="postgresql://x")])):
            names = {entry["name"] for entry in container(workload).get("env", ())}
            made[kinds[workload["metadata"]["name"]]] |= names

    for component, variables in TABLE.items():
        ours = {v.name for v in variables if v.policy is Policy.OURS}
        may_be_set = ours | {v.name for v in variables if v.policy in (Policy.FIXED, Policy.OUT_OF_REACH)}
        assert ours <= made[component] <= may_be_set, component


@pytest.mark.parametrize("component", list(DEPLOYMENTS))
def test_an_entry_of_the_user_takes_the_place_of_ours_and_all_others_are_passed_on(component):
    free = [v.name for v in TABLE[component] if v.policy is not Policy.FIXED]
    cr = a_cr(a_spec(component, env=[{"name": name, "value": "the user's"} for name in free]))

    variables = environment(found(plan_for(cr), "Deployment", DEPLOYMENTS[component]))

    assert {name: variables[name] for name in free} == dict.fromkeys(free, "the user's")


def test_no_variable_is_there_twice_and_each_says_what_it_is():
    for component, variables in TABLE.items():
        assert len(by_name(component)) == len(variables), component
        assert all(
            variable.meaning and (variable.policy is Policy.FIXED) == bool(variable.fixed) for variable in variables
        )


def test_what_the_stand_in_for_immich_reads_is_in_the_table():
    known = {variable.name for variables in TABLE.values() for variable in variables}
    text = "\n".join(file.read_text(encoding="utf-8") for file in STAND_IN.glob("*.py"))

    read = set(re.findall(r'"((?:IMMICH|DB|REDIS|MACHINE_LEARNING)_[A-Z_]+)"', text))

    assert len(read) > 20
    assert read - known == set()
