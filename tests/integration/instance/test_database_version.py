# SPDX-License-Identifier: Apache-2.0
"""No data get another major version of PostgreSQL than the one that wrote them, whatever the default becomes."""

from __future__ import annotations

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from support.operating import pod_spec

OF_17, OF_14 = DEFAULT_IMAGES["postgres"], DEFAULT_IMAGES["postgres14"]
CLAIM = "data-photos-postgres-0"
NOTE = "media.rm3l.org/postgres-major"


def image_of(instances, name="photos"):
    return pod_spec(instances.get("StatefulSet", f"{name}-postgres"))["containers"][0]["image"]


def note_on(instances, claim=CLAIM):
    return instances.get("PersistentVolumeClaim", claim)["metadata"].get("annotations", {}).get(NOTE)


def test_an_operator_with_a_newer_default_replaces_no_database_and_starts_new_ones_on_it(operated, apart):
    operated(RELATED_IMAGE_postgres=OF_14)
    apart.create()
    apart.wait_ready()
    apart.wait("the note on its claim", lambda: note_on(apart) == "pgdata=14")
    apart.wait_settled()
    before, template = apart.pod_uids()["postgres"], apart.get("StatefulSet", "photos-postgres")["spec"]
    assert apart.operator.stop() == 0

    operated()
    apart.create(name="new")
    apart.wait_ready("new")
    told = apart.wait_condition("Warning", "PostgresEndOfLife")
    apart.wait_settled()

    assert apart.get("StatefulSet", "photos-postgres")["spec"] == template
    assert apart.pod_uids()["postgres"] == before
    assert "StatefulSet photos-postgres runs PostgreSQL 14" in told["message"]
    assert image_of(apart, "new") == OF_17
    assert note_on(apart, "data-new-postgres-0") == "pgdata=17"

    apart.api.delete("Immich", "photos", apart.namespace)
    apart.wait("its end", lambda: apart.get("StatefulSet", "photos-postgres") is None)
    apart.create()
    apart.wait_ready()

    assert image_of(apart) == OF_14, "the claim says so, and nothing else does"


def test_old_data_without_a_note_are_found_by_the_pod_and_get_the_older_image(instances):
    instances.secret("photos-postgres-credentials", password="secret", username="immich", database="immich")
    instances.claim(CLAIM)
    instances.claim("photos-library")
    instances.create()
    instances.wait_ready()
    assert image_of(instances) == OF_17
    before = instances.pod_uids()

    instances.let_the_database_find("database\nat pgdata\nmajor 14\nprogram 17\n")

    instances.wait("the older image", lambda: image_of(instances) == OF_14)
    instances.wait_rolled(before, "postgres")
    instances.wait_ready()
    assert note_on(instances) == "pgdata=14"
    assert image_of(instances) == OF_14


def test_another_major_version_on_a_database_is_refused_and_all_goes_on(instances):
    instances.create()
    instances.wait_ready()
    instances.wait("the note on its claim", lambda: note_on(instances) == "pgdata=17")
    before = instances.pod_uids()

    instances.change({"postgres": {"image": "ghcr.io/immich-app/postgres:18-vectorchord1.1.1"}})
    told = instances.wait_condition("PostgresReady", "PostgresMajorDiffers")

    assert "spec.postgres.image names PostgreSQL 18" in told["message"]
    assert image_of(instances) == OF_17
    assert instances.pod_uids() == before
    assert ("Warning", "PostgresMajorDiffers") in [(kind, reason) for kind, reason, _ in instances.events()]

    instances.change({"postgres": {"image": None}})
    instances.wait_ready()
    assert instances.pod_uids() == before
