# SPDX-License-Identifier: Apache-2.0
"""Versions that do not go together are said before pods are replaced, and held back where Immich would not start."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.versions import WAYPOINTS
from ansible_collections.media.immich.plugins.plugin_utils.spec.images import is_older, known_version
from support.instances import (
    MAJOR,
    PASSWORD,
    a_cr,
    a_pod,
    a_secret,
    an_instance_at_work,
    annotated,
    condition,
    container,
    found,
    has,
    notices,
    plan_for,
    report_for,
    seen_with,
    summary,
    with_status,
)

SERVER = "ghcr.io/immich-app/immich-server"
LEARNING = "ghcr.io/immich-app/immich-machine-learning"
CONFIRMED = "media.rm3l.org/confirmed-version"
DIGEST = 64 * "0"


def images(server, learning=None):
    """The part of a spec that names both images."""
    return {"server": {"image": server}, "machineLearning": {"image": learning or server}}


def an_immich(wanted, ran=None, *, learning=None, annotations=None):
    """A custom resource that asks for one image, while the status says that another one runs, or ran last."""
    spec = images(f"{SERVER}:{wanted}", f"{LEARNING}:{learning or wanted}")
    cr = a_cr(spec, **({"annotations": annotations} if annotations else {}))
    return {**cr, "status": {"images": {"server": f"{SERVER}:{ran}"}}} if ran else cr


def at_work(ran):
    """The objects of an instance that runs that version."""
    return an_instance_at_work(an_immich(ran))


def crashing():
    """A pod of the server that has ended by itself."""
    pod = a_pod("server", "CrashLoopBackOff")
    pod["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
    return pod


def messages(plan):
    return [notice.message for notice in plan.notices]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/immich-app/immich-server:v3.1.0", (3, 1, 0)),
        ("registry.example.com:5000/server:v3.1.0-mine@sha256:0123", (3, 1, 0)),
        ("server:3.1", (3, 1)),
        ("server:v3", (3,)),
        ("server:v3-cuda", (3,)),
        ("server:v3.3.0-rc.1", (3, 3, 0)),
        ("server:v3.1.0.1", (3, 1, 0)),
        ("server:3", ()),
        ("server:20261129", ()),
        ("server:release", ()),
        ("server:pr-3.1", ()),
        ("server@sha256:0123", ()),
        ("registry.example.com:3.1/server", ()),
        ("", ()),
    ],
)
def test_of_a_version_no_more_is_known_than_the_tag_says(image, version):
    assert known_version(image) == version


@pytest.mark.parametrize(
    ("one", "other", "certain"),
    [
        ((3, 1, 0), (3, 1, 1), True),
        ((3, 1), (3, 2, 0), True),
        ((2,), (3, 1, 0), True),
        ((1, 999, 0), (2,), True),
        ((3, 1, 0), (3, 1), False),
        ((3,), (3, 1, 0), False),
        ((3, 1, 0), (3,), False),
        ((3, 1, 0), (3, 1, 0), False),
        ((3, 2, 0), (3, 1, 0), False),
        ((), (3, 1, 0), False),
        ((3, 1, 0), (), False),
    ],
)
def test_a_version_is_older_only_if_that_is_certain(one, other, certain):
    assert is_older(one, other) is certain


# ---- Server and machine learning


@pytest.mark.parametrize(
    ("server", "learning"),
    [
        ("v3.3.1", "v3.1.0"),
        ("v3.3.1", "v3.3.0-cuda"),
        ("v2", "v3.3.1"),
        (f"v3.1.0@sha256:{DIGEST}", "3.2"),
    ],
)
def test_server_and_machine_learning_of_different_versions_are_told_of(server, learning):
    result = plan_for(an_immich(server, learning=learning))

    assert notices(result, "warns") == [("machine-learning", "VersionsDiffer")]
    assert notices(result, "blocks") == []
    [message] = messages(result)
    assert "Set both to the same version" in message
    assert "spec.server.image" in message
    assert "spec.machineLearning.image" in message


@pytest.mark.parametrize(
    ("server", "learning"),
    [
        pytest.param("v3.3.1", "v3.3.1-openvino", id="a-variant"),
        pytest.param("v3", "v3.3.1", id="moving"),
        pytest.param("release", "v3.3.1", id="no-version"),
        pytest.param(f"v3.3.1@sha256:{DIGEST}", "main", id="a-branch"),
        pytest.param("v3.3", "v3.3.1", id="less-precise"),
    ],
)
def test_what_may_be_the_same_version_is_silent(server, learning):
    assert messages(plan_for(an_immich(server, learning=learning))) == []


def test_a_default_that_has_moved_away_from_a_named_image_is_told_by_its_variable():
    result = plan_for(a_cr({"server": {"image": f"{SERVER}:v3.1.0"}}))

    [message] = messages(result)
    assert message.startswith(
        "spec.server.image asks for Immich 3.1.0, but the operator's default (RELATED_IMAGE_machineLearning) for machine "
        "learning 3.3.1. "
    )


@pytest.mark.parametrize("off", [{"enabled": False}, {"enabled": False, "url": "http://ml.example.com:3003"}])
def test_machine_learning_that_is_off_or_elsewhere_has_no_known_version(off):
    cr = a_cr({"server": {"image": f"{SERVER}:v3.1.0"}, "machineLearning": off})

    assert notices(plan_for(cr), "warns") == []


def test_different_versions_are_a_warning_and_an_event_of_a_ready_instance():
    cr = an_immich("v3.3.1", learning="v3.1.0")

    told = report_for(cr, an_instance_at_work(cr))

    assert told["status"]["ready"] is True
    assert condition(told, "Warning")["reason"] == "VersionsDiffer"
    assert ("Warning", "VersionsDiffer") in [(event["type"], event["reason"]) for event in told["events"]]


# ---- Going back


@pytest.mark.parametrize(
    ("ran", "wanted"),
    [
        ("v3.3.1", "v3.1.0"),
        ("v3.3.1", "v3.3.0"),
        ("v3.0.0", "v2"),
        ("v3.3.1", "2.7.5-mine"),
    ],
)
def test_a_server_that_would_go_back_stays_as_it_is(ran, wanted):
    objects = at_work(ran)

    result = plan_for(an_immich(wanted, ran), objects)

    assert not has(result, "Deployment", "photos-server")
    assert not has(result, "Deployment", "photos-machine-learning"), "it belongs to the server that stays"
    assert not [step for step in result.steps if step["verb"] == "delete"]
    assert notices(result, "blocks") == [("server", "VersionGoesBack"), ("machine-learning", "Blocked")]


def test_going_back_is_degraded_with_what_to_do_and_how_to_do_it_all_the_same():
    cr, objects = an_immich("v3.1.0", "v3.3.1"), at_work("v3.3.1")

    told = report_for(cr, objects)

    assert summary(told)["Degraded"] == ("True", "VersionGoesBack")
    assert condition(told, "ServerReady")["message"] == (
        "Deployment photos-server: spec.server.image asks for Immich 3.1.0, but 3.3.1 has already run on this database. "
        "Immich can't downgrade a database, and does not start on one that a newer version has migrated. Set "
        "spec.server.image to Immich 3.3.1 or newer; to go back, restore a backup made by the older version. Until then the "
        "server keeps running as it is. To start 3.1.0 anyway, run `kubectl annotate immich --namespace family photos "
        "media.rm3l.org/confirmed-version=3.3.1-to-3.1.0 --overwrite`"
    )
    assert [(event["type"], event["reason"]) for event in told["events"]] == [("Warning", "VersionGoesBack")]


@pytest.mark.parametrize(
    ("ran", "wanted"),
    [
        pytest.param("v3.3.1", "v3.3.1", id="the-same"),
        pytest.param("v3.1.0", "v3.3.1", id="forward"),
        pytest.param("v3.3.1", "v3", id="moving"),
        pytest.param("v3.3.1", "release", id="no-version"),
        pytest.param("release", "v3.1.0", id="what-ran-is-not-known"),
        pytest.param(None, "v3.1.0", id="nothing-ran"),
        pytest.param("v3.3.1", "v3.3", id="less-precise"),
        pytest.param("2026.11.1", "v3.3.1", id="from-a-fork-that-counts-years"),
        pytest.param("v2.7.5", "v2026.11.1", id="to-a-fork-that-counts-years"),
        pytest.param("v1.131.3", "2026.11.1", id="to-such-a-fork-from-before-a-waypoint"),
    ],
)
def test_what_does_not_go_back_for_sure_is_silent(ran, wanted):
    result = plan_for(an_immich(wanted, ran), at_work(ran) if ran else [])

    assert messages(result) == []
    assert container(found(result, "Deployment", "photos-server"))["image"] == f"{SERVER}:{wanted}"


def test_a_default_of_the_operator_that_goes_back_is_held_back_too():
    cr = {**a_cr(), "status": {"images": {"server": f"{SERVER}:v3.4.0"}}}

    result = plan_for(cr)

    assert notices(result, "blocks")[0] == ("server", "VersionGoesBack")
    assert "the operator's default (RELATED_IMAGE_immich) asks for Immich 3.3.1" in messages(result)[0]
    assert "Until then it is not started" in messages(result)[0]


def test_without_a_status_what_a_ready_server_runs_is_what_ran():
    ready = at_work("v3.4.0")
    starting = with_status(ready, "Deployment", "photos-server", readyReplicas=0)

    assert ("server", "VersionGoesBack") in notices(plan_for(an_immich("v3.3.1"), ready), "blocks")
    assert messages(plan_for(an_immich("v3.3.1"), starting)) == [], "a tag that was never there may be corrected"


@pytest.mark.parametrize(
    ("reason", "generation", "held_back"),
    [
        pytest.param("NewReplicaSetAvailable", 1, True, id="it-was-up"),
        pytest.param("NewReplicaSetAvailable", 2, False, id="its-image-is-newer"),
        pytest.param("ReplicaSetUpdated", 1, False, id="it-was-never-up"),
        pytest.param("ProgressDeadlineExceeded", 1, False, id="it-never-came-up"),
    ],
)
def test_without_a_status_what_a_server_was_rolled_out_with_is_what_ran(reason, generation, held_back):
    progressing = {"type": "Progressing", "status": "True", "reason": reason}
    unready = {"readyReplicas": 0, "observedGeneration": 1, "conditions": [progressing]}
    objects = with_status(at_work("v3.4.0"), "Deployment", "photos-server", **unready)
    for manifest in objects:
        if manifest["metadata"]["name"] == "photos-server" and manifest["kind"] == "Deployment":
            manifest["metadata"] = {**manifest["metadata"], "generation": generation}

    blocked = notices(plan_for(an_immich("v3.3.1"), objects), "blocks")

    assert (("server", "VersionGoesBack") in blocked) is held_back


@pytest.mark.parametrize(("version", "held_back"), [("3.4.0", True), ("3.3.1", False), ("", False)])
def test_a_server_that_was_switched_off_ran_the_version_that_the_status_still_has(version, held_back):
    cr = {**an_immich("v3.3.1"), "status": {"images": {"server": None}, "version": version}}

    assert (("server", "VersionGoesBack") in notices(plan_for(cr), "blocks")) is held_back


def test_a_server_without_pods_has_not_run_its_image():
    spec = images(f"{SERVER}:v3.3.1", f"{LEARNING}:v3.3.1")
    spec["server"]["replicas"] = 0
    stopped = an_instance_at_work(a_cr(spec))

    assert messages(plan_for(an_immich("v3.1.0"), stopped)) == []


def test_a_confirmed_version_is_started_and_stays_a_warning_until_it_runs():
    cr = an_immich("v3.1.0", "v3.3.1", annotations={CONFIRMED: "3.3.1-to-3.1.0"})

    result = plan_for(cr, at_work("v3.3.1"))

    assert container(found(result, "Deployment", "photos-server"))["image"] == f"{SERVER}:v3.1.0"
    assert has(result, "Deployment", "photos-machine-learning")
    assert notices(result, "blocks") == []
    assert notices(result, "warns") == [("server", "VersionGoesBack")]


@pytest.mark.parametrize(
    "confirmed", ["3.3.1-to-3.2.0", "3.2.0-to-3.1.0", "3.1.0-to-3.3.1", "3.1.0", "yes", "", "v3.3.1-to-v3.1.0"]
)
def test_the_confirmation_of_another_step_confirms_nothing(confirmed):
    cr = an_immich("v3.1.0", "v3.3.1", annotations={CONFIRMED: confirmed})

    assert ("server", "VersionGoesBack") in notices(plan_for(cr, at_work("v3.3.1")), "blocks")


def test_a_confirmed_server_that_immich_does_not_start_says_why():
    cr = an_immich("v3.1.0", "v3.3.1", annotations={CONFIRMED: "3.3.1-to-3.1.0"})
    objects = with_status(at_work("v3.1.0"), "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)

    told = report_for(cr, objects, pods=[crashing()])

    assert summary(told)["Degraded"] == ("True", "VersionGoesBack")
    message = condition(told, "ServerReady")["message"]
    assert "does not start on one that a newer version has migrated" in message
    assert "kubectl logs" in message


def test_the_pass_that_finds_a_confirmed_version_ready_no_longer_warns_of_it():
    cr = an_immich("v3.1.0", "v3.3.1", annotations={CONFIRMED: "3.3.1-to-3.1.0"})
    starting = with_status(at_work("v3.1.0"), "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)

    assert condition(report_for(cr, starting), "Warning")["reason"] == "VersionGoesBack"
    assert condition(report_for(cr, at_work("v3.1.0")), "Warning")["reason"] == "NoWarnings"


def test_a_server_that_ends_again_and_again_without_such_a_reason_is_only_that():
    cr = an_immich("v3.3.1", "v3.1.0")
    objects = with_status(at_work("v3.3.1"), "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)

    told = report_for(cr, objects, pods=[crashing()])

    assert summary(told)["Degraded"] == ("True", "CrashLooping")


# ---- Waypoints


@pytest.mark.parametrize(
    ("ran", "wanted", "first"),
    [
        ("v1.106.4", "v1.110.0", ["1.107.2"]),
        ("v1.106.4", "v3.3.1", ["1.107.2", "1.132.3", "2.7.5"]),
        ("v1.131.3", "v1.137.0", ["1.132.3"]),
        ("v1.131.3", "v2.7.5", ["1.132.3"]),
        ("v1.131.3", "v3", ["1.132.3", "2.7.5"]),
        ("v1.132.3", "v3.0.0", ["2.7.5"]),
        ("v1.132", "v3.3.1", ["2.7.5"]),
    ],
)
def test_a_version_that_the_database_has_to_pass_through_is_asked_for_first(ran, wanted, first):
    result = plan_for(an_immich(wanted, ran), at_work(ran))

    assert notices(result, "blocks") == [("server", "WaypointSkipped"), ("machine-learning", "Blocked")]
    message = messages(result)[0]
    assert f"set spec.server.image to Immich {first[0]} first" in message
    steps = message.partition("run once as ")[2]
    assert [waypoint.via for waypoint in WAYPOINTS if f"{waypoint.via}, " in steps] == first


@pytest.mark.parametrize(
    ("ran", "wanted"),
    [
        ("v1.106.4", "v1.107.2"),
        ("v1.107.2", "v1.132.3"),
        ("v1.131.3", "v1.132.3"),
        ("v1.131.3", "v1.136.0"),
        ("v1.132.3", "v2.7.5"),
        ("v1.133.0", "v3.3.1"),
        ("v2.4.1", "v3.3.1"),
        ("v2.0.0", "v3"),
        ("v3.0.0", "v3.3.1"),
        ("v1", "v3.3.1"),
        ("v1.131.3", "release"),
    ],
)
def test_a_way_without_a_waypoint_is_silent(ran, wanted):
    assert messages(plan_for(an_immich(wanted, ran), at_work(ran))) == []


PGVECTO_RS = "docker.io/tensorchord/pgvecto-rs:pg14-v0.2.0"


def with_database(cr, **settings):
    return {**cr, "spec": {**cr["spec"], "postgres": {**cr["spec"]["postgres"], **settings}}}


@pytest.mark.parametrize("wanted", ["v3.0.0", "v3.3.1", "v3"])
def test_immich_3_is_not_started_on_an_image_that_has_pgvecto_rs_only(wanted):
    result = plan_for(with_database(an_immich(wanted, "v2.4.1"), image=PGVECTO_RS), at_work("v2.4.1"))

    assert ("server", "WaypointSkipped") in notices(result, "blocks")
    message = messages(result)[0]
    assert f"the database of image {PGVECTO_RS}" in message
    assert "Immich 2.7.5, which replaces pgvecto.rs, first" in message


@pytest.mark.parametrize("ran", ["v2.4.1", None], ids=["immich-2-ran", "nothing-known"])
def test_nor_is_it_on_one_that_only_the_database_has_and_nobody_names(ran):
    live = [
        annotated(m, {MAJOR: "pgdata=14"}) if m["metadata"]["name"] == "data-photos-postgres-0" else m
        for m in an_instance_at_work(with_database(an_immich("v2.4.1"), image=PGVECTO_RS))
    ]
    live = with_status(live, "Deployment", "photos-server", readyReplicas=0)

    result = plan_for(an_immich("v3.3.1", ran), live)

    assert container(found(result, "StatefulSet", "photos-postgres"))["image"] == PGVECTO_RS
    assert ("server", "WaypointSkipped") in notices(result, "blocks")
    assert f"the database of image {PGVECTO_RS}" in messages(result)[0]


@pytest.mark.parametrize("wanted", ["v3.1.0", "v3.3.1"])
def test_an_immich_3_that_runs_shows_that_the_image_has_more_than_its_name_says(wanted):
    image = f"mine/pgvecto-rs@sha256:{DIGEST}"

    result = plan_for(with_database(an_immich(wanted, "v3.1.0"), image=image), at_work("v3.1.0"))

    assert notices(result, "blocks") == []
    assert has(result, "Deployment", "photos-server")


def test_an_image_with_pgvecto_rs_only_that_is_being_replaced_by_one_with_both_is_silent():
    live = an_instance_at_work(with_database(an_immich("v2.4.1"), image="docker.io/tensorchord/pgvecto-rs:pg17-v0.4.0"))

    assert messages(plan_for(an_immich("v3.3.1", "v2.4.1"), live)) == []


@pytest.mark.parametrize(
    ("wanted", "database"),
    [
        pytest.param("v2.7.5", {"image": PGVECTO_RS}, id="immich-2"),
        pytest.param("release", {"image": PGVECTO_RS}, id="nobody-knows"),
        pytest.param("v3.3.1", {"image": "ghcr.io/immich-app/postgres:14-vectorchord0.4.3-pgvectors0.2.0"}, id="both"),
        pytest.param("v3.3.1", {"image": "mine/pgvecto-rs:14-vectorchord0.4.3-pgvectors0.2.0"}, id="both-in-a-mirror"),
        pytest.param("v3.3.1", {"image": f"mine/pgvecto-rs:pg14-vchord0.4.3@sha256:{DIGEST}"}, id="both-for-short"),
        pytest.param("v3.3.1", {"image": "mine/pgvecto-rs-and-more:1"}, id="another-image"),
        pytest.param("v3.3.1", {"image": PGVECTO_RS, "enabled": False, "host": "db"}, id="not-used"),
    ],
)
def test_what_may_have_another_vector_extension_is_silent(wanted, database):
    result = plan_for(with_database(an_immich(wanted), **database))

    assert [n for n in result.notices if n.reason == "WaypointSkipped"] == []


@pytest.mark.parametrize(
    ("extension", "external", "first"),
    [
        ("pgvector", True, None),
        ("vectorchord", True, "2.7.5"),
        ("pgvecto.rs", True, "2.7.5"),
        ("pgvector", False, "2.7.5"),
    ],
)
def test_a_database_that_always_had_pgvector_needs_no_way_out_of_pgvecto_rs(extension, external, first):
    cr = an_immich("v3.3.1", "v1.132.3")
    cr["spec"]["server"]["env"] = [{"name": "DB_VECTOR_EXTENSION", "value": extension}]
    if external:
        cr = with_database(cr, enabled=False, host="db", passwordSecretRef={"name": "db", "key": "pw"})

    skipped = [n.message for n in plan_for(cr, [a_secret("db", pw="x")]).notices if n.reason == "WaypointSkipped"]

    assert [f"Immich {first} first" in message for message in skipped] == ([True] if first else [])


def test_a_database_with_pgvector_still_passes_through_the_other_versions():
    cr = an_immich("v3.3.1", "v1.131.3")
    cr["spec"]["server"]["env"] = [{"name": "DB_VECTOR_EXTENSION", "value": "pgvector"}]
    cr = with_database(cr, enabled=False, host="db", passwordSecretRef={"name": "db", "key": "pw"})

    [message] = [n.message for n in plan_for(cr, [a_secret("db", pw="x")]).notices if n.reason == "WaypointSkipped"]
    assert "Immich 1.132.3 first" in message


def test_a_waypoint_can_be_skipped_with_a_confirmation():
    cr = an_immich("v3.3.1", "v1.131.3", annotations={CONFIRMED: "1.131.3-to-3.3.1"})

    result = plan_for(cr, at_work("v1.131.3"))

    assert notices(result, "blocks") == []
    assert ("server", "WaypointSkipped") in notices(result, "warns")
    assert container(found(result, "Deployment", "photos-server"))["image"] == f"{SERVER}:v3.3.1"


def test_machine_learning_stays_with_a_held_back_server_of_which_nobody_knows_what_it_runs():
    live = an_instance_at_work(an_immich("release", learning="v2.4.1"))

    moved = plan_for(with_database(an_immich("v3.3.1", "release"), image=PGVECTO_RS), live)
    kept = plan_for(with_database(an_immich("v3.3.1", "release", learning="v2.4.1"), image=PGVECTO_RS), live)

    assert ("machine-learning", "Blocked") in notices(moved, "blocks")
    assert not has(moved, "Deployment", "photos-machine-learning")
    assert ("server", "WaypointSkipped") in notices(kept, "blocks")
    assert has(kept, "Deployment", "photos-machine-learning"), "nothing about it has changed"


def test_a_variant_for_an_accelerator_is_no_other_image_than_the_one_that_it_is_chosen_from():
    def accelerated(cr):
        cr["spec"]["machineLearning"]["acceleration"] = "cuda"
        return cr

    live = an_instance_at_work(accelerated(an_immich("release", learning="v2.4.1")))

    kept = plan_for(
        with_database(accelerated(an_immich("v3.3.1", "release", learning="v2.4.1")), image=PGVECTO_RS), live
    )

    assert ("server", "WaypointSkipped") in notices(kept, "blocks")
    assert has(kept, "Deployment", "photos-machine-learning"), "nothing about it has changed"


def test_a_custom_resource_that_is_only_a_file_is_confirmed_in_the_file():
    cr = an_immich("v3.1.0")
    del cr["metadata"]["uid"]

    [held_back] = [notice.message for notice in plan_for(cr, at_work("v3.3.1")).notices if notice.component == "server"]
    assert held_back.endswith(
        f'To start 3.1.0 anyway, add `{CONFIRMED}: "3.3.1-to-3.1.0"` to metadata.annotations in the file of the custom resource'
    )
    cr["metadata"]["annotations"] = {CONFIRMED: "3.3.1-to-3.1.0"}
    assert notices(plan_for(cr, at_work("v3.3.1")), "blocks") == []


def test_where_nobody_knows_what_ran_the_version_alone_is_confirmed():
    cr = with_database(an_immich("v3.3.1", annotations={CONFIRMED: "3.3.1"}), image=PGVECTO_RS)

    assert notices(plan_for(cr), "blocks") == []
    assert ("server", "WaypointSkipped") in notices(plan_for(cr), "warns")


def test_a_server_that_is_switched_off_goes_nowhere():
    cr = an_immich("v3.1.0", "v3.3.1")
    cr["spec"]["server"]["enabled"] = False

    assert plan(cr, seen=seen_with(cr), images=DEFAULT_IMAGES, new_password=PASSWORD).notices == []
