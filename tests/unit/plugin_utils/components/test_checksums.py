# SPDX-License-Identifier: Apache-2.0
"""Pods are replaced when what they use changes, and for no other reason."""

import pytest

from support.instances import (
    NAME,
    PASSWORD,
    a_claim,
    a_config_map,
    a_cr,
    a_secret,
    as_live,
    found,
    plan_for,
    pod_template,
    workloads,
)

SPEC = {
    "postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}},
    "valkey": {"enabled": False, "host": "redis", "passwordSecretRef": {"name": "queue", "key": "p"}},
    "server": {
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "one", "key": "a"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "b"}}},
        ],
        "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "mapall"}}],
    },
    "machineLearning": {"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}]},
    "immich": {"configuration": {"oauth": {"clientSecretRef": {"name": "login", "key": "s"}}}},
}


def objects(**changes):
    values = {
        "db": a_secret("db", p="1", unused="1"),
        "queue": a_secret("queue", p="1", unused="1"),
        "one": a_secret("one", a="1", unused="1"),
        "map": a_config_map("map", b="1", unused="1"),
        "all": a_secret("all", x="1"),
        "mapall": a_config_map("mapall", x="1"),
        "hf": a_secret("hf", token="1", unused="1"),
        "login": a_secret("login", s="1", unused="1"),
    }
    return list((values | changes).values())


def annotations(plan):
    return {w["metadata"]["name"]: pod_template(w)["metadata"].get("annotations") for w in workloads(plan)}


def templates(plan):
    return {w["metadata"]["name"]: pod_template(w) for w in workloads(plan)}


def rolled(before, after):
    """Names of the workloads whose pods would be replaced."""
    return {name for name, template in templates(before).items() if templates(after)[name] != template}


@pytest.mark.parametrize(
    ("changed", "replaced"),
    [
        pytest.param(a_secret("db", p="2", unused="1"), {"photos-server"}, id="database-password"),
        pytest.param(a_secret("queue", p="2", unused="1"), {"photos-server"}, id="queue-password"),
        pytest.param(a_secret("one", a="2", unused="1"), {"photos-server"}, id="a-key-in-env"),
        pytest.param(a_config_map("map", b="2", unused="1"), {"photos-server"}, id="a-config-map-key-in-env"),
        pytest.param(a_secret("all", x="2"), {"photos-server"}, id="env-from-secret"),
        pytest.param(a_secret("all", x="1", y="new"), {"photos-server"}, id="env-from-secret-with-a-new-key"),
        pytest.param(a_config_map("mapall", x="2"), {"photos-server"}, id="env-from-config-map"),
        pytest.param(a_secret("hf", token="2", unused="1"), {"photos-machine-learning"}, id="machine-learning-env"),
        pytest.param(a_secret("login", s="2", unused="1"), {"photos-server"}, id="a-secret-in-the-file"),
        pytest.param(a_secret("db", p="1", unused="2"), set(), id="another-key-of-the-database-secret"),
        pytest.param(a_secret("one", a="1", unused="2"), set(), id="another-key-of-an-env-secret"),
        pytest.param(a_config_map("map", b="1", unused="2"), set(), id="another-key-of-an-env-config-map"),
        pytest.param(a_secret("login", s="1", unused="2"), set(), id="another-key-of-a-secret-in-the-file"),
        pytest.param(
            {**a_secret("db", p="1", unused="1"), "metadata": {"name": "db", "labels": {"a": "b"}}},
            set(),
            id="labels-of-a-secret",
        ),
    ],
)
def test_exactly_the_pods_that_use_a_changed_value_are_replaced(changed, replaced):
    cr = a_cr(SPEC)

    before = plan_for(cr, objects())
    after = plan_for(cr, objects(**{changed["metadata"]["name"]: changed}))

    assert rolled(before, after) == replaced


@pytest.mark.parametrize(
    ("spec", "replaced"),
    [
        pytest.param({"immich": {"configuration": {"trash": {"days": 3}}}}, {"photos-server"}, id="settings"),
        pytest.param({"machineLearning": {"replicas": 3}}, set(), id="replicas"),
        pytest.param({"immich": {"persistence": {"library": {"size": "20Gi"}}}}, set(), id="library-size"),
        pytest.param({"postgres": {"persistence": {"size": "20Gi"}}}, set(), id="database-size"),
        pytest.param({"server": {"podLabels": {"a": "b"}}}, {"photos-server"}, id="labels-of-pods"),
    ],
)
def test_an_edit_replaces_only_pods_that_it_is_about(spec, replaced):
    assert rolled(plan_for(a_cr()), plan_for(a_cr(spec))) == replaced


def test_a_changed_database_password_replaces_server_and_database():
    def there(password):
        secret = a_secret("photos-postgres-credentials", password=password, username="immich", database="immich")
        return [secret, a_claim("data-photos-postgres-0")]

    assert rolled(plan_for(a_cr(), there("old")), plan_for(a_cr(), there("new"))) == {
        "photos-postgres",
        "photos-server",
    }


def test_pods_that_start_with_a_password_just_made_are_not_replaced_when_it_is_seen():
    first = plan_for(a_cr())
    second = plan_for(a_cr(), as_live(first))

    assert annotations(second) == annotations(first)
    assert rolled(first, second) == set()


def test_equal_settings_of_two_instances_have_different_checksums():
    one, other = a_cr(), a_cr()
    other["metadata"]["name"] = "pictures"

    first = pod_template(found(plan_for(one), "Deployment", f"{NAME}-server"))["metadata"]["annotations"]
    second = pod_template(found(plan_for(other), "Deployment", "pictures-server"))["metadata"]["annotations"]

    assert not set(first.values()) & set(second.values())
    assert PASSWORD not in str(first)


def test_an_optional_secret_that_appears_replaces_the_pods():
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "a", "optional": True}}}]
    cr = a_cr({"server": {"env": env}})

    assert rolled(plan_for(cr), plan_for(cr, [a_secret("maybe", a="1")])) == {"photos-server"}
