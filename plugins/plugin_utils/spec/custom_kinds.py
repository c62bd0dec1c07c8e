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
            "spec.server.volumes[].configMap.name",
            "spec.server.initContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.server.initContainers[].envFrom[].configMapRef.name",
            "spec.server.extraContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.server.extraContainers[].envFrom[].configMapRef.name",
            "spec.machineLearning.env[].valueFrom.configMapKeyRef.name",
            "spec.machineLearning.envFrom[].configMapRef.name",
            "spec.machineLearning.volumes[].configMap.name",
            "spec.machineLearning.initContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.machineLearning.initContainers[].envFrom[].configMapRef.name",
            "spec.machineLearning.extraContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.machineLearning.extraContainers[].envFrom[].configMapRef.name",
            "spec.valkey.volumes[].configMap.name",
            "spec.valkey.initContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.valkey.initContainers[].envFrom[].configMapRef.name",
            "spec.valkey.extraContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.valkey.extraContainers[].envFrom[].configMapRef.name",
            "spec.postgres.volumes[].configMap.name",
            "spec.postgres.initContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.postgres.initContainers[].envFrom[].configMapRef.name",
            "spec.postgres.extraContainers[].env[].valueFrom.configMapKeyRef.name",
            "spec.postgres.extraContainers[].envFrom[].configMapRef.name",
        ],
        "Secret": [
            "spec.imagePullSecrets[].name",
            "spec.immich.configuration.notifications.smtp.transport.passwordSecretRef.name",
            "spec.immich.configuration.oauth.clientSecretRef.name",
            "spec.server.env[].valueFrom.secretKeyRef.name",
            "spec.server.envFrom[].secretRef.name",
            "spec.server.volumes[].csi.nodePublishSecretRef.name",
            "spec.server.volumes[].secret.secretName",
            "spec.server.initContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.server.initContainers[].envFrom[].secretRef.name",
            "spec.server.extraContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.server.extraContainers[].envFrom[].secretRef.name",
            "spec.machineLearning.env[].valueFrom.secretKeyRef.name",
            "spec.machineLearning.envFrom[].secretRef.name",
            "spec.machineLearning.volumes[].csi.nodePublishSecretRef.name",
            "spec.machineLearning.volumes[].secret.secretName",
            "spec.machineLearning.initContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.machineLearning.initContainers[].envFrom[].secretRef.name",
            "spec.machineLearning.extraContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.machineLearning.extraContainers[].envFrom[].secretRef.name",
            "spec.valkey.passwordSecretRef.name",
            "spec.valkey.tls.caSecretRef.name",
            "spec.valkey.sentinel.passwordSecretRef.name",
            "spec.valkey.volumes[].csi.nodePublishSecretRef.name",
            "spec.valkey.volumes[].secret.secretName",
            "spec.valkey.initContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.valkey.initContainers[].envFrom[].secretRef.name",
            "spec.valkey.extraContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.valkey.extraContainers[].envFrom[].secretRef.name",
            "spec.postgres.passwordSecretRef.name",
            "spec.postgres.urlSecretRef.name",
            "spec.postgres.volumes[].csi.nodePublishSecretRef.name",
            "spec.postgres.volumes[].secret.secretName",
            "spec.postgres.initContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.postgres.initContainers[].envFrom[].secretRef.name",
            "spec.postgres.extraContainers[].env[].valueFrom.secretKeyRef.name",
            "spec.postgres.extraContainers[].envFrom[].secretRef.name",
        ],
        "PersistentVolumeClaim": [
            "spec.immich.persistence.library.existingClaim",
            "spec.immich.externalLibraries[].existingClaim",
            "spec.server.volumes[].persistentVolumeClaim.claimName",
            "spec.machineLearning.persistence.existingClaim",
            "spec.machineLearning.volumes[].persistentVolumeClaim.claimName",
            "spec.valkey.persistence.existingClaim",
            "spec.valkey.volumes[].persistentVolumeClaim.claimName",
            "spec.postgres.persistence.existingClaim",
            "spec.postgres.volumes[].persistentVolumeClaim.claimName",
        ],
        "StorageClass": [
            "spec.immich.persistence.library.storageClass",
            "spec.machineLearning.persistence.storageClass",
            "spec.valkey.persistence.storageClass",
            "spec.postgres.persistence.storageClass",
        ],
    },
}
"""By the kind of the custom resource and of what it names: the paths of the names."""
