# SPDX-License-Identifier: Apache-2.0
"""Our kinds, and where each names other objects. Written by `make generate` from hack/crd/*.yaml."""

from __future__ import annotations

from ..kube.kinds import KnownKind

__all__ = ["CUSTOM_KINDS", "REFERS"]

CUSTOM_KINDS = [
    KnownKind("media.rm3l.org/v1alpha1", "Immich", "immiches"),
]

REFERS: dict[str, dict[str, list[str]]] = {
    "Immich": {
        "ConfigMap": [
            "spec.server.env[].valueFrom.configMapKeyRef.name",
            "spec.server.envFrom[].configMapRef.name",
            "spec.machineLearning.env[].valueFrom.configMapKeyRef.name",
            "spec.machineLearning.envFrom[].configMapRef.name",
        ],
        "Secret": [
            "spec.imagePullSecrets[].name",
            "spec.immich.configuration.notifications.smtp.transport.passwordSecretRef.name",
            "spec.immich.configuration.oauth.clientSecretRef.name",
            "spec.server.env[].valueFrom.secretKeyRef.name",
            "spec.server.envFrom[].secretRef.name",
            "spec.machineLearning.env[].valueFrom.secretKeyRef.name",
            "spec.machineLearning.envFrom[].secretRef.name",
            "spec.valkey.passwordSecretRef.name",
            "spec.postgres.passwordSecretRef.name",
            "spec.postgres.urlSecretRef.name",
        ],
        "PersistentVolumeClaim": [
            "spec.immich.persistence.library.existingClaim",
            "spec.immich.persistence.thumbs.existingClaim",
            "spec.immich.persistence.encodedVideo.existingClaim",
            "spec.immich.persistence.profile.existingClaim",
            "spec.immich.persistence.backups.existingClaim",
            "spec.immich.externalLibraries[].existingClaim",
            "spec.machineLearning.persistence.existingClaim",
            "spec.valkey.persistence.existingClaim",
            "spec.postgres.persistence.existingClaim",
        ],
        "StorageClass": [
            "spec.immich.persistence.library.storageClass",
            "spec.immich.persistence.thumbs.storageClass",
            "spec.immich.persistence.encodedVideo.storageClass",
            "spec.immich.persistence.profile.storageClass",
            "spec.immich.persistence.backups.storageClass",
            "spec.machineLearning.persistence.storageClass",
            "spec.valkey.persistence.storageClass",
            "spec.postgres.persistence.storageClass",
        ],
    },
}
"""By the kind of the custom resource and of what it names: the paths of the names."""
