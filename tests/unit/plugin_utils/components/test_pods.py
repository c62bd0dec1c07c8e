# SPDX-License-Identifier: Apache-2.0
"""What users can set on pods, and what they can't break by it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.components import library_user, pods
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import labels
from support.instances import (
    a_config_map,
    a_cr,
    a_secret,
    container,
    environment,
    found,
    plan_for,
    pod_template,
    workloads,
)

FROM_MAP = [{"prefix": "PRE_", "configMapRef": {"name": "known"}}]
FROM_NOWHERE = [{"configMapRef": {"name": "unknown"}}]
KEYS = ["server", "machineLearning", "valkey", "postgres"]
WITH_ENVIRONMENT = [
    pytest.param("server", "photos-server", "REDIS_HOSTNAME", id="server"),
    pytest.param("machineLearning", "photos-machine-learning", "HF_HOME", id="machine-learning"),
]


@pytest.mark.parametrize(("key", "name", "variable"), WITH_ENVIRONMENT)
def test_a_users_variable_takes_the_place_of_ours(key, name, variable):
    cr = a_cr({key: {"env": [{"name": variable, "value": "mine"}, {"name": "TZ", "value": "Europe/Berlin"}]}})

    before = list(environment(found(plan_for(a_cr()), "Deployment", name)))
    after = environment(found(plan_for(cr), "Deployment", name))

    assert list(after) == [*(name for name in before if name != variable), variable, "TZ"]
    assert after[variable] == "mine"


def test_a_pull_secret_that_is_named_twice_reaches_pods_once():
    """Two entries of the same name in one server-side apply are an error of the API server (500)."""
    cr = a_cr({"imagePullSecrets": [{"name": "a"}, {"name": "b"}, {"name": "a"}, {}, {}]})

    for workload in workloads(plan_for(cr)):
        assert pod_template(workload)["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_a_users_source_takes_the_place_of_our_value_whole():
    source = {"secretKeyRef": {"name": "mine", "key": "host"}}
    cr = a_cr({"server": {"env": [{"name": "DB_HOSTNAME", "valueFrom": source}]}})

    env = container(found(plan_for(cr, [a_secret("mine", host="db")]), "Deployment", "photos-server"))["env"]

    assert [entry for entry in env if entry["name"] == "DB_HOSTNAME"] == [{"name": "DB_HOSTNAME", "valueFrom": source}]


texts = st.sampled_from(["", "x", "$(A)", "$(B)-$(C)", "$$(A)", "$D", "$(missing)"])
entries = st.lists(st.fixed_dictionaries({"name": st.sampled_from("ABCDE"), "value": texts}), max_size=8)
entries_without_twins = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("ABCDE"), "value": st.sampled_from(["", "x", "y"])}),
    max_size=5,
    unique_by=lambda entry: entry["name"],
)


def as_the_kubelet_does(env):
    """{name: value} in a container: `$(NAME)` stands for a variable before it, `$$` for a dollar sign."""
    values = {}
    for entry in env:
        text = re.sub(
            r"\$\$|\$\(([^)]*)\)",
            lambda found: "$" if found[1] is None else values.get(found[1], found[0]),
            entry["value"],
        )
        values[entry["name"]] = text
    return values


@given(entries_without_twins, entries)
def test_merged_variables_have_no_twins_and_mean_what_the_user_wrote(ours, users):
    result = pods.environment(ours, users)

    names = [entry["name"] for entry in result]
    last = {entry["name"]: position for position, entry in enumerate(users)}
    rest = [entry for entry in ours if entry["name"] not in last]
    assert names == [*(entry["name"] for entry in rest), *sorted(last, key=last.__getitem__)]
    assert as_the_kubelet_does(result) == as_the_kubelet_does([*ours, *users])


def references_told(env, objects=(), **settings):
    plan = plan_for(a_cr({"server": {"env": env, **settings}}), objects)
    return [notice.message for notice in plan.notices if notice.reason == "UnknownSetting"]


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        pytest.param([{"name": "A", "value": "a"}, {"name": "B", "value": "$(A)"}], {}, id="before-it"),
        pytest.param([{"name": "B", "value": "$(DB_HOSTNAME)"}], {}, id="one-of-the-operator"),
        pytest.param([{"name": "B", "value": "$$(A)"}], {}, id="escaped"),
        pytest.param([{"name": "B", "value": "$(KUBERNETES_SERVICE_HOST)"}], {}, id="the-kubelets-own"),
        pytest.param([{"name": "B", "value": "$(PRE_A)"}], {"envFrom": FROM_MAP}, id="from-an-object"),
        pytest.param(
            [{"name": "B", "value": "$(A)"}], {"envFrom": FROM_NOWHERE}, id="from-an-object-that-is-not-there"
        ),
    ],
)
def test_a_reference_that_resolves_is_nothing_to_tell_of(env, settings):
    assert references_told(env, [a_config_map("known", A="a")], **settings) == []


@pytest.mark.parametrize(
    ("env", "part"),
    [
        pytest.param(
            [{"name": "B", "value": "$(A)"}, {"name": "A", "value": "a"}],
            "spec.server.env[0]: B refers to $(A), which does not come before it",
            id="after-it",
        ),
        pytest.param(
            [{"name": "B", "value": "x$(NO)y"}],
            "spec.server.env[0]: B refers to $(NO), which is no variable of the container",
            id="nowhere",
        ),
    ],
)
def test_a_reference_that_stays_as_it_is_written_is_told(env, part):
    [message] = references_told(env)

    assert message.startswith(part)


def test_the_server_waits_for_the_host_that_a_reference_leads_to():
    env = [{"name": "HOST", "value": "db"}, {"name": "DB_HOSTNAME", "value": "$(HOST).example.com"}]

    server = found(plan_for(a_cr({"server": {"env": env}})), "Deployment", "photos-server")

    waiters = {entry["name"]: entry for entry in pod_template(server)["spec"]["initContainers"]}
    assert waiters["wait-for-postgres"]["env"][0] == {"name": "WAIT_HOST", "value": "db.example.com"}


@pytest.mark.parametrize("key", KEYS)
def test_pod_labels_add_but_never_replace_ours(key):
    hostile = dict.fromkeys(labels("x", "y"), "hijacked") | {"team": "family"}
    plan = plan_for(a_cr({key: {"podLabels": hostile}}))
    plain = plan_for(a_cr())

    for workload, untouched in zip(workloads(plan), workloads(plain), strict=True):
        template = pod_template(workload)["metadata"]["labels"]
        assert workload["spec"]["selector"] == untouched["spec"]["selector"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= template.items()
        assert template.items() >= pod_template(untouched)["metadata"]["labels"].items()
    assert (
        sum(pod_template(workload)["metadata"]["labels"].get("team") == "family" for workload in workloads(plan)) == 1
    )


def test_pod_annotations_add_but_never_replace_our_checksums():
    theirs = {"media.rm3l.org/config-checksum": "mine", "media.rm3l.org/secrets-checksum": "mine", "backup": "yes"}

    with_theirs = pod_template(
        found(plan_for(a_cr({"server": {"podAnnotations": theirs}})), "Deployment", "photos-server")
    )
    without = pod_template(found(plan_for(a_cr()), "Deployment", "photos-server"))

    assert with_theirs["metadata"]["annotations"] == {"backup": "yes", **without["metadata"]["annotations"]}


@pytest.mark.parametrize("key", KEYS)
def test_scheduling_and_resources_go_to_the_pod_as_they_are(key):
    settings = {
        "nodeSelector": {"disk": "large"},
        "tolerations": [{"key": "nas", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "resources": {"limits": {"memory": "2Gi"}},
    }
    names = {"machineLearning": "photos-machine-learning"}

    plan = plan_for(a_cr({key: settings}))
    [workload] = [w for w in workloads(plan) if w["metadata"]["name"] == names.get(key, f"photos-{key}")]

    spec = pod_template(workload)["spec"]
    assert {field: spec[field] for field in ("nodeSelector", "tolerations", "affinity")} == {
        field: settings[field] for field in ("nodeSelector", "tolerations", "affinity")
    }
    assert container(workload)["resources"] == settings["resources"]


def init_containers(plan):
    return [entry for workload in workloads(plan) for entry in pod_template(workload)["spec"].get("initContainers", ())]


@pytest.mark.parametrize(
    ("resources", "of_init_containers"),
    [
        pytest.param({}, None, id="nothing-for-a-LimitRange-to-refuse"),
        pytest.param(
            {"requests": {"memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            {"requests": {"memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            id="the-same-amounts",
        ),
        pytest.param(
            {
                "limits": {"nvidia.com/gpu": 1, "memory": "1Gi"},
                "requests": {"nvidia.com/gpu": 1},
                "claims": [{"name": "x"}],
            },
            {"limits": {"memory": "1Gi"}},
            id="without-devices",
        ),
    ],
)
def test_init_containers_have_the_resources_of_their_component(resources, of_init_containers):
    settings = {"resources": resources}

    plan = plan_for(a_cr({"server": settings, "postgres": settings}))

    assert len(init_containers(plan)) == 4
    assert [entry.get("resources") for entry in init_containers(plan)] == 4 * [of_init_containers]


def test_pods_know_no_service_links_and_no_service_account():
    for workload in workloads(plan_for(a_cr())):
        spec = pod_template(workload)["spec"]

        assert spec["enableServiceLinks"] is False
        assert spec["automountServiceAccountToken"] is False


HOSTILE = 'db.example.com";rm${IFS}-rf${IFS}*;echo"`id`'


def test_no_string_of_the_user_is_part_of_a_script():
    hosts = [{"name": name, "value": HOSTILE} for name in ("DB_HOSTNAME", "REDIS_HOSTNAME")]
    cr = a_cr(
        {
            "postgres": {
                "enabled": False,
                "host": "db",
                "database": HOSTILE,
                "username": HOSTILE,
                "passwordSecretRef": {"name": "db", "key": "p"},
            },
            "server": {"env": hosts},
        }
    )

    spec = pod_template(found(plan_for(cr, [a_secret("db", p="x")]), "Deployment", "photos-server"))["spec"]

    look, *waiters = spec["initContainers"]
    assert look["command"] == library_user.LOOK_COMMAND
    assert "env" not in look
    assert len(waiters) == 2
    for waiter in waiters:
        assert waiter["command"] == ["bash", "-c", pods.WAIT_SCRIPT]
        assert "args" not in waiter
        assert waiter["env"][0] == {"name": "WAIT_HOST", "value": HOSTILE}


def test_users_of_the_database_are_no_part_of_its_probes():
    plain, hostile = (
        container(found(plan_for(a_cr(spec)), "StatefulSet", "photos-postgres"))
        for spec in ({}, {"postgres": {"username": HOSTILE, "database": HOSTILE}})
    )

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert hostile[probe] == plain[probe]


@pytest.mark.parametrize(
    ("spec", "waits_for"),
    [
        pytest.param(
            {}, {"postgres": ("photos-postgres", "5432"), "valkey": ("photos-valkey", "6379")}, id="built-in-services"
        ),
        pytest.param(
            {
                "postgres": {
                    "enabled": False,
                    "host": "db",
                    "port": 6432,
                    "passwordSecretRef": {"name": "db", "key": "p"},
                },
                "valkey": {"enabled": False, "host": "redis", "port": 6380},
            },
            {"postgres": ("db", "6432"), "valkey": ("redis", "6380")},
            id="external-services",
        ),
        pytest.param(
            {"postgres": {"enabled": False, "urlSecretRef": {"name": "db", "key": "p"}}},
            {"valkey": ("photos-valkey", "6379")},
            id="an-address-in-a-secret-is-not-taken-apart",
        ),
    ],
)
def test_the_server_waits_for_what_it_needs(spec, waits_for):
    server = found(plan_for(a_cr(spec), [a_secret("db", p="x")]), "Deployment", "photos-server")

    _, *waiters = pod_template(server)["spec"]["initContainers"]

    assert {
        w["name"].removeprefix("wait-for-"): (w["env"][0]["value"], w["env"][1]["value"]) for w in waiters
    } == waits_for
