# SPDX-License-Identifier: Apache-2.0
"""The state of an instance in the cluster, as one value that plan and report are functions of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from ..components import postgres, registry, volumes
from ..components.instance import Cluster, Instance
from ..kube import kinds
from ..kube.api_error import ApiError, ObjectRef
from ..kube.applying import InParallel
from ..kube.kinds import KnownKind
from ..kube.readiness import has_ended, is_scaled_to_zero, lacks_pods
from ..kube.redaction import Redaction
from ..kube.resource_paths import is_served
from ..kube.values import Manifest
from ..spec import names
from ..spec.names import Component
from ..spec.references import references
from . import claims, cluster_events, lookups, own_pods

__all__ = ["observe", "who_is"]


class Reader(Protocol):
    """The reading half of `kube.api_objects.ApiObjects`, which documents what the methods return."""

    def api_groups(self) -> dict[str, list[str]]: ...
    def find(self, ref: ObjectRef) -> Manifest | None: ...

    def list(
        self,
        ref: ObjectRef,
        *,
        selector: str = "",
        fields: str = "",
        limit: int = 0,
        keep: Callable[[Manifest], Manifest] = ...,
    ) -> list[Manifest]: ...


POD = kinds.named("Pod")
EVENT = kinds.named("Event")


def who_is(cr: Mapping[str, Any]) -> ObjectRef:
    """The custom resource itself; one without a kind is an Immich."""
    metadata = cr["metadata"]
    kind = (cr.get("apiVersion") or names.API_VERSION, cr.get("kind") or names.KIND)
    return ObjectRef(*kind, metadata["name"], metadata["namespace"])


def observe(
    cr: Mapping[str, Any], api: Reader, *, in_parallel: InParallel, now: float, is_current: bool = False
) -> dict[str, Any]:
    """{"cr", "deleting", "apis", "openshift", "objects", "looked_up", "pods", "references", "neighbours", "refusals",
    "events", "now", "database_mounted_by", "pods_of_others"}; `now` is in seconds since the epoch.

    `pods` are the instance's own; of others with its labels `own_pods.divided` tells.

    Two rounds of requests: what needs no knowledge, then kinds that only some clusters serve, the references that the
    first round has not brought, and Events of a StatefulSet that lacks pods. A third one reads Events of pods and claims
    that are not well for some time. Before a database is started on a claim that is there already, a last round tells what
    else mounts it. Raises ApiError and Unreachable.

    `cr` may be of any kind; what is there of claims and their other users is only looked up for an Immich.

    What is stored of the custom resource comes with the list of its kind. `is_current`: `cr` is what is stored already, or
    would be, were this not check mode; one without a uid is not stored at all.
    """
    who = who_is(cr)
    name, namespace, is_immich = who.name, who.namespace, who.kind == names.KIND
    selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/managed-by={names.FIELD_MANAGER}"

    def listing(row: KnownKind) -> Callable[[], list[Manifest]]:
        return partial(api.list, ObjectRef(row.api_version, row.kind, namespace=namespace), selector=selector)

    # However many pods have the labels, never more than a page of others is in memory.
    of_pods = {"keep": partial(own_pods.as_needed, name)} if is_immich else {}
    instances, groups, pods, *owned = in_parallel(
        [
            partial(api.list, who._replace(name=""), keep=partial(_in_short, name)),
            api.api_groups,
            partial(listing(POD), **of_pods),
            *map(listing, kinds.OWNED),
        ]
    )
    others: dict[str, Any] = {}
    if is_immich:
        pods, others = own_pods.divided(name, pods)
    # A list is as fresh as a GET, and any neighbour may name a claim of this instance: so the list is what is needed.
    stored = (one for one in instances if one["metadata"]["name"] == name)
    live_cr = _as_given(cr) if is_current else next(stored, None)
    served = {row.kind.lower(): is_served(row.api_version, groups) for row in kinds.OPTIONAL}
    objects = [item for items in owned for item in items]
    live = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    present = live_cr or cr  # a pass acts on the current state, not on what it was started for
    wanted = references(present)
    named = {reference["name"] for reference in wanted if reference["kind"] == "PersistentVolumeClaim"}
    wanted += [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim}
        for claim in sorted((_mounted(name, live, pods) if is_immich else set()) - named)
    ]
    missing = [reference for reference in wanted if (reference["kind"], reference["name"]) not in live]
    short = [item for item in objects if item["kind"] == "StatefulSet" and lacks_pods(item)]
    instance = Instance.from_cr(present) if is_immich else None
    on_demand = [row for row in (*kinds.ON_DEMAND, *kinds.OPTIONAL) if row.on_demand]
    worth = lookups.worth_a_list(present, instance, on_demand) if instance else on_demand
    more = [
        row
        for row in (*kinds.ON_DEMAND, *kinds.OPTIONAL)
        if (not row.optional or served[row.kind.lower()]) and (not row.on_demand or row in worth)
    ]
    elsewhere = lookups.objects(instance, objects, [row.kind for row in more]) if instance else []
    answered = in_parallel(
        [
            *(partial(_list_if_served, listing(row), row) for row in more),
            *(partial(_read, api, ref) for ref in elsewhere),
            *(partial(_read, api, _ref(reference, namespace)) for reference in missing),
            *(partial(_refusal, api, item) for item in short),
        ]
    )
    optional, found = answered[: len(more)], answered[len(more) :]
    served |= {row.kind.lower(): False for row, items in zip(more, optional, strict=True) if items is None}
    looked_up, found = found[: len(elsewhere)], found[len(elsewhere) :]
    answers = {
        (reference["kind"], reference["name"]): answer
        for reference, answer in zip(missing, found[: len(missing)], strict=True)
    }
    seen = {
        "cr": live_cr,
        "deleting": bool(live_cr and live_cr["metadata"].get("deletionTimestamp")),
        "apis": {who.kind.lower(): is_served(who.api_version, groups), **served},
        "openshift": "security.openshift.io" in groups,
        "objects": [*objects, *(item for items in optional for item in items or ())],
        "looked_up": [
            {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, **answer}
            for ref, answer in zip(elsewhere, looked_up, strict=True)
        ],
        "pods": pods,
        "pods_of_others": others,
        "references": [
            {**reference, **answers.get(key, {"object": live.get(key), "forbidden": False})}
            for reference in wanted
            for key in [(reference["kind"], reference["name"])]
        ],
        "neighbours": [
            other
            for other in (claims.worth_a_look(present, instances) if is_immich else ())
            if other["metadata"]["name"] != name
        ],
        "refusals": {
            item["metadata"]["name"]: text for item, text in zip(short, found[len(missing) :], strict=True) if text
        },
    }
    everything = [*objects, *(reference["object"] for reference in seen["references"] if reference["object"])]
    hidden = Redaction(everything)
    seen["pods"] = [_without_values(hidden, pod) for pod in pods]
    seen["objects"] = [_without_values(hidden, item) for item in seen["objects"]]
    seen["refusals"] = hidden.structure(seen["refusals"])
    seen["events"] = cluster_events.read(_each_once([*everything, *pods]), api, in_parallel, hidden=hidden, now=now)
    seen["now"] = now
    if not is_immich:
        return {**seen, "database_mounted_by": []}
    return {**seen, "database_mounted_by": _database_mounted_by(Instance.from_cr(present), seen, api, in_parallel)}


def _in_short(name: str, one: Manifest) -> Manifest:
    """The custom resource of that name as it is, of others what matters to this one: how large they are is not up to it."""
    return one if one["metadata"]["name"] == name else claims.in_short(one)


def _without_values(hidden: Redaction, item: Manifest) -> Manifest:
    """The object, with no value of a Secret in the messages of its status: a program that ends may say its password."""
    return {**item, "status": _quiet(hidden, item["status"])} if item.get("status") else item


def _quiet(hidden: Redaction, value: Any) -> Any:
    if isinstance(value, list):
        return [_quiet(hidden, entry) for entry in value]
    if not isinstance(value, Mapping) or value.get("name") in names.LOOKS:
        return value  # decisions rest on what those containers say, and they say nothing but names of folders
    return {
        key: hidden.text(entry) if key == "message" and isinstance(entry, str) else _quiet(hidden, entry)
        for key, entry in value.items()
    }


def _each_once(manifests: list[Manifest]) -> list[Manifest]:
    return list({(item["kind"], item["metadata"]["name"]): item for item in manifests}.values())


def _as_given(cr: Mapping[str, Any]) -> Manifest | None:
    return dict(cr) if cr["metadata"].get("uid") else None


def _mounted(instance: str, objects: Mapping[tuple[str, str], Manifest], pods: list[Manifest]) -> set[str]:
    """The claims of what outlives the instance, which need not be those that the custom resource names now."""
    found: set[str] = set()
    for component in [claim.mounted_by for claim in registry.claims().values() if claim.outlives]:
        kind = registry.workloads()[component].kind
        workload = objects.get((kind, names.workload_name(instance, component)))
        found |= volumes.claims_in_use(workload, pods, component)
    return found


def _database_mounted_by(
    instance: Instance, seen: Mapping[str, Any], api: Reader, in_parallel: InParallel
) -> list[str]:
    """["Pod a", "StatefulSet b", ...]: all that can write to the claim on which the database is going to be started.

    Nothing is requested if there is no such claim yet. The database's own StatefulSet and pod do not count, whoever
    created them, because there can't be others of their names; neither do the instance's other components.
    """
    cluster = Cluster(seen)
    claim = postgres.claim_to_start_on(instance, cluster)
    if claim is None or cluster.live("PersistentVolumeClaim", claim) is None:
        return []
    rows = (POD, kinds.named("StatefulSet"), kinds.named("Deployment"))
    own = names.workload_name(instance.name, Component.POSTGRES)
    mine = names.labels(instance.name, Component.POSTGRES)
    shared = {key: mine[key] for key in ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by")}

    def in_short(row: KnownKind, item: Manifest) -> Manifest:
        """{"uses": whether it can write to the claim, "name"}: any number of pods may be in the namespace."""
        name, is_pod = item["metadata"]["name"], row is POD
        is_over = has_ended(item) if is_pod else is_scaled_to_zero(item)
        is_own = (
            name == (f"{own}-0" if is_pod else own) or shared.items() <= (item["metadata"].get("labels") or {}).items()
        )
        mounts = volumes.claims_of_pod(item["spec"]) if is_pod else volumes.mounted_claims(item)
        return {"uses": claim in mounts and not is_over and not is_own, "name": name}

    found = in_parallel(
        [
            partial(
                api.list,
                ObjectRef(row.api_version, row.kind, namespace=instance.namespace),
                keep=partial(in_short, row),
            )
            for row in rows
        ]
    )
    return [
        f"{row.kind} {item['name']}" for row, items in zip(rows, found, strict=True) for item in items if item["uses"]
    ]


def _refusal(api: Reader, workload: Manifest) -> str:
    """What the API server answered when a StatefulSet's controller last tried to create a pod, "" if that is not known.

    A Deployment has a condition for it, a StatefulSet only Events, which stay for an hour. The one about a claim that was
    created can be as old as the one about its pod, which was refused right afterwards.
    """
    metadata = workload["metadata"]
    told = ObjectRef(EVENT.api_version, EVENT.kind, namespace=metadata["namespace"])
    try:
        found = api.list(told, fields=f"involvedObject.uid={metadata['uid']}", limit=cluster_events.MAX_EVENTS)
    except ApiError:  # not worth failing a pass: an operator with an older role may not list Events
        return ""
    latest = {event.get("reason"): event for event in sorted(found, key=cluster_events.last_seen)}
    refused, made = latest.get("FailedCreate", {}), latest.get("SuccessfulCreate", {})
    if cluster_events.last_seen(made) > cluster_events.last_seen(refused):
        return ""
    return str(refused.get("message") or "").rpartition("failed error: ")[2]


def _list_if_served(list_all: Callable[[], list[Manifest]], row: KnownKind) -> list[Manifest] | None:
    """None for an optional kind that is not there although its API is: that may have other kinds only."""
    try:
        return list_all()
    except ApiError as exc:
        if row.optional and exc.status_code == 404:
            return None
        raise


def _ref(reference: Mapping[str, str], namespace: str) -> ObjectRef:
    scope = namespace if kinds.named(reference["kind"]).namespaced else ""
    return ObjectRef(reference["apiVersion"], reference["kind"], reference["name"], scope)


def _read(api: Reader, ref: ObjectRef) -> dict[str, Any]:
    """{"object", "forbidden"}: an operator that is confined to its namespace may not read cluster-scoped kinds."""
    try:
        return {"object": api.find(ref), "forbidden": False}
    except ApiError as exc:
        if exc.status_code == 403:
            return {"object": None, "forbidden": True}
        raise
