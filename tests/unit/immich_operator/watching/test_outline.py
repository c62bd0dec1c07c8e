# SPDX-License-Identifier: Apache-2.0
"""What is kept of a custom resource: all that decides about passes, and a bounded amount of what its author wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_operator.config.options import PREFIX, Bounds, options_of
from immich_operator.config.watches import Finalizer, Reference, Watch
from immich_operator.kube.label_selectors import Selector
from immich_operator.kube.resources import Kind, Manifest, NamespacedName
from immich_operator.kube.texts import DEEPEST
from immich_operator.passes.conditions import REFUSED, without_refusal
from immich_operator.watching.cache import Change
from immich_operator.watching.outline import (
    LARGEST,
    MOST_NAMES,
    UNFIT,
    extent,
    outline,
    significant_annotations,
    unfit,
)
from immich_operator.watching.triggers import primary_reason

BOUNDS = Bounds(min_period_s=1, max_verbosity=7, max_artifacts=20)
MAIN = NamespacedName("family", "main")
SECRETS = Reference(
    Kind("v1", "Secret"),
    ("spec.env[].secretRef.name", "spec.groups[].env[].name", "spec.password.name", "spec.pull[]"),
    ("{name}-credentials",),
)
MAPS = Reference(Kind("v1", "ConfigMap"), ("spec.env[].configMapRef.name",))
WATCH = Watch(
    kind=Kind("example.org/v1", "Widget"),
    role=Path("/roles/widget"),
    selector=Selector.from_manifest({"matchLabels": {"tier": "gold"}}),
    finalizer=Finalizer(name="example.org/ours"),
    former_finalizer="example.org/former",
    watch_annotations_changes=True,
    references=(SECRETS, MAPS),
)


def a_widget(spec: Any = None, **metadata: Any) -> Manifest:
    return {
        "apiVersion": "example.org/v1",
        "kind": "Widget",
        "metadata": {
            "name": "main",
            "namespace": "family",
            "uid": "u1",
            "generation": 3,
            "labels": {"tier": "gold"},
            **metadata,
        },
        "spec": spec if spec is not None else {},
    }


def size_of(value: Any) -> int:
    return extent(value)[0]


def kept(cr: Manifest) -> int:
    return size_of(outline(cr, WATCH))


def nested(levels: int) -> Any:
    found: Any = 1
    for _unused in range(levels):
        found = {"a": found}
    return found


SPEC = {
    "env": [
        {"secretRef": {"name": "a"}},
        {"configMapRef": {"name": "c"}},
        {"secretRef": {"name": "a"}},
        {"value": "x" * 1_000},
    ],
    "groups": [{"env": [{"name": "d"}]}, {"env": [{"name": "e"}, {"name": ""}]}],
    "password": {"name": "p", "key": "k"},
    "pull": ["r", "s"],
    "text": "y" * 10_000,
}


def test_the_names_of_other_objects_are_kept_once_each_and_nothing_else_of_the_spec() -> None:
    cr = a_widget(SPEC)

    found = outline(cr, WATCH)

    for reference in WATCH.references:
        assert reference.named_by(found) == list(dict.fromkeys(reference.named_by(cr)))
    assert kept(cr) < 1_000


def test_what_cannot_be_a_name_is_none() -> None:
    assert SECRETS.named_by(a_widget({"password": {"name": "x" * 254}})) == ["main-credentials"]


def test_only_labels_and_finalizers_that_decide_are_kept() -> None:
    others = [f"example.org/f{number}" for number in range(1_000)]
    cr = a_widget(
        labels={"tier": "gold", **{f"l{number}": "x" for number in range(1_000)}},
        finalizers=[*others, *["example.org/ours", "example.org/former"] * 1_000],
    )

    metadata = outline(cr, WATCH)["metadata"]

    assert metadata["labels"] == {"tier": "gold"}
    assert metadata["finalizers"] == ["example.org/ours", "example.org/former"]


def test_annotations_that_mean_something_are_read_as_before_and_any_change_of_the_others_is_seen() -> None:
    period = {PREFIX + "reconcile-period": "5m"}
    before = a_widget(annotations={**period, "note": "x" * 100_000})
    after = a_widget(annotations={**period, "note": "x" * 99_999 + "y"})
    applied = a_widget(
        annotations={**before["metadata"]["annotations"], "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    )

    old, new, same = (outline(cr, WATCH) for cr in (before, after, applied))

    assert options_of(old, WATCH, period_s=1, verbosity=0, bounds=BOUNDS).period_s == 300
    assert primary_reason(WATCH, Change("changed", MAIN, old, new)) == "annotations changed"
    assert primary_reason(WATCH, Change("changed", MAIN, old, same)) is None
    assert kept(before) < 1_000


def test_an_annotation_that_is_refused_is_refused_as_before() -> None:
    cr = a_widget(annotations={PREFIX + "reconcile-period": "1" * 262_000})

    whole, found = (options_of(obj, WATCH, period_s=1, verbosity=0, bounds=BOUNDS) for obj in (cr, outline(cr, WATCH)))

    assert found == whole
    assert len(found.problems) == 1


def test_conditions_are_kept_in_short() -> None:
    entries = [{"type": f"T{number}", "status": "True", "message": "x" * 32_000, "more": {}} for number in range(1_000)]
    refused = [{"type": "Ready", "status": "False", "message": REFUSED + "why"}]

    found = outline(a_widget() | {"status": {"conditions": refused + entries}}, WATCH)["status"]

    assert size_of(found) < 20_000
    assert [entry["type"] for entry in found["conditions"][:2]] == ["Ready", "T0"]
    assert without_refusal(found) == found["conditions"][1:]


def test_nobody_can_write_an_outline() -> None:
    cr = a_widget({"a": "x" * LARGEST}, annotations={"digest": "x" * 1_000}) | {UNFIT: ""}

    found = outline(cr, WATCH)

    assert "more than 512 KiB" in found[UNFIT]
    assert size_of(found) < 1_000


@pytest.mark.parametrize(
    ("cr", "words"),
    [
        pytest.param(a_widget({"a": "x" * LARGEST}), "more than 512 KiB, most of them in spec; make it smaller", id="text"),
        pytest.param(a_widget({"a": [[]] * LARGEST}), "most of them in spec;", id="lists"),
        pytest.param(a_widget({"a": list(range(LARGEST))}), "most of them in spec;", id="numbers"),
        pytest.param(a_widget({str(n): 1 for n in range(LARGEST // 8)}), "most of them in spec;", id="keys"),
        pytest.param(a_widget(annotations={"a": "x" * LARGEST}), "in metadata.annotations;", id="annotations"),
        pytest.param(a_widget(labels={"a": "x" * LARGEST}), "in metadata.labels;", id="labels"),
        pytest.param(
            a_widget(managedFields=[{"fieldsV1": {f"f:{n}": {} for n in range(LARGEST // 8)}}]),
            "in metadata.managedFields;",
            id="managed-fields",
        ),
        pytest.param(a_widget() | {"x" * LARGEST: 1, "status": "y" * LARGEST}, "in status;", id="status"),
        pytest.param(a_widget(nested(DEEPEST + 1)), "spec is nested more than 100 levels deep; make it flatter", id="deep"),
        pytest.param(a_widget(nested(50_000)), "spec is nested more than 100 levels deep", id="deeper-than-python"),
        pytest.param(a_widget(managedFields=nested(200)), "metadata.managedFields is nested more than", id="deep-fields"),
        pytest.param(
            a_widget({"pull": [f"n{number}" for number in range(MOST_NAMES)]}),
            "it names more than 1000 objects of the kind Secret; name fewer",
            id="names",
        ),
    ],
)  # fmt: skip
def test_what_is_too_large_or_too_deep_says_so_and_nothing_more_of_it_is_kept(cr: Manifest, words: str) -> None:
    found = outline(cr, WATCH)

    assert words in found[UNFIT]
    assert len(found[UNFIT]) < 300
    assert "spec" not in found
    assert size_of(found) < 2_000


@pytest.mark.parametrize(
    "cr",
    [
        pytest.param(a_widget({"a": "x" * (LARGEST - 1_000)}), id="large"),
        pytest.param(a_widget(nested(DEEPEST - 1)), id="deep"),
        pytest.param(
            a_widget(annotations={"kubectl.kubernetes.io/last-applied-configuration": "x" * LARGEST}), id="applied"
        ),
        pytest.param(a_widget({"pull": ["same"] * 5_000}), id="one-name"),
    ],
)
def test_what_is_within_the_bounds_is_fit(cr: Manifest) -> None:
    assert unfit(cr, WATCH) == ""
    assert UNFIT not in outline(cr, WATCH)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["name", "namespace", "labels", "annotations", "finalizers", "generation", "managedFields"])


@given(st.dictionaries(KEYS, VALUES), VALUES, VALUES)
def test_whatever_a_server_sends_has_an_outline(metadata: Any, spec: Any, status: Any) -> None:
    found = outline({"metadata": metadata, "spec": spec, "status": status}, WATCH)

    assert primary_reason(WATCH, Change("changed", MAIN, found, found)) in {None, "changed", "deleted"}


@given(VALUES)
def test_size_and_levels_are_about_those_of_the_json(value: Any) -> None:
    def levels(part: Any) -> int:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else None
        return 0 if inner is None else 1 + max(map(levels, inner), default=0)

    exact = len(json.dumps(value, ensure_ascii=False))
    size, deep = extent(value)

    assert exact / 8 <= size + 8
    assert size <= 8 * exact + 8
    assert levels(value) - 1 <= deep <= levels(value)


def test_an_outline_has_all_annotations_in_one_digest() -> None:
    assert len(significant_annotations(outline(a_widget(annotations={f"a{n}": "" for n in range(5_000)}), WATCH))) == 1
