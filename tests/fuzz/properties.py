# SPDX-License-Identifier: Apache-2.0
"""What holds for each custom resource, whatever is in it: functions that raise AssertionError where it does not."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.kube import schema
from ansible_collections.media.immich.plugins.plugin_utils.kube.difference import needs_apply, without_nulls
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_merge import wanted_status
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_writer import event
from ansible_collections.media.immich.plugins.plugin_utils.kube.values import DEEPEST, is_deeper, merged
from ansible_collections.media.immich.plugins.plugin_utils.passes.offline import offline_plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import Plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.removal import removal
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from ansible_collections.media.immich.plugins.plugin_utils.spec import custom_resources
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete, open_api_schema
from support.instances import (
    NAME,
    UID,
    a_claim,
    a_config_map,
    a_secret,
    an_instance_at_work,
    plan_for,
    results_of,
    seen_with,
)

Manifest = dict[str, Any]

NOW = "2026-01-01T00:00:00Z"
WHOLE_STATUS_BYTES = 64 * 1024
STATUS_SCHEMA = open_api_schema()["properties"]["status"]
REFERRED = [
    a_secret("immich-postgres", password="database", url="postgresql://immich:s@db.example.com/photos", username="u"),
    a_secret("immich-redis", password="queue"),
    a_secret("immich-oauth", clientSecret="oauth"),
    a_config_map("settings", level="log"),
    a_claim("nas-library"),
    a_claim("nas-database", annotations={"media.rm3l.org/credentials": f"{NAME}-postgres-credentials"}),
]
"""What the generated resources may name, as far as it exists."""
WITHOUT_OWNER = {("PersistentVolumeClaim", f"{NAME}-library"), ("Secret", f"{NAME}-postgres-credentials")}
_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def nothing_escapes(cr: Manifest) -> Plan | None:
    """The plan of a resource as it may have been stored before the rules of today; None if it is too deep for a pass."""
    full, problems = complete(cr)
    try:
        read = custom_resources.completed(custom_resources.from_text(_as_yaml(cr)))
        assert not problems and read == full
    except custom_resources.Unusable as exc:
        assert problems or "larger than" in str(exc) or "nested" in str(exc) or "number" in str(exc), exc
    if is_deeper(cr, DEEPEST):
        assert problems
        return None
    if not problems:
        offline_plan(full, images=DEFAULT_IMAGES, password="x", route=True).as_text()
    planned = plan_for(full, REFERRED)
    assert json.loads(planned.as_text())["plan"] == planned.as_dict()
    return planned


def order_does_not_matter(cr: Manifest, chance: random.Random) -> None:
    """The same resource with its keys in another order gives the same bytes."""
    assert _bytes(plan_for(_shuffled(cr, chance), REFERRED)) == _bytes(plan_for(cr, REFERRED))


def objects_are_well_formed(cr: Manifest, planned: Plan) -> None:
    """Names, labels, selectors, volumes and owners, as far as no API server is needed to tell."""
    templates = {}
    for manifest in planned.objects:
        json.dumps(manifest, allow_nan=False)
        metadata = manifest["metadata"]
        assert _SUBDOMAIN.fullmatch(metadata["name"]) and len(metadata["name"]) <= 253
        assert metadata["labels"]["app.kubernetes.io/instance"] == cr["metadata"]["name"]
        owners = [owner["uid"] for owner in metadata.get("ownerReferences", ())]
        outlives = (manifest["kind"], metadata["name"].replace(cr["metadata"]["name"], NAME, 1)) in WITHOUT_OWNER
        assert owners == ([] if outlives else [UID]), f"{manifest['kind']} {metadata['name']} has the owners {owners}"
        if "template" in manifest.get("spec", {}):
            _pods_are_well_formed(manifest)
            templates[metadata["name"]] = manifest["spec"]["template"]["metadata"]["labels"]
    for manifest in planned.objects:
        if manifest["kind"] == "Service" and manifest["metadata"]["name"] in templates:
            assert manifest["spec"]["selector"].items() <= templates[manifest["metadata"]["name"]].items()


def _pods_are_well_formed(workload: Manifest) -> None:
    template, selector = workload["spec"]["template"], workload["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    spec = template["spec"]
    volumes = [volume["name"] for volume in [*spec.get("volumes", ()), *_claim_templates(workload)]]
    assert len(set(volumes)) == len(volumes), volumes
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    assert len({container["name"] for container in containers}) == len(containers)
    for container in containers:
        mounts = container.get("volumeMounts", ())
        assert {mount["name"] for mount in mounts} <= set(volumes)
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
        variables = [variable["name"] for variable in container.get("env", ())]
        assert len(set(variables)) == len(variables), variables


def _claim_templates(workload: Manifest) -> Iterator[Manifest]:
    for template in workload["spec"].get("volumeClaimTemplates", ()):
        assert "ownerReferences" not in template["metadata"]
        yield {"name": template["metadata"]["name"]}


def a_pass_after_a_pass_changes_nothing(cr: Manifest) -> None:
    """And its status is one that the API server takes; a removal after it leaves the data."""
    live = an_instance_at_work(cr, REFERRED)
    there = _after(plan_for(cr, live), live)
    live = list(there.values())
    seen, again = seen_with(cr, live), plan_for(cr, live)
    for step in again.steps:
        assert step["verb"] == "apply", f"{step['verb']} of {step.get('object') or step['target']}"
        wanted = without_nulls(step["object"])
        key = wanted["kind"], wanted["metadata"]["name"]
        assert not needs_apply(wanted, there.get(key)), f"{key} would be written again"
    told = report(again.as_dict(), {"results": results_of(again)}, seen)
    assert told == report(again.as_dict(), {"results": results_of(again)}, seen)
    status_is_accepted(cr, told)
    for step in removal(cr, seen=seen)["steps"]:
        target = step.get("target", {})
        key = target.get("kind"), target.get("name")
        assert step["verb"] != "delete" or (
            key not in WITHOUT_OWNER and key != ("PersistentVolumeClaim", f"data-{NAME}-postgres-0")
        )


def _after(planned: Plan, live: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """What is there after the steps of a plan."""
    there = {(item["kind"], item["metadata"]["name"]): item for item in live}
    for step in planned.steps:
        subject = step.get("object") or step["target"]
        key = subject["kind"], subject.get("metadata", subject)["name"]
        if step["verb"] == "delete":
            there.pop(key)
        elif step["verb"] == "merge":
            there[key] = merged(there[key], step["patch"])
        else:
            there[key] = merged(there.get(key, {}), without_nulls(subject))
    return there


def status_is_accepted(cr: Manifest, told: Manifest) -> None:
    """By the schema, and in size; so are the Events."""
    status = wanted_status(cr.get("status") or {}, told["status"], None, now=NOW)
    assert schema.problems(STATUS_SCHEMA, status) == []
    assert len(json.dumps(status, ensure_ascii=False).encode()) <= WHOLE_STATUS_BYTES
    for one in told["events"]:
        assert len(event(cr, one, now=NOW)["message"].encode()) <= 1024


def _as_yaml(cr: Manifest) -> str:
    """JSON is YAML, but for the escapes of what is beyond the first 65,536 characters."""

    def written(pair: re.Match[str]) -> str:
        character = str(json.loads('"' + pair[0] + '"'))
        return f"\\U{ord(character):08x}"

    return _PAIR.sub(written, json.dumps(cr))


def _bytes(planned: Plan) -> bytes:
    return json.dumps(planned.as_dict()["steps"], sort_keys=True).encode()


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: _shuffled(value[key], chance) for key in keys}
    return [_shuffled(item, chance) for item in value] if isinstance(value, list) else value
