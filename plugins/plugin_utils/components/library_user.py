# SPDX-License-Identifier: Apache-2.0
"""Who owns the files in the library: the server runs as their owner if it could not work with them otherwise.

The server has no capabilities, so file permissions apply to it even as root, and it can't use a library that another
user has filled, which a container with root's usual capabilities could. Only a pod can see this, so each pod of the
server looks first, and a later pass reads what it reported.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from ..kube.values import Manifest, dig, whole_number
from ..spec import names
from ..spec.fields import Workload
from ..spec.names import Component
from . import pods, volumes
from .instance import Cluster, Instance, Part
from .reasons import Reason

LOOK = names.LOOK_AT_LIBRARY
FOLDER = "/data"
FOLDERS = ("upload", "library", "thumbs", "encoded-video", "profile", "backups")
"""The folders that Immich reads and writes; it does not start if it can't."""

_OWNER = re.compile(r"\d{1,10}:\d{1,10}", re.ASCII)

UNCHECKED = "IMMICH_IGNORE_MOUNT_CHECK_ERRORS"
"""The variable with which a user tells Immich to start anyway."""

LOOK_COMMAND = [
    "bash",
    "-c",
    "shopt -s nullglob\n"
    "closed=() inner=() open=()\n"
    "look() {\n"
    '  if [[ -r $1 && -w $1 && -x $1 ]]; then open+=("$1")\n'
    '  elif [[ $1 == */* || -r $1/.immich && -w $1/.immich ]]; then inner+=("$1")\n'
    '  else closed+=("$1")\n'
    "  fi\n"
    "}\n"
    "owners() {\n"
    '  if (($# > 1)); then stat -L -c "%A $1 %u:%g" "${@:2}"; fi\n'
    "}\n"
    f"if cd {FOLDER}; then\n"
    "  content=(*)\n"
    "  if [[ -z ${content[*]#lost+found} ]]; then look .; fi\n"
    f"  for folder in {' '.join(FOLDERS)}; do\n"
    "    if [[ ! -d $folder ]]; then continue; fi\n"
    '    look "$folder"\n'
    "    if [[ $folder == backups ]]; then continue; fi\n"
    '    for one in "$folder"/*/; do\n'
    '      if [[ $one != */lost+found/ ]]; then look "${one%/}"; fi\n'
    "    done\n"
    "  done\n"
    "else\n"
    f"  cd / && closed=({FOLDER})\n"
    "fi 2>/dev/null\n"
    "{\n"
    'if ((${#closed[@]})); then echo closed; at=("${closed[@]}")\n'
    'elif ((${#inner[@]})); then echo partly; at=("${inner[@]}")\n'
    "else echo open; at=()\n"
    "fi\n"
    'for folder in "${at[@]:0:5}"; do echo "at ${folder//[^A-Za-z0-9.\\/_-]/?}"; done\n'
    "if ((${#at[@]})); then\n"
    "  {\n"
    '  owners owner "${at[@]}"\n'
    '  ((${#closed[@]} == 0)) || owners other "${inner[@]}"\n'
    '  owners other "${open[@]}" | grep -v "^........w"\n'  # what everyone can write to shows nothing
    "  } 2>/dev/null | cut -d ' ' -f 2- | sort -ru | head -n 10\n"
    "fi\n"
    "} >/dev/termination-log\n"
    "((${#closed[@]} == 0))\n",
]
"""Reports in the pod's status which folders it can't use, and fails if Immich would not start because of that.

Immich needs to read and write the file .immich in each of its own folders, or to create it. The first line is `closed`
if it can't, `partly` if there are other folders that it can't use, except those in `backups`, or `open`. Lines `at` name
such folders, at most 5, `owner` who owns them and `other` who owns the rest, unless everyone can write to it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a pod of the server can't use in its library."""

    is_refused: bool
    """Whether the server was not started because of that."""
    at: tuple[str, ...]
    owners: tuple[str, ...]
    """UID:GID of each owner."""
    others: tuple[str, ...]
    """UID:GID of the owners of folders that it can use, or that Immich can start without."""

    @property
    def owner(self) -> str | None:
        """The one owner of everything that it saw, None if there is more than one."""
        users = {ids.partition(":")[0] for ids in (*self.owners, *self.others)}
        return self.owners[0] if self.is_refused and len(self.owners) == 1 and len(users) == 1 else None


def look_of(pod: Manifest) -> Look | None:
    """What that pod was refused, None if it has not looked or can use everything."""
    for status in dig(pod, "status", "initContainerStatuses", default=[]):
        ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated", default={})
        lines = (ended.get("message") or "").split("\n")
        if status.get("name") == LOOK and lines[0] in ("closed", "partly"):
            of = {
                word: tuple(line[len(word) + 1 :] for line in lines if line.startswith(f"{word} "))
                for word in ("at", "owner", "other")
            }
            at = tuple(map(volumes.shown_folder, of["at"]))
            owners, others = (tuple(filter(_OWNER.fullmatch, of[word])) for word in ("owner", "other"))
            return Look(lines[0] == "closed", at, owners, others)
    return None


def security(part: Part, instance: Instance, cluster: Cluster, claim_name: str) -> dict[str, int]:
    """User and group for the server's pods, {} for the image's; `part` gets what has to be noted and explained.

    If the user names one, or lets root use everything, the claim does not count.
    """
    claim = cluster.live("PersistentVolumeClaim", claim_name)
    noted = _ids(dig(claim, "metadata", "annotations", names.LIBRARY_USER_ANNOTATION, default=""))
    is_decided = cluster.is_openshift or _user_is_set(instance) or _may_use_all(instance)
    if is_decided:
        noted = {}
    is_former_known = not (cluster.is_openshift or _user_is_set(instance))
    look = _look_on(cluster, claim_name, noted if is_former_known else None)
    if claim and look and look.owner and not (noted or is_decided):
        noted = _ids(look.owner)
        if noted:
            # Before the Deployment, which is held back if this fails: the next pass would not know it otherwise.
            annotations = {names.LIBRARY_USER_ANNOTATION: look.owner}
            part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": annotations}})
            return noted
    if look:
        _explain(part, instance, claim_name, look, noted)
    return noted


def look_container(
    image: str, settings: Workload, mounts: list[dict[str, Any]], variables: Container[str]
) -> list[dict[str, Any]]:
    """The container that looks, with the server's user and permissions; none if the user wants no such check.

    `variables` are the names of those that the user gives.
    """
    if UNCHECKED in variables:
        return []
    library = [mount for mount in mounts if mount["name"] == "library"]
    return [pods.init_container(LOOK, image, settings, command=LOOK_COMMAND, volumeMounts=library)]


def _look_on(cluster: Cluster, claim_name: str, user: Mapping[str, int] | None) -> Look | None:
    """What a pod of that user was refused on that claim, {} for the image's user; of any user for None."""
    for pod in cluster.pods:
        runs_as = dig(pod, "spec", "securityContext", "runAsUser")
        is_former = user is not None and runs_as is not None and runs_as != user.get("runAsUser")
        if claim_name in volumes.claims_of_pods([pod], Component.SERVER) and not is_former and (look := look_of(pod)):
            return look
    return None


def _explain(part: Part, instance: Instance, claim_name: str, look: Look, noted: Mapping[str, int]) -> None:
    at = ", ".join("its top" if folder in (".", FOLDER) else folder for folder in look.at)
    owners = " and ".join(look.owners)
    what = f"PersistentVolumeClaim {claim_name}: the server can't read and write {at}, which belongs to {owners}"
    if not look.is_refused:
        part.warns(
            Reason.LIBRARY_CLOSED,
            f"{what} (user:group), so it can't show the photos there. Give the folders to the server's user",
        )
        return
    remedy = (
        "Set runAsUser and runAsGroup in spec.server.podSecurityContext to the owner of all files, or fsGroup, or let "
        "root use them all with `securityContext: {capabilities: {add: [DAC_OVERRIDE]}}` in spec.server"
    )
    others = [ids for ids in look.others if ids not in look.owners]
    if others:
        remedy = f"Other folders belong to {' and '.join(others)}. {remedy}"
    if noted:
        key = names.LIBRARY_USER_ANNOTATION
        remedy = (
            f"It runs as {noted['runAsUser']}:{noted['runAsGroup']}, because the claim says so in its annotation {key}; if "
            f"that is wrong, run {volumes.annotate_command(instance, claim_name, f'{key}-')}. {remedy}"
        )
    part.explains(Reason.LIBRARY_CLOSED, f"{what} (user:group), so it is not started. {remedy}")


def _ids(text: Any) -> dict[str, int]:
    """{"runAsUser", "runAsGroup"} for "UID:GID"; {} for root, which the server is by default, and for anything else."""
    user, _colon, group = str(text).partition(":")
    uid, gid = whole_number(user), whole_number(group)
    return {"runAsUser": uid, "runAsGroup": gid} if uid and gid is not None else {}


def _user_is_set(instance: Instance) -> bool:
    settings = instance.spec.server
    return any(at.get("runAsUser") is not None for at in (settings.pod_security_context, settings.security_context))


def _may_use_all(instance: Instance) -> bool:
    added = dig(instance.spec.server.security_context, "capabilities", "add", default=[])
    return not {"DAC_OVERRIDE", "CAP_DAC_OVERRIDE", "ALL"}.isdisjoint(added)
