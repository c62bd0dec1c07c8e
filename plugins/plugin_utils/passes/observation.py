# SPDX-License-Identifier: Apache-2.0
"""What there is of an instance in the cluster, as one value that plan and report are functions of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol, TypeAlias

from ..components import postgres, registry, volumes
from ..components.instance import Instance, Surroundings
from ..kube.api_error import ApiError, ObjectRef
from ..kube.readiness import has_ended, is_scaled_to_zero, lacks_pods
from ..kube.values import Manifest
from ..spec import names
from ..spec.names import Component
from ..spec.references import references
from . import claims

__all__ = ["OWNED_KINDS", "ROUTE", "observe"]

InParallel: TypeAlias = Callable[[Iterable[Callable[[], Any]]], list[Any]]
"""Calls all functions, perhaps at once, and returns their results in order."""


class Reader(Protocol):
    """The reading half of `kube.api_objects.ApiObjects`, which says what the methods give."""

    def api_groups(self) -> dict[str, list[str]]: ...
    def find(self, ref: ObjectRef) -> Manifest | None: ...
    def list(self, ref: ObjectRef, *, selector: str = "", fields: str = "") -> list[Manifest]: ...


ROUTE = ("route.openshift.io/v1", "Route")
OWNED_KINDS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("networking.k8s.io/v1", "Ingress"),
)
"""Kinds that an instance may consist of and that every cluster has."""
POD = ("v1", "Pod")
EVENT = ("v1", "Event")
CLUSTER_SCOPED = frozenset({"StorageClass"})


def observe(cr: Mapping[str, Any], api: Reader, *, in_parallel: InParallel, is_current: bool = False) -> dict[str, Any]:
    """{"cr", "deleting", "apis", "openshift", "objects", "pods", "references", "neighbours", "refusals",
    "database_mounted_by"}.

    Two rounds of requests: what needs no knowledge, then Routes (where there are any), the references that the first
    round has not brought, and Events of a StatefulSet that lacks pods. Before a database is started on a claim that is
    there already, a third round tells what else mounts it. Raises ApiError and Unreachable.

    What is stored of the custom resource comes with the list of its kind. `is_current`: `cr` is what is stored already, or
    would be, were this not check mode; one without a uid is not stored at all.
    """
    name, namespace = cr["metadata"]["name"], cr["metadata"]["namespace"]
    selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/managed-by={names.FIELD_MANAGER}"

    def listing(api_version: str, kind: str) -> Callable[[], list[Manifest]]:
        return partial(api.list, ObjectRef(api_version, kind, namespace=namespace), selector=selector)

    instances, groups, pods, *owned = in_parallel(
        [
            partial(api.list, ObjectRef(names.API_VERSION, names.KIND, namespace=namespace)),
            api.api_groups,
            listing(*POD),
            *(listing(*kind) for kind in OWNED_KINDS),
        ]
    )
    # A list is as fresh as a GET, and any neighbour may name a claim of this instance: so the list is what is needed.
    stored = (one for one in instances if one["metadata"]["name"] == name)
    live_cr = _as_given(cr) if is_current else next(stored, None)
    route_is_served = "v1" in groups.get("route.openshift.io", ())
    objects = [item for items in owned for item in items]
    known = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    present = live_cr or cr  # a pass acts on the present, not on what it was started for
    wanted = references(present)
    named = {reference["name"] for reference in wanted if reference["kind"] == "PersistentVolumeClaim"}
    wanted += [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim}
        for claim in sorted(_mounted(name, known, pods) - named)
    ]
    missing = [reference for reference in wanted if (reference["kind"], reference["name"]) not in known]
    short = [item for item in objects if item["kind"] == "StatefulSet" and lacks_pods(item)]
    routes, *found = in_parallel(
        [
            listing(*ROUTE) if route_is_served else list,
            *(partial(_read, api, _ref(reference, namespace)) for reference in missing),
            *(partial(_refusal, api, item) for item in short),
        ]
    )
    answers = {
        (reference["kind"], reference["name"]): answer
        for reference, answer in zip(missing, found[: len(missing)], strict=True)
    }
    seen = {
        "cr": live_cr,
        "deleting": bool(live_cr and live_cr["metadata"].get("deletionTimestamp")),
        "apis": {"immich": names.VERSION in groups.get(names.GROUP, ()), "route": route_is_served},
        "openshift": "security.openshift.io" in groups,
        "objects": [*objects, *routes],
        "pods": pods,
        "references": [
            {**reference, **answers.get(key, {"object": known.get(key), "forbidden": False})}
            for reference in wanted
            for key in [(reference["kind"], reference["name"])]
        ],
        "neighbours": [
            {"metadata": {"name": other["metadata"]["name"]}, "spec": other.get("spec")}
            for other in claims.worth_a_look(present, instances)
            if other["metadata"]["name"] != name
        ],
        "refusals": {
            item["metadata"]["name"]: text for item, text in zip(short, found[len(missing) :], strict=True) if text
        },
    }
    return {**seen, "database_mounted_by": _database_mounted_by(Instance.from_cr(present), seen, api, in_parallel)}


def _as_given(cr: Mapping[str, Any]) -> Manifest | None:
    return dict(cr) if cr["metadata"].get("uid") else None


def _mounted(instance: str, objects: Mapping[tuple[str, str], Manifest], pods: list[Manifest]) -> set[str]:
    """The claims that what outlives the instance is on, which need not be those that the custom resource names by now."""
    found: set[str] = set()
    for component in [claim.mounted_by for claim in registry.claims().values() if claim.outlives]:
        kind = registry.workloads()[component].kind
        workload = objects.get((kind, names.workload_name(instance, component)))
        found |= volumes.claims_in_use(workload, pods, component)
    return found


def _database_mounted_by(
    instance: Instance, seen: Mapping[str, Any], api: Reader, in_parallel: InParallel
) -> list[str]:
    """["Pod a", "StatefulSet b", ...]: all that can write to the claim on which the database is to be started.

    Nothing is asked where there is no such claim yet. Not counted are the database's own StatefulSet and pod, whoever
    made them, because there can't be another of their names, and the other components of the instance.
    """
    around = Surroundings(seen, {})
    claim = postgres.claim_to_start_on(instance, around)
    if claim is None or around.live("PersistentVolumeClaim", claim) is None:
        return []
    kinds = (POD, ("apps/v1", "StatefulSet"), ("apps/v1", "Deployment"))
    found = in_parallel([partial(api.list, ObjectRef(*kind, namespace=instance.namespace)) for kind in kinds])
    own = names.workload_name(instance.name, Component.POSTGRES)
    mine = names.labels(instance.name, Component.POSTGRES)
    shared = {key: mine[key] for key in ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by")}
    users = []
    for (_unused, kind), items in zip(kinds, found, strict=True):
        for item in items:
            name, is_pod = item["metadata"]["name"], kind == "Pod"
            is_over = has_ended(item) if is_pod else is_scaled_to_zero(item)
            is_own = (
                name == (f"{own}-0" if is_pod else own)
                or shared.items() <= (item["metadata"].get("labels") or {}).items()
            )
            mounts = volumes.claims_of_pod(item["spec"]) if is_pod else volumes.mounted_claims(item)
            if claim in mounts and not is_over and not is_own:
                users.append(f"{kind} {name}")
    return users


def _refusal(api: Reader, workload: Manifest) -> str:
    """What the API server said when a StatefulSet's controller last wanted to make a pod, "" if that is not known.

    A Deployment has a condition for it, a StatefulSet only Events, which stay for an hour. The one of a claim that was
    made can be as old as that of its pod, which was refused right after it.
    """
    metadata = workload["metadata"]
    selector = f"involvedObject.uid={metadata['uid']}"
    try:
        events = api.list(ObjectRef(*EVENT, namespace=metadata["namespace"]), fields=selector)
    except ApiError:  # not worth a pass: an operator whose role is older may not list Events
        return ""
    latest = {event.get("reason"): event for event in sorted(events, key=_last_seen)}
    refused, made = latest.get("FailedCreate", {}), latest.get("SuccessfulCreate", {})
    if _last_seen(made) > _last_seen(refused):
        return ""
    return str(refused.get("message") or "").rpartition("failed error: ")[2]


def _last_seen(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or "")


def _ref(reference: Mapping[str, str], namespace: str) -> ObjectRef:
    scope = "" if reference["kind"] in CLUSTER_SCOPED else namespace
    return ObjectRef(reference["apiVersion"], reference["kind"], reference["name"], scope)


def _read(api: Reader, ref: ObjectRef) -> dict[str, Any]:
    """{"object", "forbidden"}: an operator that is confined to its namespace may not read cluster-scoped kinds."""
    try:
        return {"object": api.find(ref), "forbidden": False}
    except ApiError as exc:
        if exc.status_code == 403:
            return {"object": None, "forbidden": True}
        raise
