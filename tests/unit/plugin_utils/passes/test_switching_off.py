# SPDX-License-Identifier: Apache-2.0
"""What is switched off is removed, exactly that, and never a volume or the password of the database."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.spec.checks import check
from support.instances import UID, a_cr, a_secret, an_instance_at_work, deletions, found, has, plan_for

INGRESS = {"ingress": {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}}
EVERYTHING = {"server": INGRESS, "valkey": {"persistence": {"enabled": True}}}
SECRETS = [a_secret("db", p="x", url="postgresql://x"), a_secret("queue", p="x"), a_secret("login", s="x")]
EXTERNAL_DATABASE = {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}}
EXTERNAL_QUEUES = {"enabled": False, "host": "redis"}
PLAIN_QUEUES = {**EXTERNAL_QUEUES, "password": "word"}
KEPT = {
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
}


OURS = {"kind": "Immich", "name": "photos", "uid": UID}


def both(name):
    return [("Deployment", name), ("Service", name)]


@pytest.mark.parametrize(
    ("before", "after", "removed"),
    [
        pytest.param(EVERYTHING, EVERYTHING, [], id="nothing"),
        pytest.param(
            EVERYTHING,
            {**EVERYTHING, "server": {**INGRESS, "enabled": False}},
            [*both("photos-server"), ("Ingress", "photos-server"), ("Route", "photos-server")],
            id="server",
        ),
        pytest.param(EVERYTHING, {"valkey": EVERYTHING["valkey"]}, [("Ingress", "photos-server")], id="ingress"),
        pytest.param(
            EVERYTHING,
            {**EVERYTHING, "server": {**INGRESS, "route": {"enabled": False}}},
            [("Route", "photos-server")],
            id="route",
        ),
        pytest.param(
            EVERYTHING,
            {**EVERYTHING, "machineLearning": {"enabled": False}},
            both("photos-machine-learning"),
            id="machine-learning",
        ),
        pytest.param(
            EVERYTHING,
            {**EVERYTHING, "machineLearning": {"enabled": False, "url": "http://gpu"}},
            both("photos-machine-learning"),
            id="external-machine-learning",
        ),
        pytest.param(
            EVERYTHING, {"server": INGRESS, "valkey": EXTERNAL_QUEUES}, both("photos-valkey"), id="external-queues"
        ),
        pytest.param(
            EVERYTHING,
            {**EVERYTHING, "postgres": EXTERNAL_DATABASE},
            [("StatefulSet", "photos-postgres"), ("Service", "photos-postgres")],
            id="external-database",
        ),
        pytest.param(EVERYTHING, {"server": INGRESS}, [], id="persistence-of-the-queues"),
        pytest.param(
            EVERYTHING,
            {**EVERYTHING, "machineLearning": {"persistence": {"enabled": False}}},
            [],
            id="persistence-of-the-cache",
        ),
        pytest.param(
            {"valkey": PLAIN_QUEUES},
            {"valkey": EXTERNAL_QUEUES},
            [("Secret", "photos-valkey-credentials")],
            id="queue-password",
        ),
        pytest.param(
            {"valkey": PLAIN_QUEUES},
            {"valkey": {**EXTERNAL_QUEUES, "passwordSecretRef": {"name": "queue", "key": "p"}}},
            [("Secret", "photos-valkey-credentials")],
            id="queue-password-in-a-secret",
        ),
        pytest.param({"valkey": PLAIN_QUEUES}, {}, [("Secret", "photos-valkey-credentials")], id="built-in-queues"),
        pytest.param(
            {"valkey": PLAIN_QUEUES}, {"valkey": {**PLAIN_QUEUES, "password": "new"}}, [], id="another-queue-password"
        ),
    ],
)
def test_exactly_what_is_switched_off_is_removed(before, after, removed):
    live = an_instance_at_work(a_cr(before), SECRETS, route=True)

    plan = plan_for(a_cr(after), live, route=True)

    assert sorted(deletions(plan)) == sorted(removed)


def test_what_was_never_there_needs_no_removal():
    off = {"enabled": False}

    plan = plan_for(
        a_cr({"server": off, "machineLearning": off, "valkey": EXTERNAL_QUEUES, "postgres": EXTERNAL_DATABASE}), SECRETS
    )

    assert deletions(plan) == []


def test_a_removal_is_for_the_very_object_that_was_seen():
    live = an_instance_at_work(a_cr())

    plan = plan_for(a_cr({"machineLearning": {"enabled": False}}), live)

    targets = {step["target"]["kind"]: step["target"] for step in plan.steps if step["verb"] == "delete"}
    assert targets["Deployment"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "family",
        "name": "photos-machine-learning",
        "uid": "uid-Deployment-photos-machine-learning",
    }


@pytest.mark.parametrize(
    ("metadata", "removed"),
    [
        pytest.param({}, True, id="ours"),
        pytest.param({"ownerReferences": []}, False, id="without-owner"),
        pytest.param({"ownerReferences": [OURS]}, True, id="owned-but-not-controlled"),
        pytest.param(
            {"ownerReferences": [{"kind": "X", "name": "x", "uid": "x", "controller": False}]},
            False,
            id="owned-by-another",
        ),
        pytest.param(
            {"ownerReferences": [{"kind": "X", "name": "x", "uid": "x", "controller": True}]},
            False,
            id="controlled-by-another",
        ),
        pytest.param(
            {"ownerReferences": [OURS, {"kind": "X", "name": "x", "uid": "x"}]}, True, id="owned-by-another-too"
        ),
        pytest.param(
            {"ownerReferences": [OURS, {"kind": "X", "name": "x", "uid": "x", "controller": True}]},
            False,
            id="owned-by-us-and-controlled-by-another",
        ),
        pytest.param({"labels": {}}, False, id="without-our-labels"),
        pytest.param({"labels": None}, False, id="without-any"),
        pytest.param(
            {"labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "photos"}},
            False,
            id="of-helm",
        ),
    ],
)
def test_only_objects_of_the_instance_are_removed(metadata, removed):
    live = an_instance_at_work(a_cr())
    for manifest in live:
        if manifest["metadata"]["name"] == "photos-machine-learning":
            manifest["metadata"] = {**manifest["metadata"], **metadata}

    plan = plan_for(a_cr({"machineLearning": {"enabled": False}}), live)

    assert deletions(plan) == (both("photos-machine-learning") if removed else [])


WITHOUT_LEARNING = {"machineLearning": {"enabled": False}}


def test_what_only_looks_like_an_object_of_the_instance_is_left_and_told():
    """One of another kind's resource of the same name, say, whose role gives its objects the same labels."""
    live = an_instance_at_work(a_cr())
    for manifest in live:
        if (manifest["kind"], manifest["metadata"]["name"]) == ("Service", "photos-machine-learning"):
            manifest["metadata"].pop("ownerReferences")

    plan = plan_for(a_cr(WITHOUT_LEARNING), live)

    assert deletions(plan) == [("Deployment", "photos-machine-learning")]
    [told] = [notice for notice in plan.notices if notice.effect == "warns"]
    assert (told.component, told.reason) == ("machine-learning", "NotOwned")
    assert told.message == (
        "Service photos-machine-learning has the name and the labels of one that this Immich no longer needs, but no owner "
        "reference to it, so it may belong to something else and is left as it is. If nothing else needs it, delete it: "
        "kubectl delete service --namespace family photos-machine-learning"
    )


def test_what_is_needed_is_taken_over_without_an_owner_and_can_be_removed_from_then_on():
    live = an_instance_at_work(a_cr())
    for manifest in live:
        manifest["metadata"].pop("ownerReferences", None)

    taken_over = plan_for(a_cr(), live)

    assert not taken_over.notices
    assert deletions(plan_for(a_cr(WITHOUT_LEARNING), taken_over.objects)) == both("photos-machine-learning")


@pytest.mark.parametrize(
    ("labels", "removed"),
    [
        pytest.param({}, True, id="ours"),
        pytest.param({"app.kubernetes.io/name": "toy"}, False, id="of-another-kind"),
        pytest.param({"app.kubernetes.io/component": "robot"}, False, id="of-another-component"),
    ],
)
def test_where_nothing_is_stored_that_could_own_objects_all_five_labels_decide(labels, removed):
    cr, off = a_cr(uid=None), a_cr(WITHOUT_LEARNING, uid=None)
    live = an_instance_at_work(cr)
    for manifest in live:
        if manifest["metadata"]["name"] == "photos-machine-learning":
            manifest["metadata"]["labels"] = {**manifest["metadata"]["labels"], **labels}

    assert deletions(plan_for(off, live)) == (both("photos-machine-learning") if removed else [])


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        pytest.param(
            {},
            {"valkey": {**EXTERNAL_QUEUES, "passwordSecretRef": {"name": "absent", "key": "p"}}},
            both("photos-valkey"),
            id="queues",
        ),
        pytest.param(
            {},
            {"postgres": {**EXTERNAL_DATABASE, "passwordSecretRef": {"name": "absent", "key": "p"}}},
            [("StatefulSet", "photos-postgres"), ("Service", "photos-postgres")],
            id="database",
        ),
        pytest.param(
            {"valkey": PLAIN_QUEUES},
            {"valkey": {**EXTERNAL_QUEUES, "passwordSecretRef": {"name": "absent", "key": "p"}}},
            [("Secret", "photos-valkey-credentials")],
            id="queue-password",
        ),
    ],
)
def test_what_the_server_runs_with_stays_while_the_server_cannot_follow(before, after, kept):
    live = an_instance_at_work(a_cr(before), SECRETS)
    assert set(kept) <= {(manifest["kind"], manifest["metadata"]["name"]) for manifest in live}

    plan = plan_for(a_cr(after), live)

    assert not has(plan, "Deployment", "photos-server")
    assert deletions(plan) == []


def test_what_is_switched_off_goes_last_and_not_before_the_server_has_been_changed():
    live = an_instance_at_work(a_cr())

    steps = plan_for(a_cr({"machineLearning": {"enabled": False}, "server": {"image": "other"}}), live).steps

    gone = [step for step in steps if step["verb"] == "delete"]
    assert {tuple(step["after"]) for step in gone} == {("server",)}
    assert min(step["stage"] for step in gone) > max(step["stage"] for step in steps if step not in gone)


def test_what_the_server_does_not_run_with_goes_even_while_it_waits():
    live = an_instance_at_work(a_cr())
    spec = {"machineLearning": {"enabled": False}, "postgres": {"passwordSecretRef": {"name": "absent", "key": "p"}}}

    assert deletions(plan_for(a_cr(spec), live)) == both("photos-machine-learning")


def test_a_server_that_is_switched_off_keeps_nothing_of_what_it_ran_with():
    live = an_instance_at_work(a_cr())
    missing = {"valkey": {**EXTERNAL_QUEUES, "passwordSecretRef": {"name": "absent", "key": "p"}}}

    gone = deletions(plan_for(a_cr({"server": {"enabled": False}, **missing}), live))

    assert set(gone) == {*both("photos-server"), *both("photos-valkey")}


@pytest.mark.parametrize("is_library_going", [False, True])
def test_pods_that_alone_keep_a_claim_stay_when_their_component_is_switched_off(is_library_going):
    live = an_instance_at_work(a_cr())
    [library] = [manifest for manifest in live if manifest["metadata"]["name"] == "photos-library"]
    library["metadata"] |= {"deletionTimestamp": "2026-11-24T10:00:00Z"} if is_library_going else {}
    neighbour = a_cr({"immich": {"persistence": {"library": {"existingClaim": "photos-library"}}}}, name="second")

    plan = plan_for(a_cr({"server": {"enabled": False}}), live, neighbours=[neighbour])

    assert deletions(plan) == (both("photos-server")[1:] if is_library_going else both("photos-server"))


def test_the_volume_of_a_component_that_is_held_back_is_kept_up():
    cr = a_cr({"machineLearning": {"persistence": {"size": "20Gi"}}})
    cr["spec"]["machineLearning"]["env"] = [{"name": "IMMICH_PORT", "value": "1"}]  # stored before there was a rule

    plan = plan_for(cr, an_instance_at_work(a_cr()))

    assert "machine-learning" in {str(notice.component) for notice in plan.notices if notice.effect == "blocks"}
    assert found(plan, "PersistentVolumeClaim", "photos-ml-cache")
    assert not has(plan, "Deployment", "photos-machine-learning")


booleans = st.booleans()
references = st.sampled_from(
    [
        {"name": "db", "key": "p"},
        {"name": "absent", "key": "p"},
        {"name": "photos-postgres-credentials", "key": "password"},
    ]
)


def optional(**fields):
    return st.fixed_dictionaries({}, optional=fields)


persistence = optional(
    size=st.sampled_from(["5Gi", "10Gi", "20Gi"]),
    existingClaim=st.sampled_from(["nas", "photos-library", "data-photos-postgres-0"]),
    storageClass=st.sampled_from(["fast", ""]),
    accessModes=st.sampled_from([["ReadWriteOnce"], ["ReadWriteMany"]]),
)
specs = optional(
    server=optional(
        enabled=booleans, replicas=st.integers(0, 3), ingress=st.sampled_from([INGRESS["ingress"], {"enabled": False}])
    ),
    machineLearning=optional(enabled=booleans, url=st.just("http://gpu"), persistence=persistence),
    valkey=optional(
        enabled=booleans,
        host=st.just("redis"),
        password=st.just("word"),
        passwordSecretRef=references,
        persistence=persistence,
    ),
    postgres=optional(
        enabled=booleans,
        host=st.just("db"),
        passwordSecretRef=references,
        urlSecretRef=references,
        persistence=persistence,
    ),
    immich=optional(
        configurationKind=st.sampled_from(["ConfigMap", "Secret", "None"]),
        configuration=st.sampled_from([{}, {"oauth": {"clientSecretRef": {"name": "login", "key": "s"}}}]),
        persistence=st.fixed_dictionaries({"library": persistence}),
    ),
)


def is_admitted(spec):
    return not check({"metadata": {"name": "photos"}, "spec": spec})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(specs.filter(is_admitted), specs.filter(is_admitted), st.sets(st.integers(0, 40)), booleans)
def test_no_edit_ever_removes_or_takes_possession_of_data(before, after, lost, route):
    live = an_instance_at_work(a_cr(before), SECRETS, route=route)
    live = [manifest for index, manifest in enumerate(live) if index not in lost]

    plan = plan_for(a_cr(after), live, route=route)

    removed = set(deletions(plan))
    assert not removed & KEPT
    assert not any(kind == "PersistentVolumeClaim" for kind, _ in removed)
    for manifest in plan.objects:
        if (manifest["kind"], manifest["metadata"]["name"]) in KEPT:
            assert "ownerReferences" not in manifest["metadata"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(specs.filter(is_admitted), specs.filter(is_admitted))
def test_planning_changes_nothing_that_it_is_given_and_comes_to_the_same_twice(before, after):
    live = an_instance_at_work(a_cr(before), SECRETS)
    untouched = copy.deepcopy(live)
    cr = a_cr(after)

    first, second = plan_for(cr, live), plan_for(cr, live)

    assert live == untouched
    assert first.as_dict() == second.as_dict()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(specs.filter(is_admitted))
def test_no_object_is_applied_and_removed_in_one_pass_or_applied_twice(spec):
    live = an_instance_at_work(a_cr(), SECRETS)

    plan = plan_for(a_cr(spec), live)

    applied = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in plan.objects]
    assert len(applied) == len(set(applied))
    assert not set(applied) & set(deletions(plan))
