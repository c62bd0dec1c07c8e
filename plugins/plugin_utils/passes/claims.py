# SPDX-License-Identifier: Apache-2.0
"""What endangers the data on a claim: a second user that writes to it, or that it is being deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..components import postgres, registry, volumes
from ..components.description import Claim
from ..components.instance import Cluster, Instance
from ..components.reasons import Effect, Notice, Reason
from ..kube.commands import Given, command
from ..kube.values import dig, values_at
from ..spec import names
from ..spec.names import Component
from . import pairing

RETAIN = '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'


def may_be_shared(cr: Mapping[str, Any], neighbours: Iterable[Mapping[str, Any]]) -> bool:
    """False if no instance in the namespace names a claim: the default claims belong to one instance each."""
    return any(map(_names_one, (cr, *neighbours)))


def worth_a_look(cr: Mapping[str, Any], neighbours: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the other instances that may use a claim of this one: all if it names one, else those that name one."""
    return [other for other in neighbours if _names_one(cr) or _names_one(other)]


def in_short(other: Mapping[str, Any]) -> dict[str, Any]:
    """Name and spec of another instance, with what the spec says of claims."""
    spec = other.get("spec")
    return {
        "metadata": {"name": other["metadata"]["name"]},
        "spec": {
            component: {key: fields[key] for key in ("enabled", "persistence") if key in fields}
            for component, fields in (spec.items() if isinstance(spec, Mapping) else ())
            if isinstance(fields, Mapping)
        },
    }


def _names_one(cr: Mapping[str, Any]) -> bool:
    return any(any(values_at(cr, path)) for path in _paths())


def notices(instance: Instance, cluster: Cluster, neighbours: Iterable[Mapping[str, Any]]) -> list[Notice]:
    """What endangers the data on an instance's claims, and what waits or stays as it is because of that."""
    return [
        *_shared(instance, cluster, neighbours),
        *_mounted_by_others(instance, cluster),
        *_strangers(instance, cluster),
        *_being_deleted(instance, cluster),
    ]


def used_by_others(neighbours: Iterable[Mapping[str, Any]]) -> set[str]:
    """The claims that other instances write to."""
    return {claim for other in map(Instance.from_cr, neighbours) for claim in _claims(other).values()}


def _shared(instance: Instance, cluster: Cluster, neighbours: Iterable[Mapping[str, Any]]) -> Iterator[Notice]:
    """Claims with a second user: no second database is started on one, anything else is a warning, whoever names it."""
    start_on = postgres.claim_to_start_on(instance, cluster)
    mine = _claims(instance)
    others = {f"Immich {other.name}": set(_claims(other).values()) for other in map(Instance.from_cr, neighbours)}
    for component, claim in mine.items():
        users = sorted(other for other, claims in others.items() if claim in claims)
        within = [f"{other} of the same Immich" for other, name in mine.items() if name == claim and other != component]
        if not users and not within:
            continue
        used = f"PersistentVolumeClaim {claim}{_where_named(instance, component)} is used by "
        used += f"{' and '.join([*users, *within])} too"
        if component == Component.POSTGRES and claim == start_on and users:
            why = "so no database is started on it, because that would destroy what is there"
            remedy = "name another one in one of the two"
            yield Notice(component, Effect.BLOCKS, Reason.CLAIM_IN_USE, f"{used}, {why}; {remedy}", retry=True)
        else:
            damage = "name another one in one of the two, or each damages the other's data"
            yield Notice(component, Effect.WARNS, Reason.CLAIM_IN_USE, f"{used}; {damage}")


def _mounted_by_others(instance: Instance, cluster: Cluster) -> Iterator[Notice]:
    claim = postgres.claim_to_start_on(instance, cluster)
    if claim and cluster.database_mounted_by:
        yield Notice(
            Component.POSTGRES,
            Effect.BLOCKS,
            Reason.CLAIM_IN_USE,
            f"PersistentVolumeClaim {claim}{_where_named(instance, Component.POSTGRES)} is mounted by "
            f"{', '.join(cluster.database_mounted_by)}, so no database is started on it: two that write to one volume "
            "destroy it. Scale what mounts it down to 0, or delete the pod; then this continues by itself",
            retry=True,  # other people's objects are not watched
        )


def _strangers(instance: Instance, cluster: Cluster) -> Iterator[Notice]:
    """No database is started on a claim that only happens to have the name of ours: there may be another one on it.

    One on which ours has run is known, unless another controller has it now.
    """
    claim = postgres.claim_to_start_on(instance, cluster)
    live = cluster.live("PersistentVolumeClaim", claim) if claim == names.database_claim(instance.name) else None
    described = registry.claims()[Component.POSTGRES]
    if live and pairing.is_known(instance, cluster) and not instance.controlled_by_another(live):
        return
    if live and not described.persistence(instance).existing_claim and (because := instance.stranger(live)):
        yield Notice(
            Component.POSTGRES,
            Effect.BLOCKS,
            Reason.NOT_ADOPTED,
            f"PersistentVolumeClaim {claim} is somebody else's ({because}), so no database is started on it. If it holds this "
            f"instance's database, or may be used for one, set {_path(described)} to {claim}, or run "
            f"{instance.hand_over(live)}. Else give the Immich another name",
        )


def _being_deleted(instance: Instance, cluster: Cluster) -> Iterator[Notice]:
    """Kubernetes deletes a claim when the last pod that uses it ends, so none of ours may be ended until then."""
    lasting = {component: claim for component, claim in registry.claims().items() if claim.outlives}
    own = {claim.made(instance.name) for claim in lasting.values()}
    for component, described in lasting.items():
        workload, wanted = described.mounted_by, described.name(instance)
        kind = registry.workloads()[workload].kind
        name = names.workload_name(instance.name, workload)
        claims = volumes.claims_in_use(cluster.live(kind, name), cluster.pods, workload)
        if instance.is_enabled(workload) and wanted:
            claims.add(wanted)
        for claim in sorted(claims):
            live = cluster.live("PersistentVolumeClaim", claim)
            if volumes.is_being_deleted(live):
                volume = dig(live, "spec", "volumeName")
                retain = command(
                    "kubectl", "patch", "persistentvolume", Given(str(volume), "VOLUME"), "--patch", RETAIN
                )
                keep = f"To keep it, run {retain} now. " if volume else ""
                scale = command(
                    "kubectl", "scale", kind.lower(), Given(name, "NAME"), *instance.place, "--replicas", "0"
                )
                yield Notice(
                    component,
                    Effect.BLOCKS,
                    Reason.CLAIM_BEING_DELETED,
                    f"PersistentVolumeClaim {claim} is being deleted, and its data is lost when the last pod that uses it "
                    f"ends, so {kind} {name} is left as it is. {keep}To continue without it, run {scale}",
                    retry=claim not in {wanted, *own} or bool(instance.stranger(live)),  # the loop watches the others
                )


def _where_named(instance: Instance, component: Component) -> str:
    claim = registry.claims()[component]
    return f" named in {_path(claim)}" if claim.persistence(instance).existing_claim else ""


def _path(claim: Claim) -> str:
    return f"{claim.path}.existingClaim"


def _paths() -> list[str]:
    """Where a custom resource can name a claim that nobody else may use."""
    return [_path(claim) for claim in registry.claims().values() if not claim.may_be_shared]


def _claims(instance: Instance) -> dict[Component, str]:
    """The claims that an instance writes to, its own and the user's, except those that may be shared."""
    workloads = registry.workloads()
    return {
        component: name
        for component, claim in registry.claims().items()
        if not claim.may_be_shared
        and (component not in workloads or instance.is_enabled(component))
        and (name := claim.name(instance))
    }
