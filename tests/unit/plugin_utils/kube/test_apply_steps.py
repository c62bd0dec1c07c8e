# SPDX-License-Identifier: Apache-2.0
"""The order of steps, what they are compared with, and what becomes of a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import (
    ApiError,
    Conflict,
    ObjectRef,
    Unreachable,
)
from ansible_collections.media.immich.plugins.plugin_utils.kube.applying import apply_steps, explained, misuse
from ansible_collections.media.immich.plugins.plugin_utils.kube.manifest_diff import object_diff

Manifest = dict[str, Any]


class Recorder:
    """Answers every write with what was sent, notes it, and fails for the names in `errors`."""

    def __init__(self, errors: Mapping[str, Exception] | None = None, stored: Iterable[Manifest] = ()) -> None:
        self.errors = errors or {}
        self.stored = {item["metadata"]["name"]: item for item in stored}
        self.calls: list[tuple[str, str]] = []
        self.forced: list[bool] = []

    def _note(self, verb: str, name: str) -> None:
        self.calls.append((verb, name))
        if name in self.errors and verb != "find":
            raise self.errors[name]

    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "find"]

    def find(self, ref: ObjectRef) -> Manifest | None:
        self._note("find", ref.name)
        return self.stored.get(ref.name)

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        self._note("apply", manifest["metadata"]["name"])
        self.forced.append(force)
        return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "2"}}

    create = would_apply = apply

    def merge(self, ref: ObjectRef, patch: Mapping[str, Any]) -> Manifest:
        self._note("merge", ref.name)
        return {"kind": ref.kind, "metadata": {"name": ref.name, "resourceVersion": "2"}, **patch}

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        self._note(f"delete {uid}", ref.name)
        return ref.name in self.stored


def config_map(name: str, **data: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}, "data": data}


def step(verb: str, name: str, **rest: Any) -> Manifest:
    key = "object" if verb in ("apply", "create") else "target"
    subject = (
        config_map(name, a="b")
        if key == "object"
        else {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "namespace": "n"}
    )
    return {"verb": verb, "component": "c", key: subject, **rest}


def run(steps: list[Manifest], recorder: Recorder, live: list[Manifest] | None) -> list[Any]:
    def one_by_one(work: Iterable[Callable[[], Any]]) -> list[Any]:
        return [item() for item in work]

    outcomes: list[Any] = apply_steps(steps, live, objects_for=lambda _: recorder, in_parallel=one_by_one)
    return outcomes


def test_stages_run_in_order_and_results_come_in_the_order_of_the_steps() -> None:
    recorder = Recorder()
    steps = [step("apply", "last", stage=2), step("apply", "first"), step("merge", "middle", stage=1, patch={})]

    outcomes = run(steps, recorder, [])

    assert recorder.writes() == [("apply", "first"), ("merge", "middle"), ("apply", "last")]
    assert [outcome.ref.name for outcome in outcomes] == ["last", "first", "middle"]


def test_an_object_that_is_as_desired_costs_no_request_and_no_client() -> None:
    def no_client(ref: ObjectRef) -> Recorder:
        raise AssertionError(f"a client was made for {ref}")

    steps = [step("apply", "same"), step("create", "same")]
    live = [config_map("same", a="b")]

    outcomes = apply_steps(steps, live, objects_for=no_client, in_parallel=lambda work: [item() for item in work])

    assert [(outcome.changed, outcome.object) for outcome in outcomes] == [(False, live[0])] * 2


def test_without_live_objects_each_is_read_first() -> None:
    recorder = Recorder(stored=[config_map("same", a="b"), config_map("other", a="x")])

    run([step("apply", "same"), step("apply", "other")], recorder, None)

    assert recorder.calls == [("find", "same"), ("find", "other"), ("apply", "other")]


def test_a_refusal_is_a_result_and_holds_back_no_other_component() -> None:
    refusal = ApiError(403, "Forbidden", "exceeded quota: small", subject="ConfigMap n/bad")
    steps = [step("apply", "bad"), step("apply", "good"), step("apply", "later", stage=1, component="other")]

    bad, good, later = (outcome.as_dict() for outcome in run(steps, Recorder({"bad": refusal}), []))

    assert (bad["changed"], bad["status_code"]) == (False, 403)
    assert "exceeded quota: small" in bad["error"]
    assert (good["changed"], good["error"], later["changed"]) == (True, None, True)


def test_only_when_nothing_got_an_answer_there_is_no_api_server() -> None:
    gone = Unreachable("gone")
    steps = [step("apply", "a"), step("apply", "b")]

    with pytest.raises(Unreachable):
        run(steps, Recorder({"a": gone, "b": gone}), [])

    assert run(steps, Recorder({"a": gone}), [])[0].as_dict()["error"] == "gone"
    assert run([], Recorder(), []) == []


@pytest.mark.parametrize("reason", ["AlreadyExists", "Conflict"])
def test_a_create_that_lost_the_race_keeps_what_the_other_made(reason: str) -> None:
    taken = Conflict(409, reason, "", subject="")
    theirs = config_map("taken", a="theirs")

    [outcome] = run([step("create", "taken")], Recorder({"taken": taken}, [theirs]), [])

    assert (outcome.changed, outcome.object, outcome.error) == (False, theirs, None)


def test_a_delete_names_the_uid_and_is_fine_when_nothing_is_there() -> None:
    recorder = Recorder()
    deletion = step("delete", "gone")
    deletion["target"]["uid"] = "u1"

    [outcome] = run([deletion], recorder, [])

    assert recorder.calls == [("delete u1", "gone")]
    assert (outcome.changed, outcome.error) == (False, None)


def test_a_later_stage_is_compared_with_what_an_earlier_one_left() -> None:
    recorder = Recorder()

    outcomes = run([step("apply", "x"), step("apply", "x", stage=1)], recorder, [])

    assert recorder.writes() == [("apply", "x")]
    assert [outcome.changed for outcome in outcomes] == [True, False]


def test_a_failed_step_holds_back_the_later_stages_of_its_component() -> None:
    """So that no database is set up with a password that could not be stored."""
    recorder = Recorder({"password": ApiError(500, "InternalError", "webhook", subject="Secret n/password")})
    steps = [step("create", "password"), step("apply", "beside"), step("apply", "database", stage=2)]

    outcomes = [outcome.as_dict() for outcome in run(steps, recorder, [])]

    assert recorder.writes() == [("apply", "password"), ("apply", "beside")]
    assert (
        outcomes[2]["error"] == "ConfigMap n/database: left as it is, because ConfigMap n/password could not be written"
    )


def marked(manifest: Manifest, manager: str | None, owner: str | None = None) -> Manifest:
    metadata = {**manifest["metadata"], "labels": {"app.kubernetes.io/managed-by": manager} if manager else {}}
    return {**manifest, "metadata": {**metadata, **({"ownerReferences": [{"uid": owner}]} if owner else {})}}


@pytest.mark.parametrize(
    ("there", "is_taken"),
    [
        pytest.param(marked(config_map("x", a="theirs"), "Helm"), True, id="somebody-elses"),
        pytest.param(marked(config_map("x", a="theirs"), None), True, id="unmarked"),
        pytest.param(marked(config_map("x", a="theirs"), None, "our-cr"), False, id="ours-with-a-lost-label"),
        pytest.param(marked(config_map("x", a="theirs"), "immich-operator"), False, id="ours"),
        pytest.param({**config_map("x", a="theirs"), "kind": "PersistentVolumeClaim"}, True, id="claim-to-be-owned"),
    ],
)
@pytest.mark.parametrize("is_known", [False, True], ids=["looked-up", "read-by-reference"])
def test_an_object_that_somebody_else_made_is_not_overwritten(there: Manifest, is_taken: bool, is_known: bool) -> None:
    recorder = Recorder(stored=[there])
    wanted = {**marked(config_map("x", a="ours"), "immich-operator", "our-cr"), "kind": there["kind"]}

    [outcome] = run([{"verb": "apply", "component": "c", "object": wanted}], recorder, [there] if is_known else [])

    assert recorder.writes() == ([] if is_taken else [("apply", "x")])
    assert ("was created by somebody else" in str(outcome.error)) is is_taken


def test_a_claim_without_owner_is_taken_on_because_its_data_is_what_the_instance_looks_for() -> None:
    there = {**config_map("x", a="theirs"), "kind": "PersistentVolumeClaim"}
    recorder = Recorder(stored=[there])
    wanted = {**marked(config_map("x", a="ours"), "immich-operator"), "kind": "PersistentVolumeClaim"}

    run([{"verb": "apply", "component": "c", "object": wanted}], recorder, [])

    assert recorder.writes() == [("apply", "x")]


class Overtaken(Recorder):
    """Somebody makes, or replaces, an object between the look and the write; the API server then refuses what is not meant
    for that one: an apply without force, or with the uid of another."""

    def __init__(self, arrives: Manifest, stored: Iterable[Manifest] = ()) -> None:
        super().__init__(stored=stored)
        self.arrives = arrives

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        self.stored[self.arrives["metadata"]["name"]] = self.arrives
        uid = manifest["metadata"].get("uid")
        if not force:
            raise Conflict(409, "Conflict", "conflicts with somebody", subject="ConfigMap n/x")
        if uid and uid != self.arrives["metadata"].get("uid"):
            told = "metadata.uid: Invalid value: field is immutable"
            raise ApiError(422, "Invalid", told, subject="ConfigMap n/x", fields=("metadata.uid",))
        return super().apply(manifest, force=force)


def with_uid(manifest: Manifest, uid: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "uid": uid}}


THEIRS = with_uid(marked(config_map("x", a="theirs"), "Helm"), "theirs")


@pytest.mark.parametrize(
    "seen", [[], [with_uid(marked(config_map("x", a="old"), "immich-operator"), "ours")]], ids=["made", "replaced"]
)
def test_what_somebody_makes_between_the_look_and_the_write_is_not_overwritten(seen: list[Manifest]) -> None:
    recorder = Overtaken(THEIRS, stored=seen)
    wanted = marked(config_map("x", a="ours"), "immich-operator", "our-cr")

    [outcome] = run([{"verb": "apply", "component": "c", "object": wanted}], recorder, seen)

    assert recorder.writes() == []
    assert "was created by somebody else (its label app.kubernetes.io/managed-by is Helm)" in str(outcome.error)


class Removed(Recorder):
    """Somebody removes an object between the look and the write; the API server then refuses what means that one."""

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        if manifest["metadata"].get("uid"):
            told = "uid mismatch: the provided object specified uid ours, and no existing object was found"
            raise Conflict(409, "Conflict", told, subject="ConfigMap n/x")
        return super().apply(manifest, force=force)


@pytest.mark.parametrize(
    ("kind", "is_made"),
    [
        pytest.param("ConfigMap", True, id="any-object"),
        pytest.param("PersistentVolumeClaim", False, id="a-claim-whose-data-is-gone"),
        pytest.param("StatefulSet", False, id="a-database-whose-claim-may-be-gone-too"),
    ],
)
def test_what_is_removed_between_the_look_and_the_write_is_made_again_but_for_volumes(kind: str, is_made: bool) -> None:
    seen = {**with_uid(marked(config_map("x", a="old"), "immich-operator"), "ours"), "kind": kind}
    wanted = {**marked(config_map("x", a="ours"), "immich-operator", "our-cr"), "kind": kind}
    recorder = Removed()

    [outcome] = run([{"verb": "apply", "component": "c", "object": wanted}], recorder, [seen])

    assert recorder.writes() == ([("apply", "x")] if is_made else [])
    assert recorder.forced == ([False] if is_made else []), "somebody may make one just now"
    assert (outcome.error is None) is is_made


def test_a_claim_without_marks_that_is_made_between_the_look_and_the_write_is_taken_on() -> None:
    claim = {"kind": "PersistentVolumeClaim"}
    recorder = Overtaken(with_uid({**config_map("x", a="theirs"), **claim}, "theirs"))
    wanted = {**marked(config_map("x", a="ours"), "immich-operator"), **claim}

    [outcome] = run([{"verb": "apply", "component": "c", "object": wanted}], recorder, [])

    assert recorder.writes() == [("apply", "x")]
    assert outcome.error is None


@pytest.mark.parametrize("alone", [False, True], ids=["may-be-another-ones", "has-to-be-ours"])
def test_a_create_that_comes_second_leaves_the_first_and_fails_where_it_has_to_be_ours(alone: bool) -> None:
    recorder = Recorder({"x": Conflict(409, "Conflict", "conflicts with somebody", subject="ConfigMap n/x")}, [THEIRS])
    steps = [
        {**step("create", "x"), "alone": alone, "component": "key"},
        step("apply", "waits", stage=2, after=["other", "key"]),
    ]

    created, waits = run(steps, recorder, [])

    assert ("made by somebody else in the meantime" in str(created.error)) is alone
    assert (waits.error is not None) is alone


def test_only_what_was_not_there_is_applied_without_force() -> None:
    there = with_uid(marked(config_map("x", a="old"), "immich-operator"), "ours")
    recorder = Recorder(stored=[there])
    steps = [
        {"verb": "apply", "component": "c", "object": marked(config_map(name, a="ours"), "immich-operator", "our-cr")}
        for name in ("x", "new")
    ]

    run(steps, recorder, [there])

    assert dict(zip([name for _unused, name in recorder.writes()], recorder.forced, strict=True)) == {
        "x": True,
        "new": False,
    }


def test_what_a_component_still_runs_with_is_not_cleaned_up_when_it_could_not_be_changed() -> None:
    recorder = Recorder({"server": ApiError(422, "Invalid", "limit", subject="Deployment n/server")})
    clean_up = step("delete", "queues", stage=3, component="valkey", after=["server"])

    outcomes = run([step("apply", "server", component="server", stage=2), clean_up], recorder, [])

    assert recorder.writes() == [("apply", "server")]
    assert "left as it is" in str(outcomes[1].error)


class Clash(Recorder):
    """Refuses an apply until the list has been replaced."""

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        if ("merge", manifest["metadata"]["name"]) not in self.calls:
            self.calls.append(("refused", manifest["metadata"]["name"]))
            raise ApiError(422, "Invalid", 'ports[1].name: Duplicate value: "http"', subject="Service n/x")
        return super().apply(manifest, force=force)


def test_where_items_of_others_clash_with_ours_the_lists_are_replaced() -> None:
    there = {**config_map("x"), "spec": {"ports": [{"name": "http", "port": 80}]}}
    recorder = Clash()
    wanted = {**config_map("x"), "spec": {"ports": [{"name": "http", "port": 2283}]}}

    [outcome] = run([{"verb": "apply", "component": "c", "object": wanted}], recorder, [there])

    assert recorder.writes() == [("refused", "x"), ("merge", "x"), ("apply", "x")]
    assert (outcome.changed, outcome.error) == (True, None)


ANEW = (
    "spec.selector of a live {} cannot change: set it back, or run `kubectl delete {} x -n n --cascade=orphan` and it "
    "is created again"
)


@pytest.mark.parametrize(
    ("kind", "status_code", "reason", "message", "remedy"),
    [
        pytest.param(
            "Deployment",
            422,
            "Invalid",
            "spec.selector: field is immutable",
            ANEW.format("Deployment", "deployment"),
            id="selector",
        ),
        pytest.param(
            "StatefulSet",
            422,
            "Invalid",
            "updates to statefulset spec for fields other than 'replicas' are forbidden",
            ANEW.format("StatefulSet", "statefulset"),
            id="claim-template",
        ),
        pytest.param(
            "PersistentVolumeClaim",
            422,
            "Invalid",
            "spec is immutable after creation",
            "spec.selector of a volume claim can't change: set it back in the custom resource",
            id="claim",
        ),
        pytest.param(
            "Service",
            409,
            "Conflict",
            "the UID in the precondition does not match",
            "It was replaced or changed since it was read; the next pass reads it again",
            id="replaced",
        ),
        pytest.param(
            "Service",
            409,
            "AlreadyExists",
            "object is being deleted",
            "It is still being deleted; the next pass creates it again",
            id="being-deleted",
        ),
        pytest.param(
            "Service",
            403,
            "Forbidden",
            "unable to create new content in namespace n because it is being terminated",
            "Nothing can be created in a namespace that is being deleted",
            id="namespace-goes",
        ),
        pytest.param("Service", 422, "Invalid", "spec.ports: Required value", None, id="nothing-to-add"),
    ],
)
def test_a_refusal_says_what_to_do(kind: str, status_code: int, reason: str, message: str, remedy: str | None) -> None:
    ref = ObjectRef("apps/v1", kind, "x", "n")
    error = ApiError(status_code, reason, message, subject=str(ref), fields=("spec.selector",))

    text = f"{kind} n/x: {status_code} {reason}: {message}"
    assert explained(error, ref) == (f"{text}. {remedy}" if remedy else text)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        pytest.param([step("apply", "x")], None, id="fine"),
        pytest.param(["x"], "steps[0].verb must be one of apply, create, merge, delete, not None", id="no-mapping"),
        pytest.param(
            [{"verb": "patch"}], "steps[0].verb must be one of apply, create, merge, delete, not 'patch'", id="verb"
        ),
        pytest.param([{"verb": "apply"}], "steps[0].object must be a mapping", id="no-object"),
        pytest.param([step("apply", "")], "steps[0].object must have apiVersion, kind and a name", id="no-name"),
        pytest.param([step("merge", "x")], "steps[0].patch must be a mapping", id="no-patch"),
        pytest.param([step("apply", "x", stage="1")], "steps[0].stage must be a number", id="stage"),
        pytest.param([step("apply", "x", after="c")], "steps[0].after must be a list of components", id="after"),
    ],
)
def test_steps_that_make_no_sense_are_named_before_anything_is_sent(steps: list[Any], message: str | None) -> None:
    assert misuse(steps) == message


def test_a_diff_hides_the_values_of_secrets_but_not_that_they_changed() -> None:
    before = {"kind": "Secret", "metadata": {"name": "s", "uid": "1"}, "data": {"a": "b2xk", "b": "c2FtZQ=="}}
    after = {"kind": "Secret", "metadata": {"name": "s", "uid": "1"}, "data": {"a": "bmV3", "b": "c2FtZQ=="}}

    diff = object_diff("Secret n/s", before, after)

    assert diff["before"]["data"] == {"a": "(hidden)", "b": "(hidden)"}
    assert diff["after"]["data"] == {"a": "(hidden, changed)", "b": "(hidden)"}
    assert object_diff("Secret n/s", None, after)["before"] == {}


def test_a_diff_shows_no_bookkeeping() -> None:
    live = {"kind": "ConfigMap", "metadata": {"name": "x", "managedFields": [], "resourceVersion": "1"}, "status": {}}

    assert object_diff("x", live, None)["before"] == {"kind": "ConfigMap", "metadata": {"name": "x"}}


def test_check_mode_takes_a_step_for_possible_that_an_earlier_one_prepares() -> None:
    refusal = ApiError(422, "Invalid", "rollingUpdate: Forbidden", subject="ConfigMap n/x")
    steps = [step("merge", "x", patch={"data": {"a": "c"}}), step("apply", "x", stage=1), step("apply", "y", stage=1)]
    recorder = Recorder({"y": refusal}, stored=[config_map("x", a="old"), config_map("y", a="old")])

    def refuse(manifest: Manifest, *, force: bool = True) -> Manifest:
        raise refusal

    def carried_out(*, dry_run: bool) -> list[tuple[bool, bool]]:
        outcomes = apply_steps(
            steps,
            [config_map("x", a="old"), config_map("y", a="old")],
            objects_for=lambda _: recorder,
            in_parallel=lambda work: [item() for item in work],
            dry_run=dry_run,
        )
        return [(outcome.changed, outcome.error is not None) for outcome in outcomes]

    recorder.apply = refuse  # type: ignore[method-assign]

    assert carried_out(dry_run=True)[1:] == [(True, False), (False, True)], "y was prepared by nothing"
    assert carried_out(dry_run=False)[1:] == [(False, True), (False, True)]


class TestInParts:
    """The steps of one plan in several calls come to the same as in one."""

    def one_by_one(self, work: Iterable[Callable[[], Any]]) -> list[Any]:
        return [item() for item in work]

    def carry_out(
        self, steps: list[Manifest], recorder: Recorder, live: list[Manifest], *, dry_run: bool = False
    ) -> list[Manifest]:
        """A call for each step."""
        results: list[Manifest] = []
        for each in steps:
            outcomes = apply_steps(
                [each],
                live,
                objects_for=lambda _: recorder,
                in_parallel=self.one_by_one,
                dry_run=dry_run,
                earlier=results,
            )
            results += [{**outcome.as_dict(), "stage": each.get("stage", 0)} for outcome in outcomes]
        return results

    def test_what_an_earlier_part_failed_at_holds_back_what_comes_after_it_and_nothing_else(self) -> None:
        recorder = Recorder({"bad": ApiError(403, "Forbidden", "no", subject="ConfigMap n/bad")})
        steps = [
            step("apply", "bad", component="server"),
            step("apply", "beside", component="server"),
            step("delete", "old", component="valkey", after=["server"], stage=3),
            step("apply", "good", component="postgres", stage=2),
        ]

        bad, beside, old, good = self.carry_out(steps, recorder, [config_map("old")])

        assert "no" in bad["error"]
        assert old["error"] == "ConfigMap n/old: left as it is, because ConfigMap n/bad could not be written"
        assert [(item["changed"], item["error"]) for item in (beside, good)] == [(True, None), (True, None)]

    def test_an_object_that_an_earlier_part_has_changed_is_not_taken_for_the_old_one(self) -> None:
        old = config_map("x", a="old")
        recorder = Recorder(stored=[old])
        steps = [step("merge", "x", patch={"data": {"a": "new"}}), step("delete", "x"), step("apply", "x")]

        self.carry_out(steps, recorder, [old])

        assert recorder.calls[-2:] == [("find", "x"), ("apply", "x")], "it is gone, so it is looked up"

    def test_check_mode_takes_a_step_for_possible_that_an_earlier_part_prepares(self) -> None:
        refusal = ApiError(422, "Invalid", "rollingUpdate: Forbidden", subject="ConfigMap n/x")
        old = config_map("x", a="old")
        recorder = Recorder(stored=[old])

        def refuse(manifest: Manifest, *, force: bool = True) -> Manifest:
            raise refusal

        recorder.apply = refuse  # type: ignore[method-assign]
        steps = [step("merge", "x", patch={"data": {"a": "c"}}), step("apply", "x")]

        assert [bool(r["error"]) for r in self.carry_out(steps, recorder, [old], dry_run=True)] == [False, False]
        assert [bool(r["error"]) for r in self.carry_out(steps, recorder, [old], dry_run=False)] == [False, True]
