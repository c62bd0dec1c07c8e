# SPDX-License-Identifier: Apache-2.0
"""From changes in the caches to keys in the queue: whose pass is due, and the reason in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from immich_operator.config.watches import Reference, Watch
from immich_operator.kube.resources import (
    Kind,
    Manifest,
    NamespacedName,
    is_deleting,
    labels_of,
    metadata_of,
    owner_of,
    ref_of,
)
from immich_operator.watching.cache import Change, Index, Trace, resource_version
from immich_operator.watching.outline import significant_annotations
from immich_operator.watching.reflector import Scope


class Key(NamedTuple):
    """A custom resource in the queue, which all controllers of the process share."""

    controller: str
    ref: NamespacedName


class Adder(Protocol):
    def add(self, key: Key, reason: str, *, at_once: bool = False) -> None: ...


class Triggers:
    """Decides for one entry of watches.yaml. Methods are called by reflector threads.

    Args:
        exists: whether a custom resource is in the cache.
        all_refs: every custom resource in the cache.
        started: whether passes have begun; what a first list finds before that is read by the first passes anyway.
    """

    def __init__(
        self,
        watch: Watch,
        controller: str,
        queue: Adder,
        *,
        exists: Callable[[NamespacedName], bool],
        all_refs: Callable[[], list[NamespacedName]],
        started: Callable[[], bool],
    ) -> None:
        self._watch = watch
        self._controller = controller
        self._queue = queue
        self._exists = exists
        self._all_refs = all_refs
        self._started = started
        self._named = {reference.kind: Index() for reference in watch.references}

    def primary(self, change: Change[Manifest]) -> None:
        """The custom resource itself."""
        for kind, index in self._named.items():
            references = (reference for reference in self._watch.references if reference.kind == kind)
            index.set(change.ref, [name for reference in references for name in _names(reference, change)])
        reason = primary_reason(self._watch, change)
        if reason:
            # Somebody is waiting for it, and there is no burst to wait for: the change is in one object.
            self._queue.add(Key(self._controller, change.ref), reason, at_once=not change.initial)

    def dependent(self, kind: Kind, change: Change[Trace]) -> None:
        """An object that a custom resource owns; if its owner changes, both are notified."""
        if change.initial and not self._started():
            return
        owners = {trace.owner for trace in (change.old, change.new) if trace is not None and trace.owner is not None}
        for owner in sorted(owners):
            if self._exists(owner):
                self._add(owner, f"{kind.kind} {change.ref.name} {change.verb}")

    def referenced(self, kind: Kind, change: Change[Trace]) -> None:
        """An object that custom resources name."""
        if change.initial and not self._started():
            return
        for ref in self._named[kind].named_by(change.ref):
            self._add(ref, f"referenced {kind.kind} {change.ref.name} {change.verb}")

    def api(self, scope: Scope, served: bool) -> None:
        """An optional kind appeared or went away: each custom resource may now want other objects."""
        if not self._started():
            return
        for ref in self._all_refs():
            self._add(ref, f"API {scope.kind} {'appeared' if served else 'went away'}")

    def restored(self) -> None:
        """The API server holds an older state than before: what was done since may have to be done again."""
        if not self._started():
            return
        for ref in self._all_refs():
            self._add(ref, "older state restored")

    def trace(self, obj: Manifest) -> Trace:
        """What is kept of a dependent: its owner by reference, or by the instance label in the same namespace."""
        ref = ref_of(obj)
        name = owner_of(obj, self._watch.kind) or labels_of(obj).get(self._watch.dependents.instance_label)
        owner = NamespacedName(ref.namespace, name) if ref is not None and isinstance(name, str) and name else None
        return Trace(resource_version(obj), owner)

    def _add(self, ref: NamespacedName, reason: str) -> None:
        self._queue.add(Key(self._controller, ref), reason)


def bare_trace(obj: Manifest) -> Trace:
    """What is kept of a referenced object: its version."""
    return Trace(resource_version(obj), None)


def primary_reason(watch: Watch, change: Change[Manifest]) -> str | None:
    """Why a change of a custom resource requires a pass, None if it does not (only its status was written, say)."""
    old, new = change.old, change.new
    if new is None:
        return "deleted"
    if not watch.selector.matches(labels_of(new)):
        return None
    if old is None:
        return "found at start" if change.initial else "created"
    if not watch.selector.matches(labels_of(old)):
        return "labels match the selector now"
    before, after = metadata_of(old), metadata_of(new)
    if before.get("uid") != after.get("uid"):
        return "created again"
    if is_deleting(new) and not is_deleting(old):
        return "deletion requested"
    if before.get("generation") != after.get("generation"):
        return f"generation {before.get('generation')} -> {after.get('generation')}"
    if not after.get("generation"):
        return "changed"  # kinds without generations, where a change of the spec can't be distinguished from others
    if watch.watch_annotations_changes and significant_annotations(old) != significant_annotations(new):
        return "annotations changed"
    return None


def _names(reference: Reference, change: Change[Manifest]) -> list[NamespacedName]:
    """Objects that the custom resource names; listed with and without namespace, as the kind may have none."""
    if change.new is None:
        return []
    names = reference.named_by(change.new)
    return [NamespacedName(namespace, name) for name in names for namespace in {change.ref.namespace, ""}]
