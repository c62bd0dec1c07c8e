# SPDX-License-Identifier: Apache-2.0
"""Where on its volume the database is, and who owns its files: what the claim says, and what a pod has seen.

Snapshots are restored without the annotations of their claims, and only a pod can see what is on a volume. So each pod
of the database looks first, reports in its status what it found, and stops if PostgreSQL would start next to the
database instead of on it. A later pass reads this, notes it on the claim, and the next pod starts in the right place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..kube.commands import FOLDER, Given
from ..kube.readiness import is_ready
from ..kube.values import Manifest, dig, whole_number
from ..spec import names
from ..spec.fields import Workload
from ..spec.names import Component
from . import pods, volumes
from .instance import Cluster, Instance, Part
from .reasons import Reason

COMPONENT = "database-folder"
"""The component, of no other use, of the step that notes on a claim where its database is."""

CLAIM = "PersistentVolumeClaim"
VOLUME = "/var/lib/postgresql/data"
TOP = "."
SUBDIRECTORY = "pgdata"
"""New volumes keep their data below their top, because file systems have a lost+found there, which initdb refuses."""

LOOK = names.LOOK_AT_VOLUME
GUESSED = "FOLDER_IS_A_GUESS"
"""Set for a look while nothing says which of several databases on the volume is the right one."""

LOOKS = 200
"""How many folders a look enters: each takes a few milliseconds, and disks with all kinds of data have thousands."""

_PROGRAM = (
    'major() { printf %s "${1%%[!0-9]*}"; }\n'
    "program=$(postgres --version)\n"  # postgres (PostgreSQL) 17.6 (Debian 17.6-1.pgdg12+1)
    'program=$(major "${program#*) }")\n'
)
_DATA = (
    '  data=$(major "$(cat "$folder/PG_VERSION")")\n'
    '  if [ -n "$data" ] && [ "${program:-$data}" != "$data" ]; then refuse=yes; fi\n'
)
_VERSIONS = "some major $data\nsome program $program\n"


def _look_command(*, program: str, data: str, versions: str) -> list[str]:
    """In three places it has something about versions, or nothing."""
    return [
        "sh",
        "-c",
        f"volume={VOLUME}\n"
        'folder="${PGDATA:-$volume}"\n'
        "me=$(id -u) found= closed= entries= number=0 looks=0 more= users= inside= refuse=\n"
        'holds() { [ -s "$1/PG_VERSION" ] && [ -d "$1/global" ]; }\n'
        "name() {\n"
        "  shown=$(printf %s \"${1#./}\" | tr -c 'A-Za-z0-9._/-' '?')\n"
        "  [ \"${#shown}\" -le 200 ] || shown='?'\n"
        "}\n"
        'is_closed() { ! (cd "$1" && ls) >/dev/null; }\n'
        'refused() { name "$1"; closed="$closed $shown" users="$users $(stat -L -c %u "$1")"; }\n'
        "look() {\n"
        '  case "$1" in */lost+found) return ;; esac\n'
        f'  if [ "$looks" -ge {LOOKS} ]; then more=yes; return; fi\n'
        "  looks=$((looks + 1))\n"
        '  if is_closed "$1"; then refused "$1"\n'
        '  elif holds "$1"; then name "$1"; found="$found $shown"\n'
        "  fi\n"
        "}\n"
        "look_around() {\n"
        '  if ! cd "$volume"; then closed=. users=$(stat -L -c %u "$volume"); return; fi\n'
        "  look .\n"
        "  for top in ./*; do\n"
        '    if [ ! -e "$top" ] && [ ! -L "$top" ] || [ "$top" = ./lost+found ]; then continue; fi\n'
        '    if [ "$top" = "./${folder#"$volume"/}" ] && inside=$(ls -A "$top") && [ -z "$inside" ]; then continue; fi\n'
        '    number=$((number + 1)); [ "$number" -gt 5 ] || { name "$top"; entries="$entries $shown"; }\n'
        '    if [ ! -d "$top" ] || [ -L "$top" ]; then continue; fi\n'
        '    if holds .; then ! holds "$top" || look "$top"; continue; fi\n'
        '    look "$top"\n'
        '    holds "$top" || for inner in "$top"/*; do\n'
        '      [ -z "$more" ] || break\n'
        '      if [ -d "$inner" ] && [ ! -L "$inner" ]; then look "$inner"; fi\n'
        "    done\n"
        "  done\n"
        '  if ! inside=$(ls -A "$folder") && [ -z "$closed" ]; then\n'
        "    above=$folder\n"
        '    while [ -n "$above" ] && [ ! -e "$above" ]; do above=${above%/*}; done\n'
        '    if is_closed "${above:-/}"; then refused "${above#"$volume"/}"; fi\n'
        "  fi\n"
        "}\n"
        "{\n"
        f'if [ -n "${{{GUESSED}:-}}" ] || [ ! -s "$folder/PG_VERSION" ]; then look_around; fi\n'
        f"{program}"
        "set -f\n"  # names are taken literally
        'if [ -s "$folder/PG_VERSION" ]; then\n'
        "  state=database users=\n"
        '  [ -z "$closed$more" ] || refuse=yes\n'
        "  set -- $found\n"
        '  if [ "$#" -gt 1 ]; then state=several refuse=yes; fi\n'
        '  owner=$(stat -L -c %u "$folder")\n'
        '  if [ "$me" != 0 ] && [ "${owner:-$me}" != "$me" ]; then users=$owner refuse=yes; fi\n'
        f"{data}"
        'elif [ -n "$found" ]; then state=elsewhere refuse=yes\n'
        f'elif [ -n "$closed" ] || {{ [ -n "$more" ] && [ -n "${{{GUESSED}:-}}" ]; }}; then state=unknown refuse=yes\n'
        "else\n"
        '  if [ -n "$entries" ]; then state=other; else state=empty; fi\n'
        '  if [ -n "$inside" ]; then refuse=yes; fi\n'
        "  postgres=$(id -u postgres)\n"
        f'  if [ "$me" = {pods.DATABASE_USER["runAsUser"]} ] && [ "${{postgres:-$me}}" != "$me" ]; then\n'
        "    users=$postgres refuse=yes\n"
        "  fi\n"
        "fi\n"
        "users=$(printf '%s\\n' $users | sort -u)\n"
        "} 2>/dev/null\n"
        "some() {\n"
        "  word=$1 number=0\n"
        "  shift\n"
        '  for one; do number=$((number + 1)); [ "$number" -gt 5 ] || echo "$word $one"; done\n'
        "}\n"
        "{\n"
        'echo "$state"\n'
        "some at $found\n"
        "some closed $closed\n"
        "some has $entries\n"
        "some user $users\n"
        f"{versions}"
        '[ -z "$more" ] || echo "more folders"\n'
        "} >/dev/termination-log\n"
        '[ -z "$refuse" ]\n',
    ]


LOOK_COMMAND = _look_command(program=_PROGRAM, data=_DATA, versions=_VERSIONS)
"""Reports in the pod's status what is on the volume, and fails if PostgreSQL must not start: it would set up a database
next to an existing one, or can't use the files.

The first line is one of STATES. Lines `at`, `closed` and `has` name folders of the volume, at most 5 each, because a
status takes 4096 bytes. `user` says which uid can use it, `more` that there are folders that were not looked into. `major`
is the major version of the database in PGDATA, `program` that of the image. PostgreSQL only runs on files of its own uid
and major version, and initdb only in an empty folder."""

LOOK_COMMAND_BEFORE = _look_command(program="", data="", versions="")
"""As it was before it told versions. A database that has it keeps it, or its pod would be replaced for nothing else."""

STATES = {
    "database": "in PGDATA",
    "several": "there and elsewhere",
    "elsewhere": "not there, but in another folder",
    "other": "files, but no database",
    "empty": "nothing but a lost+found",
    "unknown": "closed folders, or too many of them while nothing says where",
}

_USUAL = re.compile(rf"\.|{SUBDIRECTORY}|\d+/docker")
"""Where PostgreSQL's images and this operator keep a database that has a volume of its own."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a pod of the database found on its volume before PostgreSQL started."""

    state: str
    at: tuple[str, ...]
    """The folders with a database, TOP for the volume's top."""
    closed: tuple[str, ...]
    has: tuple[str, ...]
    """Some of the other files at the top."""
    users: tuple[int, ...]
    """The uids that the database or the closed folders need, if different from the pod's uid."""
    is_cut_short: bool
    """Whether there are more folders than it looked into."""
    is_refused: bool
    """Whether PostgreSQL was not started because of that."""
    runs_as: int | None
    """The uid of the pod, if the pod says it."""
    major: int | None = None
    """The major version of PostgreSQL that wrote the database in PGDATA, if it told it."""
    program: int | None = None
    """That of the pod's image."""
    folder: str | None = None
    """Where PGDATA is, as in `Place.folder`."""
    image: str = ""
    """The image that would have run."""

    @property
    def is_without_database(self) -> bool:
        return self.state in ("empty", "other")

    @property
    def knows_user(self) -> bool:
        """Whether `users` is what the database needs, and not just the owners of closed folders."""
        return self.state == "database" or self.is_without_database

    @property
    def is_doubtful(self) -> bool:
        """Whether there may be other databases than those that were found."""
        return bool(self.closed) or self.is_cut_short


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database has to run, and as which user."""

    folder: str
    is_guess: bool
    user: int | None
    """None for the default."""
    learned: Mapping[str, str]
    """Annotations for the claim, which from then on record what a pod has seen."""

    @property
    def path(self) -> str:
        return VOLUME if self.folder == TOP else f"{VOLUME}/{self.folder}"


def look_of(pod: Manifest) -> Look | None:
    """What that pod reported, None if it has not looked yet."""
    looking: dict[str, Any] = next(
        (c for c in dig(pod, "spec", "initContainers", default=[]) if c.get("name") == LOOK), {}
    )
    for status in dig(pod, "status", "initContainerStatuses", default=[]):
        if status.get("name") != LOOK:
            continue
        ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated", default={})
        state, *lines = (ended.get("message") or "").split("\n")
        pairs = [line.split(" ", 1) for line in lines if " " in line]
        of = {
            word: tuple(value for key, value in pairs if key == word)
            for word in ("at", "closed", "has", "user", "more", "major", "program")
        }
        if state.strip() in STATES:
            return Look(
                state.strip(),
                tuple(map(volumes.shown_folder, of["at"])),
                tuple(map(volumes.shown_folder, of["closed"])),
                tuple(map(volumes.shown_folder, of["has"])),
                users=tuple(user for value in of["user"] if (user := whole_number(value)) is not None),
                is_cut_short=bool(of["more"]),
                is_refused=bool(ended.get("exitCode")),
                runs_as=dig(pod, "spec", "securityContext", "runAsUser"),
                major=whole_number("".join(of["major"][:1])),
                program=whole_number("".join(of["program"][:1])),
                folder=next((_folder_at(path) for path in _values(looking, "PGDATA")), None),
                image=looking.get("image", ""),
            )
    return None


def choose(part: Part, instance: Instance, cluster: Cluster, claim_name: str) -> Place:
    """The folder and the user for the database on that claim; `part` gets the explanation if a person has to decide.

    What the claim says takes precedence, then what a pod saw that could not start, then where the database runs now. A
    new claim of ours says it from the start.
    """
    claim = cluster.live(CLAIM, claim_name)
    look = look_on(cluster, claim_name)
    live, live_folder = running_on(instance, cluster, claim_name)
    live_is_guess = any(_values(container, GUESSED) for container in _containers(live))
    told_by = claim or _template(live_of(instance, cluster))
    noted = dig(told_by, "metadata", "annotations", names.PGDATA_ANNOTATION)
    learned: dict[str, str] = {}
    if noted:
        folder = str(noted)
        if not FOLDER.fullmatch(folder):
            part.blocks(
                Reason.VOLUME_UNCLEAR,
                f"PersistentVolumeClaim {claim_name}: its annotation {names.PGDATA_ANNOTATION} has to be a folder of the "
                f"volume, such as {SUBDIRECTORY}, or `{TOP}` for its top, not {folder!r}",
            )
    elif look and look.is_refused and not look.is_doubtful and _is_beyond_doubt(look.at, instance, claim_name):
        folder = learned[names.PGDATA_ANNOTATION] = look.at[0]
    elif look and look.is_refused and look.is_without_database and live_folder == TOP:
        folder = learned[names.PGDATA_ANNOTATION] = SUBDIRECTORY  # initdb refuses the top, whatever is there
    else:
        folder = live_folder or SUBDIRECTORY
    is_new = claim_name == names.database_claim(instance.name) and cluster.is_known_missing(CLAIM, claim_name)
    is_guess = not (noted or live_folder or is_new)
    if live_folder == folder and live_is_guess and not (noted and look and look.is_refused):
        is_guess = True  # unchanged, or the pod would be replaced only because the claim now says it
    if learned:
        is_guess = False
    user = _user(instance, cluster, claim, look, learned)
    if look and look.is_refused:
        is_former = user is not None and not _user_is_set(instance) and look.runs_as not in (None, user)
        if not is_former:
            _explain(part, instance, claim_name, look, folder, str(noted) if noted else None, learned)
    return Place(folder, is_guess, user, learned)


def _is_beyond_doubt(at: tuple[str, ...], instance: Instance, claim_name: str) -> bool:
    """Whether the one database that was found is ours. A user's own volume may hold those of other programs too."""
    if len(at) != 1 or not FOLDER.fullmatch(at[0]):
        return False
    return claim_name == names.database_claim(instance.name) or bool(_USUAL.fullmatch(at[0]))


def remember(instance: Instance, cluster: Cluster, claim_name: str) -> Part:
    """Note on a claim that does not say so where its running database is. Nothing depends on this."""
    part = Part(COMPONENT)
    claim = cluster.live(CLAIM, claim_name)
    look, (live, folder) = look_on(cluster, claim_name), running_on(instance, cluster, claim_name)
    is_said = dig(claim, "metadata", "annotations", names.PGDATA_ANNOTATION)
    if claim and not is_said and live and is_ready(live) and folder and look and not look.is_refused:
        annotate(part, claim, {names.PGDATA_ANNOTATION: folder})
    return part


def annotate(part: Part, claim: Manifest, annotations: Mapping[str, str]) -> None:
    """Patch what differs."""
    found = dig(claim, "metadata", "annotations", default={})
    new = {key: value for key, value in annotations.items() if found.get(key) != value}
    if new:
        # The uid makes the API server refuse it for a claim that has replaced the one that was read.
        part.merge(claim, {"metadata": {"uid": claim["metadata"].get("uid"), "annotations": new}})


def live_of(instance: Instance, cluster: Cluster) -> Manifest | None:
    return cluster.live("StatefulSet", names.workload_name(instance.name, Component.POSTGRES))


def look_container(image: str, settings: Workload, place: Place, live: Manifest | None) -> dict[str, Any]:
    """The container that looks. It has the database's user, and can't write. `live` is the StatefulSet as it is."""
    running = next((c for c in _containers(live) if c.get("name") == LOOK), {})
    is_kept = running.get("command") == LOOK_COMMAND_BEFORE and running.get("image") == image
    env = [pods.variable("PGDATA", place.path)]
    if place.is_guess:
        env.append(pods.variable(GUESSED, "yes"))
    return pods.init_container(
        LOOK,
        image,
        settings,
        command=LOOK_COMMAND_BEFORE if is_kept else LOOK_COMMAND,
        env=env,
        volumeMounts=[{"name": "data", "mountPath": VOLUME, "readOnly": True}],
    )


def look_on(cluster: Cluster, claim_name: str) -> Look | None:
    """What the current pod on that claim saw."""
    on_claim = [pod for pod in cluster.pods if claim_name in volumes.claims_of_pods([pod], Component.POSTGRES)]
    on_claim.sort(key=lambda pod: bool(dig(pod, "metadata", "deletionTimestamp")))
    return next((look for pod in on_claim if (look := look_of(pod))), None)


def running_on(instance: Instance, cluster: Cluster, claim_name: str) -> tuple[Manifest | None, str | None]:
    """(the StatefulSet, its folder) if it is on that claim, else (None, None)."""
    live = live_of(instance, cluster)
    if live is None or claim_name not in volumes.mounted_claims(live):
        return None, None
    running = next((entry for entry in _containers(live) if entry.get("name") == "postgres"), None)
    return live, _folder_at(next(iter(_values(running, "PGDATA")), VOLUME))


def is_looked_at(stateful_set: Manifest) -> bool:
    """Whether its pods look at their volume; those of other operators don't."""
    return any(entry.get("name") == LOOK for entry in _containers(stateful_set))


def _folder_at(path: str) -> str:
    return path.removeprefix(VOLUME).strip("/") or TOP


def _containers(stateful_set: Manifest | None) -> list[dict[str, Any]]:
    spec = dig(stateful_set, "spec", "template", "spec", default={})
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def _values(container: Mapping[str, Any] | None, name: str) -> list[str]:
    return [
        str(entry["value"]) for entry in dig(container, "env", default=[]) if entry["name"] == name and "value" in entry
    ]


def _template(live: Manifest | None) -> Manifest | None:
    """What a claim that does not exist yet is created from."""
    templates = dig(live, "spec", "volumeClaimTemplates", default=[])
    return templates[0] if templates else None


def _user(
    instance: Instance, cluster: Cluster, claim: Manifest | None, look: Look | None, learned: dict[str, str]
) -> int | None:
    """The uid for the database: what a pod found that files or image need. A user's own setting overrides it.

    The owner of a database that was seen always counts. The owner of closed folders is a guess, made only once.
    """
    if cluster.is_openshift:
        return None
    noted = str(dig(claim, "metadata", "annotations", names.DATABASE_USER_ANNOTATION, default=""))
    said = whole_number(noted) or None
    if look and look.is_refused and len(look.users) == 1 and not _user_is_set(instance):
        [user] = look.users
        is_only_owner = look.state == "unknown" and not look.is_cut_short
        may_be = is_only_owner and not said and user != pods.DATABASE_USER["runAsUser"]
        if user and (look.knows_user or may_be):
            learned[names.DATABASE_USER_ANNOTATION] = str(user)
            return user
    return said


def _user_is_set(instance: Instance) -> bool:
    settings = instance.spec.postgres
    return any(at.get("runAsUser") is not None for at in (settings.pod_security_context, settings.security_context))


def _explain(
    part: Part,
    instance: Instance,
    claim: str,
    look: Look,
    folder: str,
    noted: str | None,
    learned: Mapping[str, str],
) -> None:
    """Explain what a person has to decide. Nothing, if the next pod is going to start."""
    key = names.PGDATA_ANNOTATION

    def annotate(folder: str, *flags: str) -> str:
        given = Given(folder, "FOLDER", FOLDER, before=f"{key}=")
        return volumes.annotate_command(instance, claim, given, *flags)

    where = f"PersistentVolumeClaim {claim}"
    at, closed = " and ".join(map(_shown, look.at)), " and ".join(map(_shown, look.closed))
    owners = " and ".join(str(user) for user in look.users)
    if look.knows_user and 0 in look.users:
        message = (
            f"{where}: the database on it belongs to root, and PostgreSQL does not run as root. Give its files to uid "
            f"{look.runs_as or pods.DATABASE_USER['runAsUser']}, the pod's user"
        )
    elif look.knows_user and look.users and names.DATABASE_USER_ANNOTATION not in learned:
        message = (
            f"{where}: only uid {owners} can use the database on it, but its pod runs as another user. Set "
            f"spec.postgres.podSecurityContext.runAsUser to {owners}, or give the files to the pod's user"
        )
    elif look.at and noted and folder not in look.at:
        message = (
            f"{where} says in its annotation {key} that the database is in {_shown(folder)}, but it is not there, and "
            f"there is one in {at}. So no new one is set up. If that is the right one, run "
            f"{annotate(look.at[0], '--overwrite')}"
        )
    elif len(look.at) > 1 and not noted:
        message = (
            f"{where} holds several databases, in {at}, and does not say which one is to run, so none is started. Run "
            f"{annotate('FOLDER')} with the folder of the right one, `{TOP}` for the top of the volume"
        )
    elif (look.at or look.state == "database") and look.is_doubtful and not noted:
        doubt = f"only uid {owners or 'of its owner'} can look into {closed}" if look.closed else _MANY
        message = (
            f"{where} holds a database in {at or _shown(folder)}, but {doubt}, where another one may be. So none is started. "
            f"Run {annotate('FOLDER')} with the folder of the right one, `{TOP}` for the top of the volume"
        )
    elif look.at and not noted and key not in learned:
        message = f"{where} holds a database in {at}. "
        message += (
            f"It may belong to another program. If it is the right one, run {annotate(look.at[0])}; for a new one, "
            "name a separate volume"
            if FOLDER.fullmatch(look.at[0])
            else "Give that folder a name of letters and digits"
        )
    elif look.state == "unknown" and look.closed and names.DATABASE_USER_ANNOTATION not in learned:
        owner = f"its owner, uid {owners}," if look.users else "its owner"
        message = (
            f"{where}: only {owner} can look into {closed}, where the database may be, so none is set up. Let the "
            f"pod's user read it, or move it to another volume"
        )
    elif look.state == "unknown" and look.is_cut_short and not learned:
        message = (
            f"{where}: {_MANY}, where the database may be, so none is set up. Run {annotate('FOLDER')} with the folder of the "
            f"database, `{SUBDIRECTORY}` for a new one"
        )
    elif look.is_without_database and not learned:
        content = f"{', '.join(look.has)} but " if look.has else ""
        message = (
            f"{where} holds {content}no database, and none can be set up in {_shown(folder)}, because that is not empty. "
            f"Remove what is there, or run {annotate(SUBDIRECTORY, '--overwrite')} for a separate folder"
        )
    else:
        return
    part.explains(Reason.VOLUME_UNCLEAR, message)


_MANY = f"it has more than the {LOOKS} folders that are looked into"


def _shown(folder: str) -> str:
    return "the top of its volume" if folder == TOP else f"its folder {folder}"
