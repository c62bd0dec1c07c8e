# SPDX-License-Identifier: Apache-2.0
"""Which change leads to whose pass, and the words for it."""

from pathlib import Path
from typing import Any

import pytest

from immich_operator.config.watches import Dependent, Dependents, Reference, Watch
from immich_operator.kube.label_selectors import Selector
from immich_operator.kube.resources import Kind, Manifest, NamespacedName
from immich_operator.watching.cache import Change, Trace
from immich_operator.watching.reflector import Scope
from immich_operator.watching.triggers import Key, Triggers, primary_reason

WIDGET, SECRET, POD = Kind("example.org/v1", "Widget"), Kind("v1", "Secret"), Kind("v1", "Pod")
MAIN = NamespacedName("family", "main")


def a_watch(**options: Any) -> Watch:
    return Watch(
        kind=WIDGET,
        role=Path("/roles/widget"),
        dependents=Dependents(kinds=(Dependent(POD),)),
        references=(Reference(SECRET, ("spec.secretName",)),),
        **options,
    )


def a_widget(name: str = "main", *, spec: object = None, **metadata: Any) -> Manifest:
    return {
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "family", "uid": "u1", "generation": 1, **metadata},
        "spec": spec,
    }


class Recorder:
    """A queue that remembers, and the Triggers that feed it."""

    def __init__(self, watch: Watch | None = None, *, started: bool = True) -> None:
        self.added: list[tuple[str, str]] = []
        self.at_once: list[str] = []
        self.widgets = {MAIN}
        self.triggers = Triggers(
            watch or a_watch(),
            "widget-v1-controller",
            self,
            exists=lambda ref: ref in self.widgets,
            all_refs=lambda: sorted(self.widgets),
            started=lambda: started,
        )

    def add(self, key: Key, reason: str, *, at_once: bool = False) -> None:
        assert key.controller == "widget-v1-controller"
        self.added.append((key.ref.name, reason))
        if at_once:
            self.at_once.append(key.ref.name)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        pytest.param(None, a_widget(), "created", id="created"),
        pytest.param(a_widget(), None, "deleted", id="deleted"),
        pytest.param(a_widget(), a_widget(generation=2), "generation 1 -> 2", id="spec-edited"),
        pytest.param(a_widget(), a_widget(uid="u2"), "created again", id="replaced"),
        pytest.param(
            a_widget(), a_widget(generation=2, deletionTimestamp="now"), "deletion requested", id="deletion-requested"
        ),
        pytest.param(a_widget(), {**a_widget(), "status": {"a": 1}}, None, id="status-written"),
        pytest.param(a_widget(), a_widget(labels={"a": "b"}), None, id="label-set"),
        pytest.param(a_widget(), a_widget(annotations={"a": "b"}), "annotations changed", id="annotation-set"),
        pytest.param(
            a_widget(),
            a_widget(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
            None,
            id="annotation-of-kubectl-apply",
        ),
        pytest.param(a_widget(generation=None), a_widget(generation=None), "changed", id="kind-without-generations"),
    ],
)
def test_a_change_of_a_custom_resource_has_a_reason_or_none(old, new, reason):
    change = Change("changed", MAIN, old, new)

    assert primary_reason(a_watch(watch_annotations_changes=True), change) == reason


def test_annotations_count_only_where_watches_yaml_says_so():
    change = Change("changed", MAIN, a_widget(), a_widget(annotations={"a": "b"}))

    assert primary_reason(a_watch(), change) is None


def test_what_a_user_does_is_due_at_once_and_what_follows_from_it_may_gather():
    edited, found = Recorder(), Recorder()

    edited.triggers.primary(Change("changed", MAIN, a_widget(), a_widget(generation=2)))
    found.triggers.primary(Change("created", MAIN, None, a_widget(), initial=True))

    assert edited.at_once == ["main"]
    assert (found.added, found.at_once) == ([("main", "found at start")], [])


def test_what_the_first_list_finds_is_said_to_be_found():
    assert primary_reason(a_watch(), Change("created", MAIN, None, a_widget(), initial=True)) == "found at start"


def test_the_selector_keeps_others_out_but_lets_a_deletion_through():
    watch = a_watch(selector=Selector.from_manifest({"matchLabels": {"team": "a"}}))

    assert primary_reason(watch, Change("created", MAIN, None, a_widget())) is None
    assert primary_reason(watch, Change("created", MAIN, None, a_widget(labels={"team": "a"}))) == "created"
    joins = Change("changed", MAIN, a_widget(labels={"team": "b"}), a_widget(labels={"team": "a"}))
    assert primary_reason(watch, joins) == "labels match the selector now"
    leaves = Change("changed", MAIN, a_widget(labels={"team": "a"}), a_widget(labels={"team": "b"}))
    assert primary_reason(watch, leaves) is None
    assert primary_reason(watch, Change("deleted", MAIN, a_widget(), None)) == "deleted"


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        pytest.param({"labels": {"app.kubernetes.io/instance": "main"}}, MAIN, id="instance-label"),
        pytest.param(
            {
                "ownerReferences": [
                    {"apiVersion": "example.org/v1", "kind": "Widget", "name": "main", "controller": True}
                ]
            },
            MAIN,
            id="controller-owner",
        ),
        pytest.param({}, None, id="neither"),
        pytest.param({"labels": {"app.kubernetes.io/instance": 7}}, None, id="nonsense-label"),
        pytest.param({"labels": [], "ownerReferences": "x"}, None, id="nonsense-metadata"),
    ],
)
def test_a_dependent_belongs_to_the_resource_that_label_or_owner_name(metadata, owner):
    trace = Recorder().triggers.trace(
        {"metadata": {"name": "p", "namespace": "family", "resourceVersion": "9", **metadata}}
    )

    assert trace == Trace("9", owner)


@pytest.mark.parametrize("verb", ["created", "changed", "deleted"])
def test_any_change_of_a_dependent_triggers_its_owner(verb):
    recorder = Recorder()

    recorder.triggers.dependent(POD, Change(verb, NamespacedName("family", "p"), Trace("1", MAIN), Trace("2", MAIN)))

    assert recorder.added == [("main", f"Pod p {verb}")]


def test_a_dependent_that_changes_hands_triggers_both_owners():
    recorder = Recorder()
    other = NamespacedName("family", "other")
    recorder.widgets.add(other)

    recorder.triggers.dependent(
        POD, Change("changed", NamespacedName("family", "p"), Trace("1", MAIN), Trace("2", other))
    )

    assert recorder.added == [("main", "Pod p changed"), ("other", "Pod p changed")]


def test_a_dependent_of_nobody_we_know_triggers_nothing():
    recorder = Recorder()
    stranger = Trace("2", NamespacedName("family", "stranger"))

    recorder.triggers.dependent(POD, Change("changed", NamespacedName("family", "p"), None, stranger))

    assert recorder.added == []


@pytest.mark.parametrize(("started", "expected"), [(False, []), (True, [("main", "Pod p created")])])
def test_the_first_list_of_dependents_counts_only_when_passes_have_begun(started, expected):
    recorder = Recorder(started=started)

    change = Change("created", NamespacedName("family", "p"), None, Trace("1", MAIN), initial=True)
    recorder.triggers.dependent(POD, change)

    assert recorder.added == expected


@pytest.mark.parametrize("verb", ["created", "changed", "deleted"])
def test_a_secret_triggers_exactly_the_resources_that_name_it(verb):
    recorder = Recorder()
    recorder.triggers.primary(Change("created", MAIN, None, a_widget(spec={"secretName": "s"})))
    elsewhere = NamespacedName("elsewhere", "main")
    recorder.triggers.primary(Change("created", elsewhere, None, a_widget(spec={"secretName": "s"})))
    recorder.added.clear()

    recorder.triggers.referenced(
        SECRET, Change(verb, NamespacedName("family", "s"), Trace("1", None), Trace("2", None))
    )
    recorder.triggers.referenced(
        SECRET, Change(verb, NamespacedName("family", "t"), Trace("1", None), Trace("2", None))
    )

    assert recorder.added == [("main", f"referenced Secret s {verb}")]


def test_names_of_one_kind_may_be_told_in_several_places_of_watches_yaml():
    references = (Reference(SECRET, ("spec.secretName",)), Reference(SECRET, ("spec.other",), ("{name}-made",)))
    recorder = Recorder(Watch(kind=WIDGET, role=Path("/roles/widget"), references=references))
    recorder.triggers.primary(Change("created", MAIN, None, a_widget(spec={"secretName": "s", "other": "t"})))
    recorder.added.clear()

    for name in ("s", "t", "main-made"):
        recorder.triggers.referenced(SECRET, Change("changed", NamespacedName("family", name), None, Trace("2", None)))

    assert recorder.added == [("main", f"referenced Secret {name} changed") for name in ("s", "t", "main-made")]


def test_a_secret_that_is_not_named_any_more_triggers_nothing():
    recorder = Recorder()
    before, after = a_widget(spec={"secretName": "s"}), a_widget(spec={"secretName": "t"}, generation=2)
    recorder.triggers.primary(Change("created", MAIN, None, before))
    recorder.triggers.primary(Change("changed", MAIN, before, after))
    recorder.added.clear()

    recorder.triggers.referenced(SECRET, Change("changed", NamespacedName("family", "s"), None, Trace("2", None)))

    assert recorder.added == []


def test_a_cluster_scoped_object_triggers_whoever_names_it():
    recorder = Recorder()
    recorder.triggers.primary(Change("created", MAIN, None, a_widget(spec={"secretName": "fast"})))
    recorder.added.clear()

    recorder.triggers.referenced(SECRET, Change("created", NamespacedName("", "fast"), None, Trace("1", None)))

    assert recorder.added == [("main", "referenced Secret fast created")]


@pytest.mark.parametrize("spec", [None, "text", [1], {"secretName": {"no": "text"}}])
def test_a_spec_of_any_shape_is_survived(spec):
    recorder = Recorder()

    recorder.triggers.primary(Change("created", MAIN, None, a_widget(spec=spec)))

    assert recorder.added == [("main", "created")]


@pytest.mark.parametrize(("served", "words"), [(True, "appeared"), (False, "went away")])
def test_an_api_that_comes_or_goes_triggers_every_resource(served, words):
    recorder = Recorder()

    recorder.triggers.api(Scope(kind=Kind("route.openshift.io/v1", "Route")), served)

    assert recorder.added == [("main", f"API Route.route.openshift.io {words}")]
