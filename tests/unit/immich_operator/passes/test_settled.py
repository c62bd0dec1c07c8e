# SPDX-License-Identifier: Apache-2.0
"""A pass is left out only when it could not change anything."""

from __future__ import annotations

from typing import Any

import pytest

from immich_operator.config.watches import Reference, Watch
from immich_operator.kube.resources import Kind, NamespacedName
from immich_operator.passes.settled import LIFETIME_S, Digest, SeenVersions, Settled
from immich_operator.watching.cache import Change, Trace

WIDGET, DEPLOYMENT, SECRET = Kind("example.org/v1", "Widget"), Kind("apps/v1", "Deployment"), Kind("v1", "Secret")
ROUTE = Kind("route.openshift.io/v1", "Route")
MAIN = NamespacedName("family", "main")


def a_widget(secret: str = "key", generation: int = 1, **annotations: str) -> dict[str, Any]:
    metadata = {
        "namespace": "family",
        "name": "main",
        "uid": "u1",
        "generation": generation,
        "annotations": annotations,
    }
    return {"kind": "Widget", "metadata": metadata, "spec": {"secret": secret}}


class World:
    """The caches, and a memory that keeps up with them."""

    def __init__(self) -> None:
        self.secrets: dict[NamespacedName, str] = {NamespacedName("family", "key"): "7"}
        watch = Watch(kind=WIDGET, references=(Reference(SECRET, ("spec.secret",)),))
        self.now = 1_000_000.0
        self.up_to_date = True
        self.settled = Settled(
            watch, lambda _kind, ref: self.secrets.get(ref), reliable=lambda: self.up_to_date, clock=lambda: self.now
        )
        self.versions: dict[str, str] = {}
        self.set("web", "5")

    def set(self, name: str, version: str | None) -> None:
        old, new = (Trace(v, MAIN) if v else None for v in (self.versions.get(name), version))
        verb = "deleted" if new is None else "changed" if old else "created"
        self.settled.dependent(DEPLOYMENT, Change(verb, NamespacedName("family", name), old, new))
        self.versions = {**self.versions, name: version} if version else {}


AS_SEEN = SeenVersions({"Deployment/web": "5"}, {"Secret/key": "7"})


@pytest.fixture
def world() -> World:
    world = World()
    world.settled.remember(a_widget(), AS_SEEN, since=world.settled.forget(MAIN))
    return world


def test_nothing_has_changed_while_the_caches_hold_what_the_pass_saw(world):
    assert world.settled.holds(a_widget())


def test_a_dependent_that_comes_back_to_the_version_of_the_pass_is_no_change(world):
    world.set("web", "4")
    assert not world.settled.holds(a_widget()), "a cache that lags behind"

    world.set("web", "5")

    assert world.settled.holds(a_widget())


@pytest.mark.parametrize(
    ("happen", "cr"),
    [
        pytest.param(lambda w: w.set("web", "6"), a_widget(), id="dependent-changed"),
        pytest.param(lambda w: w.set("web", None), a_widget(), id="dependent-gone"),
        pytest.param(lambda w: w.set("more", "1"), a_widget(), id="dependent-added"),
        pytest.param(
            lambda w: w.secrets.update({NamespacedName("family", "key"): "8"}), a_widget(), id="secret-changed"
        ),
        pytest.param(lambda w: w.secrets.clear(), a_widget(), id="secret-gone"),
        pytest.param(lambda _: None, a_widget(generation=2), id="spec-changed"),
        pytest.param(lambda _: None, a_widget(look="again"), id="annotation-changed"),
        pytest.param(lambda _: None, a_widget(secret="other"), id="names-another-secret"),
        pytest.param(lambda w: w.settled.forget(MAIN), a_widget(), id="a-pass-failed"),
        pytest.param(lambda w: w.settled.api(ROUTE, True), a_widget(), id="an-api-came-or-went"),
        pytest.param(lambda w: w.settled.restored(), a_widget(), id="an-older-state-was-restored"),
        pytest.param(
            lambda w: w.settled.remember(a_widget(), None, since=0), a_widget(), id="a-role-that-hands-nothing-back"
        ),
    ],
)
def test_any_change_calls_for_a_pass(world, happen, cr):
    happen(world)

    assert not world.settled.holds(cr)


def test_nothing_is_known_while_the_caches_cannot_be_relied_on(world):
    world.up_to_date = False
    assert not world.settled.holds(a_widget())

    world.up_to_date = True

    assert world.settled.holds(a_widget())


def test_a_pass_during_which_an_api_came_settles_nothing(world):
    epoch = world.settled.forget(MAIN)
    world.settled.api(ROUTE, True)

    world.settled.remember(a_widget(), AS_SEEN, since=epoch)

    assert not world.settled.holds(a_widget())


def test_a_pass_during_which_an_older_state_was_restored_settles_nothing(world):
    epoch = world.settled.forget(MAIN)
    world.settled.restored()

    world.settled.remember(a_widget(), AS_SEEN, since=epoch)

    assert not world.settled.holds(a_widget())


def test_a_secret_that_is_still_missing_is_no_change(world):
    world.secrets.clear()
    world.settled.remember(a_widget(), SeenVersions({"Deployment/web": "5"}, {"Secret/key": None}), since=0)

    assert world.settled.holds(a_widget())


@pytest.mark.parametrize("report", [{}, {"observed": None}, {"observed": []}, {"observed": {"dependents": {}}}])
def test_a_report_without_usable_versions_settles_nothing(report):
    assert SeenVersions.from_report(report) is None


def test_another_process_knows_what_was_settled_when_its_caches_hold_the_same(world):
    successor = World()
    successor.settled.restore(world.settled.digests())
    assert successor.settled.holds(a_widget())

    successor.set("web", "6")

    assert not successor.settled.holds(a_widget())


def test_another_process_on_a_cluster_with_one_more_api_knows_nothing(world):
    successor = World()
    successor.settled.api(ROUTE, True)

    successor.settled.restore(world.settled.digests())

    assert not successor.settled.holds(a_widget())


def test_a_report_that_leaves_out_a_named_object_settles_nothing(world):
    world.settled.remember(a_widget(), SeenVersions({"Deployment/web": "5"}, {}), since=world.settled.forget(MAIN))

    assert not world.settled.holds(a_widget())


def test_after_a_day_or_so_a_pass_looks_at_what_nobody_watches(world):
    world.now += 0.7 * LIFETIME_S
    assert world.settled.holds(a_widget())

    world.now += 0.6 * LIFETIME_S

    assert not world.settled.holds(a_widget())


def test_not_everything_expires_at_the_same_time():
    now = LIFETIME_S

    assert {Digest(f"{text}{'0' * 20}", 0).has_expired(now) for text in ("0000", "ffff")} == {True, False}


def test_a_kind_without_generations_is_never_settled(world):
    widget = a_widget(generation=None)
    world.settled.remember(widget, AS_SEEN, since=world.settled.forget(MAIN))

    assert not world.settled.holds(widget)
