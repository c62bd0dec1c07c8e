# SPDX-License-Identifier: Apache-2.0
"""Custom resources and clusters for tests of what a pass plans and reports."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.components.volumes import mounted_claims
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import Plan, plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete
from ansible_collections.media.immich.plugins.plugin_utils.spec.references import references

NAME, NAMESPACE, UID = "photos", "family", "11111111-2222-3333-4444-555555555555"
PASSWORD = "p" * 32
MARK, NOTE = "media.rm3l.org/database", "media.rm3l.org/database-claim"
MAJOR, WRITTEN = "media.rm3l.org/postgres-major", "pgdata=17"
"""What a claim says of the data that the default image has written."""


def a_cr(spec: Mapping[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """A custom resource as the API server returns it: with defaults, uid and generation."""
    cr = {
        "apiVersion": "media.rm3l.org/v1alpha1",
        "kind": "Immich",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": UID, "generation": 1, **metadata},
        **({"spec": dict(spec)} if spec is not None else {}),
    }
    full: dict[str, Any]
    full, problems = complete(cr)
    assert problems == [], [str(problem) for problem in problems]
    return full


def a_secret(name: str, **values: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def a_claim(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-of-{name}", **metadata},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
        "status": {"phase": "Bound"},
    }


def seen_with(
    cr: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]] = (),
    *,
    pods: Iterable[Mapping[str, Any]] = (),
    route: bool = False,
    http_route: bool = False,
    looked_up: Iterable[Mapping[str, Any]] = (),
    openshift: bool = False,
    neighbours: Iterable[Mapping[str, Any]] = (),
    refusals: Mapping[str, str] | None = None,
    events: Mapping[str, Any] | None = None,
    now: float = 0.0,
    database_mounted_by: Iterable[str] = (),
) -> dict[str, Any]:
    """What `observe` returns when just these objects are there."""
    there = {(manifest["kind"], manifest["metadata"]["name"]): dict(manifest) for manifest in objects}
    return {
        "cr": dict(cr),
        "deleting": False,
        "apis": {"immich": True, "route": route, "httproute": http_route},
        "looked_up": [dict(found) for found in looked_up],
        "openshift": openshift,
        "objects": list(there.values()),
        "pods": [dict(pod) for pod in pods],
        "references": [
            {**reference, "object": there.get((reference["kind"], reference["name"])), "forbidden": False}
            for reference in references(cr)
        ],
        "neighbours": [dict(neighbour) for neighbour in neighbours],
        "refusals": dict(refusals or {}),
        "events": dict(events or {}),
        "now": now,
        "database_mounted_by": list(database_mounted_by),
    }


def plan_for(cr: Mapping[str, Any], objects: Iterable[Mapping[str, Any]] = (), **cluster: Any) -> Plan:
    return plan(cr, seen=seen_with(cr, objects, **cluster), images=DEFAULT_IMAGES, new_password=PASSWORD)


def found(plan: Plan, kind: str, name: str) -> dict[str, Any]:
    """The object of that kind and name in the plan; fails with what there is instead."""
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in plan.objects]
    assert (kind, name) in names, f"{kind} {name} is not among {names}"
    manifest: dict[str, Any] = plan.objects[names.index((kind, name))]
    return manifest


def has(plan: Plan, kind: str, name: str) -> bool:
    return any(o["kind"] == kind and o["metadata"]["name"] == name for o in plan.objects)


def container(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The one main container of a workload."""
    containers = manifest["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1
    first: dict[str, Any] = containers[0]
    return first


def environment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """{name: value, or secret/key} of the main container."""
    result: dict[str, Any] = {}
    for entry in container(manifest)["env"]:
        assert entry["name"] not in result, f"{entry['name']} is there twice"
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        result[entry["name"]] = f"{reference['name']}/{reference['key']}" if reference else entry.get("value")
    return result


def deletions(plan: Plan) -> list[tuple[str, str]]:
    return [(s["target"]["kind"], s["target"]["name"]) for s in plan.steps if s["verb"] == "delete"]


def notices(plan: Plan, effect: str) -> list[tuple[str, str]]:
    """[(component, reason)] of the notices with that effect."""
    return [(str(n.component), str(n.reason)) for n in plan.notices if n.effect == effect]


def as_live(plan: Plan) -> list[dict[str, Any]]:
    """The objects of a plan as if a cluster had them, with uids."""
    return [
        {
            **manifest,
            "metadata": {**manifest["metadata"], "uid": f"uid-{manifest['kind']}-{manifest['metadata']['name']}"},
        }
        for manifest in plan.objects
    ]


def a_config_map(name: str, **values: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": values}


def pod_template(manifest: Mapping[str, Any]) -> dict[str, Any]:
    template: dict[str, Any] = manifest["spec"]["template"]
    return template


def workloads(plan: Plan) -> list[dict[str, Any]]:
    """The Deployments and StatefulSets among the objects of a plan."""
    return [manifest for manifest in plan.objects if manifest["kind"] in {"Deployment", "StatefulSet"}]


def as_ready(manifest: Mapping[str, Any], **status: Any) -> dict[str, Any]:
    """A workload or claim as its controller leaves it when all is done; `status` says what is otherwise."""
    if manifest["kind"] == "PersistentVolumeClaim":
        return {**manifest, "status": {"phase": "Bound", **status}}
    if manifest["kind"] not in {"Deployment", "StatefulSet"}:
        return dict(manifest)
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    done = {count: manifest["spec"]["replicas"] for count in counts if manifest["spec"]["replicas"]}
    done |= {"observedGeneration": 1}
    if manifest["kind"] == "StatefulSet":
        done |= {"currentRevision": "a", "updateRevision": "a"}
    return {**manifest, "metadata": {**manifest["metadata"], "generation": 1}, "status": {**done, **status}}


def an_instance_at_work(
    cr: Mapping[str, Any], objects: Iterable[Mapping[str, Any]] = (), **cluster: Any
) -> list[dict[str, Any]]:
    """All objects of an instance, up and running, with those it refers to and the claim that its database has."""
    objects = list(objects)
    made = [as_ready(manifest) for manifest in as_live(plan_for(cr, objects, **cluster))]
    templates = [t for m in made if m["kind"] == "StatefulSet" for t in m["spec"].get("volumeClaimTemplates", ())]
    for template in templates:
        metadata = {**template["metadata"], "name": f"data-{cr['metadata']['name']}-postgres-0", "namespace": NAMESPACE}
        metadata["uid"] = f"uid-of-{metadata['name']}"
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}
        made.append(as_ready(claim))
    mine = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in made}
    made += [dict(o) for o in objects if (o["kind"], o["metadata"]["name"]) not in mine]
    mounted = {m["metadata"]["name"]: mounted_claims(m) for m in made if m["kind"] in {"Deployment", "StatefulSet"}}
    [database] = mounted.get(f"{NAME}-postgres") or [None]
    libraries = mounted.get(f"{NAME}-server", set()) if database else set()
    uids = {m["metadata"]["name"]: m["metadata"]["uid"] for m in made if m["kind"] == "PersistentVolumeClaim"}
    marks = {database: {MARK: "known", MAJOR: WRITTEN}} | {
        name: {MARK: "known", NOTE: f"{database}/{uids.get(database)}"} for name in libraries
    }
    return [
        annotated(m, marks[m["metadata"]["name"]])
        if m["kind"] == "PersistentVolumeClaim" and m["metadata"]["name"] in marks
        else m
        for m in made
    ]


def annotated(manifest: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    """The object with these annotations besides its own."""
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}}


def paired(claim: Mapping[str, Any], mark: str = "known") -> dict[str, Any]:
    """A claim with the mark that says that library and database belong together."""
    return annotated(claim, {MARK: mark})


def results_of(plan: Plan, *, errors: Mapping[tuple[str, str], str] | None = None) -> list[dict[str, Any]]:
    """What `apply` returns when nothing has to be written but for `errors`, {(kind, name): what the API server said}."""
    results = []
    for step in plan.as_dict()["steps"]:
        subject = step.get("object") or step["target"]
        metadata = subject.get("metadata", subject)
        results.append(
            {
                "verb": step["verb"],
                "component": step["component"],
                "apiVersion": subject["apiVersion"],
                "kind": subject["kind"],
                "name": metadata["name"],
                "changed": False,
                "error": (errors or {}).get((subject["kind"], metadata["name"])),
                "status_code": None,
                "object": None,
            }
        )
    return results


def report_for(
    cr: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]] = (),
    *,
    errors: Mapping[tuple[str, str], str] | None = None,
    **cluster: Any,
) -> dict[str, Any]:
    """What a pass reports that finds just these objects and changes none."""
    objects = list(objects)
    made = plan_for(cr, objects, **cluster)
    seen = seen_with(cr, objects, **cluster)
    result: dict[str, Any] = report(made.as_dict(), {"results": results_of(made, errors=errors)}, seen)
    return result


def condition(report: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The condition of that type in a report."""
    found: list[dict[str, Any]] = [c for c in report["status"]["conditions"] if c["type"] == kind]
    assert len(found) == 1, f"{kind} is there {len(found)} times"
    return found[0]


def summary(report: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """{type: (status, reason)} of the conditions that are about the whole instance, but for Warning."""
    found = [condition(report, kind) for kind in ("Ready", "Progressing", "Degraded")]
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in found}


def with_status(objects: Iterable[Mapping[str, Any]], kind: str, name: str, **status: Any) -> list[dict[str, Any]]:
    """The objects with another status of one of them."""
    return [as_ready(m, **status) if (m["kind"], m["metadata"]["name"]) == (kind, name) else dict(m) for m in objects]


def without(objects: Iterable[Mapping[str, Any]], kind: str, name: str) -> list[dict[str, Any]]:
    return [dict(manifest) for manifest in objects if (manifest["kind"], manifest["metadata"]["name"]) != (kind, name)]


def a_pod(component: str, reason: str, message: str = "") -> dict[str, Any]:
    """A pod of that component whose only container waits."""
    waiting = {"name": component, "state": {"waiting": {"reason": reason, "message": message}}}
    labels = {"app.kubernetes.io/component": component}
    metadata = {"name": f"{component}-x", "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"containerStatuses": [waiting]}}
