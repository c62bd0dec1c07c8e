# SPDX-License-Identifier: Apache-2.0
"""Library and database belong together: a library that is in use gets no database but its own.

An empty database beside a full library looks like a new instance, and its nightly dumps push out the good ones. So once
a database has been up, its claim and the library's are marked with the same value. The library's claim also says by
name and uid which claim that was.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from . import library, names, postgres, volumes
from .instance import Instance, Part, Surroundings
from .names import Component, Manifest
from .readiness import is_ready, is_scaled_to_zero
from .reasons import Reason
from .values import dig


def plan(instance: Instance, around: Surroundings, shared: Container[str]) -> Part:
    """What the marks call for: the database is held back and ended, or the marks are set.

    `shared` are the claims that another instance uses too. A library among them is not marked, because it would be
    with the database of whichever instance comes first.
    """
    part = Part(Component.POSTGRES)
    if not instance.is_enabled(Component.POSTGRES):
        return part
    pair = _Pair.of(instance, around)
    is_shared = pair.library_name in shared
    if pair.is_lost and not (is_shared and pair.runs):
        part.blocks(Reason.DATABASE_LOST, _how_to_go_on(instance, pair))
        live = pair.stateful_set
        if live and pair.runs and instance.may_remove(live) and not volumes.is_being_deleted(pair.database):
            # Kubernetes itself makes a lost claim anew, and the server would make a new instance of it.
            part.merge(live, {"spec": {"replicas": 0}}, although_blocked=True)
    elif not is_shared:
        _mark(part, pair)
    return part


@dataclass(frozen=True, slots=True)
class _Pair:
    library_name: str
    library: Manifest | None
    database_name: str
    database: Manifest | None
    is_default: bool
    """False for a database claim that the custom resource names."""
    stateful_set: Manifest | None

    @classmethod
    def of(cls, instance: Instance, around: Surroundings) -> _Pair:
        library_name, database_name = library.claim_name(instance), postgres.claim_name(instance)
        return cls(
            library_name=library_name,
            library=around.live("PersistentVolumeClaim", library_name),
            database_name=database_name,
            database=around.live("PersistentVolumeClaim", database_name),
            is_default=database_name == names.database_claim(instance.name),
            stateful_set=around.live("StatefulSet", names.workload_name(instance.name, Component.POSTGRES)),
        )

    @property
    def runs(self) -> bool:
        """Whether the database has a pod on its claim, or is about to."""
        live = self.stateful_set
        return live is not None and self.database_name in volumes.mounted_claims(live) and not is_scaled_to_zero(live)

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
    def present(self) -> str:
        """Name and uid of the claim that there is."""
        return f"{self.database_name}/{dig(self.database, 'metadata', 'uid', default='')}"

    @property
    def is_lost(self) -> bool:
        """True when the claim is not the one with the library's database, or there is none.

        A claim without a mark is trusted when it is the very object that was marked, or when the custom resource names
        it and the database was on one of another name.
        """
        if not self.known or self.found == self.known:
            return False
        if self.found:
            return True
        former = (self.noted or "").partition("/")[0]
        return self.noted != self.present and (self.is_default or former == self.database_name)


def _mark(part: Part, pair: _Pair) -> None:
    """Once the database has been up. First on its own claim: a mark on the library alone would hold it back."""
    if not (pair.library and pair.database and pair.runs and pair.stateful_set and is_ready(pair.stateful_set)):
        return
    mark = pair.known or pair.found or dig(pair.database, "metadata", "uid", default="")
    on_database = {names.DATABASE_ANNOTATION: mark}
    on_library = {**on_database, names.DATABASE_CLAIM_ANNOTATION: pair.present}
    for stage, (claim, marks) in enumerate(((pair.database, on_database), (pair.library, on_library))):
        if any(_annotation(claim, key) != value for key, value in marks.items()):
            # The uid makes the API server refuse it for a claim that has taken the place of the one that was read.
            part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": marks}}, stage=stage)


def _how_to_go_on(instance: Instance, pair: _Pair) -> str:
    state = "holds another database" if pair.found else "does not hold it" if pair.database else "does not exist"
    annotate = f"kubectl annotate persistentvolumeclaim --namespace {instance.namespace}"
    return (
        f"PersistentVolumeClaim {pair.library_name} is the library of a database that was set up before, but "
        f"PersistentVolumeClaim {pair.database_name} {state}, so the database does not run. Name the claim that holds it "
        f"in {postgres.PATH}.persistence.existingClaim. If it is {pair.database_name}, put back from a backup or in use all "
        f"the time, run `{annotate} {pair.database_name} --overwrite {names.DATABASE_ANNOTATION}={pair.known}`. To start "
        f"with an empty database, into which you load a dump, run `{annotate} {pair.library_name} "
        f"{names.DATABASE_ANNOTATION}-`"
    )


def _annotation(claim: Manifest | None, key: str) -> str | None:
    found = dig(claim, "metadata", "annotations", key)
    return str(found) if found else None
