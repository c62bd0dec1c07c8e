# SPDX-License-Identifier: Apache-2.0
"""Which custom resources need no pass, because nothing has changed since the end of their last successful one.

A role returns the versions of all objects as its pass left them (`report.observed` of a task's result, see
`SeenVersions`). When the caches hold exactly these versions, and the custom resource has the generation and annotations
that the pass was for, another pass would read the same and write nothing. In all other cases, for roles that return
nothing, and while the caches do not follow the cluster, the pass is run: a stale cache costs an unnecessary pass, never
a missed one.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from immich_operator.config.watches import Watch
from immich_operator.kube.resources import Kind, Manifest, NamespacedName, is_deleting, metadata_of, ref_of
from immich_operator.watching.cache import Change, Trace
from immich_operator.watching.outline import significant_annotations

LIFETIME_S: Final = 24 * 3600.0

Versions = dict[str, str]
"""{"Deployment/photos-server": resource version}"""


@dataclass(frozen=True, slots=True)
class SeenVersions:
    """What a pass saw at its end: dependents by the watch entry's selector, and the objects that the resource names."""

    dependents: Versions
    references: Mapping[str, str | None]

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> SeenVersions | None:
        """None if the role returns nothing usable."""
        found = report.get("observed")
        if not isinstance(found, Mapping):
            return None
        dependents, references = found.get("dependents"), found.get("references")
        if not isinstance(dependents, Mapping) or not isinstance(references, Mapping):
            return None
        return cls({str(key): str(value) for key, value in dependents.items()}, dict(references))


class Digest(NamedTuple):
    """What a pass depended on, and when it ended, in seconds since the epoch."""

    text: str
    since: int

    def has_expired(self, now: float) -> bool:
        """Not all at the same time, even if they were created together: the text decides."""
        share = int(self.text[:4], 16) / 0xFFFF
        return not 0 <= now - self.since < LIFETIME_S * (0.75 + 0.5 * share)


class Settled:
    """Thread-safe memory of one entry of watches.yaml.

    What it keeps of a pass is a digest of all that the pass depended on; the same digest of the caches later means that
    nothing has changed. As resource versions are never used twice, a digest may outlive the process: see `memory`. Only an
    API server that was restored to an older state uses them again: see `restored`.

    It is not valid forever, because a role may read what is not watched (such as a StorageClass), and a newer CRD may
    have other defaults: after LIFETIME_S, plus or minus a quarter, a pass is run anyway.

    Args:
        reference_version: version of an object that custom resources name, None when there is none.
        reliable: whether the caches follow the cluster at this moment.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        watch: Watch,
        reference_version: Callable[[Kind, NamespacedName], str | None],
        *,
        reliable: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._watch = watch
        self._reference_version = reference_version
        self._reliable = reliable
        self._clock = clock
        self._lock = threading.Lock()
        self._present: defaultdict[NamespacedName, Versions] = defaultdict(dict)
        self._memory: dict[NamespacedName, Digest] = {}
        self._served: set[str] = set()
        self._epoch = 0

    def dependent(self, kind: Kind, change: Change[Trace]) -> None:
        """Keep up with the caches; called for every change of a dependent, before anything reacts to it."""
        key = f"{kind.kind}/{change.ref.name}"
        with self._lock:
            if change.old is not None and change.old.owner is not None:
                self._present[change.old.owner].pop(key, None)
                if not self._present[change.old.owner]:
                    del self._present[change.old.owner]
            if change.new is not None and change.new.owner is not None:
                self._present[change.new.owner][key] = change.new.resource_version

    def remember(self, cr: Manifest, observed: SeenVersions | None, *, since: int) -> None:
        """A pass over this custom resource has succeeded; `since` is what `forget` returned at its start."""
        if (ref := ref_of(cr)) is None:
            return
        names = [name for name, _ in self._named(cr)]
        is_complete = observed is not None and observed.references.keys() >= set(names)
        with self._lock:
            if observed is None or not is_complete or is_deleting(cr) or since != self._epoch:
                self._memory.pop(ref, None)
            else:
                references = [(name, observed.references[name]) for name in names]
                digest = _digest(cr, observed.dependents, references, self._served)
                self._memory[ref] = Digest(digest, int(self._clock()))

    def forget(self, ref: NamespacedName) -> int:
        """A pass begins, or the custom resource is gone. Returns the epoch, which ends when an API comes or goes
        and when an older state is restored."""
        with self._lock:
            self._memory.pop(ref, None)
            return self._epoch

    def api(self, kind: Kind, served: bool) -> None:
        """An optional kind came or went, so that the same objects may call for other ones."""
        with self._lock:
            (self._served.add if served else self._served.discard)(str(kind))
            self._memory.clear()
            self._epoch += 1

    def restored(self) -> None:
        """The API server holds an older state than before, so that it may give the same versions to other contents."""
        with self._lock:
            self._memory.clear()
            self._epoch += 1

    def holds(self, cr: Manifest) -> bool:
        """True if a pass over this custom resource could not change anything."""
        if (ref := ref_of(cr)) is None or not metadata_of(cr).get("generation"):
            return False  # without a generation a change of the spec can't be detected
        if not self._reliable():
            return False
        references = [(name, self._reference_version(kind, other)) for name, (kind, other) in self._named(cr)]
        with self._lock:
            known = self._memory.get(ref)
            if known is None or known.has_expired(self._clock()):
                return False
            return known.text == _digest(cr, self._present.get(ref, {}), references, self._served)

    def digests(self) -> dict[NamespacedName, Digest]:
        """What is remembered, for `restore` in another process."""
        with self._lock:
            return dict(self._memory)

    def restore(self, digests: Mapping[NamespacedName, Digest]) -> None:
        """Before the first pass: what another process has remembered."""
        with self._lock:
            self._memory = {**digests, **self._memory}

    def _named(self, cr: Manifest) -> list[tuple[str, tuple[Kind, NamespacedName]]]:
        """("Secret/name", which object) for each object that the custom resource names."""
        namespace = str(metadata_of(cr).get("namespace") or "")
        return [
            (f"{reference.kind.kind}/{name}", (reference.kind, NamespacedName(namespace, name)))
            for reference in self._watch.references
            for name in reference.named_by(cr)
        ]


def _digest(
    cr: Manifest, dependents: Mapping[str, str], references: Iterable[tuple[str, str | None]], served: Iterable[str]
) -> str:
    metadata = metadata_of(cr)
    identity = (metadata.get("uid"), metadata.get("generation"), significant_annotations(cr))
    whole = json.dumps([identity, dependents, sorted(set(references), key=str), sorted(served)], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:24]
