# SPDX-License-Identifier: Apache-2.0
"""How Immich gets to its queues: the password of the built-in Valkey, TLS and sentinels of an external one."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.references import references
from support.instances import (
    a_cr,
    a_secret,
    an_instance_at_work,
    as_live,
    as_ready,
    container,
    deletions,
    environment,
    found,
    has,
    notices,
    plan_for,
    pod_template,
    with_status,
    without,
)

SECRET = "photos-valkey-credentials"
SENT = f"{SECRET}/password"
PROTECTED = {"valkey": {"auth": {"enabled": True}}}
OPEN = {"valkey": {"auth": {"enabled": False}}}
SERVER, VALKEY = ("Deployment", "photos-server"), ("Deployment", "photos-valkey")
CHECKSUM = "media.rm3l.org/secrets-checksum"


def password_of(plan):
    return base64.b64decode(found(plan, "Secret", SECRET)["data"]["password"]).decode()


def asks(plan):
    return "REDISCLI_AUTH" in {entry["name"] for entry in container(found(plan, *VALKEY)).get("env", ())}


def sends(plan):
    """Never without the user: Valkey refuses a password that it did not ask for, unless a user is named."""
    variables = environment(found(plan, *SERVER))
    return (variables.get("REDIS_USERNAME"), variables.get("REDIS_PASSWORD")) == ("default", SENT)


def external(**fields):
    return {"valkey": {"enabled": False, **fields}}


def options(plan):
    """The options of Immich's client for Valkey, from the Secret."""
    scheme, _, text = base64.b64decode(found(plan, "Secret", SECRET)["data"]["url"]).decode().partition("://")
    assert scheme == "ioredis"
    return json.loads(base64.b64decode(text))


def test_a_new_instance_with_a_password_asks_for_it_at_once():
    plan = plan_for(a_cr(PROTECTED))

    assert asks(plan)
    assert sends(plan)
    assert len(password_of(plan)) == 64


def test_the_password_is_no_argument_of_a_process():
    plan = plan_for(a_cr(PROTECTED))

    assert password_of(plan) not in json.dumps(found(plan, *VALKEY))
    args = container(found(plan, *VALKEY))["args"]
    assert "requirepass $REDISCLI_AUTH" in args[2]
    assert "--maxmemory-policy" in args


def test_the_password_is_another_one_than_that_of_the_database():
    plan = plan_for(a_cr(PROTECTED))

    database = base64.b64decode(found(plan, "Secret", "photos-postgres-credentials")["data"]["password"]).decode()
    assert database not in password_of(plan)


def test_a_password_that_is_there_stays():
    live = without(an_instance_at_work(a_cr(PROTECTED)), "Secret", SECRET)
    held = as_live(plan_for(a_cr(PROTECTED)))
    [secret] = [m for m in held if (m["kind"], m["metadata"]["name"]) == ("Secret", SECRET)]
    secret = {**secret, "data": {"password": base64.b64encode(b"chosen-by-me").decode()}}

    assert password_of(plan_for(a_cr(PROTECTED), [*live, secret])) == "chosen-by-me"


@pytest.mark.parametrize("value", ["", "two words", 'with"quote', "short", "line\nbreak"])
def test_a_password_that_valkey_could_not_read_is_replaced(value):
    live = [*without(an_instance_at_work(a_cr(PROTECTED)), "Secret", SECRET), a_secret(SECRET, password=value)]

    assert len(password_of(plan_for(a_cr(PROTECTED), live))) == 64


def test_another_password_replaces_the_pods_of_both():
    live = an_instance_at_work(a_cr(PROTECTED))
    other = [*without(live, "Secret", SECRET), a_secret(SECRET, password="another-password")]

    before, after = plan_for(a_cr(PROTECTED), live), plan_for(a_cr(PROTECTED), other)

    for workload in (SERVER, VALKEY):
        marks = [pod_template(found(plan, *workload))["metadata"]["annotations"][CHECKSUM] for plan in (before, after)]
        assert marks[0] != marks[1]


def test_switching_it_on_first_gives_the_server_the_password():
    live = an_instance_at_work(a_cr(OPEN))

    plan = plan_for(a_cr(PROTECTED), live)

    assert (sends(plan), asks(plan)) == (True, False)


def test_valkey_asks_once_all_servers_send_the_password():
    first = as_live(plan_for(a_cr(PROTECTED), an_instance_at_work(a_cr(OPEN))))
    rolling = with_status([as_ready(m) for m in first], *SERVER, updatedReplicas=0)
    done = [as_ready(m) for m in first]

    assert [asks(plan_for(a_cr(PROTECTED), live)) for live in (rolling, done)] == [False, True]


def test_without_a_server_there_is_nobody_to_wait_for():
    live = without(an_instance_at_work(a_cr(OPEN)), *SERVER)

    assert asks(plan_for(a_cr(PROTECTED), live))


def test_switching_it_off_first_lets_valkey_stop_to_ask():
    plan = plan_for(a_cr(OPEN), an_instance_at_work(a_cr(PROTECTED)))

    assert (sends(plan), asks(plan)) == (True, False)
    assert ("Secret", SECRET) not in deletions(plan)


def test_the_server_forgets_the_password_once_no_pod_of_valkey_asks():
    before = an_instance_at_work(a_cr(PROTECTED))
    [secret] = [m for m in before if (m["kind"], m["metadata"]["name"]) == ("Secret", SECRET)]
    first = [*as_live(plan_for(a_cr(OPEN), before)), secret]
    rolling = with_status([as_ready(m) for m in first], *VALKEY, readyReplicas=0, availableReplicas=0)
    done = plan_for(a_cr(OPEN), [as_ready(m) for m in first])

    assert sends(plan_for(a_cr(OPEN), rolling))
    assert not sends(done)
    assert ("Secret", SECRET) in deletions(done)


def test_an_instance_without_it_is_as_before():
    plan = plan_for(a_cr(OPEN), an_instance_at_work(a_cr(OPEN)))

    assert container(found(plan, *VALKEY))["args"][0] == "valkey-server"
    assert "annotations" not in pod_template(found(plan, *VALKEY))["metadata"]
    assert not has(plan, "Secret", SECRET)


def test_a_user_name_of_an_external_one_is_passed_on():
    plan = plan_for(a_cr(external(host="cache", username="immich", password="secret")))

    variables = environment(found(plan, *SERVER))
    assert (variables["REDIS_USERNAME"], variables["REDIS_PASSWORD"]) == ("immich", SENT)


def test_tls_is_in_the_address_that_only_a_secret_holds():
    cr = a_cr(
        external(
            host="cache", dbIndex=3, username="immich", passwordSecretRef={"name": "mine", "key": "word"},
            tls={"enabled": True, "caSecretRef": {"name": "mine", "key": "ca"}},
        )
    )  # fmt: skip

    plan = plan_for(cr, [a_secret("mine", word="open", ca="PEM")])

    assert options(plan) == {
        "host": "cache",
        "port": 6379,
        "db": 3,
        "username": "immich",
        "password": "open",
        "tls": {"ca": "PEM", "servername": "cache"},
    }
    variables = environment(found(plan, *SERVER))
    assert variables["REDIS_URL"] == f"{SECRET}/url"
    assert "REDIS_PASSWORD" not in variables


def test_a_server_with_tls_still_waits_for_the_port():
    plan = plan_for(a_cr(external(host="cache", tls={"enabled": True})))

    waiting = [entry["name"] for entry in pod_template(found(plan, *SERVER))["spec"]["initContainers"]]
    assert "wait-for-valkey" in waiting


def test_sentinels_say_which_one_is_the_primary():
    sentinel = {
        "masterName": "mymaster",
        "hosts": [{"host": "a"}, {"host": "b", "port": 5000}],
        "passwordSecretRef": {"name": "mine", "key": "word"},
    }

    plan = plan_for(a_cr(external(sentinel=sentinel, tls={"enabled": True})), [a_secret("mine", word="open")])

    assert options(plan) == {
        "db": 0,
        "sentinels": [{"host": "a", "port": 26379}, {"host": "b", "port": 5000}],
        "name": "mymaster",
        "sentinelPassword": "open",
        "sentinelTLS": {},
        "enableTLSForSentinelMode": True,
        "tls": {},
    }
    assert "REDIS_HOSTNAME" not in environment(found(plan, *SERVER))


def test_the_server_waits_for_a_secret_of_the_address_that_is_missing():
    plan = plan_for(a_cr(external(host="cache", tls={"enabled": True, "caSecretRef": {"name": "mine", "key": "ca"}})))

    assert ("valkey", "SecretNotFound") in notices(plan, "blocks")
    assert not has(plan, "Secret", SECRET)


def test_what_only_an_external_one_uses_is_told_of_a_built_in_one():
    spec = {
        "valkey": {"username": "a", "tls": {"enabled": True}, "sentinel": {"masterName": "m", "hosts": [{"host": "h"}]}}
    }

    assert notices(plan_for(a_cr(spec)), "warns").count(("valkey", "SettingIgnored")) == 3


def test_what_is_not_used_of_an_external_one_is_told():
    spec = external(host="cache", auth={"enabled": True}, sentinel={"masterName": "m", "hosts": [{"host": "h"}]})

    assert notices(plan_for(a_cr(spec)), "warns").count(("valkey", "SettingIgnored")) == 2


def test_a_secret_of_that_name_without_labels_is_found_and_used():
    live = [*without(an_instance_at_work(a_cr(OPEN)), "Secret", SECRET), a_secret(SECRET, password="made-by-gitops")]

    assert ("Secret", SECRET) in {(each["kind"], each["name"]) for each in references(a_cr(PROTECTED))}
    assert password_of(plan_for(a_cr(PROTECTED), live)) == "made-by-gitops"


def test_a_variable_of_a_container_of_the_users_is_not_the_servers():
    sidecar = {"name": "queue-view", "image": "view:1", "env": [{"name": "REDIS_PASSWORD", "value": "x"}]}
    spec = {"server": {"extraContainers": [sidecar]}}

    plan = plan_for(a_cr({**PROTECTED, **spec}), an_instance_at_work(a_cr({**OPEN, **spec})))

    assert not asks(plan)
