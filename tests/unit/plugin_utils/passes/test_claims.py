# SPDX-License-Identifier: Apache-2.0
"""What endangers the data on a claim: a second user, its deletion, and a database that is not the library's."""

import copy

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.passes import claims
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from support.instances import (
    MARK,
    NOTE,
    a_claim,
    a_cr,
    a_secret,
    an_instance_at_work,
    annotated,
    condition,
    deletions,
    has,
    notices,
    paired,
    plan_for,
    report_for,
    seen_with,
    with_status,
    without,
)

LIBRARY, DATABASE = "photos-library", "data-photos-postgres-0"
GOING = {"deletionTimestamp": "2026-01-02T03:04:05Z"}
EXTERNAL = {"enabled": False, "urlSecretRef": {"name": "s", "key": "k"}}


def library(**settings):
    return {"immich": {"persistence": {"library": settings}}}


def database(**settings):
    return {"postgres": {"persistence": settings}}


def a_neighbour(spec=None):
    return a_cr(spec, name="second")


def with_claim(objects, name, **metadata):
    """The objects, and that claim with these metadata besides what it has; made if it is not there."""
    [claim] = [o for o in objects if (o["kind"], o["metadata"]["name"]) == ("PersistentVolumeClaim", name)] or [
        a_claim(name)
    ]
    changed = {**claim, "metadata": {**claim["metadata"], **metadata}}
    return [*without(objects, "PersistentVolumeClaim", name), changed]


def messages(plan, reason):
    return [notice.message for notice in plan.notices if notice.reason == reason]


def starts_a_database(plan):
    return has(plan, "StatefulSet", "photos-postgres")


# A second user


@pytest.mark.parametrize(
    ("mine", "theirs", "claim"),
    [
        pytest.param(library(existingClaim="nas"), library(existingClaim="nas"), "nas", id="the-same-library"),
        pytest.param(library(existingClaim="nas"), database(existingClaim="nas"), "nas", id="library-and-database"),
        pytest.param(library(existingClaim="second-library"), {}, "second-library", id="the-other-ones-own-library"),
        pytest.param({}, library(existingClaim="photos-library"), "photos-library", id="the-other-one-named-it"),
        pytest.param({}, database(existingClaim=DATABASE), DATABASE, id="the-database-that-runs-here"),
    ],
)
def test_a_claim_that_another_instance_uses_too_is_a_warning(mine, theirs, claim):
    cr = a_cr(mine)
    report = report_for(cr, an_instance_at_work(cr, [a_claim("nas")]), neighbours=[a_neighbour(theirs)])

    warning = condition(report, "Warning")
    assert (warning["status"], warning["reason"]) == ("True", "ClaimInUse")
    named = " named in spec." if mine else " is used by"
    assert f"PersistentVolumeClaim {claim}{named}" in warning["message"]
    assert "is used by Immich second too" in warning["message"]
    assert condition(report, "Ready")["status"] == "True"


@pytest.mark.parametrize(
    ("mine", "theirs", "claim"),
    [
        pytest.param(database(existingClaim="db"), database(existingClaim="db"), "db", id="the-same-database"),
        pytest.param(database(existingClaim="db"), library(existingClaim="db"), "db", id="the-other-ones-library"),
        pytest.param(
            database(existingClaim="data-second-postgres-0"), {}, "data-second-postgres-0", id="the-other-ones-own"
        ),
        pytest.param({}, database(existingClaim=DATABASE), DATABASE, id="the-other-one-named-it"),
    ],
)
def test_no_database_is_started_on_a_claim_that_another_instance_uses(mine, theirs, claim):
    cluster = {"neighbours": [a_neighbour(theirs)]}

    plan = plan_for(a_cr(mine), [a_claim(claim)], **cluster)

    assert not starts_a_database(plan)
    assert not has(plan, "Deployment", "photos-server")
    report = report_for(a_cr(mine), [a_claim(claim)], **cluster)
    told = condition(report, "PostgresReady")
    assert (told["status"], told["reason"]) == ("False", "ClaimInUse")
    assert f"PersistentVolumeClaim {claim}" in told["message"]
    assert "is used by Immich second too" in told["message"]
    assert report["failures"], "the other instance's change starts no pass here, so it is tried again"


def test_a_database_that_moves_to_another_ones_claim_goes_on_where_it_is():
    work = an_instance_at_work(a_cr())

    plan = plan_for(
        a_cr(database(existingClaim="db")),
        [*work, a_claim("db")],
        neighbours=[a_neighbour(database(existingClaim="db"))],
    )

    assert not starts_a_database(plan)
    assert deletions(plan) == []


def test_one_claim_for_two_components_of_an_instance_is_a_warning():
    """It has worked where the database is in a sub-directory."""
    plan = plan_for(a_cr({**library(existingClaim="nas"), **database(existingClaim="nas")}), [a_claim("nas")])

    assert starts_a_database(plan)
    [for_library, for_database] = messages(plan, "ClaimInUse")
    assert "is used by postgres of the same Immich too" in for_library
    assert "is used by library of the same Immich too" in for_database


def test_of_components_that_share_a_claim_with_another_instance_only_the_database_is_blocked():
    both = {**library(existingClaim="nas"), **database(existingClaim="nas")}

    plan = plan_for(a_cr(both), [a_claim("nas")], neighbours=[a_neighbour(library(existingClaim="nas"))])

    assert notices(plan, "blocks") == [("postgres", "ClaimInUse")]
    assert ("library", "ClaimInUse") in notices(plan, "warns")


@pytest.mark.parametrize(
    ("mine", "theirs", "names_one"),
    [
        pytest.param(library(existingClaim="nas"), {}, True, id="mine"),
        pytest.param({}, database(existingClaim="db"), True, id="theirs"),
        pytest.param({}, {}, False, id="none"),
        pytest.param({"machineLearning": {"persistence": {"existingClaim": "models"}}}, {}, False, id="a-cache"),
    ],
)
def test_claims_can_be_shared_only_where_some_instance_names_one_that_nobody_else_may_use(mine, theirs, names_one):
    assert claims.may_be_shared(a_cr(mine), [a_neighbour(theirs)]) is names_one


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        pytest.param(library(existingClaim="nas"), library(existingClaim="other"), id="another-claim"),
        pytest.param(
            database(existingClaim="db"),
            {"postgres": {**EXTERNAL, "persistence": {"existingClaim": "db"}}},
            id="switched-off-there",
        ),
        pytest.param(
            {"machineLearning": {"persistence": {"existingClaim": "models"}}},
            {"machineLearning": {"persistence": {"existingClaim": "models"}}},
            id="a-cache",
        ),
    ],
)
def test_a_claim_that_no_other_instance_writes_to_is_none(mine, theirs):
    plan = plan_for(a_cr(mine), [a_claim("nas"), a_claim("db"), a_claim("models")], neighbours=[a_neighbour(theirs)])

    assert messages(plan, "ClaimInUse") == []
    assert starts_a_database(plan)


def test_no_database_is_started_on_a_claim_that_a_pod_of_somebody_else_mounts():
    cr, there = a_cr(database(existingClaim="db")), [a_claim("db")]

    plan = plan_for(cr, there, database_mounted_by=["Pod old-database-0"])

    assert not starts_a_database(plan)
    report = report_for(cr, there, database_mounted_by=["Pod old-database-0"])
    told = condition(report, "PostgresReady")
    assert (told["status"], told["reason"]) == ("False", "ClaimInUse")
    named = "PersistentVolumeClaim db named in spec.postgres.persistence.existingClaim is mounted by Pod old-database-0"
    assert named in told["message"]
    assert report["failures"] == [told["message"]], "pods of others are not watched, so it is tried again"


def test_a_database_that_was_scaled_to_zero_is_not_started_beside_whoever_mounts_its_claim_now():
    """For a while in which somebody works on the volume."""
    stopped = an_instance_at_work(a_cr())
    stopped = [{**o, "spec": {**o["spec"], "replicas": 0}} if o["kind"] == "StatefulSet" else o for o in stopped]

    assert starts_a_database(plan_for(a_cr(), stopped))
    assert not starts_a_database(plan_for(a_cr(), stopped, database_mounted_by=["Pod rescue"]))


def test_no_database_is_started_before_the_claim_that_is_named_can_be_looked_at():
    plan = plan_for(a_cr(database(existingClaim="db")))

    assert not starts_a_database(plan)
    assert notices(plan, "blocks") == [("postgres", "ClaimNotFound")]


def test_a_database_that_runs_does_not_mind_who_else_mounts_its_claim():
    cr = a_cr(database(existingClaim="db"))

    plan = plan_for(cr, an_instance_at_work(cr, [a_claim("db")]), database_mounted_by=["Pod backup"])

    assert starts_a_database(plan)
    assert messages(plan, "ClaimInUse") == []


# Being deleted


@pytest.mark.parametrize(
    ("claim", "kept", "type_"),
    [
        pytest.param(LIBRARY, ("Deployment", "photos-server"), "ServerReady", id="library"),
        pytest.param(DATABASE, ("StatefulSet", "photos-postgres"), "PostgresReady", id="database"),
    ],
)
@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"server": {"image": "other"}, "postgres": {"image": "other"}}, id="another-image"),
        pytest.param({"server": {"replicas": 0}}, id="no-replicas"),
        pytest.param({**library(existingClaim="a"), **database(existingClaim="b")}, id="other-claims"),
    ],
)
def test_pods_that_keep_a_claim_from_being_gone_are_left_alone(claim, kept, type_, spec):
    work = [*with_claim(an_instance_at_work(a_cr()), claim, **GOING), a_claim("a"), a_claim("b")]

    plan = plan_for(a_cr(spec), work)

    assert not has(plan, *kept)
    assert not has(plan, "Deployment", "photos-server")
    assert kept not in deletions(plan)
    told = condition(report_for(a_cr(spec), work), type_)
    assert (told["status"], told["reason"]) == ("False", "ClaimBeingDeleted")
    assert f"PersistentVolumeClaim {claim} is being deleted" in told["message"]
    scale = f"kubectl scale {kept[0].lower()} {kept[1]} --namespace family --replicas 0"
    assert scale in told["message"]


@pytest.mark.parametrize(
    ("spec", "other", "kept"),
    [
        pytest.param(library(existingClaim="nas"), library(existingClaim="b"), "photos-server", id="library"),
        pytest.param(database(existingClaim="nas"), database(existingClaim="b"), "photos-postgres", id="database"),
        pytest.param(database(existingClaim="nas"), {}, "photos-postgres", id="database-no-longer-named"),
    ],
)
def test_a_claim_is_looked_after_as_long_as_pods_mount_it_whatever_is_named_now(spec, other, kept):
    work = with_claim(an_instance_at_work(a_cr(spec), [a_claim("nas")]), "nas", **GOING)

    plan = plan_for(a_cr(other), [*work, a_claim("b")])

    assert not any(o["metadata"]["name"] == kept and "template" in o["spec"] for o in plan.objects)
    assert deletions(plan) == []
    [notice] = [notice for notice in plan.notices if notice.reason == "ClaimBeingDeleted"]
    assert "PersistentVolumeClaim nas is being deleted" in notice.message
    assert notice.retry, "nobody watches a claim that is not named any more"


@pytest.mark.parametrize("spec", [{"server": {"replicas": 0}}, {"server": {"enabled": False}}], ids=["zero", "off"])
def test_a_claim_is_looked_after_as_long_as_an_old_pod_uses_it_beside_a_new_one(spec):
    """A rollout that can't be finished keeps the former pods."""
    work = an_instance_at_work(a_cr({**library(existingClaim="new")}), [a_claim("new"), a_claim("old", **GOING)])
    volumes = [{"name": "library", "persistentVolumeClaim": {"claimName": "old"}}]
    labels = {"app.kubernetes.io/component": "server"}
    old_pod = {"kind": "Pod", "metadata": {"name": "photos-server-old", "labels": labels}, "spec": {"volumes": volumes}}
    ended = {**old_pod, "status": {"phase": "Failed"}}
    assert (
        messages(plan_for(a_cr({**library(existingClaim="new"), **spec}), work, pods=[ended]), "ClaimBeingDeleted")
        == []
    )

    plan = plan_for(a_cr({**library(existingClaim="new"), **spec}), work, pods=[old_pod])

    assert not has(plan, "Deployment", "photos-server")
    assert ("Deployment", "photos-server") not in deletions(plan)
    assert len(messages(plan, "ClaimBeingDeleted")) == 1


@pytest.mark.parametrize(
    ("claim", "spec", "kept"),
    [
        pytest.param(LIBRARY, {"server": {"enabled": False}}, ("Deployment", "photos-server"), id="server"),
        pytest.param(DATABASE, {"postgres": EXTERNAL}, ("StatefulSet", "photos-postgres"), id="database"),
    ],
)
def test_what_is_switched_off_goes_on_while_it_keeps_a_claim_from_being_gone(claim, spec, kept):
    work = [*an_instance_at_work(a_cr()), a_secret("s", k="url")]
    assert kept in deletions(plan_for(a_cr(spec), work)), "else it is taken away"
    work = with_claim(work, claim, **GOING)

    assert kept not in deletions(plan_for(a_cr(spec), work))
    degraded = condition(report_for(a_cr(spec), work), "Degraded")
    assert (degraded["status"], claim in degraded["message"]) == ("True", True)


def test_a_pod_that_is_not_ready_is_not_replaced_while_its_claim_is_being_deleted():
    work = with_status(an_instance_at_work(a_cr()), "StatefulSet", "photos-postgres", updateRevision="b", replicas=1)
    owner = {"kind": "StatefulSet", "name": "photos-postgres", "uid": "uid-StatefulSet-photos-postgres"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "photos-postgres-0",
            "namespace": "family",
            "uid": "u",
            "ownerReferences": [owner],
            "labels": {"controller-revision-hash": "a"},
        },
    }
    assert ("Pod", "photos-postgres-0") in deletions(plan_for(a_cr(), work, pods=[pod]))

    assert deletions(plan_for(a_cr(), with_claim(work, DATABASE, **GOING), pods=[pod])) == []


@pytest.mark.parametrize("claim", [LIBRARY, DATABASE])
def test_a_claim_that_is_being_deleted_is_not_written_to(claim):
    """An apply that comes too late would make it anew, empty."""
    bigger = a_cr({**library(size="20Gi"), **database(size="20Gi")})
    work = an_instance_at_work(a_cr())

    def is_written(plan):
        subjects = [ObjectRef.of(step.get("object") or step["target"]) for step in plan.steps]
        return ("PersistentVolumeClaim", claim) in [(subject.kind, subject.name) for subject in subjects]

    assert is_written(plan_for(bigger, work)), "else it grows"
    assert not is_written(plan_for(bigger, with_claim(work, claim, **GOING)))


@pytest.mark.parametrize(
    ("claim", "spec"),
    [
        pytest.param("photos-ml-cache", {}, id="a-cache-that-can-be-filled-again"),
        pytest.param(DATABASE, {"postgres": EXTERNAL}, id="of-a-database-that-is-external"),
        pytest.param(LIBRARY, {"server": {"enabled": False}}, id="of-a-server-that-is-off"),
    ],
)
def test_the_deletion_of_a_claim_that_no_pod_needs_stops_nothing(claim, spec):
    there = [a_secret("s", k="url"), *(with_claim([], claim, **GOING))]

    assert messages(plan_for(a_cr(spec), there), "ClaimBeingDeleted") == []


def test_the_volume_that_has_to_be_kept_is_named():
    claim = {**a_claim(LIBRARY, **GOING), "spec": {**a_claim(LIBRARY)["spec"], "volumeName": "pv-7"}}

    [message] = messages(plan_for(a_cr(), [claim]), "ClaimBeingDeleted")

    patch = '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
    assert f"kubectl patch persistentvolume pv-7 --patch '{patch}'" in message


# Library and database belong together


def unmarked(objects):
    def without_marks(claim):
        annotations = {k: v for k, v in claim["metadata"].get("annotations", {}).items() if k not in {MARK, NOTE}}
        return {**claim, "metadata": {**claim["metadata"], "annotations": annotations}}

    return [without_marks(o) if o["kind"] == "PersistentVolumeClaim" else o for o in objects]


def marks(plan):
    """[(claim, mark)] that a plan writes, in the order in which it does."""
    merges = [step for step in plan.steps if step["verb"] == "merge"]
    written = [
        (step["stage"], step["target"]["name"], step["patch"].get("metadata", {}).get("annotations", {}).get(MARK))
        for step in merges
    ]
    return [(name, mark) for _, name, mark in sorted(written, key=lambda entry: entry[0]) if mark]


@pytest.mark.parametrize(
    ("spec", "claims"),
    [
        pytest.param({}, (LIBRARY, DATABASE), id="claims-of-ours"),
        pytest.param({**library(existingClaim="nas"), **database(existingClaim="db")}, ("nas", "db"), id="of-the-user"),
    ],
)
def test_the_claims_of_a_database_that_is_up_and_its_library_are_marked_the_librarys_first(spec, claims):
    cr = a_cr(spec)
    work = unmarked(an_instance_at_work(cr, [a_claim("nas"), a_claim("db")]))

    plan = plan_for(cr, work)

    assert marks(plan) == [(claim, f"uid-of-{claims[1]}") for claim in claims]
    first, second = (
        step["stage"]
        for step in plan.steps
        if step["verb"] == "merge" and MARK in step["patch"]["metadata"].get("annotations", {})
    )
    assert first < second, "what has the same stage is sent at the same time"


def test_a_mark_is_for_the_claim_that_was_read_and_not_for_one_that_took_its_place():
    plan = plan_for(a_cr(), unmarked(an_instance_at_work(a_cr())))

    patched = {
        step["target"]["name"]: step["patch"]["metadata"]["uid"] for step in plan.steps if step["verb"] == "merge"
    }
    assert patched == {DATABASE: f"uid-of-{DATABASE}", LIBRARY: f"uid-PersistentVolumeClaim-{LIBRARY}"}


def test_nothing_is_marked_before_the_database_has_been_up():
    work = with_status(unmarked(an_instance_at_work(a_cr())), "StatefulSet", "photos-postgres", readyReplicas=0)

    assert marks(plan_for(a_cr(), work)) == []


@pytest.mark.parametrize("missing", [LIBRARY, DATABASE])
def test_nothing_is_marked_while_one_of_the_two_claims_is_missing(missing):
    work = without(unmarked(an_instance_at_work(a_cr())), "PersistentVolumeClaim", missing)

    assert marks(plan_for(a_cr(), work)) == []


@pytest.mark.parametrize("set_up_by", [{}, {"media.rm3l.org/database-pod": "first"}], ids=["plain", "with-its-pod"])
def test_marked_claims_are_left_as_they_are(set_up_by):
    work = [annotated(o, set_up_by) if o["metadata"]["name"] == LIBRARY else o for o in an_instance_at_work(a_cr())]

    plan = plan_for(a_cr(), work)

    assert [step["verb"] for step in plan.steps if step["verb"] != "apply"] == []


ANOTHER = {"uid": "of-another-claim", "creationTimestamp": "2026-01-02T03:04:05Z"}
ANNOTATE = "kubectl annotate persistentvolumeclaim --namespace family"
PUT_BACK = f"`{ANNOTATE} {DATABASE} {MARK}=known`"
LOST = [
    pytest.param([], "does not exist", PUT_BACK, id="its-claim-is-gone"),
    pytest.param(
        [a_claim(DATABASE, **ANOTHER)],
        "is not known to hold it (created at 2026-01-02T03:04:05Z)",
        PUT_BACK,
        id="its-claim-was-made-anew",
    ),
    pytest.param(
        [paired(a_claim(DATABASE), "x")],
        "belongs to another one",
        f"`{ANNOTATE} {LIBRARY} --overwrite {MARK}=x`",
        id="of-another-library",
    ),
]


@pytest.mark.parametrize(("claims", "state", "command"), LOST)
@pytest.mark.parametrize("runs", [False, True], ids=["before-the-instance-is-made-anew", "in-the-middle-of-it"])
def test_no_empty_database_is_taken_for_that_of_a_library(claims, state, command, runs):
    work = without(an_instance_at_work(a_cr()), "PersistentVolumeClaim", DATABASE)
    if not runs:
        work = [o for o in work if o["kind"] in {"PersistentVolumeClaim", "Secret"}]

    plan = plan_for(a_cr({"server": {"image": "other"}}), [*work, *claims])

    assert not starts_a_database(plan)
    assert not has(plan, "Deployment", "photos-server")
    written = [
        step["patch"].get("metadata", {}).get("annotations", {}) for step in plan.steps if step["verb"] == "merge"
    ]
    assert not [annotations for annotations in written if {MARK, NOTE} & annotations.keys()], "none is set or taken off"
    told = condition(report_for(a_cr(), [*work, *claims]), "PostgresReady")
    assert (told["status"], told["reason"]) == ("False", "DatabaseLost")
    assert f"PersistentVolumeClaim {LIBRARY} is the library of a database" in told["message"]
    assert f"PersistentVolumeClaim {DATABASE} {state}" in told["message"]
    assert command in told["message"]
    without_server = "`kubectl scale deployment photos-server --namespace family --replicas 0`, then "
    assert f"{without_server}`{ANNOTATE} {LIBRARY} {MARK}-`" in told["message"]


def scaled(plan):
    """[(StatefulSet, replicas)] of what a plan scales by a patch."""
    merges = [step for step in plan.steps if step["verb"] == "merge" and step["target"]["kind"] == "StatefulSet"]
    for step in merges:
        kept = step["patch"]["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert kept == {"whenDeleted": "Retain", "whenScaled": "Retain"}, "or the claim goes with the pod"
    return [(step["target"]["name"], step["patch"]["spec"]["replicas"]) for step in merges]


@pytest.mark.parametrize(("claims", "state", "command"), LOST)
def test_a_database_that_kubernetes_started_on_another_volume_is_ended_once(claims, state, command):
    work = [*without(an_instance_at_work(a_cr()), "PersistentVolumeClaim", DATABASE), *claims]
    ended = [{**o, "spec": {**o["spec"], "replicas": 0}} if o["kind"] == "StatefulSet" else o for o in work]

    assert scaled(plan_for(a_cr(), work)) == [("photos-postgres", 0)]
    assert scaled(plan_for(a_cr(), ended)) == []
    assert not starts_a_database(plan_for(a_cr(), ended))


@pytest.mark.parametrize(
    ("spec", "others"),
    [
        pytest.param(library(existingClaim="copy"), [annotated(a_claim("copy"), {MARK: "x"})], id="another-library"),
        pytest.param(
            library(existingClaim="copy"),
            [annotated(a_claim("copy"), {MARK: "x", NOTE: f"{DATABASE}/of-former-times"})],
            id="another-library-of-a-former-instance-of-this-name",
        ),
    ],
)
def test_a_database_that_is_right_for_the_library_in_use_goes_on_when_another_library_is_named(spec, others):
    work = an_instance_at_work(a_cr())

    plan = plan_for(a_cr(spec), [*work, *others])

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]
    assert scaled(plan) == []
    assert not has(plan, "Deployment", "photos-server"), "it goes on with the library that it has"


def test_a_claim_that_may_not_be_read_is_given_the_benefit_of_the_doubt():
    cr = a_cr(database(existingClaim="mine"))
    seen = seen_with(cr, without(an_instance_at_work(cr, [a_claim("mine")]), "PersistentVolumeClaim", "mine"))
    for reference in seen["references"]:
        reference["forbidden"] = reference["name"] == "mine"

    planned = plan(cr, seen=seen, images=DEFAULT_IMAGES, new_password="x")

    assert notices(planned, "blocks") == []
    assert scaled(planned) == []


def test_a_stateful_set_that_somebody_else_controls_is_not_scaled():
    owner = {"kind": "Other", "name": "o", "uid": "somebody-else", "controller": True}
    work = [*without(an_instance_at_work(a_cr()), "PersistentVolumeClaim", DATABASE), a_claim(DATABASE, **ANOTHER)]
    theirs = [
        {**o, "metadata": {**o["metadata"], "ownerReferences": [owner]}} if o["kind"] == "StatefulSet" else o
        for o in work
    ]

    assert scaled(plan_for(a_cr(), theirs)) == []


def test_no_pod_is_ended_that_keeps_a_claim_from_being_gone_although_it_is_another_one():
    work = with_claim(an_instance_at_work(a_cr()), DATABASE, **ANOTHER, annotations={}, **GOING)

    assert scaled(plan_for(a_cr(), work)) == []


def test_a_claim_that_lost_its_mark_is_known_by_its_uid():
    work = with_claim(an_instance_at_work(a_cr()), DATABASE, annotations={})

    assert starts_a_database(plan_for(a_cr(), work))
    assert marks(plan_for(a_cr(), work)) == [(DATABASE, "known")]


def a_database_pod(says, *, uid="first", claim=DATABASE):
    """A pod of the StatefulSet that has said what it found on its volume."""
    status = {"name": "look-at-volume", "state": {"terminated": {"exitCode": 0, "message": f"{says}\n"}}}
    return {
        "kind": "Pod",
        "metadata": {"name": "photos-postgres-0", "uid": uid, "labels": {"app.kubernetes.io/component": "postgres"}},
        "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]},
        "status": {"initContainerStatuses": [status]},
    }


POD = "media.rm3l.org/database-pod"


def applied(objects, plan):
    """The objects after the patches of a plan."""
    after = {(o["kind"], o["metadata"]["name"]): o for o in objects}
    for step in sorted((step for step in plan.steps if step["verb"] == "merge"), key=lambda step: step["stage"]):
        key = (step["target"]["kind"], step["target"]["name"])
        metadata, spec = step["patch"].get("metadata", {}), step["patch"].get("spec", {})
        old = after[key]
        annotations = {**old["metadata"].get("annotations", {}), **metadata.get("annotations", {})}
        annotations = {name: value for name, value in annotations.items() if value is not None}
        after[key] = {
            **old,
            "metadata": {**old["metadata"], "annotations": annotations},
            "spec": {**old["spec"], **spec},
        }
    return list(after.values())


def test_a_database_that_was_set_up_on_an_empty_volume_is_the_librarys_from_then_on():
    pods = [a_database_pod("empty")]
    work = unmarked(an_instance_at_work(a_cr()))

    marked = applied(work, plan_for(a_cr(), work, pods=pods))

    assert marks(plan_for(a_cr(), marked, pods=pods)) == []
    assert starts_a_database(plan_for(a_cr(), marked, pods=pods))
    [claim] = [o for o in marked if o["metadata"]["name"] == LIBRARY]
    assert claim["metadata"]["annotations"][POD] == "first"


@pytest.mark.parametrize(
    ("says", "is_lost"),
    [("database", False), ("empty", True), ("unknown", False), ("", False)],
    ids=["the-database", "nothing", "what-it-may-not-read", "no-word"],
)
def test_a_volume_that_was_emptied_behind_its_claim_is_noticed_when_the_next_pod_starts(says, is_lost):
    work = unmarked(an_instance_at_work(a_cr()))
    marked = applied(work, plan_for(a_cr(), work, pods=[a_database_pod("empty")]))

    plan = plan_for(a_cr(), marked, pods=[a_database_pod(says, uid="second")])

    assert notices(plan, "blocks") == ([("postgres", "DatabaseLost")] if is_lost else [])
    assert scaled(plan) == ([("photos-postgres", 0)] if is_lost else [])


def test_a_volume_that_was_emptied_counts_as_lost_after_its_pod_has_ended_too():
    work = an_instance_at_work(a_cr())
    first = plan_for(a_cr(), work, pods=[a_database_pod("empty", uid="second")])
    [notice] = [notice for notice in first.notices if notice.reason == "DatabaseLost"]
    assert f"PersistentVolumeClaim {DATABASE} had no database on its volume when it was to be started" in notice.message

    after = applied(work, first)
    second = plan_for(a_cr(), after)

    assert notices(second, "blocks") == [("postgres", "DatabaseLost")]
    assert [step for step in second.steps if step["verb"] == "merge"] == []
    assert [notice.message for notice in second.notices] == [notice.message]

    put_back = [paired(o) if o["metadata"]["name"] == DATABASE else o for o in after]
    third = plan_for(a_cr(), put_back, pods=[])
    assert starts_a_database(third)
    assert notices(third, "blocks") == []


def test_a_named_claim_whose_volume_was_emptied_is_not_trusted_after_its_pod_has_ended_either():
    cr = a_cr(database(existingClaim="mine"))
    work = an_instance_at_work(cr, [a_claim("mine")])

    after = applied(work, plan_for(cr, work, pods=[a_database_pod("empty", uid="second", claim="mine")]))

    assert notices(plan_for(cr, after), "blocks") == [("postgres", "DatabaseLost")]


def test_a_named_claim_of_another_library_that_the_server_has_been_using_goes_on():
    """Somebody has named it over the mark. Photos may have been added since, so it is too late to keep the two apart."""
    cr = a_cr(database(existingClaim="moved"))
    changed = {"moved": {MARK: "theirs"}, LIBRARY: {NOTE: f"{DATABASE}/of-former-times"}}

    work = [annotated(o, changed.get(o["metadata"]["name"], {})) for o in an_instance_at_work(cr, [a_claim("moved")])]

    assert notices(plan_for(cr, work), "blocks") == []
    assert scaled(plan_for(cr, work)) == []


def test_a_volume_without_its_database_counts_as_lost_and_the_condition_says_what_is_there_instead():
    pod = a_database_pod("other\nhas backup.tar\nhas notes", uid="second")

    plan = plan_for(a_cr(), an_instance_at_work(a_cr()), pods=[pod])

    assert scaled(plan) == [("photos-postgres", 0)]
    [notice] = [notice for notice in plan.notices if notice.reason == "DatabaseLost"]
    assert "had no database on its volume when it was to be started, only backup.tar, notes, so no" in notice.message


def test_an_emptied_volume_is_noticed_while_the_server_is_off_and_before_its_claim_is_marked():
    work = an_instance_at_work(a_cr())
    noted = [unmarked([o])[0] if o["metadata"]["name"] == DATABASE else o for o in work]
    off = a_cr({"server": {"enabled": False}})
    without_server = without(work, "Deployment", "photos-server")

    for cr, objects in ((a_cr(), noted), (off, without_server)):
        plan = plan_for(cr, objects, pods=[a_database_pod("empty", uid="second")])
        assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]
        assert scaled(plan) == [("photos-postgres", 0)]


def test_only_what_the_databases_pod_says_of_its_own_volume_counts():
    elsewhere = a_database_pod("empty", uid="second", claim="other")
    other_container = a_database_pod("empty", uid="second")
    other_container["status"]["initContainerStatuses"][0]["name"] = "somebody-elses"

    for pod in (elsewhere, other_container):
        assert notices(plan_for(a_cr(), an_instance_at_work(a_cr()), pods=[pod]), "blocks") == []


def test_the_loss_is_noted_before_the_pod_that_tells_of_it_is_ended():
    plan = plan_for(a_cr(), an_instance_at_work(a_cr()), pods=[a_database_pod("empty", uid="second")])

    stages = {step["target"]["kind"]: step["stage"] for step in plan.steps if step["verb"] == "merge"}
    assert stages == {"PersistentVolumeClaim": 0, "StatefulSet": 1}
    assert len({step["component"] for step in plan.steps if step["verb"] == "merge"}) == 1, "or it is not held back"


def with_note(objects, note):
    """The objects with that note on the library's claim about the database's, none for None."""
    changed = [copy.deepcopy(manifest) for manifest in objects]
    [library] = [manifest for manifest in changed if manifest["metadata"]["name"] == LIBRARY]
    library["metadata"]["annotations"].pop(NOTE)
    library["metadata"]["annotations"] |= {NOTE: note} if note else {}
    return changed


@pytest.mark.parametrize("note", [None, "another/uid"])
def test_an_emptied_volume_is_noticed_by_the_mark_alone(note):
    work = with_note(an_instance_at_work(a_cr()), note)

    plan = plan_for(a_cr(), work, pods=[a_database_pod("empty", uid="second")])

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]
    assert scaled(plan) == [("photos-postgres", 0)]


def test_an_emptied_volume_is_noticed_when_nothing_is_left_to_be_scaled():
    work = without(an_instance_at_work(a_cr()), "StatefulSet", "photos-postgres")

    plan = plan_for(a_cr(), work, pods=[a_database_pod("empty", uid="second")])

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]
    assert scaled(plan) == []


def test_a_database_that_was_created_again_is_not_taken_for_that_of_a_library_without_a_note():
    work = without(an_instance_at_work(a_cr()), "PersistentVolumeClaim", DATABASE)

    plan = plan_for(a_cr(), [*with_note(work, None), a_claim(DATABASE, **ANOTHER)])

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]


def test_an_empty_volume_that_is_named_for_a_dump_is_no_loss():
    cr = a_cr(database(existingClaim="new"))
    work = an_instance_at_work(cr, [a_claim("new")])
    former = [
        annotated(o, {NOTE: f"{DATABASE}/x", POD: "first"}) if o["metadata"]["name"] == LIBRARY else o for o in work
    ]
    unmarked_new = [*without(former, "PersistentVolumeClaim", "new"), a_claim("new")]
    pods = [a_database_pod("empty", uid="second", claim="new")]

    plan = plan_for(cr, unmarked_new, pods=pods)

    assert notices(plan, "blocks") == []
    marked = applied(unmarked_new, plan)
    assert notices(plan_for(cr, marked, pods=pods), "blocks") == []
    assert marks(plan_for(cr, marked, pods=pods)) == []


def test_a_lost_database_with_its_secret_lost_too_is_reported_as_lost():
    work = [o for o in an_instance_at_work(a_cr()) if o["metadata"]["name"] == LIBRARY]

    assert notices(plan_for(a_cr(), work), "blocks") == [("postgres", "DatabaseLost")]
    assert not has(plan_for(a_cr(), work), "Secret", "photos-postgres-credentials")


def test_of_a_lost_database_only_the_loss_is_reported():
    work = without(an_instance_at_work(a_cr()), "Secret", "photos-postgres-credentials")
    work = [*without(work, "PersistentVolumeClaim", DATABASE), a_claim(DATABASE, **ANOTHER)]

    assert notices(plan_for(a_cr(), work), "blocks") == [("postgres", "DatabaseLost")]


def test_a_claim_that_is_no_longer_named_is_not_left_for_one_that_nobody_knows():
    work = an_instance_at_work(a_cr(database(existingClaim="mine")), [a_claim("mine"), a_claim(DATABASE)])

    plan = plan_for(a_cr(), work)

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]
    assert deletions(plan) == []
    assert scaled(plan) == [], "it goes on with the claim that was named"


def test_a_claim_that_the_custom_resource_newly_names_is_trusted():
    work = an_instance_at_work(a_cr())

    plan = plan_for(a_cr(database(existingClaim="moved")), [*work, a_claim("moved")])

    assert notices(plan, "blocks") == []
    assert deletions(plan) == [("StatefulSet", "photos-postgres")], "it is made anew with the other volume"


def test_a_claim_that_was_newly_named_is_marked_once_the_database_is_up_on_it():
    cr = a_cr(database(existingClaim="moved"))
    work = an_instance_at_work(cr, [a_claim("moved")])
    [claim] = [o for o in work if o["metadata"]["name"] == LIBRARY]
    before = annotated(claim, {NOTE: f"{DATABASE}/uid-of-{DATABASE}"})

    plan = plan_for(cr, [*without(work, "PersistentVolumeClaim", "moved"), a_claim("moved"), before])

    assert marks(plan) == [(LIBRARY, "known"), ("moved", "known")]


def test_a_named_claim_that_was_lost_and_created_again_is_not_trusted():
    cr = a_cr(database(existingClaim="mine"))
    work = an_instance_at_work(cr, [a_claim("mine")])

    plan = plan_for(cr, [*without(work, "PersistentVolumeClaim", "mine"), a_claim("mine", **ANOTHER)])

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]


def test_a_named_claim_of_another_library_is_not_trusted():
    cr = a_cr(database(existingClaim="moved"))

    plan = plan_for(cr, [paired(a_claim("moved"), "theirs"), paired(a_claim(LIBRARY))])

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]


def test_a_new_library_takes_on_the_mark_of_its_database():
    work = [*without(an_instance_at_work(a_cr()), "PersistentVolumeClaim", LIBRARY), a_claim(LIBRARY)]

    assert marks(plan_for(a_cr(), work)) == [(LIBRARY, "known")]


def test_a_database_elsewhere_is_nothing_to_lose_here():
    work = [o for o in an_instance_at_work(a_cr()) if o["metadata"]["name"] == LIBRARY]

    assert notices(plan_for(a_cr({"postgres": EXTERNAL}), work), "blocks") == [("server", "SecretNotFound")]


def test_an_acknowledged_loss_gives_a_new_database():
    assert starts_a_database(plan_for(a_cr(), [a_claim(LIBRARY)]))


@pytest.mark.parametrize("mark", ["theirs", None], ids=["marked-by-the-other-one", "unmarked"])
def test_a_library_that_two_instances_use_is_not_marked_and_stops_no_database_that_runs(mark):
    cr = a_cr(library(existingClaim="nas"))
    work = without(unmarked(an_instance_at_work(cr, [a_claim("nas")])), "PersistentVolumeClaim", "nas")
    nas = annotated(a_claim("nas"), {MARK: mark, NOTE: "data-second-postgres-0/x"} if mark else {})

    together = plan_for(cr, [*work, nas], neighbours=[a_neighbour(library(existingClaim="nas"))])
    alone = plan_for(cr, [*work, nas])

    assert starts_a_database(together)
    assert starts_a_database(alone)
    assert marks(together) == []
    assert scaled(together) + scaled(alone) == []


def test_a_library_that_two_instances_use_is_not_given_an_empty_database_either():
    cr = a_cr(library(existingClaim="nas"))
    work = without(an_instance_at_work(cr, [a_claim("nas")]), "PersistentVolumeClaim", DATABASE)

    plan = plan_for(cr, [*work, a_claim(DATABASE, **ANOTHER)], neighbours=[a_neighbour(library(existingClaim="nas"))])

    assert notices(plan, "blocks") == [("postgres", "DatabaseLost")]
    assert scaled(plan) == [("photos-postgres", 0)]


def test_a_mark_that_cannot_be_written_keeps_nothing_from_being_ready():
    work = unmarked(an_instance_at_work(a_cr()))

    told = report_for(a_cr(), work, errors={("PersistentVolumeClaim", DATABASE): "denied by a policy"})

    assert condition(told, "Ready")["status"] == "True"
    degraded = condition(told, "Degraded")
    assert (degraded["status"], degraded["message"]) == ("True", "denied by a policy")


def test_a_database_that_was_never_up_is_not_marked_when_it_is_scaled_to_zero():
    work = unmarked(an_instance_at_work(a_cr()))
    stopped = [{**o, "spec": {**o["spec"], "replicas": 0}} if o["kind"] == "StatefulSet" else o for o in work]
    stopped = with_status(stopped, "StatefulSet", "photos-postgres", replicas=0, readyReplicas=0)

    assert marks(plan_for(a_cr(), stopped)) == []


def test_shared_claims_are_reported_in_the_order_library_database_queues():
    spec = {
        **library(existingClaim="photos"),
        **database(existingClaim="rows"),
        "valkey": {"persistence": {"enabled": True, "existingClaim": "queues"}},
    }
    cr = a_cr(spec)
    live = an_instance_at_work(cr, [a_claim(name) for name in ("photos", "rows", "queues")])

    told = messages(plan_for(cr, live, neighbours=[a_neighbour(spec)]), "ClaimInUse")

    assert [message.split()[1] for message in told] == ["photos", "rows", "queues"]
