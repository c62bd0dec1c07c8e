# SPDX-License-Identifier: Apache-2.0
"""What a user lays over the pods of a component at the very end, and which of the operator's safeguards that undoes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..kube.strategic_merge import BadPatch, merged
from ..kube.values import dig
from ..spec import names
from ..spec.checks import IS_OUR_CONTAINER
from .instance import Part
from .reasons import Reason

__all__ = ["laid_over"]

POD_FIELDS = ("metadata", "spec")
METADATA = ("annotations", "labels")
NAMED = ("containers", "initContainers", "volumes")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
TIMES = {
    "failureThreshold",
    "initialDelaySeconds",
    "periodSeconds",
    "successThreshold",
    "terminationGracePeriodSeconds",
    "timeoutSeconds",
}
OF_THE_POD = ("automountServiceAccountToken", "enableServiceLinks")
OF_THE_HOST = ("hostIPC", "hostNetwork", "hostPID")
OF_A_CONTAINER = ("image", "command", "args")
MOST_NAMED = 20


def laid_over(part: Part, template: dict[str, Any], overlay: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The template with the user's `podTemplate` over it; `path` is that of the component's settings.

    Labels, checksums and the component's own container stay, so no selector and no rollout can break. `part` is held back
    if the overlay is no patch, and warns of what it undoes.
    """
    if not overlay:
        return template
    at = f"{path}.podTemplate"
    for problem in _malformed(overlay):
        part.blocks(Reason.SPEC_INVALID, f"{at}: {problem}")
        return template
    try:
        result = merged(template, overlay)
    except BadPatch as exc:
        part.blocks(Reason.SPEC_INVALID, f"{at}: {exc}")
        return template
    kept = [*_keep_metadata(template, result), *_keep_container(template, result)]
    undone = list(dict.fromkeys(_undone(template["spec"], result["spec"])))
    if undone:
        part.warns(
            Reason.SAFEGUARD_REMOVED,
            f"{at} undoes what the operator sets for safety: {_listed(undone)}. Take it back if that is not meant",
        )
    if kept:
        part.warns(
            Reason.SETTING_IGNORED,
            f"{at} changes {_listed(kept)}, which has no effect, because the operator relies on it; remove it there",
        )
    return result


def _malformed(overlay: Mapping[str, Any]) -> Iterator[str]:
    for key, value in overlay.items():
        if key not in POD_FIELDS:
            yield f"{key} is no field of a pod template. Write {' or '.join(POD_FIELDS)}"
        elif not isinstance(value, Mapping):
            yield f"{key} is no mapping. Write the fields below it"
        elif "$patch" in value:
            yield f"$patch in {key} would take away the whole pod. Name the fields that change"
        elif key == "metadata" and (others := sorted(value.keys() - set(METADATA))):
            yield f"metadata.{others[0]} can't be set for pods. Write {' or '.join(METADATA)}"
    for key in METADATA:
        if not isinstance(dig(overlay, "metadata", key, default={}), Mapping):
            yield f"metadata.{key} is no mapping. Write names and texts"
    for key in NAMED:
        found = dig(overlay, "spec", key, default=[])
        if not (isinstance(found, list) and all(isinstance(dig(entry, "name"), str) for entry in found)):
            yield f"spec.{key} is no list of things that have a name. Give each the name by which it is found"


def _keep_metadata(before: Mapping[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Put back the labels that selectors find, and what the operator itself notes."""
    for key in METADATA:
        found = dict(dig(after, "metadata", key, default={}))
        own = {
            name: value
            for name, value in dig(before, "metadata", key, default={}).items()
            if name.startswith(f"{names.GROUP}/") or (key == "labels" and name in names.labels("", ""))
        }
        for name in sorted({*own, *(name for name in found if name.startswith(f"{names.GROUP}/"))}):
            if found.get(name) != own.get(name):
                yield f"metadata.{key}[{name}]"
                found.pop(name, None)
        if found or own:
            after["metadata"] = {**after["metadata"], key: {**found, **own}}


def _keep_container(before: Mapping[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Put back the component's own container, as the first one."""
    main = before["spec"]["containers"][0]
    entries = after["spec"].get("containers") or ()
    found = [entry for entry in entries if entry.get("name") == main["name"]]
    others = [entry for entry in entries if entry.get("name") != main["name"]]
    if not found or found[0].keys() <= {"name"}:
        yield f"container {main['name']}"
        found = [main]
    after["spec"] = {**after["spec"], "containers": [*found[:1], *others]}


def _undone(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The operator's settings that are not as they were, by what a user calls them."""
    for key in OF_THE_POD:
        if key in before and after.get(key) != before[key]:
            yield key
    for key in OF_THE_HOST:
        if after.get(key):
            yield key
    grace, then = (each.get("terminationGracePeriodSeconds") for each in (before, after))
    if grace is not None and not (isinstance(then, int) and then >= grace):
        yield "terminationGracePeriodSeconds"
    yield from _changed(before.get("securityContext"), after.get("securityContext"), "securityContext")
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        there = _by("name", after.get(field))
        for entry in _ours(before.get(field)):
            found = there.get(entry["name"])
            if found is None:
                yield f"{what} {entry['name']}"
            else:
                for undone in _undone_in_container(entry, found):
                    yield f"{undone} of {what} {entry['name']}"
    volumes = _by("name", after.get("volumes"))
    for volume in before.get("volumes") or ():
        if volumes.get(volume["name"]) != volume:
            yield f"volume {volume['name']}"


def _undone_in_container(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key in OF_A_CONTAINER:
        if after.get(key) != before.get(key):
            yield key
    yield from _changed(before.get("securityContext"), after.get("securityContext"), "securityContext")
    for probe in PROBES:
        if _handler(after.get(probe)) != _handler(before.get(probe)) and before.get(probe):
            yield probe
    variables = _by("name", after.get("env"))
    for entry in before.get("env") or ():
        if variables.get(entry["name"]) != entry:
            yield f"variable {entry['name']}"
    mounts = _by("mountPath", after.get("volumeMounts"))
    for mount in before.get("volumeMounts") or ():
        if mounts.get(mount["mountPath"]) != mount:
            yield f"mount {mount['mountPath']}"


def _ours(containers: Any) -> list[dict[str, Any]]:
    """Without those of the user, which may say anything."""
    return [each for each in containers or () if IS_OUR_CONTAINER.fullmatch(str(each.get("name")))]


def _by(key: str, entries: Any) -> dict[str, Any]:
    """The entries by that field of theirs; what is no list of mappings is left to the API server."""
    return {str(dig(entry, key)): entry for entry in (entries if isinstance(entries, list) else ())}


def _handler(probe: Any) -> dict[str, Any] | None:
    """What a probe asks, without how often."""
    return {key: value for key, value in probe.items() if key not in TIMES} if isinstance(probe, Mapping) else None


def _changed(before: Any, after: Any, path: str) -> Iterator[str]:
    found = after if isinstance(after, Mapping) else {}
    for key, value in (before or {}).items():
        if found.get(key) != value:
            yield f"{path}.{key}"


def _listed(things: list[str]) -> str:
    shown = things[:MOST_NAMED]
    rest = [f"{len(things) - len(shown)} more"] if len(things) > len(shown) else []
    return ", ".join([*shown, *rest])
