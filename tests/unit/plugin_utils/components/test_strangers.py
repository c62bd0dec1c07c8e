# SPDX-License-Identifier: Apache-2.0
"""Volumes and passwords that have the names of ours and belong to somebody else are used as they are, or not at all."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ApiError
from ansible_collections.media.immich.plugins.plugin_utils.kube.applying import apply_steps
from support.instances import (
    a_claim,
    a_cr,
    a_secret,
    an_instance_at_work,
    condition,
    found,
    has,
    notices,
    plan_for,
    report_for,
    without,
)

LIBRARY, DATABASE, CREDENTIALS = "photos-library", "data-photos-postgres-0", "photos-postgres-credentials"
MANAGED_BY, INSTANCE = "app.kubernetes.io/managed-by", "app.kubernetes.io/instance"
HELM = {MANAGED_BY: "Helm"}
CONTROLLED = [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "old", "uid": "u", "controller": True}]
ELSEWHERE = {"enabled": False, "host": "db.example.com", "passwordSecretRef": {"name": "db", "key": "p"}}
SECRET_OF_THE_USER = {"passwordSecretRef": {"name": "db", "key": "p"}}

strangers = pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"labels": HELM}, id="of-helm"),
        pytest.param({"labels": {INSTANCE: "an-argo-application"}}, id="of-an-argo-application"),
        pytest.param({"ownerReferences": CONTROLLED}, id="controlled"),
    ],
)


def touched(plan, name):
    """What the plan does to an object: [(verb, what is written)]."""
    return [
        (step["verb"], step.get("object") or step.get("patch"))
        for step in plan.steps
        if name in (step.get("object", {}).get("metadata", {}).get("name"), step.get("target", {}).get("name"))
    ]


def with_metadata(objects, name, **metadata):
    """The objects, one of them with these metadata in place of its own labels and owners."""
    return [
        {**o, "metadata": {**o["metadata"], "labels": {}, **metadata}} if o["metadata"]["name"] == name else o
        for o in objects
    ]


@strangers
@pytest.mark.parametrize("spec", [{}, {"postgres": ELSEWHERE}], ids=["new-database", "database-elsewhere"])
def test_no_server_is_started_beside_a_library_of_somebody_else_whose_dumps_it_would_replace(metadata, spec):
    there = [a_claim(LIBRARY, **metadata), a_secret("db", p="x")]

    plan, told = plan_for(a_cr(spec), there), condition(report_for(a_cr(spec), there), "ServerReady")

    assert not has(plan, "Deployment", "photos-server")
    assert touched(plan, LIBRARY) == []
    assert (told["status"], told["reason"]) == ("False", "NotAdopted")
    assert f"set spec.immich.persistence.library.existingClaim to {LIBRARY}" in told["message"]
    assert f"kubectl label persistentvolumeclaim {LIBRARY} --namespace family --overwrite" in told["message"]
    assert notices(plan, "warns") == []


def test_a_library_of_somebody_else_is_used_once_it_is_named():
    cr = a_cr({"immich": {"persistence": {"library": {"existingClaim": LIBRARY}}}})

    plan = plan_for(cr, [a_claim(LIBRARY, labels=HELM)])

    assert notices(plan, "blocks") == notices(plan, "warns") == []
    assert has(plan, "Deployment", "photos-server")


@strangers
def test_a_library_of_somebody_else_that_the_server_uses_is_neither_relabelled_nor_grown(metadata):
    cr = a_cr({"immich": {"persistence": {"library": {"size": "50Gi"}}}})
    live = with_metadata(an_instance_at_work(a_cr()), LIBRARY, **metadata)

    plan = plan_for(cr, without_mark(live, LIBRARY))

    assert [
        verb for verb, written in touched(plan, LIBRARY) if verb != "merge" or "labels" in written["metadata"]
    ] == []
    volumes = found(plan, "Deployment", "photos-server")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "library", "persistentVolumeClaim": {"claimName": LIBRARY}} in volumes
    [message] = [notice.message for notice in plan.notices if notice.reason == "NotAdopted"]
    assert message.startswith(f"PersistentVolumeClaim {LIBRARY} is somebody else's (")
    assert "existingClaim to photos-library" in message
    assert f"kubectl label persistentvolumeclaim {LIBRARY} --namespace family --overwrite" in message


@pytest.mark.parametrize("labels", [None, {}, {"team": "family"}], ids=["none", "empty", "of-no-manager"])
def test_a_library_that_nobody_has_marked_is_adopted(labels):
    cr = a_cr({"immich": {"persistence": {"library": {"size": "50Gi"}}}})

    plan = plan_for(cr, [a_claim(LIBRARY, **({"labels": labels} if labels is not None else {}))])

    claim = found(plan, "PersistentVolumeClaim", LIBRARY)
    assert claim["spec"]["resources"]["requests"]["storage"] == "50Gi"
    assert notices(plan, "warns") == []


@strangers
def test_a_running_instance_goes_on_with_a_library_that_somebody_has_marked(metadata):
    cr = a_cr()
    live = an_instance_at_work(cr)

    plan = plan_for(cr, with_metadata(live, LIBRARY, **metadata))

    server, before = (found(p, "Deployment", "photos-server") for p in (plan, plan_for(cr, live)))
    assert server == before
    assert touched(plan, LIBRARY) == []
    assert notices(plan, "blocks") == []


@strangers
def test_no_database_is_started_on_a_claim_of_somebody_else_that_has_the_name_of_ours(metadata):
    cr = a_cr({"postgres": SECRET_OF_THE_USER})
    there = [a_secret("db", p="x"), a_claim(DATABASE, **metadata)]

    plan, told = plan_for(cr, there), condition(report_for(cr, there), "PostgresReady")

    assert touched(plan, DATABASE) == []
    assert not has(plan, "StatefulSet", "photos-postgres")
    assert not has(plan, "Deployment", "photos-server")
    assert (told["status"], told["reason"]) == ("False", "NotAdopted")
    assert f"set spec.postgres.persistence.existingClaim to {DATABASE}" in told["message"]
    assert f"kubectl label persistentvolumeclaim {DATABASE} --namespace family --overwrite" in told["message"]


def what_outlives(live, metadata):
    """The objects that are left when the Immich has been deleted, with the labels that somebody has put on them."""
    kept = [o for o in live if o["metadata"]["name"] in (LIBRARY, DATABASE, CREDENTIALS)]
    for name in (LIBRARY, DATABASE, CREDENTIALS):
        kept = with_metadata(kept, name, **metadata)
    return kept


def without_mark(objects, claim):
    return [
        {**o, "metadata": {**o["metadata"], "annotations": {}}} if o["metadata"]["name"] == claim else o
        for o in objects
    ]


relabelled = pytest.mark.parametrize(
    "metadata", [{"labels": HELM}, {"labels": {INSTANCE: "an-argo-application"}}], ids=["of-helm", "of-argo"]
)


@relabelled
@pytest.mark.parametrize("mark", ["on-both", "noted-only"])
def test_the_database_of_an_immich_that_is_created_again_is_known_whatever_its_labels(metadata, mark):
    kept = what_outlives(an_instance_at_work(a_cr()), metadata)

    plan = plan_for(a_cr(uid="new"), kept if mark == "on-both" else without_mark(kept, DATABASE))

    assert notices(plan, "blocks") == []
    assert has(plan, "StatefulSet", "photos-postgres")
    assert has(plan, "Deployment", "photos-server")
    assert not has(plan, "Secret", CREDENTIALS)


@relabelled
def test_a_database_that_was_scaled_to_zero_comes_back_whatever_the_labels_of_its_claim(metadata):
    live = with_metadata(an_instance_at_work(a_cr()), DATABASE, **metadata)
    scaled = [{**o, "spec": {**o["spec"], "replicas": 0}} if o["kind"] == "StatefulSet" else o for o in live]

    assert found(plan_for(a_cr(), scaled), "StatefulSet", "photos-postgres")["spec"]["replicas"] == 1


def test_a_database_with_our_mark_that_another_controller_keeps_is_not_started():
    kept = with_metadata(what_outlives(an_instance_at_work(a_cr()), {}), DATABASE, ownerReferences=CONTROLLED)

    assert ("postgres", "NotAdopted") in notices(plan_for(a_cr(uid="new"), kept), "blocks")


def test_a_claim_with_the_mark_of_another_library_is_no_proof():
    kept = what_outlives(an_instance_at_work(a_cr()), {"labels": HELM})
    other = {"labels": HELM, "annotations": {"media.rm3l.org/database": "another"}, "uid": "another"}

    plan = plan_for(a_cr(uid="new"), with_metadata(kept, DATABASE, **other))

    assert ("postgres", "NotAdopted") in notices(plan, "blocks")


def test_a_database_claim_of_somebody_else_is_used_once_it_is_named():
    cr = a_cr({"postgres": {**SECRET_OF_THE_USER, "persistence": {"existingClaim": DATABASE}}})

    plan = plan_for(cr, [a_secret("db", p="x"), a_claim(DATABASE, labels=HELM)])

    assert notices(plan, "blocks") == []
    assert has(plan, "StatefulSet", "photos-postgres")


@strangers
def test_a_database_that_runs_goes_on_when_somebody_marks_its_claim_which_is_then_not_grown(metadata):
    cr = a_cr({"postgres": {"persistence": {"size": "50Gi"}}})
    live = an_instance_at_work(cr)

    plan = plan_for(cr, with_metadata(live, DATABASE, **metadata))

    assert notices(plan, "blocks") == []
    assert found(plan, "StatefulSet", "photos-postgres") == found(plan_for(cr, live), "StatefulSet", "photos-postgres")
    assert [verb for verb, written in touched(plan, DATABASE) if "spec" in written] == []
    assert [message.split(" is ")[0] for message in warnings(plan)] == [f"PersistentVolumeClaim {DATABASE}"]


@pytest.mark.parametrize("owner", [("StatefulSet", "photos-postgres"), ("Pod", "photos-postgres-0")])
def test_a_claim_that_the_database_itself_owns_by_a_retention_policy_is_ours(owner):
    cr = a_cr()
    kind, name = owner
    owners = [{"apiVersion": "v1", "kind": kind, "name": name, "uid": "u", "controller": True}]

    plan = plan_for(cr, with_metadata(an_instance_at_work(cr), DATABASE, ownerReferences=owners))

    assert warnings(plan) == []


@strangers
def test_on_claims_of_somebody_else_that_it_runs_with_an_instance_notes_only_what_belongs_together(metadata):
    live = an_instance_at_work(a_cr())
    for claim in (LIBRARY, DATABASE):
        live = without_mark(with_metadata(live, claim, **metadata), claim)

    plan = plan_for(a_cr({"postgres": {"persistence": {"size": "50Gi"}}}), live)

    for claim in (LIBRARY, DATABASE):
        assert touched(plan, claim)
        for verb, patch in touched(plan, claim):
            assert (verb, patch.keys(), patch["metadata"].keys()) == ("merge", {"metadata"}, {"uid", "annotations"})
            assert all(key.startswith("media.rm3l.org/") for key in patch["metadata"]["annotations"])


@strangers
def test_a_password_of_somebody_else_is_used_and_its_secret_never_written(metadata):
    cr = a_cr()
    secret = a_secret(CREDENTIALS, password="theirs")
    there = [{**secret, "metadata": {**secret["metadata"], **metadata}}]

    plan = plan_for(cr, there)

    assert touched(plan, CREDENTIALS) == []
    assert has(plan, "StatefulSet", "photos-postgres")
    [message] = warnings(plan)
    assert message.startswith(f"Secret {CREDENTIALS} is somebody else's (")
    assert "name it in spec.postgres.passwordSecretRef" in message


def test_a_secret_that_nobody_has_marked_is_the_instances_as_after_a_recovery():
    there = [a_secret(CREDENTIALS, password="known"), a_claim(DATABASE)]

    plan = plan_for(a_cr(), there)

    assert [verb for verb, _unused in touched(plan, CREDENTIALS)] == ["merge"]
    assert warnings(plan) == []
    assert notices(plan, "blocks") == []


class Stored:
    """An API server that has these objects, refuses one of these names with 403, and notes what it was sent."""

    def __init__(self, objects, refused=()):
        self.objects = {(o["kind"], o["metadata"]["name"]): o for o in objects}
        self.refused = refused
        self.written = []

    def find(self, ref):
        return self.objects.get((ref.kind, ref.name))

    def apply(self, manifest, **_how):
        name = manifest["metadata"]["name"]
        if name in self.refused:
            raise ApiError(403, "Forbidden", "only dynamically provisioned pvc can be resized", subject=name)
        self.written.append((manifest["kind"], name))
        return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "2"}}

    create = apply


def written(cr, seen, stored):
    """What a pass writes that has seen some of what is stored: Services and ConfigMaps are looked up when they are applied."""
    steps = plan_for(cr, seen).as_dict()["steps"]
    apply_steps(steps, seen, objects_for=lambda _: stored, in_parallel=lambda work: [each() for each in work])
    return stored.written


@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param({"apiVersion": "v1", "kind": "Service", "name": "photos-postgres"}, id="address-of-a-database"),
        pytest.param({"apiVersion": "v1", "kind": "Service", "name": "photos-valkey"}, id="address-of-queues"),
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "name": "photos-immich-config"}, id="settings"),
    ],
)
@pytest.mark.parametrize("is_running", [False, True], ids=["new", "changed"])
def test_no_server_is_started_or_replaced_with_what_somebody_else_has_put_where_it_looks(theirs, is_running):
    metadata = {"name": theirs["name"], "namespace": "family", "uid": "theirs", "labels": {**HELM, INSTANCE: "photos"}}
    there = {"apiVersion": "v1", "kind": theirs["kind"], "metadata": metadata}
    secret = a_secret(CREDENTIALS, password="theirs")
    secret["metadata"]["labels"] = HELM
    seen = without(an_instance_at_work(a_cr()), theirs["kind"], theirs["name"]) if is_running else [secret]

    sent = written(a_cr({"server": {"env": [{"name": "A", "value": "b"}]}}), seen, Stored([there]))

    assert ("Deployment", "photos-server") not in sent
    assert ("Deployment", "photos-machine-learning") in sent or is_running


def test_a_library_that_may_not_grow_keeps_no_server_from_a_change():
    cr = a_cr(
        {"immich": {"persistence": {"library": {"size": "50Gi"}}}, "server": {"env": [{"name": "A", "value": "b"}]}}
    )

    sent = written(cr, an_instance_at_work(a_cr()), Stored([], refused=[LIBRARY]))

    assert ("Deployment", "photos-server") in sent


def test_the_strategy_of_a_deployment_that_somebody_else_controls_is_not_patched():
    cr = a_cr()
    [server] = [
        o for o in an_instance_at_work(cr) if (o["kind"], o["metadata"]["name"]) == ("Deployment", "photos-server")
    ]
    rest = without(an_instance_at_work(cr), "Deployment", "photos-server")
    rolling = {**server["spec"], "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    theirs = {**server, "metadata": {**server["metadata"], "ownerReferences": CONTROLLED}, "spec": rolling}

    plan = plan_for(cr, [*rest, theirs])

    assert [verb for verb, _unused in touched(plan, "photos-server") if verb != "apply"] == []


def warnings(plan):
    return [notice.message for notice in plan.notices if notice.effect == "warns"]
