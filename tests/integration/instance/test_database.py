# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: built-in and external, its password, and where its data is."""

from __future__ import annotations

import base64

from support.operating import environment, pod_spec

CREDENTIALS = "photos-postgres-credentials"
OWN_SECRET = {"passwordSecretRef": {"name": "mine", "key": "pw"}}


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def data_directory(instances):
    """PGDATA as the live StatefulSet has it, None when it leaves that to the image or is not there."""
    live = instances.get("StatefulSet", "photos-postgres")
    return environment(live).get("PGDATA") if live else None


def test_the_built_in_database_gets_a_password_once(instances):
    instances.create({"postgres": {"database": "family", "username": "me"}})
    instances.wait_ready()
    made = instances.get("Secret", CREDENTIALS)

    edited = base64.b64encode(b"else").decode()
    instances.api.merge_patch("Secret", CREDENTIALS, instances.namespace, {"data": {"username": edited}})
    instances.change({"postgres": {"database": "other"}})
    instances.wait_ready()

    assert {key: len(value) if key == "password" else value for key, value in decoded(made).items()} == {
        "password": 32,
        "username": "me",
        "database": "family",
    }
    assert "ownerReferences" not in made["metadata"]
    assert instances.get("Secret", CREDENTIALS)["data"] == {**made["data"], "username": edited}
    assert environment(instances.get("StatefulSet", "photos-postgres")) == {
        "POSTGRES_USER": "me",
        "POSTGRES_DB": "other",
        "POSTGRES_INITDB_ARGS": "--data-checksums",
        "POSTGRES_PASSWORD": f"{CREDENTIALS}/password",
        "PGDATA": "/var/lib/postgresql/data/pgdata",
    }
    server = environment(instances.get("Deployment", "photos-server"))
    assert {name: server[name] for name in server if name.startswith("DB_")} == {
        "DB_HOSTNAME": "photos-postgres",
        "DB_PORT": "5432",
        "DB_DATABASE_NAME": "other",
        "DB_USERNAME": "me",
        "DB_PASSWORD": f"{CREDENTIALS}/password",
    }


def test_a_password_secret_of_the_users_is_used_and_none_is_made(instances):
    instances.secret("mine", pw="secret")
    instances.create({"postgres": OWN_SECRET})

    instances.wait_ready()

    assert instances.get("Secret", CREDENTIALS) is None
    assert environment(instances.get("StatefulSet", "photos-postgres"))["POSTGRES_PASSWORD"] == "mine/pw"
    assert environment(instances.get("Deployment", "photos-server"))["DB_PASSWORD"] == "mine/pw"


def test_lost_credentials_are_not_generated_again_while_the_volume_exists(instances):
    instances.create()
    instances.wait_ready()
    credentials = instances.get("Secret", CREDENTIALS)
    pods = instances.pod_uids()

    instances.api.delete("Secret", CREDENTIALS, instances.namespace)

    condition = instances.wait_condition("PostgresReady", "CredentialsLost")
    instances.wait_settled()
    assert instances.get("Secret", CREDENTIALS) is None
    for words in (f"Secret {CREDENTIALS}", "data-photos-postgres-0", "spec.postgres.passwordSecretRef"):
        assert words in condition["message"]
    assert instances.pod_uids() == pods, "what runs goes on"

    kept = {key: credentials["metadata"][key] for key in ("name", "namespace", "labels")}
    instances.api.create({**credentials, "metadata": kept})

    instances.wait_ready()
    assert instances.pod_uids() == pods


def test_an_external_database_is_described_to_the_server_by_its_parts(instances):
    instances.secret("db", password="secret")
    instances.create(
        {
            "postgres": {
                "enabled": False,
                "host": "postgres.external.svc.cluster.local",
                "port": 5433,
                "database": "pictures",
                "username": "me",
                "passwordSecretRef": {"name": "db", "key": "password"},
            }
        }
    )

    instances.wait_ready()

    server = environment(instances.get("Deployment", "photos-server"))
    assert {name: server[name] for name in server if name.startswith("DB_")} == {
        "DB_HOSTNAME": "postgres.external.svc.cluster.local",
        "DB_PORT": "5433",
        "DB_DATABASE_NAME": "pictures",
        "DB_USERNAME": "me",
        "DB_PASSWORD": "db/password",
    }
    assert not [name for kind, name in instances.owned() if "postgres" in name]
    assert instances.condition("PostgresReady")["reason"] == "External"


def test_an_external_database_is_described_to_the_server_by_a_url(instances):
    instances.secret("db", url="postgresql://me:secret@db/pictures")
    instances.create({"postgres": {"enabled": False, "urlSecretRef": {"name": "db", "key": "url"}}})

    instances.wait_ready()

    server = environment(instances.get("Deployment", "photos-server"))
    assert {name: server[name] for name in server if name.startswith("DB_")} == {"DB_URL": "db/url"}


def test_a_new_volume_keeps_its_data_in_a_sub_directory_and_says_so(instances):
    instances.create()
    instances.wait_ready()

    claim = instances.get("PersistentVolumeClaim", "data-photos-postgres-0")
    spec = pod_spec(instances.get("StatefulSet", "photos-postgres"))

    assert claim["metadata"]["annotations"]["media.rm3l.org/pgdata"] == "pgdata"
    assert "ownerReferences" not in claim["metadata"]
    assert data_directory(instances) == "/var/lib/postgresql/data/pgdata"
    shm = next(volume for volume in spec["volumes"] if volume["name"] == "shm")
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "128Mi"}
    assert {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]} == {
        "/dev/shm",  # noqa: S108 - the shared memory of the container
        "/var/lib/postgresql/data",
    }
    assert spec["terminationGracePeriodSeconds"] >= 120
    assert "pg_isready" in spec["containers"][0]["readinessProbe"]["exec"]["command"][-1]


TOP = "/var/lib/postgresql/data"
FOLDER = "media.rm3l.org/pgdata"


def claims_without_annotations(instances):
    """Both claims put back from snapshots by a tool that drops annotations, and the password."""
    instances.secret(CREDENTIALS, password="secret", username="immich", database="immich")
    instances.claim("data-photos-postgres-0")
    instances.claim("photos-library")


def folder_of(instances, claim="data-photos-postgres-0"):
    return instances.get("PersistentVolumeClaim", claim)["metadata"].get("annotations", {}).get(FOLDER)


def test_a_database_that_came_back_without_annotations_is_started_where_its_pod_finds_it(instances):
    claims_without_annotations(instances)
    instances.create()
    instances.wait_ready()
    assert data_directory(instances) == f"{TOP}/pgdata"
    before = instances.pod_uids()

    instances.let_the_database_find("elsewhere\nat 18/docker\nhas 18\n")

    instances.wait("the database where it is", lambda: data_directory(instances) == f"{TOP}/18/docker")
    instances.wait_rolled(before, "postgres")
    instances.wait_ready()
    assert folder_of(instances) == "18/docker"
    assert decoded(instances.get("Secret", CREDENTIALS))["password"] == "secret"


def test_of_two_databases_on_a_volume_none_is_started_until_somebody_says_which(instances):
    claims_without_annotations(instances)
    instances.create()
    instances.wait_ready()
    before = instances.pod_uids()

    instances.let_the_database_find("several\nat .\nat pgdata\n")

    told = instances.wait_condition("PostgresReady", "VolumeUnclear")
    assert "holds several databases, in the top of its volume and its folder pgdata" in told["message"]
    assert instances.pod_uids() == before
    assert folder_of(instances) is None

    answer = {"metadata": {"annotations": {FOLDER: "."}}}
    instances.api.merge_patch("PersistentVolumeClaim", "data-photos-postgres-0", instances.namespace, answer)

    instances.wait("the database that was named", lambda: data_directory(instances) == TOP)
    instances.wait_rolled(before, "postgres")
    instances.wait_ready()


def test_a_claim_of_the_users_comes_and_goes_without_losing_a_volume(instances):
    instances.claim("old-data")
    instances.create()
    instances.wait_ready()
    made = instances.get("PersistentVolumeClaim", "data-photos-postgres-0")["metadata"]["uid"]

    instances.change({"postgres": {"persistence": {"existingClaim": "old-data"}}})
    mounted = instances.wait(
        "the database on the claim of the user's",
        lambda: [
            volume["persistentVolumeClaim"]["claimName"]
            for pod in instances.pods("postgres")
            for volume in pod["spec"]["volumes"]
            if volume["name"] == "data" and volume["persistentVolumeClaim"]["claimName"] == "old-data"
        ],
    )
    instances.wait_ready()

    assert mounted == ["old-data"]
    assert data_directory(instances) == f"{TOP}/pgdata", "as nothing is known of another folder"
    assert "volumeClaimTemplates" not in instances.get("StatefulSet", "photos-postgres")["spec"]

    instances.change({"postgres": {"persistence": {"existingClaim": None}}})
    instances.wait(
        "the database on the former claim",
        lambda: "volumeClaimTemplates" in (instances.get("StatefulSet", "photos-postgres") or {"spec": {}})["spec"],
    )
    instances.wait_ready()

    assert instances.get("PersistentVolumeClaim", "data-photos-postgres-0")["metadata"]["uid"] == made
    assert instances.get("PersistentVolumeClaim", "old-data")
