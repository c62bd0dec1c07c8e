# SPDX-License-Identifier: Apache-2.0
"""Names that other programs rely on: API, labels, annotations, object names. docs/reference/names.md lists them."""

from __future__ import annotations

from typing import ClassVar

from ..kube import rewritten, values

GROUP = "media.rm3l.org"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "Immich"
FIELD_MANAGER = values.FIELD_MANAGER

FORMER_FINALIZER = f"{GROUP}/finalizer"
"""Left on custom resources by the operator written in Go. Owner references do its work here, so it is taken off."""

PGDATA_ANNOTATION = f"{GROUP}/pgdata"
"""On the database's claim: the sub-directory of the volume that holds the data, "." for its top."""
POSTGRES_MAJOR_ANNOTATION = f"{GROUP}/postgres-major"
"""On the database's claim: FOLDER=MAJOR, which major version of PostgreSQL wrote the data in that folder of the volume."""
DATABASE_USER_ANNOTATION = f"{GROUP}/database-user"
"""On the database's claim: the uid that the database runs as, where it is not the usual one."""
CREDENTIALS_ANNOTATION = f"{GROUP}/credentials"
"""On a database claim that the user made: the Secret whose password the database in it was set up with."""
DATABASE_ANNOTATION = f"{GROUP}/database"
"""On the claims of library and database, with the same value: they belong together."""
DATABASE_CLAIM_ANNOTATION = f"{GROUP}/database-claim"
"""On the library's claim: NAME/UID of the database's."""
DATABASE_POD_ANNOTATION = f"{GROUP}/database-pod"
"""On the library's claim: the uid of the pod that set up the database on an empty volume, if that was seen."""
LIBRARY_USER_ANNOTATION = f"{GROUP}/library-user"
"""On the library's claim: UID:GID that the server runs as, where the files are not root's."""
EXTERNAL_LIBRARIES_ANNOTATION = f"{GROUP}/external-libraries"
"""On the library's claim and the server's Deployment: the external libraries that Immich knows files in, as JSON."""
CONFIRMED_VERSION_ANNOTATION = f"{GROUP}/confirmed-version"
"""On the custom resource: the version of Immich that is to be started although the operator would hold it back."""
CONFIG_CHECKSUM_ANNOTATION = f"{GROUP}/config-checksum"
SECRETS_CHECKSUM_ANNOTATION = f"{GROUP}/secrets-checksum"
"""On pod templates: change when the file or the Secrets that the pods use change, so that the pods are replaced."""

AUTOSCALED_ANNOTATION = f"{GROUP}/autoscaled"
"""On a Deployment whose number of pods an autoscaler of ours chooses, or chose last, and nobody has said another since."""

REWRITTEN_ANNOTATION = rewritten.ANNOTATION
"""On an object of which admission rewrites fields: the checksum of what was applied."""

KEEP_ANNOTATIONS = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "helm.sh/resource-policy": "keep",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
"""On all that outlives the custom resource, so that no tool that prunes takes it for its own."""

LOOK_AT_LIBRARY = "look-at-library"
"""The container that says in the status of the server's pod which folders of the library it may not use."""
LOOK_AT_EXTERNAL_LIBRARIES = "look-at-external-libraries"
"""The container without which no server starts: it says in the status of the pod which external libraries are empty or
not there. Nothing that a user sets may take it away, or replace it."""
LOOK_AT_VOLUME = "look-at-volume"
"""The container that says in the status of the database's pod what is on its volume."""
LOOKS = (LOOK_AT_LIBRARY, LOOK_AT_EXTERNAL_LIBRARIES, LOOK_AT_VOLUME)
"""The containers whose last words decide or explain something."""

CONFIG_FILE = "immich-config.yaml"


class Component(str):
    """The value of the label app.kubernetes.io/component. Those that others than their own module name are here.

    All that there are: `components.registry`.
    """

    __slots__ = ()

    SERVER: ClassVar[Component]
    MACHINE_LEARNING: ClassVar[Component]
    VALKEY: ClassVar[Component]
    POSTGRES: ClassVar[Component]


Component.SERVER = Component("server")
Component.MACHINE_LEARNING = Component("machine-learning")
Component.VALKEY = Component("valkey")
Component.POSTGRES = Component("postgres")


def spec_key(component: str) -> str:
    """Where a workload's settings are in the spec of the custom resource: `machineLearning` for `machine-learning`."""
    first, *rest = component.split("-")
    return first + "".join(word.capitalize() for word in rest)


def attribute(component: str) -> str:
    """The same in Python, see `fields.Spec`: `machine_learning`."""
    return component.replace("-", "_")


def component_of(attribute: str) -> Component:
    """The component whose settings an attribute of `fields.Spec` holds: the reverse of `attribute`."""
    return Component(attribute.replace("_", "-"))


def labels(instance: str, component: str) -> dict[str, str]:
    """The five labels that every object of an instance carries."""
    return {
        **selector(instance, component),
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        "app.kubernetes.io/part-of": "immich",
    }


def selector(instance: str, component: str) -> dict[str, str]:
    """What pod selectors of Deployments and their Services match. PostgreSQL's match all of `labels` instead."""
    return {
        "app.kubernetes.io/name": "immich",
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/component": component,
    }


def workload_name(instance: str, component: str) -> str:
    """The name of all that is made for a component's pods: Deployment or StatefulSet, Service, Ingress and the like."""
    return f"{instance}-{component}"


def library_claim(instance: str) -> str:
    return f"{instance}-library"


def database_claim(instance: str) -> str:
    """The claim that the StatefulSet controller makes from the claim template `data` for the only pod."""
    return f"data-{instance}-postgres-0"


def cache_claim(instance: str) -> str:
    return f"{instance}-ml-cache"


def valkey_claim(instance: str) -> str:
    return f"{instance}-valkey-data"


def config_object(instance: str) -> str:
    return f"{instance}-immich-config"


def database_credentials(instance: str) -> str:
    return f"{instance}-postgres-credentials"


def checksum_key(instance: str) -> str:
    """Holds the key of the checksums on pod templates, which more people can read than Secrets."""
    return f"{instance}-checksum-key"


def valkey_credentials(instance: str) -> str:
    """Holds a password that the custom resource gives in plain text, so that no pod template shows it."""
    return f"{instance}-valkey-credentials"
