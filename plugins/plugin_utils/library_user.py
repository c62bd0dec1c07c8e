# SPDX-License-Identifier: Apache-2.0
"""Whose files the library holds: the server runs as their owner, where it could not work with them otherwise.

The server has no capabilities, so that even as root it is bound to the rights of files. A library that another user
filled is one that a container with the rights of a normal root could use. Only a pod can see that, so each pod of the
server looks first, and a later pass reads what it said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import names, pods, volumes
from .instance import Instance, Part, Surroundings
from .names import Component, Manifest
from .reasons import Reason
from .values import dig

LOOK = names.LOOK_AT_LIBRARY
FOLDER = "/data"
FOLDERS = ("upload", "library", "thumbs", "encoded-video", "profile", "backups")
"""Those that Immich reads and writes; it does not start without being allowed to."""

UNCHECKED = "IMMICH_IGNORE_MOUNT_CHECK_ERRORS"
"""The variable by which a user tells Immich to start all the same."""

LOOK_COMMAND = [
    "bash",
    "-c",
    "shopt -s nullglob\n"
    "closed=() owners=()\n"
    "look() {\n"
    "  if [[ ! -r $1 || ! -w $1 || ! -x $1 ]]; then\n"
    '    closed+=("$1")\n'
    '    owners+=("$(stat -c %u:%g "$1")")\n'
    "  fi\n"
    "}\n"
    f"if cd {FOLDER}; then\n"
    "  content=(*)\n"
    "  if [[ -z ${content[*]#lost+found} ]]; then look .; fi\n"
    f"  for folder in {' '.join(FOLDERS)}; do\n"
    "    if [[ -d $folder ]]; then\n"
    '      look "$folder"\n'
    '      for inner in "$folder"/*/; do look "${inner%/}"; done\n'
    "    fi\n"
    "  done\n"
    f'else\n  closed=(.) owners=("$(stat -c %u:%g {FOLDER})")\n'
    "fi 2>/dev/null\n"
    "if ((${#closed[@]} == 0)); then echo open >/dev/termination-log; exit 0; fi\n"
    "{\n"
    "echo closed\n"
    'for folder in "${closed[@]:0:5}"; do echo "at ${folder//[^A-Za-z0-9.\\/_-]/?}"; done\n'
    "printf 'owner %s\\n' \"${owners[@]}\" | sort -u | head -n 5\n"
    "} >/dev/termination-log\n"
    "exit 1\n",
]
"""Says in the status of the pod which of Immich's folders it may not use, and whose they are; fails if there are any."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a pod of the server may not use of its library."""

    at: tuple[str, ...]
    owners: tuple[str, ...]
    """UID:GID of each owner."""


def seen_by(pod: Manifest) -> Seen | None:
    """What that pod was refused, None when it has not looked or may use all."""
    for status in dig(pod, "status", "initContainerStatuses", default=[]):
        ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated", default={})
        lines = (ended.get("message") or "").split("\n")
        if status.get("name") == LOOK and lines[0] == "closed":
            of = {
                word: tuple(line[len(word) + 1 :] for line in lines if line.startswith(f"{word} "))
                for word in ("at", "owner")
            }
            return Seen(of["at"], of["owner"])
    return None


def security(part: Part, instance: Instance, around: Surroundings, claim_name: str) -> dict[str, int]:
    """User and group for the server's pods, {} for those of the image; `part` gets what is to be noted and explained."""
    if around.is_openshift or _user_is_set(instance):
        _explain(part, around, claim_name, None)
        return {}
    claim = around.live("PersistentVolumeClaim", claim_name)
    noted = _ids(dig(claim, "metadata", "annotations", names.LIBRARY_USER_ANNOTATION, default=""))
    seen = _seen_on(around, claim_name, noted)
    if not noted and claim and seen and len(seen.owners) == 1:
        noted = _ids(seen.owners[0])
        if noted:
            # Before the Deployment, which is held back if this fails: nothing else would tell the next pass.
            annotations = {names.LIBRARY_USER_ANNOTATION: seen.owners[0]}
            part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": annotations}})
            return noted
    _explain(part, around, claim_name, noted)
    return noted


def look(image: str, settings: Mapping[str, Any], mounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The container that looks, with the user and the rights of the server; none where the user wants no such check."""
    if any(entry.get("name") == UNCHECKED for entry in settings.get("env") or ()):
        return []
    library = [mount for mount in mounts if mount["name"] == "library"]
    return [
        pods.container(LOOK, image, {**settings, "resources": pods.SMALL}, command=LOOK_COMMAND, volumeMounts=library)
    ]


def _seen_on(around: Surroundings, claim_name: str, user: Mapping[str, int]) -> Seen | None:
    """What a pod of that user was refused on that claim."""
    for pod in around.pods:
        runs_as = dig(pod, "spec", "securityContext", "runAsUser")
        is_former = bool(user) and runs_as is not None and runs_as != user["runAsUser"]
        if claim_name in volumes.claims_of_pods([pod], Component.SERVER) and not is_former and (seen := seen_by(pod)):
            return seen
    return None


def _explain(part: Part, around: Surroundings, claim_name: str, noted: Mapping[str, int] | None) -> None:
    seen = _seen_on(around, claim_name, noted or {})
    if seen is None:
        return
    at = ", ".join("its top" if folder == "." else folder for folder in seen.at)
    owners = " and ".join(seen.owners)
    part.explains(
        Reason.LIBRARY_CLOSED,
        f"PersistentVolumeClaim {claim_name}: the server may not read and write {at}, which belongs to {owners} "
        "(user:group), so it is not started. Set runAsUser and runAsGroup in spec.server.podSecurityContext to the owner "
        "of all files, or fsGroup, or let root use all by `securityContext: {capabilities: {add: [DAC_OVERRIDE]}}` in "
        "spec.server",
    )


def _ids(text: Any) -> dict[str, int]:
    """{"runAsUser", "runAsGroup"} for "UID:GID"; {} for root, which the server is by default, and for anything else."""
    user, _colon, group = str(text).partition(":")
    if not (user.isdigit() and group.isdigit() and int(user)):
        return {}
    return {"runAsUser": int(user), "runAsGroup": int(group)}


def _user_is_set(instance: Instance) -> bool:
    settings = instance.settings(Component.SERVER)
    contexts = ("podSecurityContext", "securityContext")
    return any(dig(settings, context, "runAsUser") is not None for context in contexts)
