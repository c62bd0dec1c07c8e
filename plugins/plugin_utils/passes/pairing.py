# SPDX-License-Identifier: Apache-2.0
"""Library and database belong together: a library that is in use gets no database but its own.

An empty database beside a full library looks like a new instance, and its nightly dumps push out the good ones. So once
a database has been up, its claim and the library's are marked with the same value. The library's claim also says by
name and uid which claim that was. A database pod says what it finds on its volume before PostgreSQL starts, so that a
volume that was emptied behind its claim is noticed too.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from ..components import database_folder, library, postgres, volumes
from ..components.instance import Instance, Part, Surroundings
from ..components.reasons import Reason
from ..kube.readiness import is_ready
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.names import Component

COMPONENT = "pairing"
"""The component, of no other use, of the steps that mark claims, and end a database that is not the library's."""


def plan(instance: Instance, around: Surroundings, shared: Container[str]) -> Part:
    """Blocks the database, and ends it, where it is not the library's; else sets the marks once it has been up.

    The steps are of no component: what blocks the database does not hold them back, and a claim that may not be written
    to stops nothing. `shared` are the claims that another instance uses too. A library among them is not marked, because
    it would be with the database of whichever instance comes first.
    """
    part = Part(COMPONENT)
    if not instance.is_enabled(Component.POSTGRES):
        return part
    pair = _Pair.of(instance, around)
    if pair.is_emptied or (pair.is_lost and not pair.is_in_use_all_the_same):
        part.blocks(Reason.DATABASE_LOST, _how_to_go_on(instance, pair), component=Component.POSTGRES)
        _end(part, instance, pair)
    elif not pair.is_lost and pair.library_name not in shared:
        _mark(part, pair)
    return part


def _end(part: Part, instance: Instance, pair: _Pair) -> None:
    if pair.is_emptied:
        # First of all, because nothing tells it any more once that pod has ended.
        _annotate(part, pair.database, {names.DATABASE_ANNOTATION: None})
        _annotate(part, pair.library, {names.DATABASE_CLAIM_ANNOTATION: pair.emptied})
    live, has_to_end = pair.stateful_set, pair.is_emptied or pair.is_made_anew
    if live and has_to_end and instance.may_remove(live) and not volumes.is_being_deleted(pair.database):
        # Kubernetes itself makes a lost claim anew, and the server would make a new instance of it.
        part.merge(live, {"spec": {"replicas": 0, **postgres.KEEP_CLAIMS}}, stage=1)


def _mark(part: Part, pair: _Pair) -> None:
    if not (pair.library and pair.database and pair.runs and pair.stateful_set and is_ready(pair.stateful_set)):
        return
    mark = pair.known or pair.found or dig(pair.database, "metadata", "uid", default="")
    on_database = {names.DATABASE_ANNOTATION: mark}
    on_library = {**on_database, names.DATABASE_CLAIM_ANNOTATION: pair.present}
    if pair.empty_pod:
        on_library[names.DATABASE_POD_ANNOTATION] = pair.empty_pod
    # First on the library: its note is enough to know the database's claim by, and a mark on that claim says that its
    # volume is not to be empty.
    _annotate(part, pair.library, on_library)
    _annotate(part, pair.database, on_database, stage=1)


@dataclass(frozen=True, slots=True)
class _Pair:
    library_name: str
    library: Manifest | None
    database_name: str
    database: Manifest | None
    is_default: bool
    """False for a database claim that the custom resource names."""
    is_unreadable: bool
    """Whether there may be a database claim that this operator must not read."""
    stateful_set: Manifest | None
    is_library_in_use: bool
    """Whether the live server mounts this library."""
    empty_pod: str | None
    """The uid of the database's pod, if it found no database on the volume of this claim."""
    seen_instead: str
    """What it found there, as the end of a sentence."""

    @classmethod
    def of(cls, instance: Instance, around: Surroundings) -> _Pair:
        library_name, database_name = library.claim_name(instance), postgres.claim_name(instance)
        database = around.live("PersistentVolumeClaim", database_name)
        server = around.live("Deployment", names.workload_name(instance.name, Component.SERVER))
        empty_pod, seen_instead = next(_pods_without_a_database(around, database_name), (None, ""))
        return cls(
            library_name=library_name,
            library=around.live("PersistentVolumeClaim", library_name),
            database_name=database_name,
            database=database,
            is_default=database_name == names.database_claim(instance.name),
            is_unreadable=database is None and not around.is_known_missing("PersistentVolumeClaim", database_name),
            stateful_set=around.live("StatefulSet", names.workload_name(instance.name, Component.POSTGRES)),
            is_library_in_use=library_name in volumes.mounted_claims(server),
            empty_pod=empty_pod,
            seen_instead=seen_instead,
        )

    @property
    def runs(self) -> bool:
        """Whether the database has a pod on its claim, or is about to."""
        return postgres.runs_on(self.stateful_set, self.database_name)

    @property
    def known(self) -> str | None:
        """The mark of the library."""
        return _annotation(self.library, names.DATABASE_ANNOTATION)

    @property
    def found(self) -> str | None:
        """The mark of the database."""
        return _annotation(self.database, names.DATABASE_ANNOTATION)

    @property
    def noted(self) -> str | None:
        """Name and uid of the claim that the library was last marked with."""
        return _annotation(self.library, names.DATABASE_CLAIM_ANNOTATION)

    @property
    def former_name(self) -> str:
        return (self.noted or "").partition("/")[0]

    @property
    def present(self) -> str:
        """Name and uid of the claim that there is."""
        return f"{self.database_name}/{dig(self.database, 'metadata', 'uid', default='')}"

    @property
    def is_lost(self) -> bool:
        """True when the claim is not known to be the one with the library's database, or there is none.

        A claim without a mark is trusted when it is the very object that was marked, or when the custom resource names
        it and the database was on one of another name.
        """
        if not self.known or self.found == self.known or self.is_unreadable:
            return False
        if self.found:
            return True
        return self.noted != self.present and (self.is_default or self.former_name == self.database_name)

    @property
    def is_emptied(self) -> bool:
        """True when it is the right claim, but its volume was empty when the pod started that there is now."""
        is_right = self.known is not None and (self.found == self.known or self.noted == self.present)
        return is_right and self.empty_pod not in (None, _annotation(self.library, names.DATABASE_POD_ANNOTATION))

    @property
    def emptied(self) -> str:
        """What takes the place of the note about a claim whose volume was found empty."""
        return f"{self.database_name}/emptied"

    @property
    def is_made_anew(self) -> bool:
        """Whether a running database has taken the place of the one that was marked, beside a server with its library."""
        return self.runs and self.is_library_in_use and self.former_name in ("", self.database_name)

    @property
    def is_in_use_all_the_same(self) -> bool:
        """Whether library and database have been used together although the mark is that of another instance."""
        return self.runs and self.is_library_in_use and self.former_name not in ("", self.database_name)


def _how_to_go_on(instance: Instance, pair: _Pair) -> str:
    library_name, database_name, mark = pair.library_name, pair.database_name, names.DATABASE_ANNOTATION
    place = f"--namespace {instance.namespace}"
    annotate = f"kubectl annotate persistentvolumeclaim {place}"
    if pair.database is None:
        state = "does not exist"
    elif pair.is_emptied or pair.noted == pair.emptied:
        state = f"had no database on its volume when it was to be started{pair.seen_instead}"
    elif pair.found:
        state = "belongs to another one"
    else:
        state = f"is not known to hold it (made at {dig(pair.database, 'metadata', 'creationTimestamp', default='?')})"
    right = (
        f"If the two belong together, run `{annotate} {library_name} --overwrite {mark}={pair.found}`"
        if pair.found and not pair.is_emptied
        else f"If {database_name} was put back from a backup, run `{annotate} {database_name} {mark}={pair.known}`"
    )
    server = names.workload_name(instance.name, Component.SERVER)
    return (
        f"PersistentVolumeClaim {library_name} is the library of a database that was set up before, but "
        f"PersistentVolumeClaim {database_name} {state}, so no database is started on it. Name the claim that holds it in "
        f"{postgres.PATH}.persistence.existingClaim. {right}. To load a dump into an empty database, set "
        f"spec.server.replicas to 0 and run `kubectl scale deployment {server} {place} --replicas 0`, then `{annotate} "
        f"{library_name} {mark}-`. The how-to about rescuing a volume has all steps"
    )


def _pods_without_a_database(around: Surroundings, claim: str) -> Iterator[tuple[str | None, str]]:
    """(uid, what it found instead) of each pod that found no database on the volume of that claim."""
    for pod in around.pods:
        seen = database_folder.seen_by(pod)
        if seen and seen.is_without_database and claim in volumes.claims_of_pods([pod], Component.POSTGRES):
            yield pod["metadata"].get("uid"), f", only {', '.join(seen.has)}" if seen.has else ""


def _annotate(part: Part, claim: Manifest | None, wanted: Mapping[str, str | None], *, stage: int = 0) -> None:
    """Patch the annotations of a claim that differ. None removes one."""
    if claim and any(_annotation(claim, key) != value for key, value in wanted.items()):
        # The uid makes the API server refuse it for a claim that has taken the place of the one that was read.
        part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": dict(wanted)}}, stage=stage)


def _annotation(claim: Manifest | None, key: str) -> str | None:
    found = dig(claim, "metadata", "annotations", key)
    return str(found) if found else None
