# SPDX-License-Identifier: Apache-2.0
"""Where on its volume the database is, and what can't be changed on a live StatefulSet."""

import itertools

import pytest

from support.instances import (
    UID,
    a_claim,
    a_cr,
    a_secret,
    an_instance_at_work,
    condition,
    deletions,
    environment,
    found,
    has,
    notices,
    plan_for,
    report_for,
    with_status,
    without,
)

CREDENTIALS = a_secret("photos-postgres-credentials", password="x", username="immich", database="immich")
CLAIM = "data-photos-postgres-0"
MARK = "media.rm3l.org/pgdata"
USER = "media.rm3l.org/database-user"
OWN_VOLUME = {"postgres": {"persistence": {"existingClaim": "nas"}}}


def a_stateful_set(*, template=True, annotations=None, storage="10Gi", owner=UID):
    metadata = {"name": "data", "labels": {"made": "before"}, **({"annotations": annotations} if annotations else {})}
    claim = {
        "metadata": metadata,
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": storage}},
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending"},
    }
    [labels] = [m["metadata"]["labels"] for m in plan_for(a_cr()).objects if m["kind"] == "StatefulSet"]
    owners = [{"kind": "Other", "name": "o", "uid": owner, "controller": True}] if owner else []
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "photos-postgres", "uid": "uid-sts", "labels": labels, "ownerReferences": owners},
        "spec": {"replicas": 1, **({"volumeClaimTemplates": [claim]} if template else {})},
    }


TOP = "/var/lib/postgresql/data"
BELOW = f"{TOP}/pgdata"
NEW = {MARK: "pgdata"}


@pytest.mark.parametrize(
    ("spec", "objects", "directory"),
    [
        pytest.param({}, [], BELOW, id="nothing-there"),
        pytest.param({}, [a_claim(CLAIM, annotations=NEW)], BELOW, id="claim-of-ours"),
        pytest.param({}, [a_claim(CLAIM)], BELOW, id="restored-claim-until-a-pod-has-looked"),
        pytest.param({}, [a_claim(CLAIM, annotations={MARK: "."})], TOP, id="claim-says-top"),
        pytest.param({}, [a_claim(CLAIM), a_stateful_set()], TOP, id="claim-on-which-another-operators-database-runs"),
        pytest.param(
            {}, [a_claim(CLAIM, annotations={MARK: "other"})], "/var/lib/postgresql/data/other", id="claim-says-where"
        ),
        pytest.param({}, [a_stateful_set(annotations=NEW)], BELOW, id="template-of-ours-before-its-claim"),
        pytest.param({}, [a_stateful_set()], TOP, id="old-template-before-its-claim"),
        pytest.param(
            {}, [a_stateful_set(annotations=NEW), a_claim(CLAIM)], TOP, id="the-claim-counts-not-the-new-template"
        ),
        pytest.param(
            {}, [a_stateful_set(), a_claim(CLAIM, annotations=NEW)], BELOW, id="the-claim-counts-not-the-old-template"
        ),
        pytest.param(OWN_VOLUME, [a_claim("nas")], BELOW, id="own-volume-until-a-pod-has-looked"),
        pytest.param(OWN_VOLUME, [a_claim("nas", annotations=NEW)], BELOW, id="own-volume-says-where"),
        pytest.param(
            OWN_VOLUME,
            [a_stateful_set(template=False), a_claim("nas"), a_claim(CLAIM, annotations=NEW)],
            BELOW,
            id="own-volume-that-the-database-does-not-run-on-yet",
        ),
    ],
)
def test_the_volume_tells_where_the_data_is(spec, objects, directory):
    plan = plan_for(a_cr(spec), [CREDENTIALS, *objects])

    assert environment(found(plan, "StatefulSet", "photos-postgres"))["PGDATA"] == directory


@pytest.mark.parametrize(
    ("objects", "annotations"),
    [
        pytest.param([], NEW, id="new"),
        pytest.param([a_claim(CLAIM)], {}, id="for-a-volume-that-nobody-has-looked-at"),
        pytest.param([a_claim(CLAIM, annotations=NEW)], NEW, id="for-a-volume-of-ours"),
    ],
)
def test_a_new_claim_template_says_where_the_data_will_be(objects, annotations):
    [template] = found(plan_for(a_cr(), [CREDENTIALS, *objects]), "StatefulSet", "photos-postgres")["spec"][
        "volumeClaimTemplates"
    ]

    found_there = {key: value for key, value in template["metadata"]["annotations"].items() if key == MARK}
    assert found_there == annotations


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="unchanged"),
        pytest.param({"postgres": {"persistence": {"size": "50Gi"}}}, id="size"),
        pytest.param({"postgres": {"persistence": {"storageClass": "fast"}}}, id="class"),
        pytest.param({"postgres": {"persistence": {"accessModes": ["ReadWriteOncePod"]}}}, id="modes"),
    ],
)
def test_a_live_claim_template_is_kept_whatever_the_custom_resource_says(spec):
    live = a_stateful_set(annotations={"theirs": "x"}, storage="7Gi")

    plan = plan_for(a_cr(spec), [CREDENTIALS, live, a_claim(CLAIM)])

    assert found(plan, "StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"] == [
        {
            "metadata": {"name": "data", "labels": {"made": "before"}, "annotations": {"theirs": "x"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "7Gi"}}},
        }
    ]


@pytest.mark.parametrize(
    ("spec", "has_template", "replaced"),
    [
        pytest.param({}, True, False, id="managed-stays"),
        pytest.param(OWN_VOLUME, False, False, id="own-stays"),
        pytest.param(OWN_VOLUME, True, True, id="own-volume-comes"),
        pytest.param({}, False, True, id="own-volume-goes"),
    ],
)
def test_the_stateful_set_is_replaced_when_the_kind_of_its_volume_changes(spec, has_template, replaced):
    live = a_stateful_set(template=has_template)

    plan = plan_for(a_cr(spec), [CREDENTIALS, live, a_claim("nas"), a_claim(CLAIM)])

    assert deletions(plan) == ([("StatefulSet", "photos-postgres")] if replaced else [])
    assert has(plan, "StatefulSet", "photos-postgres") is not replaced
    assert has(plan, "Service", "photos-postgres")


def test_after_its_removal_the_stateful_set_is_made_with_the_other_volume():
    rest = [m for m in an_instance_at_work(a_cr()) if m["kind"] != "StatefulSet"]

    stateful_set = found(plan_for(a_cr(OWN_VOLUME), [*rest, a_claim("nas")]), "StatefulSet", "photos-postgres")

    assert "volumeClaimTemplates" not in stateful_set["spec"]
    volumes = {volume["name"]: volume for volume in stateful_set["spec"]["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "nas"}


@pytest.mark.parametrize(
    ("owner", "replaced"), [pytest.param("somebody-else", False, id="theirs"), pytest.param(None, True, id="orphaned")]
)
def test_a_stateful_set_without_owner_is_replaced_too_and_one_of_somebody_else_is_not(owner, replaced):
    """`--cascade=orphan`, or a playbook before the kind was installed, leaves one like that."""
    live = a_stateful_set(owner=owner)

    plan = plan_for(a_cr(OWN_VOLUME), [CREDENTIALS, live, a_claim("nas")])

    assert deletions(plan) == ([("StatefulSet", "photos-postgres")] if replaced else [])


def a_database_pod(*says, refused=True, claim=CLAIM, restarted=False, user=None):
    """The pod of the database after its look at the volume. It runs as `user`, as far as is known."""
    ended = {"terminated": {"exitCode": int(refused), "message": "".join(f"{line}\n" for line in says)}}
    state = (
        {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended} if restarted else {"state": ended}
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "photos-postgres-0", "uid": "uid-of-the-pod", "namespace": "family",
                     "labels": {"app.kubernetes.io/component": "postgres"}},
        "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
                 **({"securityContext": {"runAsUser": user}} if user else {})},
        "status": {"initContainerStatuses": [{"name": "look-at-volume", "restartCount": 3 * restarted, **state}]},
    }  # fmt: skip


def restored(annotations=None):
    """An instance whose database claim came back from a snapshot, as its first pass leaves it."""
    credentials_and_claim = [CREDENTIALS, a_claim(CLAIM, **({"annotations": annotations} if annotations else {}))]
    made = an_instance_at_work(a_cr(), credentials_and_claim)
    bare = [a_claim("photos-library"), *credentials_and_claim]
    return [m for m in made if m["metadata"]["name"] not in {"photos-library", CLAIM}] + bare


def annotations_set(plan):
    """{annotation: value} that a plan puts on the database's claim, but for the mark of the pair."""
    found = {}
    for step in plan.steps:
        if step["verb"] == "merge" and step["target"]["name"] in (CLAIM, "nas"):
            found |= step["patch"]["metadata"]["annotations"]
    return {key: value for key, value in found.items() if key in (MARK, USER)}


def looks(plan):
    """{variable: value} of the container that looks at the volume."""
    [look] = found(plan, "StatefulSet", "photos-postgres")["spec"]["template"]["spec"]["initContainers"]
    return {entry["name"]: entry["value"] for entry in look["env"]}


GUESS = {"FOLDER_IS_A_GUESS": "yes"}


@pytest.mark.parametrize("restarted", [False, True], ids=["ended", "between-attempts"])
@pytest.mark.parametrize(
    ("says", "folder"),
    [
        pytest.param(["elsewhere", "at ."], ".", id="at-the-top"),
        pytest.param(["elsewhere", "at 18/docker"], "18/docker", id="newer-layout"),
        pytest.param(["elsewhere", "at other", "has x"], "other", id="in-another-folder"),
    ],
)
def test_the_database_is_started_where_a_pod_has_found_it(says, folder, restarted):
    plan = plan_for(a_cr(), restored(), pods=[a_database_pod(*says, restarted=restarted)])

    path = TOP if folder == "." else f"{TOP}/{folder}"
    assert environment(found(plan, "StatefulSet", "photos-postgres"))["PGDATA"] == path
    assert looks(plan) == {"PGDATA": path}, "the next look is for this folder, and for no other"
    assert annotations_set(plan) == {MARK: folder}
    assert [n for n in plan.notices if n.reason == "VolumeUnclear"] == []


def test_a_look_that_led_on_is_no_crash():
    unready = with_status(restored(), "StatefulSet", "photos-postgres", readyReplicas=0, availableReplicas=0)
    pod = a_database_pod("elsewhere", "at .", restarted=True)

    told = condition(report_for(a_cr(), unready, pods=[pod]), "PostgresReady")

    assert (told["status"], told["reason"]) == ("False", "WaitingForRollout")


def test_while_it_is_not_known_where_the_database_is_a_look_accepts_only_what_is_beyond_doubt():
    first = plan_for(a_cr(), [CREDENTIALS, a_claim(CLAIM)])
    new = plan_for(a_cr())

    assert looks(first) == {"PGDATA": BELOW, **GUESS}
    assert looks(new) == {"PGDATA": BELOW}


@pytest.mark.parametrize(
    "says", [["database", "at pgdata"], ["empty"], ["other", "has notes"]], ids=lambda says: says[0]
)
def test_where_the_database_was_found_or_set_up_is_noted_once_it_is_up_and_replaces_no_pod(says):
    work = restored()
    before = found(plan_for(a_cr(), [CREDENTIALS, a_claim(CLAIM)]), "StatefulSet", "photos-postgres")
    assert found(plan_for(a_cr(), work), "StatefulSet", "photos-postgres") == before
    unready = with_status(work, "StatefulSet", "photos-postgres", readyReplicas=0)
    pods = [a_database_pod(*says, refused=False)]

    assert MARK not in annotations_set(plan_for(a_cr(), unready, pods=pods))
    assert annotations_set(plan_for(a_cr(), work, pods=pods))[MARK] == "pgdata"
    noted = [*without(work, "PersistentVolumeClaim", CLAIM), a_claim(CLAIM, annotations=NEW)]
    assert found(plan_for(a_cr(), noted, pods=pods), "StatefulSet", "photos-postgres") == before


@pytest.mark.parametrize(
    ("annotations", "says", "words"),
    [
        pytest.param(
            None,
            ["several", "at .", "at pgdata"],
            "holds several databases, in the top of its volume and its folder pgdata, and does not say which one is to run, "
            "so none is started. Run `kubectl annotate persistentvolumeclaim --namespace family data-photos-postgres-0 "
            "media.rm3l.org/pgdata=FOLDER` with the folder of the right one",
            id="two-databases",
        ),
        pytest.param(
            NEW,
            ["elsewhere", "at ."],
            "says in its annotation media.rm3l.org/pgdata that the database is in its folder pgdata, but it is not "
            "there, and there is one in the top of its volume. So no new one is set up. If that is the right one, run "
            "`kubectl annotate "
            "persistentvolumeclaim --namespace family data-photos-postgres-0 media.rm3l.org/pgdata=. --overwrite`",
            id="a-claim-that-is-wrong",
        ),
        pytest.param(
            None, ["unknown", "closed pgdata"], "only its owner can look into its folder pgdata", id="closed"
        ),
        pytest.param(
            NEW, ["other", "has pgdata"], "holds pgdata but no database, and none can be set up in its folder pgdata",
            id="half-set-up",
        ),
        pytest.param(
            None, ["elsewhere", "at my?db"], "Give that folder a name of letters and digits", id="odd-name"
        ),
    ],
)  # fmt: skip
def test_where_a_person_has_to_decide_the_condition_says_what_is_there_and_what_to_do(annotations, says, words):
    work = restored(annotations)
    live = found(plan_for(a_cr(), work), "StatefulSet", "photos-postgres")
    unready = with_status(work, "StatefulSet", "photos-postgres", readyReplicas=0, availableReplicas=0)
    pod = a_database_pod(*says, restarted=True)

    told = condition(report_for(a_cr(), unready, pods=[pod]), "PostgresReady")

    assert (told["status"], told["reason"]) == ("False", "VolumeUnclear")
    assert f"PersistentVolumeClaim {CLAIM}" in told["message"]
    assert words in told["message"]
    plan = plan_for(a_cr(), unready, pods=[pod])
    assert found(plan, "StatefulSet", "photos-postgres") == live
    assert annotations_set(plan) == {}


def test_once_the_claim_says_which_of_two_it_is_the_next_pod_starts_that_one():
    work = restored()
    pods = [a_database_pod("several", "at .", "at pgdata", restarted=True)]
    for folder in (".", "pgdata"):
        said = [*without(work, "PersistentVolumeClaim", CLAIM), a_claim(CLAIM, annotations={MARK: folder})]

        plan = plan_for(a_cr(), said, pods=pods)

        assert looks(plan) == {"PGDATA": TOP if folder == "." else BELOW}, folder
        assert notices(plan, "explains") == []


def test_a_top_that_has_more_than_nothing_is_not_used_for_a_new_database():
    work = [CREDENTIALS, a_claim(CLAIM), a_stateful_set()]

    plan = plan_for(a_cr(), work, pods=[a_database_pod("empty")])

    assert environment(found(plan, "StatefulSet", "photos-postgres"))["PGDATA"] == BELOW
    assert annotations_set(plan) == {MARK: "pgdata"}


@pytest.mark.parametrize("folder", ["/", "..", "../other", "a//b", "a/", "/pgdata", ".hidden", "a b", "a\nb"])
def test_a_claim_that_says_something_else_than_a_folder_of_its_volume_starts_nothing(folder):
    plan = plan_for(a_cr(), [CREDENTIALS, a_claim(CLAIM, annotations={MARK: folder})])

    assert notices(plan, "blocks") == [("postgres", "VolumeUnclear")]
    assert not has(plan, "StatefulSet", "photos-postgres")


def user(plan):
    return found(plan, "StatefulSet", "photos-postgres")["spec"]["template"]["spec"]["securityContext"].get("runAsUser")


def test_the_database_runs_as_the_owner_of_its_files_and_the_claim_says_so():
    first = plan_for(a_cr(), restored(NEW), pods=[a_database_pod("database", "user 70")])

    assert user(first) == 70
    assert annotations_set(first) == {USER: "70"}
    assert notices(first, "explains") == []
    assert user(plan_for(a_cr(), restored({**NEW, USER: "70"}))) == 70
    again = plan_for(a_cr(), restored({**NEW, USER: "70"}), pods=[a_database_pod("database", "user 70")])
    assert annotations_set(again) == {}, "and nothing is written twice"


@pytest.mark.parametrize("context", ["podSecurityContext", "securityContext"])
def test_a_user_that_the_resource_names_stays_and_the_condition_says_who_owns_the_files(context):
    cr = a_cr({"postgres": {context: {"runAsUser": 1000}}})

    plan = plan_for(cr, restored(NEW), pods=[a_database_pod("database", "user 70")])

    assert annotations_set(plan) == {}
    [told] = [n.message for n in plan.notices if n.reason == "VolumeUnclear"]
    assert "only uid 70 can use the database on it" in told
    assert "Set spec.postgres.podSecurityContext.runAsUser to 70" in told


def test_on_openshift_the_platform_says_who_runs_the_database():
    plan = plan_for(a_cr(), restored({**NEW, USER: "70"}), pods=[a_database_pod("database", "user 70")], openshift=True)

    assert user(plan) is None
    assert [n.reason for n in plan.notices] == ["VolumeUnclear"]


def unclear(plan):
    return [n.message for n in plan.notices if n.reason == "VolumeUnclear"]


@pytest.mark.parametrize("doubt", ["closed real", "more folders"])
@pytest.mark.parametrize("says", [["elsewhere", "at 18/docker"], ["database", "at pgdata"]], ids=lambda says: says[0])
def test_a_database_beside_what_nobody_could_look_into_is_not_started_before_a_person_says_so(says, doubt):
    live = found(plan_for(a_cr(), restored()), "StatefulSet", "photos-postgres")

    plan = plan_for(a_cr(), restored(), pods=[a_database_pod(*says, doubt)])

    assert annotations_set(plan) == {}
    assert found(plan, "StatefulSet", "photos-postgres") == live
    [message] = unclear(plan)
    folder = says[1].removeprefix("at ")
    assert f"holds a database in its folder {folder}, but" in message
    assert ("its folder real" if doubt == "closed real" else "more than the 200 folders") in message
    assert "media.rm3l.org/pgdata=FOLDER`" in message
    said = plan_for(a_cr(), restored({MARK: folder}), pods=[a_database_pod(*says, doubt)])
    assert environment(found(said, "StatefulSet", "photos-postgres"))["PGDATA"] == f"{TOP}/{folder}"
    assert looks(said) == {"PGDATA": f"{TOP}/{folder}"}
    assert unclear(said) == []


def on_a_volume_of_the_users(*says, annotations=None):
    marks = {"media.rm3l.org/credentials": "photos-postgres-credentials", **(annotations or {})}
    pod = a_database_pod(*says, claim="nas")
    return plan_for(a_cr(OWN_VOLUME), [CREDENTIALS, a_claim("nas", annotations=marks)], pods=[pod])


@pytest.mark.parametrize("folder", [".", "pgdata", "18/docker"])
def test_on_a_volume_of_the_users_a_database_in_a_usual_place_is_ours(folder):
    plan = on_a_volume_of_the_users("elsewhere", f"at {folder}")

    assert annotations_set(plan) == {MARK: folder}
    assert unclear(plan) == []


@pytest.mark.parametrize("folder", ["nextcloud/db", "data", "18/data", "x/docker", "pgdata/18"])
def test_on_a_volume_of_the_users_another_place_is_that_of_another_program_until_a_person_says_so(folder):
    plan = on_a_volume_of_the_users("elsewhere", f"at {folder}", "has nextcloud")

    assert annotations_set(plan) == {}
    assert environment(found(plan, "StatefulSet", "photos-postgres"))["PGDATA"] == BELOW
    [message] = unclear(plan)
    assert "PersistentVolumeClaim nas holds a database in" in message
    assert "may belong to another program" in message
    assert f"kubectl annotate persistentvolumeclaim --namespace family nas {MARK}={folder}`" in message
    said = on_a_volume_of_the_users("elsewhere", f"at {folder}", annotations={MARK: folder})
    assert environment(found(said, "StatefulSet", "photos-postgres"))["PGDATA"] == f"{TOP}/{folder}"


def test_closed_folders_of_one_owner_are_tried_as_that_one_once():
    says = ["unknown", "closed pgdata", "user 65534"]

    first = plan_for(a_cr(), restored(), pods=[a_database_pod(*says, user=999)])
    meanwhile = plan_for(a_cr(), restored({USER: "65534"}), pods=[a_database_pod(*says, user=999)])
    refused_too = plan_for(a_cr(), restored({USER: "65534"}), pods=[a_database_pod(*says, user=65534)])

    assert (user(first), annotations_set(first), unclear(first)) == (65534, {USER: "65534"}, [])
    assert (user(meanwhile), annotations_set(meanwhile), unclear(meanwhile)) == (65534, {}, [])
    assert (user(refused_too), annotations_set(refused_too)) == (65534, {})
    [message] = unclear(refused_too)
    assert "only its owner, uid 65534, can look into its folder pgdata" in message


@pytest.mark.parametrize(
    ("noted", "users"),
    [(None, ("1000", "70")), ("1000", ("70",)), ("70", ("1000",)), (None, ("0",)), (None, ("999",))],
    ids=["two-owners", "one-then-the-other", "the-other-then-one", "root", "our-own"],
)
def test_whose_closed_folders_are_is_not_guessed_at_again_and_again(noted, users):
    work = restored({USER: noted} if noted else None)
    pod = a_database_pod("unknown", "closed a", "closed b", *(f"user {u}" for u in users), user=int(noted or 999))

    plan = plan_for(a_cr(), work, pods=[pod])

    assert annotations_set(plan) == {}
    assert user(plan) == int(noted or 999)
    [message] = unclear(plan)
    assert f"uid {' and '.join(users)}, can look into its folder a and its folder b" in message


def test_whose_a_database_is_that_was_seen_counts_more_than_what_was_guessed():
    pod = a_database_pod("database", "user 70", user=1000)

    plan = plan_for(a_cr(), restored({**NEW, USER: "1000"}), pods=[pod])

    assert (user(plan), annotations_set(plan)) == (70, {USER: "70"})


def test_a_database_of_root_has_to_be_given_to_the_user_of_the_pod():
    plan = plan_for(a_cr(), restored(NEW), pods=[a_database_pod("database", "user 0")])

    assert annotations_set(plan) == {}
    [message] = unclear(plan)
    assert "belongs to root, and PostgreSQL does not run as root. Give its files to uid 999" in message


def refusals(state, noted_folder, noted_user):
    """The lines with which a look may end the pod of a claim that says that."""
    at = {
        "database": [[], ["at pgdata"]],
        "several": [["at .", "at pgdata"]],
        "elsewhere": [["at ."], ["at other"], ["at my?db"], ["at a", "at b"]],
    }.get(state, [[]])
    doubts = [[], ["closed x"], ["more folders"], ["closed x", "more folders"]]
    users = [[], ["user 0"], ["user 1000"], ["user 1000", "user 70"], ["user 70"]]
    for places, doubt, owners in itertools.product(at, doubts, users):
        is_for_pod = state in ("database", "several", "empty", "other")
        if noted_folder and (state == "several" or (state == "database" and (doubt or not owners))):
            continue  # it looks no further than the database in its place, and starts it
        if state == "database" and not (owners or doubt):
            continue  # nor is this one refused
        if state in ("empty", "other") and (doubt or (owners and noted_user)):
            continue  # closed folders are `unknown`, and the user of the image counts for the default user only
        if is_for_pod and (len(owners) > 1 or owners == [f"user {noted_user}"]):
            continue  # it tells one user, and that one is not its own
        if not is_for_pod and bool(owners) != ("closed x" in doubt):
            continue
        if state == "unknown" and not doubt:
            continue
        yield [*places, *doubt, *owners]


@pytest.mark.parametrize("noted_user", [None, "70"])
@pytest.mark.parametrize("noted_folder", [None, "pgdata"])
@pytest.mark.parametrize("state", ["database", "several", "elsewhere", "other", "empty", "unknown"])
def test_no_pod_is_refused_without_a_word(state, noted_folder, noted_user):
    """Diagnosis leaves a look to the plan: that explains, notes something for the next pod, or replaces this one."""
    marks = {key: value for key, value in ((MARK, noted_folder), (USER, noted_user)) if value}
    work = restored(marks or None)
    before = found(plan_for(a_cr(), work), "StatefulSet", "photos-postgres")
    silent = []
    for lines in refusals(state, noted_folder, noted_user):
        plan = plan_for(a_cr(), work, pods=[a_database_pod(state, *lines, user=int(noted_user or 999))])
        is_replaced = has(plan, "StatefulSet", "photos-postgres") and (
            found(plan, "StatefulSet", "photos-postgres") != before
        )
        if not (unclear(plan) or annotations_set(plan) or is_replaced):
            silent.append(lines)

    assert silent == []
