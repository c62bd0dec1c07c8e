# SPDX-License-Identifier: Apache-2.0
"""External libraries: folders that Immich shows without owning them. Nothing but their mount tells Immich that they are there.

Of a photo that it no longer finds, Immich believes that somebody has deleted it, and puts it into the trash, with its albums
and descriptions. A share that is not mounted looks like that, and so does a library that is taken out of the custom resource.
So

- before the server a container looks at each library, and lets it start only if there is a file in all of them. It needs no
  memory of what was there before: that could be lost, in a restore for example, and then an empty folder would pass;
- what is mounted stays mounted until its removal is confirmed. What that is stands on the server's Deployment, and on the
  library's claim, which outlives the Deployment.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from ..kube.readiness import has_ended
from ..kube.values import Manifest, dig, in_one_line, visible, without_none
from ..spec import names
from ..spec.external_libraries import Entry, ExternalLibrary, place
from ..spec.fields import ImmichWorkload, read
from ..spec.names import Component
from . import library, pods, volumes
from .instance import Cluster, Instance, Part
from .reasons import Reason

PATH = "spec.immich.externalLibraries"
CONFIRM = "spec.immich.confirmRemovedLibraries"
LOOK = names.LOOK_AT_EXTERNAL_LIBRARIES

LOOK_COMMAND = [
    "bash",
    "-c",
    "refuse= looked=\n"
    "{\n"
    "while (($#)); do\n"
    "  name=$1 may_be_empty=$2 folder=$3\n"
    "  shift 3 || exit 1\n"
    "  if [[ ! -d $folder ]]; then state=missing\n"
    "  elif [[ ! -r $folder || ! -x $folder ]]; then state=closed\n"
    "  else\n"
    # What systems of file servers leave behind is no content, and neither are folders alone: inner mounts may be missing.
    "    found=$(find \"$folder/\" -mindepth 1 \\( -name '.*' -o -name lost+found -o -name '@eaDir' -o -name '#*' \\) -prune"
    " -o -type f -printf x -quit) && all_read=yes || all_read=\n"
    "    if [[ -n $found ]]; then state=full\n"
    "    elif [[ -z $all_read ]]; then state=closed\n"
    "    else state=empty\n"
    "    fi\n"
    "  fi\n"
    '  echo "$state $name"\n'
    '  if [[ $state != full && "$state $may_be_empty" != "empty yes" ]]; then refuse=yes; fi\n'
    "done\n"
    "looked=yes\n"
    "} 2>/dev/null >/dev/termination-log\n"
    "[[ -n $looked && -z $refuse ]]\n",
    "look",
]
"""Reports in the pod's status what each library is, and fails unless all may be shown.

Its arguments are three for each library: name, `yes` if it may be empty, and folder. A line is the state and the name: `full`
if there is a file, `empty` if there is none, `closed` if there may be some that it can't read, `missing` if there is no
folder."""

STATES = ("full", "empty", "closed", "missing")


class Libraries:
    """What is mounted: the libraries of the custom resource, and those that are held until their removal is confirmed."""

    def __init__(self, mounted: Iterable[ExternalLibrary]) -> None:
        self.mounted = list(mounted)

    def __bool__(self) -> bool:
        return bool(self.mounted)

    @property
    def note(self) -> dict[str, str]:
        """The annotation that says what is mounted, {} for nothing."""
        told = {each.name: _as_json(each) for each in self.mounted}
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return {names.EXTERNAL_LIBRARIES_ANNOTATION: text} if told else {}

    @property
    def volumes(self) -> list[dict[str, Any]]:
        return [{"name": _volume(each), **_source(each)} for each in self.mounted]

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """For each container in which Immich runs, whichever of its workers."""
        return [
            without_none(
                {"name": _volume(each), "mountPath": place(each), "readOnly": True if each.read_only else None}
            )
            for each in self.mounted
        ]

    def look_container(self, image: str, settings: ImmichWorkload) -> list[dict[str, Any]]:
        """The container that has to come before each one in which Immich runs."""
        if not self.mounted:
            return []
        arguments = [
            word for each in self.mounted for word in (each.name, "yes" if each.allow_empty else "no", place(each))
        ]
        mounts = [{**mount, "readOnly": True} for mount in self.mounts]
        return [pods.init_container(LOOK, image, settings, command=[*LOOK_COMMAND, *arguments], volumeMounts=mounts)]


def plan(part: Part, instance: Instance, cluster: Cluster, shared: Container[str]) -> Libraries:
    """What is to be mounted; `part` gets what is to be noted and told. `shared` are claims that other instances use too."""
    claim_name = library.claim_name(instance)
    claim = cluster.live("PersistentVolumeClaim", claim_name)
    notes = [cluster.deployment(instance, Component.SERVER)]
    notes += [] if claim_name in shared else [claim]
    known = _in_use(part, notes)
    wanted = {each.name: each for each in instance.spec.immich.external_libraries if each.name}
    for held in _held(instance, wanted, known):
        part.explains(Reason.LIBRARY_IN_USE, _how_to_remove(held, wanted.get(held.name)))
        wanted[held.name] = held
    found = Libraries(wanted.values())
    if claim and claim_name not in shared and not volumes.is_being_deleted(claim):
        _note(part, claim, found)
    for each in found.mounted:
        if each.existing_claim:
            _check_claim(part, instance, cluster, each)
    _tell_of_looks(part, cluster, found)
    _tell_of_trash(part, instance, found)
    return found


def _in_use(part: Part, notes: Iterable[Manifest | None]) -> dict[str, ExternalLibrary]:
    """{name: library} that Immich has been started with, of the first note that tells of it."""
    known: dict[str, ExternalLibrary] = {}
    for noted in notes:
        text = dig(noted, "metadata", "annotations", names.EXTERNAL_LIBRARIES_ANNOTATION)
        told = _parsed(text)
        if text and told is None and noted:
            part.blocks(
                Reason.LIBRARY_IN_USE,
                f"{noted['kind']} {noted['metadata']['name']}: its annotation {names.EXTERNAL_LIBRARIES_ANNOTATION} is not what "
                "the operator writes there, so it is not known which external libraries Immich knows files in. Restore it, or "
                f"remove it if they are all in {PATH}",
            )
        for name, each in (told or {}).items():
            known.setdefault(name, read(ExternalLibrary, {**each, "name": name}))
    return known


def _held(
    instance: Instance, wanted: Mapping[str, ExternalLibrary], known: Mapping[str, ExternalLibrary]
) -> Iterator[ExternalLibrary]:
    """What is in use and would no longer be at its path. Under which name something is there makes no difference."""
    places = {place(each) for each in wanted.values()}
    for name, each in sorted(known.items()):
        if place(each) not in places and (name in wanted or name not in instance.spec.immich.confirm_removed_libraries):
            yield each


def _how_to_remove(held: ExternalLibrary, instead: ExternalLibrary | None) -> str:
    shown = f"external library {held.name} stays mounted at {visible(place(held))}"
    danger = "without it Immich puts all its photos into the trash, with their albums, and empties that later"
    if instead:
        return (
            f"{shown}, because Immich knows its files by that path: {danger}. Set its mountPath in {PATH} back, or give the "
            "library at the other path another name"
        )
    return (
        f"{shown} although it is no longer in {PATH}: {danger}. Delete the library in Immich first, then confirm with "
        f"`confirmRemovedLibraries: [{held.name}]` in spec.immich; or put it back into the list"
    )


def _note(part: Part, claim: Manifest, found: Libraries) -> None:
    """Before the Deployment, which is held back if this fails. The claim of somebody else gets this note too."""
    key = names.EXTERNAL_LIBRARIES_ANNOTATION
    wanted = found.note.get(key)
    if dig(claim, "metadata", "annotations", key) != wanted:
        # The uid makes the API server refuse it for a claim that has replaced the one that was read.
        part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": {key: wanted}}})


def _check_claim(part: Part, instance: Instance, cluster: Cluster, each: ExternalLibrary) -> None:
    name = each.existing_claim
    volumes.check_existing_claim(part, instance, cluster, name, path=f"{PATH} ({each.name})")
    if each.read_only and volumes.is_being_deleted(cluster.live("PersistentVolumeClaim", name)):
        part.blocks(  # of what the server can write to, passes/claims.py tells
            Reason.CLAIM_BEING_DELETED,
            f"PersistentVolumeClaim {name} of the external library {each.name} is being deleted, and its data is lost when the "
            "last pod that uses it ends, so the server is left as it is. Copy what you need while it runs",
        )


def _looks(cluster: Cluster) -> dict[str, str]:
    """{library: state} as the pods in which Immich runs, or is to run, have seen it; the worst of each."""
    seen: dict[str, str] = {}
    for pod in cluster.pods:
        for status in dig(pod, "status", "initContainerStatuses", default=[]):
            if status.get("name") != LOOK or has_ended(pod):
                continue
            ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated", default={})
            for line in (ended.get("message") or "").split("\n"):
                state, _blank, name = line.partition(" ")
                if state in STATES and STATES.index(state) >= STATES.index(seen.get(name, STATES[0])):
                    seen[name] = state
    return seen


def _tell_of_looks(part: Part, cluster: Cluster, found: Libraries) -> None:
    looks = _looks(cluster)
    for each in found.mounted:
        state, at = looks.get(each.name), visible(place(each))
        if state == "full" and each.allow_empty:
            part.warns(
                Reason.LIBRARY_NOT_GUARDED,
                f"external library {each.name} has files by now, and `allowEmpty: true` would let the server start without them: "
                f"take allowEmpty out of {PATH}",
            )
        elif state == "empty" and not each.allow_empty:
            part.explains(
                Reason.LIBRARY_MISSING,
                f"external library {each.name} has no file in it, so the server is not started: Immich would put all photos that "
                f"it knows there into the trash. See that {_called(each)} is what is mounted at {at}; the server then starts by "
                f"itself. If the library is meant to be empty, as a new one may be, set `allowEmpty: true` for it in {PATH}",
            )
        elif state in ("closed", "missing"):
            what = "can't be read by the server" if state == "closed" else "is not there"
            part.explains(
                Reason.LIBRARY_MISSING,
                f"external library {each.name} {what}, so the server is not started: Immich would put all photos that it knows "
                f"there into the trash. See {_called(each)}, mounted at {at}, and who may read it; the user is that of "
                "spec.server.podSecurityContext",
            )


def _tell_of_trash(part: Part, instance: Instance, found: Libraries) -> None:
    settings = instance.spec.immich
    trash = dig(settings.configuration, "trash", default={})
    is_off = isinstance(trash, Mapping) and (trash.get("enabled") is False or trash.get("days") == 0)
    if found and is_off and settings.configuration_kind != "None":
        part.warns(
            Reason.LIBRARY_NOT_GUARDED,
            "spec.immich.configuration switches Immich's trash off. If a file server fails while Immich looks at an external "
            "library, all that Immich knows of its photos is deleted in the following night. Leave the trash on",
        )


def _called(each: ExternalLibrary) -> str:
    if each.existing_claim:
        return f"PersistentVolumeClaim {each.existing_claim}"
    if each.nfs:
        return in_one_line(f"NFS export {each.nfs.server}:{each.nfs.path}")
    if each.host_path:
        return in_one_line(f"folder {each.host_path.path} of the node")
    return in_one_line(f"the volume of CSI driver {each.csi.get('driver')}")


def _volume(each: ExternalLibrary) -> str:
    return f"external-{each.name}"


def _source(each: ExternalLibrary) -> dict[str, Any]:
    """What mounts it. The node refuses each that is not there, rather than making an empty one."""
    read_only = {"readOnly": True} if each.read_only else {}
    if each.existing_claim:
        return {"persistentVolumeClaim": {"claimName": each.existing_claim, **read_only}}
    if each.nfs:
        return {"nfs": {"server": each.nfs.server, "path": each.nfs.path, **read_only}}
    if each.host_path:
        return {"hostPath": {"path": each.host_path.path, "type": "Directory"}}
    return {"csi": {**each.csi, **read_only}}


def _as_json(each: ExternalLibrary) -> dict[str, Any]:
    """As the custom resource has it, without the name."""
    told: Entry = {"mountPath": place(each), "readOnly": each.read_only, "allowEmpty": each.allow_empty}
    if each.existing_claim:
        return {**told, "existingClaim": each.existing_claim}
    if each.nfs:
        return {**told, "nfs": {"server": each.nfs.server, "path": each.nfs.path}}
    if each.host_path:
        return {**told, "hostPath": {"path": each.host_path.path}}
    return {**told, "csi": dict(each.csi)}


def _parsed(text: Any) -> dict[str, Entry] | None:
    """{name: fields}; None for what is none of ours."""
    try:
        told = json.loads(text) if text else {}
    except (TypeError, ValueError, RecursionError):
        return None
    is_ours = isinstance(told, dict) and all(isinstance(each, dict) for each in told.values())
    return told if is_ours else None
