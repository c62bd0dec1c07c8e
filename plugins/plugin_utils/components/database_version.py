# SPDX-License-Identifier: Apache-2.0
"""Which major version of PostgreSQL wrote the data, and which image can therefore run them.

A new major version can't read the data of an older one, and refuses to start on them. So the operator's image is for new
volumes and for data of its own major version. Other data keep the image that they run with; if that is not known any more,
after a restored snapshot for example, a pod's look tells the version, and the operator has an older image for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..kube.readiness import is_ready
from ..kube.timestamps import seconds_of
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.images import is_postgres_major, postgres_major
from ..spec.names import Component
from . import database_folder, volumes
from .database_folder import Look
from .description import Image
from .instance import Cluster, Instance, Part
from .reasons import Reason

OLDER_IMAGES: Mapping[str, Image] = MappingProxyType(
    {
        "postgres14": Image(
            variable="RELATED_IMAGE_postgres14",
            default="ghcr.io/immich-app/postgres:14-vectorchord0.4.3-pgvectors0.2.0",
            what="PostgreSQL 14 with the same extensions, for data that no newer version can read",
        )
    }
)
"""For data of 14, on which every instance started before 17 was the default. It still has pgvecto.rs, because databases from
the time before VectorChord can't be opened without it."""

END_OF_LIFE: Mapping[int, str] = MappingProxyType(
    {14: "2026-11-12", 15: "2027-11-11", 16: "2028-11-09", 17: "2029-11-08", 18: "2030-11-14"}
)
"""The day of the last release of each major version (https://www.postgresql.org/support/versioning/)."""

_NOTE = re.compile(r"(.+)=([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class DatabaseVersion:
    """What is known of the data on the database's claim, and of what runs on them."""

    claim: str
    major: int | None
    """That of the data, None if there are none, or nobody knows."""
    live: Manifest | None
    """The StatefulSet, if it is on that claim."""
    look: Look | None
    """What its pod found in the folder of the data."""
    is_certain: bool
    """Whether there are data of that version. An image that has never run, for a typing error in its tag, wrote none."""
    is_noted: bool
    """Whether the claim says the version, and no pod has looked."""
    has_run: bool
    """Whether the image of `live` has run on the data, as far as anybody knows."""

    @classmethod
    def of(cls, instance: Instance, cluster: Cluster, claim: str, folder: str) -> DatabaseVersion:
        """`folder` is where the database is going to run. What is known of another folder says nothing about it.

        A look tells most, then what the claim says, then the tag of the image that is to run.
        """
        live, live_folder = database_folder.running_on(instance, cluster, claim)
        look = database_folder.look_on(cluster, claim)
        look = look if look and look.folder == folder else None
        by_tag = postgres_major(_image_of(live)) if live_folder == folder else None
        seen, noted = look and look.major, _noted(cluster, claim, folder)
        told = seen or noted
        was_up = live is not None and _was_up(cluster.live(database_folder.CLAIM, claim), live)
        has_run = live is not None and _has_run(live, cluster.pods, look, was_up=was_up)
        return cls(
            claim,
            told or by_tag,
            live,
            look,
            is_certain=bool(told or was_up),
            is_noted=bool(noted and not seen),
            has_run=has_run,
        )

    @property
    def learned(self) -> dict[str, str]:
        """Annotations for the claim: what only the refusal of a pod has told."""
        if not (self.look and self.look.major and self.look.is_refused):
            return {}
        return {names.POSTGRES_MAJOR_ANNOTATION: f"{self.look.folder}={self.look.major}"}

    def image(self, part: Part, instance: Instance, images: Mapping[str, str]) -> str | None:
        """The image to run; None after saying that there is none for these data.

        `images` is {component: image}, and has the older images too.
        """
        own = instance.spec.postgres.image
        image = self._users(part, instance, own) if own else self._operators(part, instance, images)
        if image and self._was_refused(image):
            part.explains(
                Reason.POSTGRES_MAJOR_DIFFERS,
                f"PersistentVolumeClaim {self.claim} holds data of PostgreSQL {self.major}, which image {image} can't read, "
                f"because it is another major version. {self._remedy}",
            )
        return image

    def _users(self, part: Part, instance: Instance, image: str) -> str | None:
        wanted = postgres_major(image)
        if not (wanted and self.major and self.is_certain) or wanted == self.major:
            return image  # if it is of another version all the same, the pod's look finds out
        until = "Until then the database keeps running as it is" if self.live else "Until then it is not started"
        part.blocks(
            Reason.POSTGRES_MAJOR_DIFFERS,
            f"spec.postgres.image names PostgreSQL {wanted}, and PersistentVolumeClaim {self.claim} holds data of PostgreSQL "
            f"{self.major}, which no other major version can read. {self._remedy}. {until}{self._doubt(instance)}",
        )
        return None

    def _operators(self, part: Part, instance: Instance, images: Mapping[str, str]) -> str | None:
        """The operator's image for new volumes and for its own major version; what runs, or an older image, for others."""
        ours, runs = images.get(Component.POSTGRES, ""), _image_of(self.live)
        wanted, running = postgres_major(ours), postgres_major(runs)
        if self.major is None:
            return runs if running or (runs and wanted and self.has_run) else ours
        if wanted == self.major:
            return ours
        older = images.get(f"postgres{self.major}", "")
        if runs and (running == self.major or runs == older):
            return runs
        if wanted is None and not self._was_refused(ours):
            return older if self._is_meant(older) and runs != ours else ours
        if wanted and runs and running is None and not self._was_refused(runs):
            return runs
        if not older:
            variable = OLDER_IMAGES.get(f"postgres{self.major}")
            or_set = f". Or set {variable.variable} in the operator's environment to one" if variable else ""
            part.blocks(
                Reason.POSTGRES_MAJOR_DIFFERS,
                f"PersistentVolumeClaim {self.claim} holds data of PostgreSQL {self.major}, which the operator's image {ours} "
                f"can't read. {self._remedy}{or_set}{self._doubt(instance)}",
            )
        return older or None

    def _is_meant(self, older: str) -> bool:
        """Whether the operator was given that image for data of this major version. The default may be out of its reach."""
        described = OLDER_IMAGES.get(f"postgres{self.major}")
        return bool(older) and described is not None and older != described.default

    def _was_refused(self, image: str) -> bool:
        """Whether a pod found that this image is of another major version than the data."""
        look = self.look
        if not look or look.image != image or not look.is_refused:
            return False
        return bool(look.major and look.program) and look.major != look.program

    @property
    def _remedy(self) -> str:
        return (
            f"Set spec.postgres.image to an image of PostgreSQL {self.major} with the extension VectorChord; to change the major "
            "version, dump the database and restore the dump on a new volume"
        )

    def _doubt(self, instance: Instance) -> str:
        """How to remove a note that may be wrong. A pod looks before PostgreSQL starts, whatever the claim says."""
        if not self.is_noted:
            return ""
        key = names.POSTGRES_MAJOR_ANNOTATION
        return (
            f". If the data are not of PostgreSQL {self.major}, because somebody has emptied the volume for example, remove the "
            f"annotation that says so: {volumes.annotate_command(instance, self.claim, f'{key}-')}"
        )


def tell_of_end_of_life(part: Part, cluster: Cluster, name: str, major: int | None) -> None:
    """A warning from the day on which a major version gets no more fixes; `name` is the StatefulSet's."""
    ends = END_OF_LIFE.get(major or 0)
    if ends and cluster.now >= (seconds_of(f"{ends}T00:00:00Z") or 0.0):
        part.warns(
            Reason.POSTGRES_END_OF_LIFE,
            f"StatefulSet {name} runs PostgreSQL {major}, which has had no fixes since {ends}. Immich still works with it. To "
            "move to a newer major version, dump the database and restore the dump on a new volume",
        )


def remember(instance: Instance, cluster: Cluster, claim_name: str) -> Part:
    """Note on a claim which version has written the data of its running database. Nothing depends on this."""
    part = Part(database_folder.COMPONENT)
    claim = cluster.live(database_folder.CLAIM, claim_name)
    live, folder = database_folder.running_on(instance, cluster, claim_name)
    if claim and not volumes.is_being_deleted(claim) and folder and live and is_ready(live):
        look = database_folder.look_on(cluster, claim_name)
        told = (look.major or look.program) if look and look.folder == folder and not look.is_refused else None
        major = told or _noted(cluster, claim_name, folder) or postgres_major(_image_of(live))
        if major:
            database_folder.annotate(part, claim, {names.POSTGRES_MAJOR_ANNOTATION: f"{folder}={major}"})
    return part


def _noted(cluster: Cluster, claim_name: str, folder: str) -> int | None:
    """What the claim says about the data in that folder, if it can be true: a date in a tag was once taken for a version."""
    claim = cluster.live(database_folder.CLAIM, claim_name)
    note = _NOTE.fullmatch(str(dig(claim, "metadata", "annotations", names.POSTGRES_MAJOR_ANNOTATION, default="")))
    return int(note[2]) if note and note[1] == folder and is_postgres_major(int(note[2])) else None


def _was_up(claim: Manifest | None, live: Manifest) -> bool:
    """Whether a database has been up: it is, or the claim has the mark of one, or an operator without looks has made it."""
    is_marked = bool(dig(claim, "metadata", "annotations", names.DATABASE_ANNOTATION))
    return is_ready(live) or is_marked or not database_folder.is_looked_at(live)


def _has_run(live: Manifest, pods: Iterable[Manifest], look: Look | None, *, was_up: bool) -> bool:
    """Whether the image of a StatefulSet has run on the data. That a pod is not ready just now says nothing about it.

    In the middle of a rollout an image may be new, but not another operator's whose pods only get a look: unless it can't be
    pulled, for a typing error, it stays.
    """
    image, status = _image_of(live), live.get("status") or {}
    if status.get("currentRevision") != status.get("updateRevision"):
        return not any(_lacks(pod, image) for pod in pods)
    return was_up or bool(look and look.image == image and look.program and not look.is_refused)


def _lacks(pod: Manifest, image: str) -> bool:
    """Whether a pod waits for that image in vain."""
    statuses = [
        *dig(pod, "status", "initContainerStatuses", default=[]),
        *dig(pod, "status", "containerStatuses", default=[]),
    ]
    reasons = [str(dig(entry, "state", "waiting", "reason")) for entry in statuses if entry.get("image") == image]
    return any("Image" in reason for reason in reasons)


def _image_of(stateful_set: Manifest | None) -> str:
    containers = dig(stateful_set, "spec", "template", "spec", "containers", default=[])
    return next((str(entry.get("image") or "") for entry in containers if entry.get("name") == "postgres"), "")
