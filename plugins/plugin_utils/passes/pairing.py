# SPDX-License-Identifier: Apache-2.0
"""Library and database belong together: a library that is in use gets no database but its own.

An empty database next to a full library looks like a new instance, and its nightly dumps push out the good ones. So once
a database has been up, these annotations are put on the two claims:

- on both, the same mark (`names.DATABASE_ANNOTATION`),
- on the library's, a note of the claim that the database is on, NAME/UID (`names.DATABASE_CLAIM_ANNOTATION`), and the
  pod that set it up on an empty volume, if that was seen (`names.DATABASE_POD_ANNOTATION`).

Each pass compares them with the claim that the database is going to run on. A database pod says what it finds on its
volume before PostgreSQL starts, so that a volume that was emptied behind its claim is noticed too.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ..components import database_folder, library, postgres, volumes
from ..components.instance import Cluster, Instance, Part
from ..components.reasons import Reason
from ..kube.commands import WORD, Given, command
from ..kube.readiness import is_ready
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.names import Component

COMPONENT = "pairing"
"""The component, otherwise unused, of the steps that mark claims, and end a database that is not the library's."""

HOLDS_BACK = Component.POSTGRES
"""The component that is not planned at all while this blocks it."""


def plan(instance: Instance, cluster: Cluster, shared: Container[str]) -> Part:
    """Blocks the database, and ends it, if it is not the library's; otherwise sets the marks once it has been up.

    The steps belong to no component: what blocks the database does not hold them back, and a claim that may not be
    written to stops nothing. `shared` are the claims that another instance uses too. A library among them is not marked,
    because its mark would be that of whichever instance comes first.
    """
    part = Part(COMPONENT)
    if not instance.is_enabled(Component.POSTGRES):
        return part
    photos, database = _Library.of(instance, cluster), _Database.of(instance, cluster)
    verdict = _compare(photos, database)
    work_together = photos.is_mounted and database.runs
    if verdict is Verdict.FITS:
        if photos.name not in shared:
            _mark(part, photos, database)
        return part
    if verdict is Verdict.LOST and work_together and photos.noted_name not in ("", database.name):
        return part  # somebody named another claim, and the server has been using both: too late to keep them apart
    part.blocks(Reason.DATABASE_LOST, _how_to_go_on(instance, photos, database, verdict), component=HOLDS_BACK)
    if verdict is Verdict.EMPTIED:
        # First, because nothing shows it any more once the pod that saw it has ended.
        _annotate(part, database.claim, {names.DATABASE_ANNOTATION: None})
        _annotate(part, photos.claim, {names.DATABASE_CLAIM_ANNOTATION: database.note_when_emptied})
    if verdict is Verdict.EMPTIED or work_together:
        _end(part, instance, database)
    return part


def is_known(instance: Instance, cluster: Cluster) -> bool:
    """Whether we have written on the two claims that the one holds the library's database. Labels say less: other tools
    change them, also on what outlives the instance."""
    photos, database = _Library.of(instance, cluster), _Database.of(instance, cluster)
    return photos.mark is not None and (database.mark == photos.mark or database.note == photos.note)


class Verdict(Enum):
    FITS = auto()
    """The claim holds the library's database, as far as anybody knows."""
    LOST = auto()
    """It holds another database, or there is no claim, or nobody knows what is on it."""
    EMPTIED = auto()
    """It is the right claim, but its current pod found its volume empty."""


@dataclass(frozen=True, slots=True)
class _Library:
    name: str
    claim: Manifest | None
    is_mounted: bool
    """Whether the live server uses it."""

    @classmethod
    def of(cls, instance: Instance, cluster: Cluster) -> _Library:
        name = library.claim_name(instance)
        server = cluster.deployment(instance, Component.SERVER)
        return cls(name, cluster.live("PersistentVolumeClaim", name), name in volumes.mounted_claims(server))

    @property
    def mark(self) -> str | None:
        return _annotation(self.claim, names.DATABASE_ANNOTATION)

    @property
    def note(self) -> str | None:
        """NAME/UID of the claim that its database was last seen on, or what `note_when_emptied` says."""
        return _annotation(self.claim, names.DATABASE_CLAIM_ANNOTATION)

    @property
    def noted_name(self) -> str:
        return (self.note or "").partition("/")[0]

    @property
    def set_up_by(self) -> str | None:
        """The uid of the pod that set up its database, which found an empty volume and was right to continue."""
        return _annotation(self.claim, names.DATABASE_POD_ANNOTATION)


@dataclass(frozen=True, slots=True)
class _Database:
    name: str
    claim: Manifest | None
    is_default_name: bool
    """False for a claim that the custom resource names."""
    is_unreadable: bool
    """Whether there may be a claim that this operator must not read."""
    stateful_set: Manifest | None
    empty_pod: str | None
    """The uid of a pod that found no database on the claim's volume."""
    instead: str
    """What that pod found there, as the end of a sentence."""

    @classmethod
    def of(cls, instance: Instance, cluster: Cluster) -> _Database:
        name = postgres.claim_name(instance)
        claim = cluster.live("PersistentVolumeClaim", name)
        empty_pod, instead = next(_pods_without_a_database(cluster, name), (None, ""))
        return cls(
            name=name,
            claim=claim,
            is_default_name=name == names.database_claim(instance.name),
            is_unreadable=claim is None and not cluster.is_known_missing("PersistentVolumeClaim", name),
            stateful_set=database_folder.live_of(instance, cluster),
            empty_pod=empty_pod,
            instead=instead,
        )

    @property
    def mark(self) -> str | None:
        return _annotation(self.claim, names.DATABASE_ANNOTATION)

    @property
    def note(self) -> str:
        """What the library's claim says about this one after the two have been up together."""
        return f"{self.name}/{dig(self.claim, 'metadata', 'uid', default='')}"

    @property
    def note_when_emptied(self) -> str:
        return f"{self.name}/emptied"

    @property
    def runs(self) -> bool:
        """Whether it has a pod on its claim, or is about to."""
        return postgres.runs_on(self.stateful_set, self.name)


def _compare(photos: _Library, database: _Database) -> Verdict:
    if photos.mark is None:
        return Verdict.FITS  # there has been no database yet
    has_mark, is_noted = database.mark == photos.mark, database.note == photos.note
    if (has_mark or is_noted) and database.empty_pod not in (None, photos.set_up_by):
        return Verdict.EMPTIED
    if has_mark or database.is_unreadable:
        return Verdict.FITS
    if database.mark:
        return Verdict.LOST
    # A claim without a mark, or none. Marks get lost, by a restored backup for example.
    if is_noted:
        return Verdict.FITS
    is_chosen = not database.is_default_name and database.name != photos.noted_name
    return Verdict.FITS if is_chosen else Verdict.LOST  # who names another claim knows what is on it


def _end(part: Part, instance: Instance, database: _Database) -> None:
    """Scale the database to 0: Kubernetes itself recreates a lost claim, and the server would start from scratch on it."""
    live = database.stateful_set
    if live and instance.may_change(live, Component.POSTGRES) and not volumes.is_being_deleted(database.claim):
        part.merge(live, {"spec": {"replicas": 0, **postgres.KEEP_CLAIMS}}, stage=1)


def _mark(part: Part, photos: _Library, database: _Database) -> None:
    is_up = database.runs and database.stateful_set and is_ready(database.stateful_set)
    if not (photos.claim and database.claim and is_up):
        return
    mark = photos.mark or database.mark or dig(database.claim, "metadata", "uid", default="")
    on_database = {names.DATABASE_ANNOTATION: mark}
    on_library = {**on_database, names.DATABASE_CLAIM_ANNOTATION: database.note}
    if database.empty_pod:
        on_library[names.DATABASE_POD_ANNOTATION] = database.empty_pod
    # First on the library: its note is enough to recognise the database's claim, and a mark on that claim says that its
    # volume must not be empty.
    _annotate(part, photos.claim, on_library)
    _annotate(part, database.claim, on_database, stage=1)


def _how_to_go_on(instance: Instance, photos: _Library, database: _Database, verdict: Verdict) -> str:
    mark, is_emptied = names.DATABASE_ANNOTATION, verdict is Verdict.EMPTIED

    def marked(claim: str, value: str, *flags: str) -> str:
        return volumes.annotate_command(instance, claim, *flags, Given(value, "MARK", WORD, before=f"{mark}="))

    if database.claim is None:
        state = "does not exist"
    elif is_emptied or photos.note == database.note_when_emptied:
        state = f"had no database on its volume when it was to be started{database.instead}"
    elif database.mark:
        state = "belongs to another one"
    else:
        state = (
            f"is not known to hold it (created at {dig(database.claim, 'metadata', 'creationTimestamp', default='?')})"
        )
    right = (
        f"If the two belong together, run {marked(photos.name, database.mark, '--overwrite')}"
        if database.mark and not is_emptied
        else f"If {database.name} was restored from a backup, run {marked(database.name, photos.mark or '')}"
    )
    server = Given(names.workload_name(instance.name, Component.SERVER), "SERVER")
    scale = command("kubectl", "scale", "deployment", server, *instance.place, "--replicas", "0")
    return (
        f"PersistentVolumeClaim {photos.name} is the library of a database that was set up before, but "
        f"PersistentVolumeClaim {database.name} {state}, so no database is started on it. Name the claim that holds it in "
        f"{postgres.PATH}.persistence.existingClaim. {right}. To load a dump into an empty database, set "
        f"spec.server.replicas to 0 and run {scale}, then {volumes.annotate_command(instance, photos.name, f'{mark}-')}. The "
        "how-to about rescuing a volume has all steps"
    )


def _pods_without_a_database(cluster: Cluster, claim: str) -> Iterator[tuple[str | None, str]]:
    """(uid, what it found instead) of each pod that found no database on that claim's volume."""
    for pod in cluster.pods:
        look = database_folder.look_of(pod)
        if look and look.is_without_database and claim in volumes.claims_of_pods([pod], Component.POSTGRES):
            yield pod["metadata"].get("uid"), f", only {', '.join(look.has)}" if look.has else ""


def _annotate(part: Part, claim: Manifest | None, wanted: Mapping[str, str | None], *, stage: int = 0) -> None:
    """Patch the annotations of a claim that differ. None removes one."""
    if claim and any(_annotation(claim, key) != value for key, value in wanted.items()):
        # The uid makes the API server refuse it for a claim that has replaced the one that was read.
        part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": dict(wanted)}}, stage=stage)


def _annotation(claim: Manifest | None, key: str) -> str | None:
    found = dig(claim, "metadata", "annotations", key)
    return str(found) if found else None
