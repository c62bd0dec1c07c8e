# SPDX-License-Identifier: Apache-2.0
"""Volumes in danger: nothing that the operator does may cost what is on them."""

from __future__ import annotations

from contextlib import contextmanager

LIBRARY, DATABASE = "photos-library", "data-photos-postgres-0"
MARK = "media.rm3l.org/database"


def database(claim):
    return {"postgres": {"persistence": {"existingClaim": claim}}}


def mark(instances, claim):
    live = instances.get("PersistentVolumeClaim", claim)
    return live and live["metadata"].get("annotations", {}).get(MARK)


def wait_gone(instances, kind, name):
    instances.wait(f"{kind} {name} gone", lambda: instances.get(kind, name) is None)


def delete_instance(instances):
    """The custom resource, and all that goes with it."""
    instances.api.delete("Immich", "photos", instances.namespace, wait=True)
    instances.wait("its pods gone", lambda: not instances.api.list("Pod", instances.namespace))


@contextmanager
def a_pod_that_mounts(instances, claim):
    metadata = {"name": "somebody-elses", "namespace": instances.namespace}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    container = {"name": "main", "image": "registry.example.com/postgres:16"}
    spec = {"containers": [container], "volumes": [volume]}
    instances.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    yield
    instances.api.delete("Pod", "somebody-elses", instances.namespace)


def test_a_database_is_not_started_on_a_claim_that_another_instance_uses_until_that_one_is_gone(instances):
    instances.create()
    instances.wait_ready()

    instances.create(database(DATABASE), name="second")

    told = instances.wait_condition("PostgresReady", "ClaimInUse", name="second")
    assert f"PersistentVolumeClaim {DATABASE}" in told["message"]
    assert "is used by Immich photos too" in told["message"]
    assert instances.get("StatefulSet", "second-postgres") is None
    assert instances.get("Deployment", "second-server") is None
    instances.api.delete("Immich", "photos", instances.namespace)

    instances.wait_ready("second")

    assert instances.get("Pod", "photos-postgres-0") is None, "the former database had ended"


def test_a_database_is_not_started_on_a_claim_that_a_pod_of_somebody_else_mounts(instances):
    instances.claim("nas")
    with a_pod_that_mounts(instances, "nas"):
        instances.create(database("nas"))

        told = instances.wait_condition("PostgresReady", "ClaimInUse")
        assert "PersistentVolumeClaim nas" in told["message"]
        assert "is mounted by Pod somebody-elses, so" in told["message"]
        assert instances.get("StatefulSet", "photos-postgres") is None

    instances.wait_ready()


def test_a_database_is_not_started_on_a_claim_of_a_workload_whose_pod_may_come_any_time(instances):
    instances.claim("nas")
    workload = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "old", "namespace": instances.namespace},
        "spec": {
            "serviceName": "old",
            "selector": {"matchLabels": {"app": "old"}},
            "template": {
                "metadata": {"labels": {"app": "old"}},
                "spec": {
                    "nodeSelector": {"there": "is-none"},
                    "containers": [{"name": "main", "image": "registry.example.com/postgres:16"}],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "nas"}}],
                },
            },
        },
    }
    instances.api.create(workload)
    instances.create(database("nas"))

    told = instances.wait_condition("PostgresReady", "ClaimInUse")

    assert "StatefulSet old" in told["message"]
    instances.api.merge_patch("StatefulSet", "old", instances.namespace, {"spec": {"replicas": 0}})
    instances.wait_ready()


def test_a_claim_that_is_being_deleted_loses_its_pod_by_no_change_of_the_instance(instances):
    instances.create()
    instances.wait_ready()
    pods = instances.pod_uids()
    for claim in (LIBRARY, DATABASE):
        instances.api.delete("PersistentVolumeClaim", claim, instances.namespace)

    instances.change({"server": {"image": "registry.example.com/other:1"}, "postgres": {"image": "other:1"}})

    for condition, claim in (("ServerReady", LIBRARY), ("PostgresReady", DATABASE)):
        told = instances.wait_condition(condition, "ClaimBeingDeleted")
        assert f"PersistentVolumeClaim {claim} is being deleted" in told["message"]
        assert "kubectl patch persistentvolume pvc-" in told["message"]
    instances.secret("db", url="postgresql://elsewhere")
    url = {"name": "db", "key": "url"}
    instances.change({"server": {"enabled": False}, "postgres": {"enabled": False, "urlSecretRef": url}})
    instances.wait_condition("PostgresReady", "External")
    instances.wait_settled()
    now = instances.pod_uids()
    assert (now["server"], now["postgres"]) == (pods["server"], pods["postgres"])
    assert all(instances.get("PersistentVolumeClaim", claim) for claim in (LIBRARY, DATABASE))


def test_a_named_claim_that_is_being_deleted_is_looked_after_when_another_one_is_named(instances):
    for name in ("old-library", "old-database", "new-library", "new-database"):
        instances.claim(name)
    library = {"immich": {"persistence": {"library": {"existingClaim": "old-library"}}}}
    instances.create({**library, **database("old-database")})
    instances.wait_ready()
    pods = instances.pod_uids()
    for claim in ("old-library", "old-database"):
        instances.api.delete("PersistentVolumeClaim", claim, instances.namespace)
    instances.wait_condition("PostgresReady", "ClaimBeingDeleted")

    library["immich"]["persistence"]["library"]["existingClaim"] = "new-library"
    generation = instances.change({**library, **database("new-database")})["metadata"]["generation"]

    instances.wait("looked at", lambda: instances.condition("PostgresReady")["observedGeneration"] == generation)
    assert instances.condition("PostgresReady")["reason"] == "ClaimBeingDeleted"
    assert "old-library is being deleted" in instances.condition("ServerReady")["message"]
    now = instances.pod_uids()
    assert (now["server"], now["postgres"]) == (pods["server"], pods["postgres"])
    for kind, name in (("Deployment", "photos-server"), ("StatefulSet", "photos-postgres")):
        instances.api.merge_patch(kind, name, instances.namespace, {"spec": {"replicas": 0}})
    instances.wait_ready()
    assert [instances.get("PersistentVolumeClaim", name) for name in ("old-library", "old-database")] == [None, None]


def test_a_library_is_not_given_an_empty_database_until_somebody_says_so(instances):
    instances.create()
    instances.wait_ready()
    known = instances.wait("the claims marked", lambda: mark(instances, LIBRARY))
    assert mark(instances, DATABASE) == known
    delete_instance(instances)
    instances.api.delete("PersistentVolumeClaim", DATABASE, instances.namespace)
    wait_gone(instances, "PersistentVolumeClaim", DATABASE)

    instances.create()

    told = instances.wait_condition("PostgresReady", "DatabaseLost")
    assert f"PersistentVolumeClaim {DATABASE} does not exist" in told["message"]
    assert instances.get("StatefulSet", "photos-postgres") is None
    assert instances.get("Deployment", "photos-server") is None
    annotations = {"metadata": {"annotations": {MARK: None}}}
    instances.api.merge_patch("PersistentVolumeClaim", LIBRARY, instances.namespace, annotations)

    instances.wait_ready()
    instances.wait("the claims marked again", lambda: mark(instances, LIBRARY))
    assert mark(instances, LIBRARY) == mark(instances, DATABASE) != known


def test_a_database_that_comes_back_under_another_name_is_found_by_it(instances):
    instances.create()
    instances.wait_ready()
    known = instances.wait("the claims marked", lambda: mark(instances, LIBRARY))
    delete_instance(instances)
    instances.claim("restored")

    instances.create(database("restored"))

    instances.wait_ready()
    instances.wait("the claim marked", lambda: mark(instances, "restored") == known)


def test_a_database_volume_that_kubernetes_created_again_is_reported_and_not_used(instances):
    """What a lost volume looks like: the StatefulSet's controller makes an empty one of the same name."""
    instances.create()
    instances.wait_ready()
    instances.wait("the claims marked", lambda: mark(instances, LIBRARY))
    instances.wait_settled()
    server = instances.pod_uids()["server"]
    first = instances.get("PersistentVolumeClaim", DATABASE)["metadata"]["uid"]
    instances.api.delete("PersistentVolumeClaim", DATABASE, instances.namespace)
    instances.api.delete("Pod", "photos-postgres-0", instances.namespace)

    def is_new():
        claim = instances.get("PersistentVolumeClaim", DATABASE)
        return claim and claim["metadata"]["uid"] != first

    instances.wait("another claim of the name", is_new)

    instances.wait_condition("PostgresReady", "DatabaseLost")
    wait_gone(instances, "Pod", "photos-postgres-0")
    told = instances.condition("PostgresReady")
    assert f"PersistentVolumeClaim {DATABASE} is not known to hold it" in told["message"]
    instances.change({"server": {"image": "registry.example.com/other:1"}})
    instances.wait_settled()
    assert instances.pod_uids()["server"] == server
    assert mark(instances, DATABASE) is None

    # the empty one makes room for the one that comes back from a backup
    instances.api.delete("PersistentVolumeClaim", DATABASE, instances.namespace)
    wait_gone(instances, "PersistentVolumeClaim", DATABASE)
    instances.claim(DATABASE)
    annotations = {MARK: mark(instances, LIBRARY), "media.rm3l.org/pgdata": "pgdata"}
    patch = {"metadata": {"annotations": annotations}}
    instances.api.merge_patch("PersistentVolumeClaim", DATABASE, instances.namespace, patch)

    instances.wait_ready()
