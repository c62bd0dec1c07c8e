# SPDX-License-Identifier: Apache-2.0
"""Caches: what is kept, and which differences are told."""

import pytest

from immich_operator.kube.resources import Manifest, NamespacedName, ref_of
from immich_operator.watching.cache import Change, Index, Store, resource_version
from immich_operator.watching.informers import Fanout


def an_object(name: str, version: str = "1") -> Manifest:
    return {"metadata": {"name": name, "namespace": "family", "resourceVersion": version}}


def listed(store: Store[Manifest], objects: list[Manifest]) -> None:
    """As a reflector takes in a complete list."""
    for obj in objects:
        store.put(obj)
    store.retain({ref for obj in objects if (ref := ref_of(obj)) is not None})


@pytest.fixture
def changes() -> list[tuple[str, str, bool]]:
    return []


@pytest.fixture
def store(changes: list[tuple[str, str, bool]]) -> Store[Manifest]:
    def note(change: Change[Manifest]) -> None:
        changes.append((change.verb, change.ref.name, change.initial))

    return Store(lambda obj: obj, resource_version, note)


def test_the_first_list_is_reported_as_such(store, changes):
    listed(store, [an_object("a"), an_object("b")])

    assert changes == [("created", "a", True), ("created", "b", True)]


def test_a_later_list_tells_only_the_differences(store, changes):
    listed(store, [an_object("same"), an_object("edited"), an_object("lost")])
    changes.clear()

    listed(store, [an_object("same"), an_object("edited", "2"), an_object("new")])

    assert changes == [("changed", "edited", False), ("created", "new", False), ("deleted", "lost", False)]


def test_a_fault_about_one_object_keeps_nothing_about_the_others_back():
    told: list[str] = []

    def tell(change: Change[Manifest]) -> None:
        if change.verb == "deleted" and change.ref.name == "bad":
            raise ValueError("about bad")
        told.append(change.ref.name)

    one, two = (Store(lambda obj: obj, resource_version, tell) for _ in range(2))
    both = Fanout([one, two])
    for name in ("a", "bad", "c"):
        both.put(an_object(name))
    told.clear()

    with pytest.raises(ValueError, match="about bad"):
        both.retain(set())

    assert told == ["a", "c"] * 2
    assert [len(store) for store in (one, two)] == [0, 0]


def test_an_event_that_repeats_what_is_known_is_reported_to_nobody(store, changes):
    listed(store, [an_object("a")])
    changes.clear()

    store.put(an_object("a"))

    assert changes == []


def test_events_are_reported_one_by_one(store, changes):
    listed(store, [])

    store.put(an_object("a"))
    store.put(an_object("a", "2"))
    store.remove(an_object("a", "3"))
    store.remove(an_object("a", "3"))

    assert changes == [("created", "a", False), ("changed", "a", False), ("deleted", "a", False)]
    assert store.get(NamespacedName("family", "a")) is None


@pytest.mark.parametrize("nonsense", [{}, {"metadata": None}, {"metadata": {"name": 5}}, "text", None])
def test_an_entry_without_a_name_is_passed_over_and_the_others_are_kept(nonsense, store):
    listed(store, [nonsense, an_object("a")])
    store.put(nonsense)
    store.remove(nonsense)

    assert store.refs() == [NamespacedName("family", "a")]


def test_the_index_follows_what_an_object_names():
    index = Index()
    photos, music, secret = NamespacedName("f", "photos"), NamespacedName("f", "music"), NamespacedName("f", "secret")

    index.set(photos, [secret, secret])
    index.set(music, [secret])
    assert index.named_by(secret) == [music, photos]

    index.set(photos, [NamespacedName("f", "other")])
    assert index.named_by(secret) == [music]

    index.set(music, [])
    assert index.named_by(secret) == []
