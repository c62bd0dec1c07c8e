# SPDX-License-Identifier: Apache-2.0
"""The built-in PostgreSQL: StatefulSet, Service, credentials, and what Immich needs to know of any database."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ..kube.readiness import is_scaled_to_zero
from ..kube.values import Manifest, dig, without_none
from ..spec import names, ports
from ..spec.fields import Persistence
from ..spec.images import postgres_major
from ..spec.names import Component
from . import database_folder, database_settings, database_version, keeping, pod_fields, pods, security, volumes
from .beside import removable
from .checksums import Checksums
from .database_folder import Place
from .database_version import DatabaseVersion
from .description import Claim, Description, Image, Workload, external, named_after
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason
from .required import Used, checksum_of_used, require
from .rollout import replace_stuck_pods

PATH = "spec.postgres"
PORT = ports.POSTGRES

KEEP_CLAIMS = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}}
"""Of a StatefulSet. Kubernetes' default, set explicitly because somebody may have set another."""

AS_OURSELVES = 'export PGUSER="$POSTGRES_USER" PGDATABASE="$POSTGRES_DB"\n'
"""In the environment, where a name is a name. libpq reads the argument --dbname of its programs as a connection string if it
looks like one (PQconnectdbParams, expand_dbname), and would send the password to the host in it."""

READY_COMMAND = ["sh", "-c", f"{AS_OURSELVES}exec pg_isready -q -h 127.0.0.1 -p 5432\n"]
"""By TCP: while the image sets up a new database, a temporary server answers on the socket only."""

STARTUP_COMMAND = [
    "sh",
    "-c",
    f"{AS_OURSELVES}"
    "pg_isready -q -h 127.0.0.1 -p 5432 || exit 1\n"
    'export PGPASSWORD="$POSTGRES_PASSWORD"\n'
    'psql -w -X -q -v ON_ERROR_STOP=1 <<"SQL"\n'
    "\\set role `printenv POSTGRES_USER`\n"
    "\\set password `printenv POSTGRES_PASSWORD`\n"
    "set log_statement = 'none';\n"
    "set log_min_error_statement = 'panic';\n"
    "set log_min_duration_statement = -1;\n"
    "alter role :\"role\" password :'password';\n"
    "SQL\n",
]
"""Sets the database's password to the one in the Secret, so that a changed Secret takes effect. The image itself reads
POSTGRES_PASSWORD only when it creates a database. The password is in no argument and no log."""


SOCKETS = "/var/run/postgresql"
SETTINGS = "/etc/postgresql"
"""Immich's image writes its settings to a folder that is empty in the image. Other images may ship theirs in it
(https://github.com/immich-app/base-images/pull/220)."""


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    if not instance.spec.postgres.enabled:
        return []
    return [
        _database(instance, cluster, draft),
        database_folder.remember(instance, cluster, claim_name(instance)),
        database_version.remember(instance, cluster, claim_name(instance)),
    ]


def _database(instance: Instance, cluster: Cluster, draft: Draft) -> Part:
    part = Part(Component.POSTGRES)
    settings = instance.spec.postgres
    if settings.url_secret_ref:
        part.warns(Reason.SETTING_IGNORED, f"{PATH}.urlSecretRef is not used, because {PATH}.enabled is true")
    if settings.host:
        part.warns(Reason.SETTING_IGNORED, f"{PATH}.host is not used, because {PATH}.enabled is true")
    made = _credentials(part, instance, cluster, draft.new_password)
    if not draft.image(instance, Component.POSTGRES) or part.is_blocked:
        return part
    if settings.persistence.existing_claim:
        path = f"{PATH}.persistence.existingClaim"
        volumes.check_existing_claim(part, instance, cluster, settings.persistence.existing_claim, path=path, wait=True)
    else:
        _grow_claim(part, instance, cluster)
    place = database_folder.choose(part, instance, cluster, claim_name(instance))
    data = DatabaseVersion.of(instance, cluster, claim_name(instance), place.folder)
    image = data.image(part, instance, draft.images)
    name = names.workload_name(instance.name, Component.POSTGRES)
    database_version.tell_of_end_of_life(part, cluster, name, data.major or postgres_major(image or ""))
    claim = cluster.live("PersistentVolumeClaim", claim_name(instance))
    if claim:
        database_folder.annotate(part, claim, {**place.learned, **data.learned})
    if image and not _replaced_with_other_volumes(part, instance, cluster):
        security.tell(part, settings, PATH, pods.database_security(cluster))
        pod_fields.check(part, instance, cluster, settings, PATH)
        database_settings.tell(part, settings, image, PATH)
        stateful_set = _stateful_set(part, instance, cluster, image, place, draft.checksums, made)
        part.apply(draft.checksums.without_a_roll(cluster, stateful_set), stage=2)
        live = database_folder.live_of(instance, cluster)
        if live and not instance.stranger(live):
            replace_stuck_pods(part, cluster, live)
    part.apply(
        pods.service(
            instance, Component.POSTGRES, [("postgres", PORT)], names.labels(instance.name, Component.POSTGRES)
        ),
    )
    return part


def password_reference(instance: Instance) -> tuple[str, str]:
    """(name, key) of the Secret with the database password: the user's, otherwise ours."""
    reference = instance.spec.postgres.password_secret_ref
    if reference:
        return reference.name, reference.key
    return names.database_credentials(instance.name), "password"


def server_environment(instance: Instance) -> list[dict[str, Any]]:
    """The variables with which the Immich server finds its database."""
    settings = instance.spec.postgres
    is_ours, url = settings.enabled, settings.url_secret_ref
    if url and not is_ours:
        return [pods.secret_variable("DB_URL", url.name, url.key)]
    host = names.workload_name(instance.name, Component.POSTGRES) if is_ours else settings.host
    return [
        pods.variable("DB_HOSTNAME", host),
        pods.variable("DB_PORT", PORT if is_ours else settings.port),
        pods.variable("DB_DATABASE_NAME", settings.database),
        pods.variable("DB_USERNAME", settings.username),
        pods.secret_variable("DB_PASSWORD", *password_reference(instance)),
    ]


def used_by_server(instance: Instance) -> Used:
    """The Secret that the server's database variables come from."""
    url = instance.spec.postgres.url_secret_ref
    if url and not instance.spec.postgres.enabled:
        return Used("Secret", url.name, url.key)
    return Used("Secret", *password_reference(instance))


def claim_name(instance: Instance) -> str:
    """The claim that holds the database."""
    return instance.spec.postgres.persistence.existing_claim or names.database_claim(instance.name)


def image_to_run(instance: Instance, cluster: Cluster, images: Mapping[str, str]) -> str | None:
    """The image that the built-in database is going to run, None if none fits its data; `images` is {component: image}."""
    unsaid = Part(Component.POSTGRES)  # the plan of the component says it
    name = claim_name(instance)
    place = database_folder.choose(unsaid, instance, cluster, name)
    return DatabaseVersion.of(instance, cluster, name, place.folder).image(unsaid, instance, images)


def claim_to_start_on(instance: Instance, cluster: Cluster) -> str | None:
    """The claim that the database should run on but does not run on now, None if there is none."""
    if not instance.spec.postgres.enabled:
        return None
    live = database_folder.live_of(instance, cluster)
    name = claim_name(instance)
    return None if runs_on(live, name) else name


def runs_on(stateful_set: Manifest | None, claim: str) -> bool:
    """Whether a database has its pod on that claim, or is about to get it."""
    return bool(stateful_set and claim in volumes.mounted_claims(stateful_set) and not is_scaled_to_zero(stateful_set))


def _credentials(part: Part, instance: Instance, cluster: Cluster, new_password: str) -> dict[str, Mapping[str, str]]:
    """Make sure of the password: the user's Secret exists, or ours does, or may be created. Returns what is created."""
    settings = instance.spec.postgres
    reference = settings.password_secret_ref
    if reference:
        require(part, instance, cluster, "Secret", reference.name, reference.key, f"{PATH}.passwordSecretRef")
        return {}
    name = names.database_credentials(instance.name)
    claim = _claim_with_a_database(instance, cluster)
    if not cluster.is_known_missing("Secret", name):
        secret = cluster.live("Secret", name)
        if secret and "password" not in (secret.get("data") or {}):
            remedy = (
                f"restore the password of the database in PersistentVolumeClaim {claim}"
                if claim
                else "add one, or delete the Secret and it is created again"
            )
            part.blocks(Reason.CREDENTIALS_LOST, f"Secret {name} has no key password; {remedy}")
        else:
            _tell_of_stranger(part, instance, secret)
            _remember_credentials(part, instance, cluster, name)
        return {}
    if claim:
        part.blocks(
            Reason.CREDENTIALS_LOST,
            f"Secret {name} is gone, but PersistentVolumeClaim {claim} still holds the database that its password opens. "
            f"Restore the Secret (keys password, username, database), or name one in {PATH}.passwordSecretRef "
            "with any new password: the database adopts it. No password is generated while the volume exists",
        )
        return {}
    _remember_credentials(part, instance, cluster, name)
    secret = instance.manifest("v1", "Secret", name, Component.POSTGRES, owned=False)
    secret["metadata"]["annotations"] = keeping.annotations_for(None)
    secret["type"] = "Opaque"
    content = {
        "password": new_password,
        "username": settings.username,
        "database": settings.database,
    }
    secret["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    part.create(secret)
    return {name: secret["data"]}


def _tell_of_stranger(part: Part, instance: Instance, secret: Manifest | None) -> None:
    """Report a Secret that is somebody else's. Its password is used, and it is never written to."""
    if secret and (because := instance.stranger(secret)):
        name = secret["metadata"]["name"]
        part.warns(
            Reason.NOT_ADOPTED,
            f"Secret {name} is somebody else's ({because}), so its password is used, but the Secret may change or disappear "
            f"with its owner. If that is meant, name it in {PATH}.passwordSecretRef. To hand it over to this instance, after "
            f"its former owner has let go of it, run {instance.hand_over(secret)}",
        )


def _claim_with_a_database(instance: Instance, cluster: Cluster) -> str | None:
    """The name of the claim on which a database was set up with a password before, as far as can be known."""
    existing = instance.spec.postgres.persistence.existing_claim
    if not existing:
        name = names.database_claim(instance.name)
        return name if cluster.live("PersistentVolumeClaim", name) else None
    claim = cluster.live("PersistentVolumeClaim", existing)
    return existing if dig(claim, "metadata", "annotations", names.CREDENTIALS_ANNOTATION) else None


def _remember_credentials(part: Part, instance: Instance, cluster: Cluster, name: str) -> None:
    """Note on a user's own claim that a password is in use; for a claim of ours, its existence says so."""
    existing = instance.spec.postgres.persistence.existing_claim
    claim = cluster.live("PersistentVolumeClaim", existing) if existing else None
    if claim and dig(claim, "metadata", "annotations", names.CREDENTIALS_ANNOTATION) != name:
        part.merge(claim, {"metadata": {"annotations": {names.CREDENTIALS_ANNOTATION: name}}})


def _grow_claim(part: Part, instance: Instance, cluster: Cluster) -> None:
    """The StatefulSet's claim template can't change, so its claim is grown directly."""
    name, persistence = names.database_claim(instance.name), instance.spec.postgres.persistence
    path = f"{PATH}.persistence"
    claim = cluster.live("PersistentVolumeClaim", name)
    volumes.check_storage_class(part, cluster, persistence, claim, path=path)
    if claim is None:
        return
    if instance.stranger(claim):
        volumes.warn_of_stranger(part, instance, claim, path=path)
        return
    volumes.warn_of_kept_settings(part, persistence, claim, path=path)
    size = volumes.larger_size(persistence, claim["spec"])
    if size != dig(claim, "spec", "resources", "requests", "storage"):
        # The uid makes the API server refuse it for a claim that has replaced the one that was read.
        metadata = {"metadata": {"uid": claim["metadata"].get("uid")}}
        part.merge(claim, {**metadata, "spec": {"resources": {"requests": {"storage": size}}}})


def _live_claim_template(instance: Instance, cluster: Cluster) -> Manifest | None:
    live = database_folder.live_of(instance, cluster)
    templates = dig(live, "spec", "volumeClaimTemplates", default=[])
    return templates[0] if templates else None


def _claim_template(instance: Instance, cluster: Cluster, place: Place) -> Manifest:
    """The live template as it is, because it is immutable; otherwise a new one."""
    live = _live_claim_template(instance, cluster)
    if live:
        metadata = without_none({key: live["metadata"].get(key) for key in ("name", "labels", "annotations")})
        return {"metadata": metadata, "spec": volumes.kept_claim_spec(Persistence(size="0"), live["spec"])}
    annotations = keeping.annotations_for(None)
    if not place.is_guess:
        annotations[names.PGDATA_ANNOTATION] = place.folder
    metadata = {"name": "data", "labels": names.labels(instance.name, Component.POSTGRES), "annotations": annotations}
    return {"metadata": metadata, "spec": volumes.new_claim_spec(instance.spec.postgres.persistence)}


def _replaced_with_other_volumes(part: Part, instance: Instance, cluster: Cluster) -> bool:
    """Delete a StatefulSet whose claim template has to be added or removed; the pass that this causes creates it again.

    Kubernetes does not allow the template of a live one to change. Claims and their data stay. The labels are enough, because
    without a change of its volumes it would be applied, which gives it its owner.
    """
    live = database_folder.live_of(instance, cluster)
    existing = instance.spec.postgres.persistence.existing_claim
    if live is None or bool(_live_claim_template(instance, cluster)) != bool(existing):
        return False
    if not instance.may_change(live, Component.POSTGRES):
        return False  # then the API server refuses the apply, and the error says what to do
    part.delete(live, stage=2)
    return True


def _stateful_set(
    part: Part,
    instance: Instance,
    cluster: Cluster,
    image: str,
    place: Place,
    sums: Checksums,
    made: Mapping[str, Mapping[str, str]],
) -> Manifest:
    settings = instance.spec.postgres
    secret, key = password_reference(instance)
    env = [
        pods.variable("POSTGRES_USER", settings.username),
        pods.variable("POSTGRES_DB", settings.database),
        pods.variable("POSTGRES_INITDB_ARGS", "--data-checksums"),
        pods.secret_variable("POSTGRES_PASSWORD", secret, key),
        pods.variable("PGDATA", place.path),
    ]
    if settings.storage_type:
        env.append(pods.variable("DB_STORAGE_TYPE", settings.storage_type))
    ready = {"exec": {"command": READY_COMMAND}, "periodSeconds": 10, "timeoutSeconds": 5}
    container = pods.container(
        "postgres",
        image,
        settings,
        args=database_settings.arguments(settings.parameters, image),
        env=env,
        ports=[{"name": "postgres", "containerPort": PORT, "protocol": "TCP"}],
        volumeMounts=[{"name": "data", "mountPath": database_folder.VOLUME}, {"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108
        startupProbe={
            "exec": {"command": STARTUP_COMMAND},
            "periodSeconds": 5,
            "timeoutSeconds": 10,
            "failureThreshold": 2 * pods.STARTUP_FAILURES,
        },
        readinessProbe={**ready, "failureThreshold": 3},
        livenessProbe={**ready, "failureThreshold": 6},
    )
    volume_list: list[dict[str, Any]] = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}}]
    existing = settings.persistence.existing_claim
    if existing:
        volume_list.insert(0, {"name": "data", "persistentVolumeClaim": {"claimName": existing}})
    used = [Used("Secret", secret, key), *pod_fields.used(settings)]
    checksums = {names.SECRETS_CHECKSUM_ANNOTATION: checksum_of_used(sums, cluster, used, made)}
    template = pods.pod_template(
        instance,
        Component.POSTGRES,
        part,
        pod={
            "initContainers": [
                database_folder.look_container(image, settings, place, database_folder.live_of(instance, cluster))
            ],
            "containers": [container],
            "volumes": volume_list,
            "terminationGracePeriodSeconds": 300,  # a checkpoint of a busy database takes a while
        },
        ids=pods.database_security(cluster, place.user),
        checksums=without_none(checksums),
        writes=[SOCKETS, SETTINGS] if database_settings.is_of_immich(image) else [SOCKETS],
    )
    name = names.workload_name(instance.name, Component.POSTGRES)
    manifest = pods.workload(instance, "StatefulSet", Component.POSTGRES)
    manifest["spec"] = {
        "replicas": 1,
        "serviceName": name,
        "selector": {"matchLabels": names.labels(instance.name, Component.POSTGRES)},
        "template": template,
    }
    manifest["spec"] |= KEEP_CLAIMS
    if not existing:
        manifest["spec"]["volumeClaimTemplates"] = [_claim_template(instance, cluster, place)]
    return manifest


DESCRIPTION = Description(
    component=Component.POSTGRES,
    title="PostgreSQL",
    plan=plan,
    workload=Workload(
        kind="StatefulSet", condition="PostgresReady", flag="postgresReady", absence=external(Component.POSTGRES)
    ),
    image=Image(
        variable="RELATED_IMAGE_postgres",
        default="ghcr.io/immich-app/postgres:17-vectorchord0.5.3",
        what="PostgreSQL with the vector extensions that Immich needs",
    ),
    older_images=database_version.OLDER_IMAGES,
    claim=Claim(
        name=claim_name,
        made=names.database_claim,
        persistence=lambda instance: instance.spec.postgres.persistence,
        path=f"{PATH}.persistence",
        mounted_by=Component.POSTGRES,
        outlives=True,
    ),
    feeds_server=True,
    removable=(*named_after(Component.POSTGRES, "StatefulSet", "Service"), *removable(Component.POSTGRES)),
)
