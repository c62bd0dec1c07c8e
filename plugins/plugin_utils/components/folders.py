# SPDX-License-Identifier: Apache-2.0
"""Folders of Immich that are on volumes of their own, beside that of the library: what is where, and what has to move.

A container of the server's pod moves what is not where it belongs, before Immich starts: folder_moves.py. Where a folder is
stands on the server's Deployment and on the library's claim. So a folder whose volume is no longer wanted is first moved back,
and only then does its volume leave the pod.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..kube.commands import FOLDER, Given, command
from ..kube.readiness import has_ended, is_ready
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.fields import ImmichWorkload, Persistence
from ..spec.names import Component
from . import library_user, pods, volumes
from .folder_moves import LIBRARY, MOVE_SCRIPT, PRIVATE, VOLUMES
from .instance import Cluster, Instance, Part
from .reasons import Reason

PATH = "spec.immich.persistence"


@dataclass(frozen=True, slots=True)
class Folder:
    name: str
    """As Immich calls it."""
    key: str
    """The field of `spec.immich.persistence`."""
    can_be_made_again: bool

    @property
    def path(self) -> str:
        return f"{PATH}.{self.key}"

    @property
    def volume(self) -> str:
        return f"folder-{self.name}"

    def wanted(self, instance: Instance) -> Persistence | None:
        found: Persistence | None = getattr(instance.spec.immich.persistence, self.name.replace("-", "_"))
        return found

    def claim(self, instance: Instance) -> str | None:
        """The claim that the custom resource asks for."""
        settings = self.wanted(instance)
        return (settings.existing_claim or names.folder_claim(instance.name, self.name)) if settings else None


FOLDERS = (
    Folder("thumbs", "thumbs", can_be_made_again=True),
    Folder("encoded-video", "encodedVideo", can_be_made_again=True),
    Folder("profile", "profile", can_be_made_again=False),
    Folder("backups", "backups", can_be_made_again=False),
)
"""What may be apart. Immich moves originals between `upload` and `library`, so these stay on one volume."""

_VOLUMES = frozenset(folder.volume for folder in FOLDERS)
TO_VOLUME, TO_LIBRARY = "volume", "library"
_KEPT = re.compile(r"kept ([a-z-]+-[0-9]{1,4})")
_REFUSED = {
    "both": "there are files both on the volume of the library and on its own: empty the one that is out of date",
    "closed": "the server's user can't read and write it on both volumes: set fsGroup in spec.server.podSecurityContext",
    "full": "there is no room for it where it is to be: make that volume larger",
    "differs": "what is there differs from what was copied: see that nothing else writes to either volume",
    "uncopied": "it can't be copied",
}
"""{how the container ends: why}"""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a volume in the pod."""

    folder: Folder
    claim: str
    to: str
    """Where its files belong: TO_VOLUME, or TO_LIBRARY, after which the volume leaves the pod."""


class Folders:
    """What is mounted for folders, and what is moved first."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = list(places)

    @property
    def note(self) -> dict[str, str]:
        """The annotation that says which folder is where, {} for none."""
        told = {place.folder.name: place.claim for place in self.places}
        return {names.FOLDERS_ANNOTATION: json.dumps(told, sort_keys=True, separators=(",", ":"))} if told else {}

    @property
    def volumes(self) -> list[dict[str, Any]]:
        return [
            {"name": place.folder.volume, "persistentVolumeClaim": {"claimName": place.claim}} for place in self.places
        ]

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """For each container in which Immich runs."""
        return [
            {"name": place.folder.volume, "mountPath": f"{library_user.FOLDER}/{place.folder.name}"}
            for place in self.places
            if place.to == TO_VOLUME
        ]

    @property
    def layout(self) -> frozenset[tuple[str, str]]:
        """{(volume, claim)} of what Immich itself has below its library."""
        return frozenset((place.folder.volume, place.claim) for place in self.places if place.to == TO_VOLUME)

    def move_container(self, image: str, settings: ImmichWorkload) -> list[dict[str, Any]]:
        """The container that has to come before each one in which Immich runs."""
        if not self.places:
            return []
        mounts = [{"name": "library", "mountPath": LIBRARY}]
        mounts += [
            {"name": place.folder.volume, "mountPath": f"{VOLUMES}/{place.folder.name}"} for place in self.places
        ]
        words = ["bash", "-c", MOVE_SCRIPT, "move", LIBRARY, VOLUMES]
        for place in self.places:
            words += [place.folder.name, place.to, "yes" if place.folder.can_be_made_again else "no"]
        return [pods.init_container(names.MOVE_FOLDERS, image, settings, command=words, volumeMounts=mounts)]


def plan(part: Part, instance: Instance, cluster: Cluster, claim: Manifest | None, shared: Container[str]) -> Folders:
    """What is to be mounted and moved; `part` gets what is to be noted and told. `claim` is the library's."""
    server = cluster.live("Deployment", names.workload_name(instance.name, Component.SERVER))
    is_ours = claim and claim["metadata"]["name"] not in shared
    known = {**_noted(claim if is_ours else None), **_noted(server)}
    found = Folders(_places(part, instance, cluster, server, known))
    if claim and is_ours and not volumes.is_being_deleted(claim):
        wanted = found.note.get(names.FOLDERS_ANNOTATION)
        if dig(claim, "metadata", "annotations", names.FOLDERS_ANNOTATION) != wanted:
            # Before the Deployment, which is held back if this fails. The uid: not on a claim that has replaced this one.
            metadata = {"uid": claim["metadata"].get("uid"), "annotations": {names.FOLDERS_ANNOTATION: wanted}}
            part.merge(claim, {"metadata": metadata})
    for place in found.places:
        settings = place.folder.wanted(instance)
        if settings and settings.existing_claim == place.claim:
            volumes.check_existing_claim(
                part, instance, cluster, place.claim, path=f"{place.folder.path}.existingClaim"
            )
    _tell(part, instance, cluster, found)
    return found


def is_laid_out_otherwise(cluster: Cluster, found: Folders, components: Container[str]) -> bool:
    """Whether pods of these components are still there in which Immich has its folders elsewhere than it is to have them.

    As long as they are, nothing may be moved, and so no pod may start that moves something.
    """
    return any(
        dig(pod, "metadata", "labels", "app.kubernetes.io/component") in components
        and not has_ended(pod)
        and _layout(dig(pod, "spec", default={})) != found.layout
        for pod in cluster.pods
    )


def _layout(spec: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    mounted = {mount.get("name") for each in spec.get("containers") or () for mount in each.get("volumeMounts") or ()}
    return frozenset(
        (volume["name"], dig(volume, "persistentVolumeClaim", "claimName", default=""))
        for volume in spec.get("volumes") or ()
        if volume.get("name") in _VOLUMES and volume["name"] in mounted
    )


def _places(
    part: Part, instance: Instance, cluster: Cluster, server: Manifest | None, known: Mapping[str, str]
) -> Iterator[Place]:
    for folder in FOLDERS:
        wanted, used = folder.claim(instance), known.get(folder.name)
        if wanted and used in (None, wanted):
            yield Place(folder, wanted, TO_VOLUME)
        elif wanted and used:
            part.explains(
                Reason.FOLDER_NOT_MOVED,
                f"folder {folder.name} is on PersistentVolumeClaim {used} and stays there: it moves from one volume to another "
                f"only by way of the library. Remove {folder.path}, wait until the Warning about it is gone, then set it to "
                f"{wanted}",
            )
            yield Place(folder, used, TO_VOLUME)
        elif used and not _is_back(cluster, server, folder, used):
            part.warns(
                Reason.FOLDER_MOVES_BACK,
                f"folder {folder.name} is to be on the volume of the library again: the next start of the server copies it from "
                f"PersistentVolumeClaim {used}, which stays in the pod until that is done",
            )
            yield Place(folder, used, TO_LIBRARY)


def _is_back(cluster: Cluster, server: Manifest | None, folder: Folder, claim: str) -> bool:
    """Whether a pod has moved it, and its server has started after that."""
    return bool(server and is_ready(server)) and any(
        f"{TO_LIBRARY} {folder.name}" in said
        and code == 0
        and claim in volumes.claims_of_pod(dig(pod, "spec", default={}))
        for pod, code, said in _reports(cluster)
    )


def _reports(cluster: Cluster) -> Iterator[tuple[Manifest, int | None, list[str]]]:
    """(pod, exit code, lines) of each container that moves and has ended."""
    for pod in cluster.pods:
        for status in dig(pod, "status", "initContainerStatuses", default=[]):
            ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
            if status.get("name") == names.MOVE_FOLDERS and ended and not has_ended(pod):
                yield pod, ended.get("exitCode"), (ended.get("message") or "").split("\n")


def _tell(part: Part, instance: Instance, cluster: Cluster, found: Folders) -> None:
    moving = {place.folder.name: place for place in found.places}
    for _pod, code, said in _reports(cluster):
        for line in said if code else ():
            why, _blank, name = line.partition(" ")
            if why in _REFUSED and (name in moving or name == "library"):
                logs = command(
                    *(
                        "kubectl",
                        "logs",
                        *instance.place,
                        f"deployment/{names.workload_name(instance.name, Component.SERVER)}",
                    ),
                    *("-c", names.MOVE_FOLDERS),
                )
                part.explains(
                    Reason.FOLDER_NOT_MOVED,
                    f"folder {name} can't be moved, so the server is not started: {_REFUSED[why]}. Nothing is lost: each file is "
                    f"where it was. {logs} shows more. To leave it as it is, set back {PATH}",
                )
    kept = sorted(
        {
            match[1]
            for _pod, code, said in _reports(cluster)
            if code == 0
            for match in map(_KEPT.fullmatch, said)
            if match
        }
    )
    for name in kept:
        old = Given(name, "FOLDER", FOLDER, before=f"{library_user.FOLDER}/{PRIVATE}/old/")
        server = f"deployment/{names.workload_name(instance.name, Component.SERVER)}"
        remove = command("kubectl", "exec", *instance.place, server, "-c", "server", "--", "rm", "-r", old)
        part.warns(
            Reason.OLD_COPY_KEPT,
            f"folder {PRIVATE}/old/{name} on the volume of the library holds what was moved elsewhere, and takes its room. Once "
            f"Immich shows everything, remove it with {remove}; this is told until the server has started again",
        )


def _noted(manifest: Manifest | None) -> dict[str, str]:
    """{folder: claim} that a note tells of; what is none of ours tells nothing: then Immich's own marks protect the folder."""
    text = dig(manifest, "metadata", "annotations", names.FOLDERS_ANNOTATION)
    try:
        told = json.loads(text) if text else {}
    except (TypeError, ValueError, RecursionError):
        return {}
    pairs = told.items() if isinstance(told, dict) else ()
    ours = {folder.name for folder in FOLDERS}
    return {name: claim for name, claim in pairs if name in ours and isinstance(claim, str) and claim}
