# SPDX-License-Identifier: Apache-2.0
"""Versions of Immich that do not go together, said before pods are replaced, and held back where Immich would not start.

Nothing is known of a version but what the tag of an image says. What a tag leaves open (`v3`, `release`, only a digest)
is never held against anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..components import postgres, registry
from ..components.instance import Cluster, Instance
from ..components.reasons import Effect, Notice, Reason
from ..kube.commands import command
from ..kube.readiness import is_ready, is_rolled_out, is_scaled_to_zero
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.images import Version, dotted, is_older, known_version
from ..spec.names import Component, spec_key

REFUSED_BY_IMMICH = frozenset({Reason.VERSION_GOES_BACK, Reason.WAYPOINT_SKIPPED})
"""If a server with such a notice keeps exiting, this is why."""


class Waypoint(NamedTuple):
    """A version that has to have run once between one that is older than `before` and one that is `beyond` or newer."""

    before: Version
    beyond: Version
    via: str
    why: str


WITHOUT_PGVECTO_RS = (3, 0, 0)
_ONLY_PGVECTO_RS = re.compile(r"(^|/)pgvecto-rs([:@](?!.*(vectorchord|vchord))|$)")
"""The image that the makers of pgvecto.rs publish. Immich's images with it in their tag have VectorChord too, and say so."""

_FIRST_YEAR = 1000

WAYPOINTS = (
    Waypoint((1, 107, 2), (1, 107, 3), "1.107.2", "the only one that migrates an older database"),
    Waypoint((1, 132, 0), (1, 137, 0), "1.132.3", "because 1.137 and newer reject a database from before 1.132"),
    Waypoint(
        (1, 133, 0),
        WITHOUT_PGVECTO_RS,
        "2.7.5",
        "because only 1.133 to 2.7.5 replace pgvecto.rs, which Immich 3 can't read",
    ),
)
"""Source: Immich v3.1.0, `docs/src/pages/errors.md`, and its pages about an own PostgreSQL. For the second one 1.132.0 to
1.136.0 will do, for the third 1.133.0 to 2.7.5; the names are those that Immich recommends, or the newest. Later releases
have added none."""


def notices(cr: Mapping[str, Any], instance: Instance, cluster: Cluster, images: Mapping[str, str]) -> list[Notice]:
    """What the wanted images say about versions, compared with each other and with what ran last.

    `cr` is the custom resource with its status; `images` is {component: image} for those that it does not name.
    """
    if not instance.is_enabled(Component.SERVER):
        return []
    wanted = _Wanted.of(instance, images, Component.SERVER)
    ran = _ran_last(cr, instance, cluster)
    found = _about_the_server(cr, instance, cluster, wanted, ran, _database(instance, cluster, images))
    held_back = any(notice.effect is Effect.BLOCKS for notice in found)
    if instance.is_enabled(Component.MACHINE_LEARNING):
        learning = _Wanted.of(instance, images, Component.MACHINE_LEARNING)
        runs = cluster.deployment(instance, Component.MACHINE_LEARNING)
        if held_back and not ran and _image_in(runs, "machine-learning") != learning.image:
            message = (
                f"machine-learning is left as it is, because the server is; {learning.field} asks for {learning.image}"
            )
            found.append(Notice(Component.MACHINE_LEARNING, Effect.BLOCKS, Reason.BLOCKED, message))
        else:
            found += _about_machine_learning(learning, wanted, ran if held_back else None)
    return found


def _database(instance: Instance, cluster: Cluster, images: Mapping[str, str]) -> str:
    """The image of the built-in database, which may be that of its data; "" for an external one."""
    if not instance.spec.postgres.enabled:
        return ""
    configured = instance.spec.postgres.image or images.get(Component.POSTGRES, "")
    return postgres.image_to_run(instance, cluster, images) or configured


class _Wanted(NamedTuple):
    image: str
    version: Version
    field: str
    """Where the image is from, for people."""

    @classmethod
    def of(cls, instance: Instance, images: Mapping[str, str], component: Component) -> _Wanted:
        own = instance.settings(component).image
        image = instance.image(component, images) or ""
        path = f"spec.{spec_key(component)}.image"
        variable = registry.images()[component].variable
        return cls(image, _compared(image), path if own else f"the operator's default ({variable})")


def _ran_last(cr: Mapping[str, Any], instance: Instance, cluster: Cluster) -> Version:
    """The version of the server that runs, or ran last, () if that is not known.

    The status knows it: its version is still there when the server is switched off. An instance that another operator has
    made has none yet: then it is what its server runs, or was rolled out to run.
    """
    if image := dig(cr, "status", "images", "server"):
        return _compared(image)
    if version := _compared(f":v{dig(cr, 'status', 'version', default='')}"):
        return version
    live = cluster.deployment(instance, Component.SERVER)
    if live is None or is_scaled_to_zero(live) or not (is_ready(live) or is_rolled_out(live)):
        return ()
    return _compared(_image_in(live, "server"))


def _compared(image: str) -> Version:
    """What the tag says, () for a fork that counts years: that says nothing of Immich."""
    version = known_version(image)
    return version if version[:1] < (_FIRST_YEAR,) else ()


def _image_in(deployment: Manifest | None, container: str) -> str:
    containers = dig(deployment, "spec", "template", "spec", "containers", default=[])
    return next((str(entry.get("image")) for entry in containers if entry["name"] == container), "")


def _about_the_server(
    cr: Mapping[str, Any], instance: Instance, cluster: Cluster, wanted: _Wanted, ran: Version, database: str
) -> list[Notice]:
    """`database` is the image of the built-in database, "" if that is external."""
    name = names.workload_name(instance.name, Component.SERVER)
    if is_older(wanted.version, ran):
        reason = Reason.VERSION_GOES_BACK
        what = (
            f"{wanted.field} asks for Immich {dotted(wanted.version)}, but {dotted(ran)} has already run on this database. "
            "Immich can't downgrade a database, and does not start on one that a newer version has migrated"
        )
        remedy = f"Set spec.server.image to Immich {dotted(ran)} or newer; to go back, restore a backup made by the older version"
    elif _is_stranded_on(database, wanted.version, ran):
        reason = Reason.WAYPOINT_SKIPPED
        what = (
            f"{wanted.field} asks for Immich {dotted(wanted.version)}, which does not start on the database of image {database}: "
            "it has pgvecto.rs, and neither VectorChord nor pgvector"
        )
        remedy = (
            "Set spec.postgres.image to one of the same major version with both, such as "
            f"{registry.all_images()['postgres14'].default}, and spec.server.image to Immich {WAYPOINTS[-1].via}, which replaces "
            "pgvecto.rs, first"
        )
    elif missing := list(_missed(wanted.version, ran, has_pgvector=_has_pgvector(instance))):
        reason = Reason.WAYPOINT_SKIPPED
        steps = " and ".join(f"{waypoint.via}, {waypoint.why}" for waypoint in missing)
        what = (
            f"{wanted.field} asks for Immich {dotted(wanted.version)}, but the last version that ran is {dotted(ran)}. In "
            f"between, Immich has to run once as {steps}"
        )
        remedy = f"Back up, then set spec.server.image to Immich {missing[0].via} first"
    else:
        return []
    version = dotted(wanted.version)
    confirmed = f"{dotted(ran)}-to-{version}" if ran else version
    if dig(cr, "metadata", "annotations", names.CONFIRMED_VERSION_ANNOTATION) == confirmed:
        message = f"Deployment {name}: {what}. {version} is started anyway, because it is confirmed"
        return [Notice(Component.SERVER, Effect.WARNS, reason, message)]
    until = (
        "Until then the server keeps running as it is"
        if cluster.live("Deployment", name)
        else "Until then it is not started"
    )
    message = f"Deployment {name}: {what}. {remedy}. {until}. To start {version} anyway, {_how_to_confirm(instance, confirmed)}"
    return [Notice(Component.SERVER, Effect.BLOCKS, reason, message)]


def _how_to_confirm(instance: Instance, confirmed: str) -> str:
    """For people. A custom resource that is in a file only, because no cluster stores it, has no uid."""
    key = names.CONFIRMED_VERSION_ANNOTATION
    if not instance.uid:
        return f'add `{key}: "{confirmed}"` to metadata.annotations in the file of the custom resource'
    return "run " + command(
        "kubectl",
        "annotate",
        "immich",
        "--namespace",
        instance.namespace,
        instance.name,
        f"{key}={confirmed}",
        "--overwrite",
    )


def _is_stranded_on(database: str, wanted: Version, ran: Version) -> bool:
    """Whether Immich 3 would find pgvecto.rs only. Where an Immich 3 has run, there is more, whatever the image is called."""
    is_crossing = _is_at_least(wanted, WITHOUT_PGVECTO_RS) and not _is_at_least(ran, WITHOUT_PGVECTO_RS)
    return is_crossing and bool(_ONLY_PGVECTO_RS.search(database))


def _missed(wanted: Version, ran: Version, *, has_pgvector: bool) -> Iterator[Waypoint]:
    for waypoint in WAYPOINTS:
        is_about_pgvecto_rs = waypoint.beyond == WITHOUT_PGVECTO_RS
        is_crossed = is_older(ran, waypoint.before) and _is_at_least(wanted, waypoint.beyond)
        if is_crossed and not (is_about_pgvecto_rs and has_pgvector):
            yield waypoint


def _has_pgvector(instance: Instance) -> bool:
    """Whether Immich is told that an external database has pgvector, which Immich 3 reads as well."""
    variables = {entry["name"]: entry.get("value") for entry in instance.spec.server.env}
    return not instance.spec.postgres.enabled and variables.get("DB_VECTOR_EXTENSION") == "pgvector"


def _is_at_least(version: Version, least: Version) -> bool:
    """Whether that is certain."""
    return bool(version) and (*version, 0, 0)[:3] >= least


def _about_machine_learning(learning: _Wanted, server: _Wanted, stays: Version | None) -> list[Notice]:
    """`stays` is the version of a server that is left as it is, None for one that becomes what is wanted."""
    version = server.version if stays is None else stays
    if not is_older(learning.version, version) and not is_older(version, learning.version):
        return []
    if stays is not None:
        message = (
            f"machine-learning is left as it is, because the server is: that is Immich {dotted(stays)}, and {learning.field} "
            f"asks for {dotted(learning.version)}"
        )
        return [Notice(Component.MACHINE_LEARNING, Effect.BLOCKS, Reason.BLOCKED, message)]
    message = (
        f"{server.field} asks for Immich {dotted(server.version)}, but {learning.field} for machine learning "
        f"{dotted(learning.version)}. Versions that differ may misunderstand each other, and from 3.3 on machine learning "
        "rejects requests that it does not know. Set both to the same version"
    )
    return [Notice(Component.MACHINE_LEARNING, Effect.WARNS, Reason.VERSIONS_DIFFER, message)]
