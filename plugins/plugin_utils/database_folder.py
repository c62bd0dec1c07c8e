# SPDX-License-Identifier: Apache-2.0
"""Where on its volume the database lies, and whose files they are: what the claim says, and what a pod has seen.

Snapshots come back without the annotations of their claims, and only a pod can see what is on a volume. So each pod of
the database looks first, says in its status what there is, and goes no further if PostgreSQL would start beside the
database instead of on it. A later pass reads that, notes it on the claim, and the next pod starts in the right place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import names, pods, volumes
from .instance import Instance, Part, Surroundings
from .names import Component, Manifest
from .readiness import is_ready
from .reasons import Reason
from .values import dig

CLAIM = "PersistentVolumeClaim"
VOLUME = "/var/lib/postgresql/data"
TOP = "."
SUBDIRECTORY = "pgdata"
"""New volumes keep their data below their top, where file systems have a lost+found that initdb refuses."""

LOOK = names.LOOK_AT_VOLUME
GUESSED = "FOLDER_IS_A_GUESS"
"""Set for a look while nothing says which of several databases on the volume is the right one."""

LOOK_COMMAND = [
    "sh",
    "-c",
    f"volume={VOLUME}\n"
    'folder="${PGDATA:-$volume}"\n'
    "me=$(id -u) found= closed= entries= number=0 user= refuse=\n"
    'holds() { [ -s "$1/PG_VERSION" ] && [ -d "$1/global" ]; }\n'
    "name() { printf %s \"${1#./}\" | tr -c 'A-Za-z0-9._/-' '?'; }\n"
    "look() {\n"
    '  case "$1" in */lost+found) return ;; esac\n'
    '  if ! (cd "$1" && ls) >/dev/null; then closed="$closed $(name "$1")" user=$(stat -c %u "$1")\n'
    '  elif holds "$1"; then found="$found $(name "$1")"\n'
    "  fi\n"
    "}\n"
    "look_around() {\n"
    '  if ! cd "$volume"; then closed=. user=$(stat -c %u "$volume"); return; fi\n'
    "  look .\n"
    "  for top in ./*; do\n"
    '    if [ ! -e "$top" ] && [ ! -L "$top" ] || [ "$top" = ./lost+found ]; then continue; fi\n'
    '    if [ "$top" = "./${folder#"$volume"/}" ] && [ -z "$(ls -A "$top")" ]; then continue; fi\n'
    '    number=$((number + 1)); [ "$number" -gt 5 ] || entries="$entries $(name "$top")"\n'
    '    if [ ! -d "$top" ] || [ -L "$top" ]; then continue; fi\n'
    '    if holds .; then ! holds "$top" || look "$top"; continue; fi\n'
    '    look "$top"\n'
    '    holds "$top" || for inner in "$top"/*; do\n'
    '      if [ -d "$inner" ] && [ ! -L "$inner" ]; then look "$inner"; fi\n'
    "    done\n"
    "  done\n"
    "}\n"
    "{\n"
    f'if [ -n "${{{GUESSED}:-}}" ] || [ ! -s "$folder/PG_VERSION" ]; then look_around; fi\n'
    "set -f\n"  # names stand for themselves
    'if [ -s "$folder/PG_VERSION" ]; then\n'
    "  state=database user=\n"
    "  set -- $found\n"
    '  if [ "$#" -gt 1 ]; then state=several refuse=yes; fi\n'
    '  owner=$(stat -c %u "$folder")\n'
    '  if [ "$me" != 0 ] && [ "${owner:-$me}" != "$me" ]; then user=$owner refuse=yes; fi\n'
    'elif [ -n "$found" ]; then state=elsewhere user= refuse=yes\n'
    'elif [ -n "$closed" ]; then state=unknown refuse=yes\n'
    "else\n"
    '  if [ -n "$entries" ]; then state=other; else state=empty; fi\n'
    '  if [ -n "$(ls -A "$folder")" ]; then refuse=yes; fi\n'
    "  postgres=$(id -u postgres)\n"
    f'  if [ "$me" = {pods.DATABASE_USER["runAsUser"]} ] && [ "${{postgres:-$me}}" != "$me" ]; then\n'
    "    user=$postgres refuse=yes\n"
    "  fi\n"
    "fi\n"
    "} 2>/dev/null\n"
    "{\n"
    'echo "$state"\n'
    'for folder in $found; do echo "at $folder"; done\n'
    'for folder in $closed; do echo "closed $folder"; done\n'
    'for entry in $entries; do echo "has $entry"; done\n'
    '[ -z "$user" ] || echo "user $user"\n'
    "} >/dev/termination-log\n"
    '[ -z "$refuse" ]\n',
]
"""Says in the status of the pod what is on the volume, and fails where PostgreSQL must not start: it would set up a
database beside the one that is there, or can't use the files.

The first line is `database` (in PGDATA), `several` (there and elsewhere), `elsewhere`, `other` (files, but no database),
`empty` (nothing but a lost+found) or `unknown` (closed folders). Lines `at`, `closed` and `has` name folders of the
volume, `user` says which uid can use it. PostgreSQL runs on files of its own uid only, and initdb in an empty folder."""

_FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*|\.")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a pod of the database found on its volume before PostgreSQL started."""

    state: str
    at: tuple[str, ...]
    """The folders with a database, TOP for the volume's top."""
    closed: tuple[str, ...]
    has: tuple[str, ...]
    """Some of the other files at the top."""
    user: int | None
    """The uid that the database needs, where it is another one than that of the pod."""
    is_refused: bool
    """Whether PostgreSQL was not started because of that."""

    @property
    def is_without_database(self) -> bool:
        return self.state in ("empty", "other")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database is to run, and as whom."""

    folder: str
    is_guess: bool
    user: int | None
    """None for the default."""
    learned: Mapping[str, str]
    """Annotations for the claim, which says from then on what a pod has seen."""

    @property
    def path(self) -> str:
        return VOLUME if self.folder == TOP else f"{VOLUME}/{self.folder}"


def seen_by(pod: Manifest) -> Seen | None:
    """What that pod said, None when it has not looked yet."""
    for status in dig(pod, "status", "initContainerStatuses", default=[]):
        if status.get("name") != LOOK:
            continue
        ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated", default={})
        state, *lines = (ended.get("message") or "").split("\n")
        pairs = [line.split(" ", 1) for line in lines if " " in line]
        of = {word: tuple(value for key, value in pairs if key == word) for word in ("at", "closed", "has", "user")}
        user = next((int(value) for value in of["user"] if value.isdigit()), None)
        if state.strip():
            return Seen(state.strip(), of["at"], of["closed"], of["has"], user, bool(ended.get("exitCode")))
    return None


def choose(part: Part, instance: Instance, around: Surroundings, claim_name: str) -> Place:
    """The folder and the user for the database on that claim; `part` gets the explanation where a person has to decide.

    What the claim says comes first, then what a pod saw that could not start, then where the database runs now. A new
    claim of ours says where from the beginning.
    """
    claim = around.live(CLAIM, claim_name)
    seen = _seen_on(around, claim_name)
    live_folder, live_is_guess = _live(instance, around, claim_name)
    told_by = claim or _template(live_of(instance, around))
    noted = dig(told_by, "metadata", "annotations", names.PGDATA_ANNOTATION)
    learned: dict[str, str] = {}
    if noted:
        folder = str(noted)
        if not _FOLDER.fullmatch(folder):
            part.blocks(
                Reason.VOLUME_UNCLEAR,
                f"PersistentVolumeClaim {claim_name}: its annotation {names.PGDATA_ANNOTATION} has to be a folder of the "
                f"volume, such as {SUBDIRECTORY}, or `{TOP}` for its top, not {folder!r}",
            )
    elif seen and seen.is_refused and len(seen.at) == 1 and _FOLDER.fullmatch(seen.at[0]):
        folder = learned[names.PGDATA_ANNOTATION] = seen.at[0]
    elif seen and seen.is_refused and seen.is_without_database and live_folder == TOP:
        folder = learned[names.PGDATA_ANNOTATION] = SUBDIRECTORY  # initdb refuses the top, whatever is there
    else:
        folder = live_folder or SUBDIRECTORY
    is_new = claim_name == names.database_claim(instance.name) and around.is_known_missing(CLAIM, claim_name)
    is_guess = not (noted or live_folder or is_new)
    if live_folder == folder and live_is_guess and not (noted and seen and seen.is_refused):
        is_guess = True  # as it is, or the pod would be replaced only because the claim says it now
    if learned:
        is_guess = False
    user = _user(instance, around, claim, seen, learned)
    if seen and seen.is_refused:
        _explain(part, instance, claim_name, seen, folder, str(noted) if noted else None, learned)
    return Place(folder, is_guess, user, learned)


def remember(instance: Instance, around: Surroundings, claim_name: str) -> Part:
    """Note on a claim that does not say it where the database is that runs on it. Nothing depends on that."""
    part = Part("database-folder")
    claim = around.live(CLAIM, claim_name)
    live = live_of(instance, around)
    seen, (folder, _is_guess) = _seen_on(around, claim_name), _live(instance, around, claim_name)
    is_said = dig(claim, "metadata", "annotations", names.PGDATA_ANNOTATION)
    if claim and not is_said and live and is_ready(live) and folder and seen and not seen.is_refused:
        annotate(part, claim, {names.PGDATA_ANNOTATION: folder})
    return part


def annotate(part: Part, claim: Manifest, annotations: Mapping[str, str]) -> None:
    """Patch what differs."""
    found = dig(claim, "metadata", "annotations", default={})
    new = {key: value for key, value in annotations.items() if found.get(key) != value}
    if new:
        # The uid makes the API server refuse it for a claim that has taken the place of the one that was read.
        part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": new}})


def live_of(instance: Instance, around: Surroundings) -> Manifest | None:
    return around.live("StatefulSet", names.workload_name(instance.name, Component.POSTGRES))


def look(image: str, settings: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The container that looks. It has the user of the database, and may not write."""
    env = [pods.variable("PGDATA", place.path)]
    if place.is_guess:
        env.append(pods.variable(GUESSED, "yes"))
    return pods.container(
        LOOK,
        image,
        {**settings, "resources": pods.SMALL},
        command=LOOK_COMMAND,
        env=env,
        volumeMounts=[{"name": "data", "mountPath": VOLUME, "readOnly": True}],
    )


def _seen_on(around: Surroundings, claim_name: str) -> Seen | None:
    """What the present pod on that claim saw."""
    on_claim = [pod for pod in around.pods if claim_name in volumes.claims_of_pods([pod], Component.POSTGRES)]
    on_claim.sort(key=lambda pod: bool(dig(pod, "metadata", "deletionTimestamp")))
    return next((seen for pod in on_claim if (seen := seen_by(pod))), None)


def _live(instance: Instance, around: Surroundings, claim_name: str) -> tuple[str | None, bool]:
    """(folder, was it a guess) of the StatefulSet on that claim; (None, False) where there is none."""
    live = live_of(instance, around)
    if live is None or claim_name not in volumes.mounted_claims(live):
        return None, False
    spec = dig(live, "spec", "template", "spec", default={})
    containers = {entry.get("name"): entry for entry in (*spec.get("initContainers", ()), *spec.get("containers", ()))}
    path = next(iter(_values(containers.get("postgres"), "PGDATA")), VOLUME)
    folder = path.removeprefix(VOLUME).strip("/") or TOP
    return folder, bool(_values(containers.get(LOOK), GUESSED))


def _values(container: Mapping[str, Any] | None, name: str) -> list[str]:
    return [
        str(entry["value"]) for entry in dig(container, "env", default=[]) if entry["name"] == name and "value" in entry
    ]


def _template(live: Manifest | None) -> Manifest | None:
    """What a claim is made from that is not there yet."""
    templates = dig(live, "spec", "volumeClaimTemplates", default=[])
    return templates[0] if templates else None


def _user(
    instance: Instance, around: Surroundings, claim: Manifest | None, seen: Seen | None, learned: dict[str, str]
) -> int | None:
    """The uid for the database: what a pod found that files or image need. A user's own setting comes on top of it."""
    if around.is_openshift:
        return None
    if seen and seen.is_refused and seen.user and not _user_is_set(instance):
        learned[names.DATABASE_USER_ANNOTATION] = str(seen.user)
        return seen.user
    noted = str(dig(claim, "metadata", "annotations", names.DATABASE_USER_ANNOTATION, default=""))
    return int(noted) if noted.isdigit() and int(noted) else None


def _user_is_set(instance: Instance) -> bool:
    settings = instance.settings(Component.POSTGRES)
    contexts = ("podSecurityContext", "securityContext")
    return any(dig(settings, context, "runAsUser") is not None for context in contexts)


def _explain(
    part: Part,
    instance: Instance,
    claim: str,
    seen: Seen,
    folder: str,
    noted: str | None,
    learned: Mapping[str, str],
) -> None:
    """Say what a person has to decide. Nothing, where the next pod is going to start."""
    key = names.PGDATA_ANNOTATION
    annotate = f"kubectl annotate persistentvolumeclaim --namespace {instance.namespace} {claim} {key}"
    where = f"PersistentVolumeClaim {claim}"
    at = " and ".join(map(_shown, seen.at))
    if seen.user and names.DATABASE_USER_ANNOTATION not in learned:
        part.explains(
            Reason.VOLUME_UNCLEAR,
            f"{where}: only uid {seen.user} can use the database on it, and its pod runs as another one. Set "
            f"spec.postgres.podSecurityContext.runAsUser to {seen.user}, or give the files to the user of the pod",
        )
    elif seen.at and noted and folder not in seen.at:
        part.explains(
            Reason.VOLUME_UNCLEAR,
            f"{where} says by its annotation {key} that the database is in {_shown(folder)}, but there is none, and "
            f"there is one in {at}. So no new one is set up. If that is the right one, run `{annotate}={seen.at[0]} "
            "--overwrite`",
        )
    elif len(seen.at) > 1 and not noted:
        part.explains(
            Reason.VOLUME_UNCLEAR,
            f"{where} holds several databases, in {at}, and does not say which one is to run, so none is started. Run "
            f"`{annotate}=FOLDER` with the folder of the right one, `{TOP}` for the top of the volume",
        )
    elif seen.at and not (noted or learned):
        part.explains(
            Reason.VOLUME_UNCLEAR, f"{where} holds a database in {at}. Give that folder a name of letters and digits"
        )
    elif seen.closed and names.DATABASE_USER_ANNOTATION not in learned:
        part.explains(
            Reason.VOLUME_UNCLEAR,
            f"{where}: nobody but its owner may look into {' and '.join(map(_shown, seen.closed))}, where the database "
            "may be, so none is set up. Let the user of the pod read it, or move it to another volume",
        )
    elif seen.is_without_database and not learned:
        content = f"{', '.join(seen.has)} but " if seen.has else ""
        part.explains(
            Reason.VOLUME_UNCLEAR,
            f"{where} holds {content}no database, and none can be set up in {_shown(folder)}, because that is not empty. "
            f"Take away what is there, or run `{annotate}={SUBDIRECTORY} --overwrite` for a folder of its own",
        )


def _shown(folder: str) -> str:
    return "the top of its volume" if folder == TOP else f"its folder {folder}"
