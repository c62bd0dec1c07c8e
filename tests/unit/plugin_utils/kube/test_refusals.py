# SPDX-License-Identifier: Apache-2.0
"""A refusal is told in few words, with advice for what refused."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.refusals import advice, readable

QUOTA = (
    'persistentvolumeclaims "photos-library" is forbidden: exceeded quota: storage, requested: requests.storage=100Gi, '
    "used: requests.storage=10Gi, limited: requests.storage=50Gi"
)
STRUCTURE = 'core.SecurityContext{Capabilities:(*core.Capabilities)(0xc0), Privileged:(*bool)(0xc1), X:"}: "}'
CLAIM = (
    'core.PersistentVolumeClaimSpec{AccessModes:[]core.PersistentVolumeAccessMode{"ReadWriteOnce"}, '
    'Selector:(*v1.LabelSelector)(nil), VolumeName:""}'
)


@pytest.mark.parametrize(
    ("message", "cut"),
    [
        pytest.param(QUOTA, QUOTA.partition("is forbidden: ")[2], id="name-once-more"),
        pytest.param(
            'pods is forbidden: User "x" cannot list resource "pods" in API group "" at the cluster scope',
            'User "x" cannot list resource "pods" in API group "" at the cluster scope',
            id="a-list",
        ),
        pytest.param(
            f'Deployment.apps "x" is invalid: spec.a: Invalid value: {STRUCTURE}: cannot set it, spec.b: Required value',
            "spec.a: Invalid value: …: cannot set it, spec.b: Required value",
            id="structure-of-Go",
        ),
        pytest.param(
            f'PersistentVolumeClaim "x" is invalid: spec: Forbidden: spec is immutable\n\u00a0\u00a0{CLAIM}',
            f"spec: Forbidden: spec is immutable {CLAIM}",
            id="several-lines",
        ),
        pytest.param(
            f'Invalid value: {{"a": [{", ".join(map(str, range(40)))}]}}: too many',
            "Invalid value: …: too many",
            id="json",
        ),
        pytest.param(
            'spec.x: Invalid value: "-1": must be more', 'spec.x: Invalid value: "-1": must be more', id="short"
        ),
        pytest.param("spec.x: Invalid value: " + 80 * "y", "spec.x: Invalid value: …", id="unfinished"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_message_is_cut_to_what_a_person_can_use(message: str, cut: str) -> None:
    assert readable(message) == cut


LIMITS = "Stay within it in the component's `resources`, or have the LimitRange in namespace family changed"
ROLE = "Allow it in the role of the account that runs this (the operator's rules are in config/rbac)"


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        pytest.param(
            QUOTA,
            "Request less in the custom resource (size, resources, replicas), or have ResourceQuota storage in namespace "
            "family raised",
            id="quota",
        ),
        pytest.param(
            "failed quota: compute: must specify limits.cpu for: wait-for-postgres; limits.memory for: server",
            "Set them in the component's `resources`, or have a LimitRange in namespace family set defaults: ResourceQuota "
            "compute requires them",
            id="quota-of-unnamed",
        ),
        pytest.param(
            "status unknown for quota: storage, resources: requests.storage",
            "The quota is new and its usage is still being counted; this is retried",
            id="new-quota",
        ),
        pytest.param("minimum memory usage per Container is 128Mi, but request is 16Mi", LIMITS, id="minimum"),
        pytest.param("maximum cpu usage per Pod is 2, but limit is 4", LIMITS, id="maximum"),
        pytest.param(
            "memory max limit to request ratio per Container is 2, but provided ratio is 4.000000", LIMITS, id="ratio"
        ),
        pytest.param(
            "maximum storage usage per PersistentVolumeClaim is 50Gi, but request is 100Gi",
            "Request a size within these bounds in the custom resource, or have the LimitRange in namespace family changed",
            id="size-of-a-volume",
        ),
        pytest.param(
            'violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "Set the component's podSecurityContext and securityContext as it says, or relax the level restricted in the "
            "labels of namespace family",
            id="pod-security",
        ),
        pytest.param(
            "ValidatingAdmissionPolicy 'images' with binding 'all' denied request: only from mirror.example.com",
            "Change the custom resource as the policy says, or have namespace family exempted from images",
            id="policy",
        ),
        pytest.param(
            'admission webhook "validate.kyverno.svc-fail" denied the request: labels are missing',
            "Change the custom resource as it says, or ask those who run webhook validate.kyverno.svc-fail to exempt "
            "namespace family",
            id="webhook",
        ),
        pytest.param(
            'Internal error occurred: failed calling webhook "v.example.com": failed to call webhook: Post "https://x": EOF',
            "Nothing can be written until webhook v.example.com responds; this is retried",
            id="dead-webhook",
        ),
        pytest.param(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
            "Set `allowVolumeExpansion: true` in its StorageClass, or set the size back and move the data to a larger claim",
            id="growth",
        ),
        pytest.param('User "system:serviceaccount:a:b" cannot patch resource "services"', ROLE, id="permission"),
        pytest.param(
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on",
            ROLE,
            id="owner",
        ),
        pytest.param("you shall not pass", None, id="somebody-else"),
    ],
)
def test_the_advice_is_for_what_refused(message: str, remedy: str | None) -> None:
    assert advice(message, "family") == remedy
