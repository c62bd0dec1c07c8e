# SPDX-License-Identifier: Apache-2.0
"""What the reflectors have seen, reduced to what the runtime needs, and the differences worth reporting.

A store keeps one entry per object. Primary objects are kept whole, because a pass needs them. Of all others only a
`Trace` is kept, a few hundred bytes, so that tens of thousands of Secrets cost little memory and stay secret.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from immich_operator.kube.resources import Manifest, NamespacedName, metadata_of, ref_of

E = TypeVar("E")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trace:
    """An object that is not kept: enough to know that it changed and whose it was."""

    resource_version: str
    owner: NamespacedName | None


@dataclass(frozen=True, slots=True)
class Change(Generic[E]):
    """One object before and after; `initial` = found by the first list, so it may have existed for a long time."""

    verb: Literal["created", "changed", "deleted"]
    ref: NamespacedName
    old: E | None
    new: E | None
    initial: bool = False


class Store(Generic[E]):
    """Thread-safe map of one kind's objects in one scope; `listener` is called for each change, outside the lock.

    Args:
        keep: reduces an object to the entry to store.
        version: of an entry, to distinguish a change from a repetition.
    """

    def __init__(
        self, keep: Callable[[Manifest], E], version: Callable[[E], str], listener: Callable[[Change[E]], None]
    ) -> None:
        self._keep = keep
        self._version = version
        self._listener = listener
        self._lock = threading.Lock()
        self._entries: dict[NamespacedName, E] = {}
        self._filled = False

    def put(self, obj: Manifest) -> None:
        """Take one object that was added or modified."""
        if (ref := ref_of(obj)) is None:
            return
        new = self._keep(obj)
        with self._lock:
            old, initial = self._entries.get(ref), not self._filled
            self._entries[ref] = new
        if old is None:
            self._listener(Change("created", ref, None, new, initial))
        elif self._version(old) != self._version(new):
            self._listener(Change("changed", ref, old, new))

    def remove(self, obj: Manifest) -> None:
        """Forget one object that was deleted."""
        if (ref := ref_of(obj)) is None:
            return
        with self._lock:
            old = self._entries.pop(ref, None)
        if old is not None:
            self._listener(Change("deleted", ref, old, None))

    def retain(self, refs: Container[NamespacedName]) -> None:
        """A list has ended, whose objects were all `put`: the others are gone."""
        with self._lock:
            gone = [ref for ref in self._entries if ref not in refs]
            lost = [(ref, self._entries.pop(ref)) for ref in gone]
            self._filled = True
        each(lost, lambda entry: self._listener(Change("deleted", *entry, None)))

    def get(self, ref: NamespacedName) -> E | None:
        with self._lock:
            return self._entries.get(ref)

    def refs(self) -> list[NamespacedName]:
        with self._lock:
            return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def each(items: Iterable[T], call: Callable[[T], object]) -> None:
    """Call it for every item, whatever is raised for one; the first fault is raised afterwards."""
    faults: list[Exception] = []
    for item in items:
        try:
            call(item)
        except Exception as exc:
            faults.append(exc)
    if faults:
        raise faults[0]


class Index:
    """Many-to-many: which primary objects name which other object. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named_by: defaultdict[NamespacedName, set[NamespacedName]] = defaultdict(set)
        self._names: dict[NamespacedName, frozenset[NamespacedName]] = {}

    def set(self, primary: NamespacedName, names: Iterable[NamespacedName]) -> None:
        """Replace what `primary` names; nothing = forget it."""
        fresh = frozenset(names)
        with self._lock:
            known = self._names.pop(primary, frozenset())
            for name in known - fresh:
                self._named_by[name].discard(primary)
                if not self._named_by[name]:
                    del self._named_by[name]
            for name in fresh:
                self._named_by[name].add(primary)
            if fresh:
                self._names[primary] = fresh

    def named_by(self, name: NamespacedName) -> list[NamespacedName]:
        """The primary objects that name `name`, in a fixed order."""
        with self._lock:
            return sorted(self._named_by.get(name, ()))


def resource_version(obj: Mapping[str, Any]) -> str:
    return str(metadata_of(obj).get("resourceVersion", ""))
