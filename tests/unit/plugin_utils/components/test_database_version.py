# SPDX-License-Identifier: Apache-2.0
"""New volumes start on the operator's PostgreSQL, and no data ever get another major version than the one that wrote them."""

import datetime
import re
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.database_folder import (
    LOOK_COMMAND,
    LOOK_COMMAND_BEFORE,
)
from ansible_collections.media.immich.plugins.plugin_utils.components.database_version import END_OF_LIFE
from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.spec.images import NEWEST_POSTGRES, postgres_major
from support.instances import (
    MAJOR,
    PASSWORD,
    a_claim,
    a_cr,
    a_secret,
    an_instance_at_work,
    annotated,
    condition,
    container,
    found,
    has,
    notices,
    report_for,
    seen_with,
    summary,
    with_status,
)

CLAIM = "data-photos-postgres-0"
POSTGRES = "ghcr.io/immich-app/postgres"
OF_14, OF_17 = f"{POSTGRES}:14-vectorchord0.4.3-pgvectors0.2.0", f"{POSTGRES}:17-vectorchord0.5.3"
DIGEST = f"{POSTGRES}@sha256:{'0' * 64}"
OTHER_DIGEST = f"mirror.example.com/pg@sha256:{'1' * 64}"
REMOVE = f"kubectl annotate persistentvolumeclaim --namespace family {CLAIM} media.rm3l.org/postgres-major-"
CREDENTIALS = a_secret("photos-postgres-credentials", password="x", username="immich", database="immich")


def planned(objects, *, spec=None, pods=(), now=0.0, **images):
    """The plan with other images of the operator than its own: `postgres`, `postgres14`; None takes one away."""
    cr = a_cr(spec or {})
    chosen = {name: image for name, image in (DEFAULT_IMAGES | images).items() if image}
    return plan(cr, seen=seen_with(cr, objects, pods=pods, now=now), images=chosen, new_password=PASSWORD)


def own(image):
    return {"postgres": {"image": image}}


def running(image, *, note=None, is_ready=True, look=LOOK_COMMAND):
    """An instance whose database runs that image, on a claim that says `note` of its data."""
    objects = []
    for manifest in an_instance_at_work(a_cr(own(image))):
        if manifest["metadata"]["name"] == CLAIM:
            annotations = {key: value for key, value in manifest["metadata"]["annotations"].items() if key != MAJOR}
            annotations |= {MAJOR: note} if note else {}
            objects.append({**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}})
        elif manifest["metadata"]["name"] == "photos-library":
            objects.append(annotated(manifest, {"media.rm3l.org/database-pod": "uid-of-the-pod"}))
        else:
            objects.append(manifest)
    [looking] = template(found_in(objects))["initContainers"]
    looking["command"] = look
    return objects if is_ready else with_status(objects, "StatefulSet", "photos-postgres", readyReplicas=0)


def never_up(objects):
    """The same before any database has been up: no claim has a mark."""
    marks = {"media.rm3l.org/database", "media.rm3l.org/database-claim", "media.rm3l.org/database-pod"}
    for manifest in objects:
        annotations = manifest["metadata"].get("annotations", {})
        manifest["metadata"]["annotations"] = {key: value for key, value in annotations.items() if key not in marks}
    return objects


def restored(note=None):
    """No instance any more, but its claim and its password."""
    claim = a_claim(CLAIM, annotations={"media.rm3l.org/pgdata": "pgdata", **({MAJOR: note} if note else {})})
    return [claim, CREDENTIALS]


def found_in(objects):
    [manifest] = [m for m in objects if (m["kind"], m["metadata"]["name"]) == ("StatefulSet", "photos-postgres")]
    return manifest


def template(stateful_set):
    return stateful_set["spec"]["template"]["spec"]


def looked(*says, image, refused=True, folder="pgdata"):
    """The pod of the database after its look, with that image."""
    path = "/var/lib/postgresql/data" + ("" if folder == "." else f"/{folder}")
    ended = {"terminated": {"exitCode": int(refused), "message": "\n".join(says)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "photos-postgres-0", "uid": "uid-of-the-pod", "namespace": "family",
                     "labels": {"app.kubernetes.io/component": "postgres"}},
        "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}],
                 "initContainers": [{"name": "look-at-volume", "image": image,
                                     "env": [{"name": "PGDATA", "value": path}]}]},
        "status": {"initContainerStatuses": [{"name": "look-at-volume", "state": ended}]},
    }  # fmt: skip


def image_in(plan):
    return container(found(plan, "StatefulSet", "photos-postgres"))["image"]


def noted(plan):
    """What a plan writes on the claim about its data."""
    patches = [step["patch"] for step in plan.steps if step["verb"] == "merge" and step["target"]["name"] == CLAIM]
    values = {patch["metadata"].get("annotations", {}).get(MAJOR) for patch in patches if "metadata" in patch}
    return values - {None}


def blocked(plan):
    return [n.message for n in plan.notices if (n.effect, n.reason) == ("blocks", "PostgresMajorDiffers")]


@pytest.mark.parametrize(
    ("image", "major"),
    [
        (OF_14, 14),
        (OF_17, 17),
        ("mirror.example.com:5000/pg:17-vectorchord1.1.1@sha256:0123", 17),
        ("postgres:17.6", 17),
        ("postgres:18-trixie", 18),
        ("tensorchord/vchord-postgres:pg16-v0.4.2", 16),
        ("pgvector/pgvector:0.8.1-pg17", 17),
        ("pgvector/pgvector:0.8.1-pg17-trixie", 17),
        ("ghcr.io/tensorchord/cloudnative-vectorchord:15.13-0.4.3", 15),
        ("mine/postgres:3", None),
        ("mine/postgres:12", None),
        ("mine/postgres:2026-11-29", None),
        ("mine/postgres:20-vectorchord9", 20),
        ("mine/postgres:25.11.2", None),
        ("mine/postgres:24.04", None),
        ("mine/postgres:22.04-vectorchord", None),
        ("mine/postgres:0.5-pg22", None),
        ("mine/postgres:171", None),
        ("mine/postgres:17a", None),
        ("mine/postgres:latest", None),
        ("mine/pg17:latest", None),
        ("localhost:17/postgres", None),
        (DIGEST, None),
        ("", None),
    ],
)
def test_the_tag_tells_the_major_version_of_postgresql_or_none(image, major):
    assert postgres_major(image) == major


def test_two_versions_that_are_not_released_yet_are_taken_for_versions():
    assert max(END_OF_LIFE) + 2 == NEWEST_POSTGRES


# ---- Which image


def test_a_new_volume_starts_on_postgresql_17_with_vectorchord():
    assert DEFAULT_IMAGES["postgres"] == OF_17
    assert image_in(planned([])) == OF_17


@pytest.mark.parametrize("note", [None, "pgdata=14"], ids=["made-before-claims-said-it", "noted"])
@pytest.mark.parametrize("is_ready", [True, False], ids=["ready", "not-ready"])
def test_a_database_of_14_stays_on_its_image_when_the_default_becomes_17(note, is_ready):
    live = running(OF_14, note=note, is_ready=is_ready)

    assert found(planned(live), "StatefulSet", "photos-postgres")["spec"] == found_in(live)["spec"]


def test_a_database_that_was_made_before_looks_told_versions_is_not_replaced():
    live = running(OF_14, look=LOOK_COMMAND_BEFORE)

    assert found(planned(live), "StatefulSet", "photos-postgres")["spec"] == found_in(live)["spec"]


def test_a_database_whose_image_changes_looks_for_versions_from_then_on():
    live = running(f"{POSTGRES}:17-vectorchord0.4.3", look=LOOK_COMMAND_BEFORE)

    made = found(planned(live), "StatefulSet", "photos-postgres")

    [look] = template(made)["initContainers"]
    assert (look["image"], look["command"]) == (OF_17, LOOK_COMMAND)


def test_within_a_major_version_the_operators_image_is_taken():
    mirrored = "mirror.example.com/immich/postgres:14-vectorchord0.4.3"

    assert image_in(planned(running(OF_14), postgres=mirrored)) == mirrored
    assert image_in(planned(running(f"{POSTGRES}:17-vectorchord0.4.3", note="pgdata=17"))) == OF_17


@pytest.mark.parametrize(
    "runs", [f"{POSTGRES}:15-vectorchord0.5.3", f"{POSTGRES}:16-vectorchord0.5.3", f"{POSTGRES}:18-x"]
)
def test_any_other_major_version_keeps_the_image_that_runs_it(runs):
    assert image_in(planned(running(runs))) == runs


@pytest.mark.parametrize(
    ("runs", "operators", "image"),
    [
        pytest.param(OTHER_DIGEST, OF_17, OTHER_DIGEST, id="nobody-knows-what-runs"),
        pytest.param(OTHER_DIGEST, DIGEST, DIGEST, id="digests-all-along"),
        pytest.param(OF_14, DIGEST, OF_14, id="nobody-knows-the-new-one"),
    ],
)
def test_a_database_that_is_ready_is_not_given_an_image_that_may_be_of_another_major_version(runs, operators, image):
    assert image_in(planned(running(runs), postgres=operators)) == image


@pytest.mark.parametrize("runs", [OTHER_DIGEST, "mine/postgres:latest"])
@pytest.mark.parametrize("look", [LOOK_COMMAND, LOOK_COMMAND_BEFORE], ids=["looks", "tells-no-versions"])
def test_a_database_that_is_not_ready_for_a_while_keeps_its_image_of_unknown_version(runs, look):
    assert image_in(planned(running(runs, is_ready=False, look=look))) == runs


def test_so_does_one_whose_pod_has_looked_and_is_about_to_start():
    live = never_up(running(OTHER_DIGEST, is_ready=False))
    starting = looked("empty", "program 16", image=OTHER_DIGEST, refused=False)

    assert image_in(planned(live, pods=[starting])) == OTHER_DIGEST


def rolling(objects):
    """The same before the StatefulSet has replaced its pod by one of its newest template."""
    return with_status(objects, "StatefulSet", "photos-postgres", readyReplicas=0, updateRevision="b")


@pytest.mark.parametrize("marked", [lambda objects: objects, never_up], ids=["marked", "no-mark-yet"])
def test_so_does_one_that_is_taken_over_while_its_pod_is_replaced_by_one_that_looks(marked):
    assert image_in(planned(rolling(marked(running(OTHER_DIGEST))))) == OTHER_DIGEST


def test_an_image_that_cannot_be_pulled_is_no_image_that_has_run_unless_it_has_been_rolled_out():
    typo = "typo.example.com/pg:latest"
    pod = looked(image=typo)
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    pod["status"] = {"initContainerStatuses": [{"name": "look-at-volume", "image": typo, **waiting}]}

    assert image_in(planned(rolling(running(typo)), pods=[pod])) == OF_17
    assert image_in(planned(running(typo, is_ready=False), pods=[pod])) == typo, "its registry may be down"


def test_an_image_that_never_worked_can_be_corrected():
    right = f"{POSTGRES}:16-vectorchord0.5.3"
    for typo in ("typo.example.com/pg:latest", f"{POSTGRES}:15-vectorchord9"):
        assert image_in(planned(never_up(running(typo, is_ready=False)), spec=own(right))) == right
    assert image_in(planned(never_up(running("typo.example.com/pg:latest", is_ready=False)))) == OF_17


NEW_14 = f"mirror.example.com/pg14@sha256:{'2' * 64}"


@pytest.mark.parametrize("is_ready", [True, False], ids=["ready", "not-ready"])
def test_where_all_images_are_digests_data_of_14_go_to_the_new_image_of_14(is_ready):
    live = running(OTHER_DIGEST, note="pgdata=14", is_ready=is_ready)

    assert image_in(planned(live, postgres=DIGEST, postgres14=NEW_14)) == NEW_14
    assert image_in(planned(restored("pgdata=14"), postgres=DIGEST, postgres14=NEW_14)) == NEW_14


@pytest.mark.parametrize(
    ("runs", "older"),
    [
        pytest.param(DIGEST, NEW_14, id="it-runs-on-the-operators"),
        pytest.param(OTHER_DIGEST, OF_14, id="the-older-one-is-only-the-default"),
    ],
)
def test_an_operators_digest_of_14_goes_on_being_the_image_of_such_data(runs, older):
    assert image_in(planned(running(runs, note="pgdata=14"), postgres=DIGEST, postgres14=older)) == DIGEST


def test_while_a_database_is_taken_over_a_default_of_another_version_is_not_taken():
    """Its pod is being replaced by one that looks, and no claim has a mark yet."""
    assert image_in(planned(never_up(running(OF_14, is_ready=False)))) == OF_14


def test_a_database_of_another_operator_has_written_its_data_though_it_is_not_ready():
    live = never_up(running(OF_14, is_ready=False))
    del template(found_in(live))["initContainers"]

    assert image_in(planned(live)) == OF_14
    assert blocked(planned(live, spec=own(OF_17))) != []


def test_a_claim_of_14_that_nothing_runs_on_gets_the_older_image():
    assert image_in(planned(restored("pgdata=14"))) == OF_14
    assert image_in(planned(restored("pgdata=14"), postgres14="mirror.example.com/pg@sha256:0")) == (
        "mirror.example.com/pg@sha256:0"
    )


def test_a_claim_of_17_that_nothing_runs_on_gets_the_default():
    assert image_in(planned(restored("pgdata=17"))) == OF_17


@pytest.mark.parametrize(("major", "or_set"), [("14", "RELATED_IMAGE_postgres14"), ("16", "")])
def test_data_for_which_there_is_no_image_start_nothing_and_the_condition_names_the_field(major, or_set):
    result = planned(restored(f"pgdata={major}"), postgres14=None)

    assert not has(result, "StatefulSet", "photos-postgres")
    [message] = blocked(result)
    assert f"PersistentVolumeClaim {CLAIM} holds data of PostgreSQL {major}" in message
    assert f"Set spec.postgres.image to an image of PostgreSQL {major}" in message
    assert or_set in message


def test_what_the_claim_says_of_another_folder_says_nothing():
    claim, credentials = restored("old=14")

    assert image_in(planned([claim, credentials])) == OF_17


@pytest.mark.parametrize("note", ["", "17", "pgdata", "pgdata=", "pgdata=x", "pgdata=1777", "pgdata=25", "pgdata=9"])
def test_a_note_that_says_nothing_is_no_note(note):
    assert image_in(planned(restored(note))) == OF_17


# ---- An image in the custom resource


@pytest.mark.parametrize("note", [None, "pgdata=14"], ids=["by-the-tag-that-runs", "by-the-note"])
def test_a_new_major_version_on_old_data_leaves_database_and_server_as_they_are(note):
    result = planned(running(OF_14, note=note), spec=own(f"{POSTGRES}:17-vectorchord0.5.3"))

    assert not has(result, "StatefulSet", "photos-postgres")
    assert not has(result, "Deployment", "photos-server")
    assert not [step for step in result.steps if step["verb"] == "delete"]
    doubt = (
        ". If the data are not of PostgreSQL 14, because somebody has emptied the volume for example, remove the annotation "
        f"that says so: `{REMOVE}`"
    )
    assert blocked(result) == [
        f"spec.postgres.image names PostgreSQL 17, and PersistentVolumeClaim {CLAIM} holds data of PostgreSQL 14, which no "
        "other major version can read. Set spec.postgres.image to an image of PostgreSQL 14 with the extension VectorChord; "
        "to change the major version, dump the database and restore the dump on a new volume. Until then the database keeps "
        f"running as it is{doubt if note else ''}"
    ]


@pytest.mark.parametrize("spec", [own(OF_17), {}], ids=["of-the-resource", "of-the-operator"])
def test_what_only_the_claim_says_comes_with_the_command_that_makes_it_unsaid(spec):
    [message] = blocked(planned(restored("pgdata=16"), spec=spec))

    assert message.endswith(
        ". If the data are not of PostgreSQL 16, because somebody has emptied the volume for example, remove the annotation "
        f"that says so: `{REMOVE}`"
    )
    assert blocked(planned(restored(), spec=spec)) == []


def test_what_a_pod_has_seen_comes_without_it():
    live = running(OF_17, note="pgdata=16", is_ready=False)

    [message] = blocked(
        planned(live, pods=[looked("database", "major 16", "program 17", image=OF_17)], postgres14=None)
    )

    assert "media.rm3l.org/postgres-major" not in message


def test_such_an_image_is_degraded_and_an_event_while_all_goes_on():
    cr = a_cr(own(OF_17))

    told = report_for(cr, running(OF_14))

    assert summary(told)["Degraded"] == ("True", "PostgresMajorDiffers")
    assert ("Warning", "PostgresMajorDiffers") in [(event["type"], event["reason"]) for event in told["events"]]


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(f"{POSTGRES}:14-vectorchord0.5.3", id="the-same-major"),
        pytest.param("mine/postgres:latest", id="a-tag-that-tells-none"),
        pytest.param(DIGEST, id="digest"),
    ],
)
def test_an_image_that_may_fit_is_taken(image):
    assert image_in(planned(running(OF_14), spec=own(image))) == image


def test_an_image_of_another_major_version_is_free_for_another_folder():
    [claim, credentials] = restored("pgdata=14")
    elsewhere = annotated(claim, {"media.rm3l.org/pgdata": "pgdata-16"})
    image = f"{POSTGRES}:16-vectorchord0.5.3"

    assert image_in(planned([elsewhere, credentials], spec=own(image))) == image


# ---- What a pod finds


REFUSED = ("database", "major 14", "program 17")


def test_old_data_that_no_note_tells_of_are_found_by_the_pod_and_get_the_older_image_for_good():
    claim_and_password = restored()
    assert image_in(planned(claim_and_password)) == OF_17, "it looks, and starts nothing on other data"
    live = running(OF_17, is_ready=False)

    told = planned(live, pods=[looked(*REFUSED, image=OF_17)])

    assert image_in(told) == OF_14
    assert noted(told) == {"pgdata=14"}
    assert blocked(told) == []
    afterwards = running(OF_14, note="pgdata=14", is_ready=False)
    assert image_in(planned(afterwards)) == OF_14
    assert (
        image_in(planned(afterwards, pods=[looked("database", "major 14", "program 14", image=OF_14, refused=False)]))
        == OF_14
    )


def test_with_older_images_that_tell_no_version_it_is_the_same():
    live = running(OTHER_DIGEST, note="pgdata=14", is_ready=False)

    assert image_in(planned(live, postgres=DIGEST, postgres14=OTHER_DIGEST)) == OTHER_DIGEST
    started = running(DIGEST, is_ready=False)
    told = planned(started, pods=[looked(*REFUSED, image=DIGEST)], postgres=DIGEST, postgres14=OTHER_DIGEST)
    assert image_in(told) == OTHER_DIGEST


@pytest.mark.parametrize("spec", [own("mine/postgres:latest"), {}], ids=["of-the-resource", "of-the-operator"])
def test_an_image_that_a_pod_has_refused_is_explained(spec):
    image = "mine/postgres:latest"
    live = running(image, is_ready=False)

    result = planned(live, spec=spec, pods=[looked(*REFUSED, image=image)], postgres=image, postgres14=None)

    [message] = [n.message for n in result.notices if n.reason == "PostgresMajorDiffers"]
    assert "holds data of PostgreSQL 14" in message
    assert "Set spec.postgres.image to an image of PostgreSQL 14" in message


def test_what_a_pod_finds_counts_more_than_note_and_tag():
    live = running(OF_14, note="pgdata=14", is_ready=False)

    result = planned(live, pods=[looked("database", "major 17", "program 14", image=OF_14)])

    assert image_in(result) == OF_17
    assert noted(result) == {"pgdata=17"}


def test_what_a_pod_found_in_another_folder_says_nothing():
    live = running(OF_17, note="pgdata=17", is_ready=False)

    assert image_in(planned(live, pods=[looked(*REFUSED, image=OF_17, folder="old")])) == OF_17


# ---- The note


@pytest.mark.parametrize(
    ("image", "pods", "note"),
    [
        pytest.param(OF_14, [], "pgdata=14", id="by-the-tag"),
        pytest.param(OF_17, [looked("empty", "program 17", image=OF_17, refused=False)], "pgdata=17", id="new"),
        pytest.param(
            DIGEST, [looked("empty", "program 17", image=DIGEST, refused=False)], "pgdata=17", id="new-by-digest"
        ),
        pytest.param(DIGEST, [looked("database", "major 16", image=DIGEST, refused=False)], "pgdata=16", id="found"),
    ],
)
def test_the_claim_of_a_database_that_is_up_says_which_version_wrote_it(image, pods, note):
    assert noted(planned(running(image), pods=pods)) == {note}
    assert noted(planned(running(image, note=note), pods=pods)) == set(), "once"
    assert noted(planned(running(image, is_ready=False), pods=pods)) == set(), "not before it is up"


def test_of_an_image_that_tells_nothing_nothing_is_noted():
    assert (
        noted(planned(running(DIGEST), pods=[looked("database", image=DIGEST, refused=False)], postgres=DIGEST))
        == set()
    )


def test_a_claim_that_is_being_deleted_gets_no_note():
    live = running(OF_14)
    gone = [
        {**m, "metadata": {**m["metadata"], "deletionTimestamp": "2026-11-29T00:00:00Z"}}
        if m["metadata"]["name"] == CLAIM
        else m
        for m in live
    ]

    assert noted(planned(gone)) == set()


# ---- The end of life


def at(day):
    return datetime.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()


@pytest.mark.parametrize(
    ("image", "day", "told"),
    [
        (OF_14, "2026-11-11", False),
        (OF_14, "2026-11-12", True),
        (f"{POSTGRES}:15-vectorchord0.5.3", "2026-11-29", False),
        (f"{POSTGRES}:15-vectorchord0.5.3", "2027-11-11", True),
        (OF_17, "2029-11-07", False),
        (OF_17, "2030-01-01", True),
        (DIGEST, "2040-01-01", False),
        (f"{POSTGRES}:19-vectorchord9.9.9", "2040-01-01", False),
    ],
)
def test_from_the_day_of_its_end_a_version_is_a_warning(image, day, told):
    result = planned(running(image), spec=own(image), now=at(day))

    assert notices(result, "warns") == ([("postgres", "PostgresEndOfLife")] if told else [])
    assert notices(result, "blocks") == []


def test_the_warning_names_version_day_and_way_out():
    live = running(OF_14)

    told = condition(report_for(a_cr(), live, now=at("2026-11-29")), "Warning")

    assert told["message"] == (
        "StatefulSet photos-postgres runs PostgreSQL 14, which has had no fixes since 2026-11-12. Immich still works with it. "
        "To move to a newer major version, dump the database and restore the dump on a new volume"
    )


def test_without_a_clock_nothing_is_told_of_the_end():
    assert notices(planned(running(OF_14), now=0.0), "warns") == []


def test_an_external_database_has_no_known_version():
    external = {
        "postgres": {"enabled": False, "host": "db.example.com", "passwordSecretRef": {"name": "db", "key": "pw"}}
    }

    result = planned([a_secret("db", pw="x")], spec=external, now=at("2040-01-01"))

    assert notices(result, "warns") == []


def test_each_version_ends_in_november_five_years_after_its_release_and_the_page_says_when():
    page = (Path(__file__).resolve().parents[4] / "docs" / "reference" / "conditions.md").read_text(encoding="utf-8")
    row = page.partition("### PostgresEndOfLife\n")[2].partition("\n### ")[0]

    days = [datetime.date.fromisoformat(day) for day in END_OF_LIFE.values()]

    assert [(day.year - major, day.month) for major, day in zip(END_OF_LIFE, days, strict=True)] == [(2012, 11)] * len(
        days
    )
    assert re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", row) == list(END_OF_LIFE.values())


def test_a_claim_of_the_users_that_is_empty_is_a_new_volume():
    spec = {"postgres": {"persistence": {"existingClaim": "nas"}}}

    result = planned([a_claim("nas"), CREDENTIALS], spec=spec)

    assert image_in(result) == OF_17
