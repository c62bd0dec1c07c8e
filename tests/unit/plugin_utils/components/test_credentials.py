# SPDX-License-Identifier: Apache-2.0
"""The password of the built-in database: made once, never again, never lost sight of."""

import base64

import pytest

from support.instances import (
    PASSWORD,
    a_claim,
    a_cr,
    a_secret,
    an_instance_at_work,
    as_live,
    condition,
    environment,
    found,
    has,
    notices,
    plan_for,
    report_for,
)

NAME = "photos-postgres-credentials"
CLAIM = "data-photos-postgres-0"
MARK = "media.rm3l.org/credentials"
OWN_VOLUME = {"postgres": {"persistence": {"existingClaim": "nas"}}}
OWN_SECRET = {"postgres": {"passwordSecretRef": {"name": "mine", "key": "word"}}}


def creations(plan):
    """Without the key of the checksums, which has nothing to do with the database."""
    made = [step["object"]["metadata"]["name"] for step in plan.steps if step["verb"] == "create"]
    return [name for name in made if name != "photos-checksum-key"]


def merges(plan):
    return [(step["target"]["name"], step["patch"]) for step in plan.steps if step["verb"] == "merge"]


def test_a_new_database_gets_a_password_of_its_own():
    plan = plan_for(a_cr({"postgres": {"username": "ana", "database": "pictures"}}))

    secret = found(plan, "Secret", NAME)
    assert creations(plan) == [NAME]
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {
        "password": PASSWORD,
        "username": "ana",
        "database": "pictures",
    }


def test_the_secret_is_there_before_anything_that_uses_it():
    plan = plan_for(a_cr())

    [made] = [step for step in plan.steps if step.get("object", {}).get("metadata", {}).get("name") == NAME]
    assert all(
        made["stage"] < step["stage"] for step in plan.steps if step.get("object", {}).get("kind") == "StatefulSet"
    )


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(lambda: an_instance_at_work(a_cr()), id="a-running-instance"),
        pytest.param(lambda: [a_secret(NAME, password="old")], id="a-secret-without-our-labels"),
        pytest.param(lambda: [a_secret(NAME, password="old"), a_claim(CLAIM)], id="what-a-deleted-instance-left"),
    ],
)
def test_credentials_that_are_there_are_never_written_again(objects):
    plan = plan_for(a_cr({"postgres": {"username": "somebody"}}), objects())

    assert not has(plan, "Secret", NAME)
    assert notices(plan, "blocks") == []


def test_lost_credentials_are_not_replaced_while_the_volume_exists():
    live = [manifest for manifest in an_instance_at_work(a_cr()) if manifest["metadata"]["name"] != NAME]

    plan = plan_for(a_cr(), live)
    result = report_for(a_cr(), live)

    assert creations(plan) == []
    assert not has(plan, "StatefulSet", "photos-postgres")
    assert not has(plan, "Deployment", "photos-server")
    assert has(plan, "Deployment", "photos-machine-learning")
    database = condition(result, "PostgresReady")
    assert (database["status"], database["reason"]) == ("False", "CredentialsLost")
    for word in (NAME, CLAIM, "Restore the Secret", "spec.postgres.passwordSecretRef", "password, username, database"):
        assert word in database["message"]
    assert condition(result, "ServerReady")["reason"] == "Blocked"
    assert result["status"]["ready"] is False


def test_recovery_by_a_secret_of_the_users_own():
    live = [manifest for manifest in an_instance_at_work(a_cr()) if manifest["metadata"]["name"] != NAME]

    plan = plan_for(a_cr(OWN_SECRET), [*live, a_secret("mine", word="new")])

    assert notices(plan, "blocks") == []
    assert environment(found(plan, "StatefulSet", "photos-postgres"))["POSTGRES_PASSWORD"] == "mine/word"
    assert environment(found(plan, "Deployment", "photos-server"))["DB_PASSWORD"] == "mine/word"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        pytest.param(
            [a_claim(CLAIM)], f"restore the password of the database in PersistentVolumeClaim {CLAIM}", id="with-data"
        ),
        pytest.param([], "add one, or delete the Secret and it is created again", id="without-data"),
    ],
)
def test_credentials_without_password_are_not_filled_in(claims, words):
    plan = plan_for(a_cr(), [a_secret(NAME, username="immich"), *claims])

    [notice] = [notice for notice in plan.notices if notice.effect == "blocks"]
    assert (notice.component, notice.reason) == ("postgres", "CredentialsLost")
    assert notice.message == f"Secret {NAME} has no key password; {words}"
    assert creations(plan) == []


def test_a_secret_of_the_users_own_is_used_and_none_is_made():
    plan = plan_for(a_cr(OWN_SECRET), [a_secret("mine", word="x")])

    assert not has(plan, "Secret", NAME)
    assert environment(found(plan, "StatefulSet", "photos-postgres"))["POSTGRES_PASSWORD"] == "mine/word"


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        pytest.param([], "SecretNotFound", id="no-secret"),
        pytest.param([a_secret("mine")], "SecretKeyNotFound", id="no-key"),
    ],
)
def test_a_missing_secret_of_the_users_holds_back_database_and_server_only(objects, reason):
    plan = plan_for(a_cr(OWN_SECRET), objects)

    assert notices(plan, "blocks") == [("postgres", reason)]
    assert {m["metadata"]["name"] for m in plan.objects if m["kind"] == "Deployment"} == {
        "photos-valkey",
        "photos-machine-learning",
    }


def test_on_a_volume_of_the_users_a_mark_tells_that_a_password_is_in_use():
    plan = plan_for(a_cr(OWN_VOLUME), [a_claim("nas")])

    assert creations(plan) == [NAME]
    assert merges(plan) == [("nas", {"metadata": {"annotations": {MARK: NAME}}})]


def test_the_mark_is_set_once():
    live = [*as_live(plan_for(a_cr(OWN_VOLUME), [a_claim("nas")])), a_claim("nas", annotations={MARK: NAME})]

    assert merges(plan_for(a_cr(OWN_VOLUME), live)) == []


def test_on_a_marked_volume_lost_credentials_are_not_replaced():
    plan = plan_for(a_cr(OWN_VOLUME), [a_claim("nas", annotations={MARK: NAME})])

    assert notices(plan, "blocks") == [("postgres", "CredentialsLost")]
    assert creations(plan) == []


def test_on_a_volume_with_the_users_own_secret_no_mark_is_set():
    spec = {"postgres": {**OWN_VOLUME["postgres"], **OWN_SECRET["postgres"]}}

    assert merges(plan_for(a_cr(spec), [a_claim("nas"), a_secret("mine", word="x")])) == []


def test_an_external_database_needs_no_credentials_of_ours():
    spec = {"postgres": {"enabled": False, "urlSecretRef": {"name": "mine", "key": "word"}}}

    assert not has(plan_for(a_cr(spec), [a_secret("mine", word="x")]), "Secret", NAME)


def test_a_plain_queue_password_is_kept_in_a_secret_that_goes_with_the_instance():
    plan = plan_for(a_cr({"valkey": {"enabled": False, "host": "redis", "password": "word"}}))

    secret = found(plan, "Secret", "photos-valkey-credentials")
    assert base64.b64decode(secret["data"]["password"]) == b"word"
    assert secret["metadata"]["ownerReferences"]
