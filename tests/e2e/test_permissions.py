# SPDX-License-Identifier: Apache-2.0
"""The operator's permissions are the least that works: all of the run before is compared with what is granted.

What no other end-to-end test needs is done here first, so that a permission without use shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from e2e.photos import Deployed, Photos

from localcluster.audit import AuditEntry
from localcluster.testing import Cluster
from support.go_modules import crds
from support.pages import ROUTE_CRD

Permission = tuple[str, str, str]
"""(API group, resource or resource/subresource, verb)"""

USER = f"system:serviceaccount:{Deployed.NAMESPACE}:{Deployed.NAME}"
ASKED_BY_ADMISSION = {
    ("media.rm3l.org", "immiches/finalizers", "update"),
    ("route.openshift.io", "routes/custom-host", "create"),
    ("route.openshift.io", "routes/custom-host", "update"),
}
"""No request has these: the API server asks for them beside another one, on OpenShift."""
AFTER_A_CONFLICT = {("media.rm3l.org", "immiches", "get")}
"""A pass has the custom resource from a list, and reads it again where somebody has changed it before its status was
written, or where the list failed; nothing here can tell when that happens."""
FORMER_FINALIZER = "media.rm3l.org/finalizer"


@pytest.fixture(scope="module")
def routes(cluster: Cluster) -> Iterator[None]:
    """The kind Route, which OpenShift has, and those of the Gateway API."""
    gateways = crds("sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard", "Gateway", "HTTPRoute")
    definitions = [yaml.safe_load(ROUTE_CRD), *gateways]
    for crd in definitions:
        cluster.api.create(crd)
        cluster.api.wait_served(crd["metadata"]["name"])
    yield
    for crd in definitions:
        cluster.api.delete("CustomResourceDefinition", crd["metadata"]["name"], wait=True)


@pytest.mark.last
@pytest.mark.usefixtures("routes")
def test_every_permission_is_used_and_none_is_missing(photos: Photos) -> None:
    _use_what_comes_and_goes(photos)

    requests = [
        entry
        for entry in photos.cluster.audit.since(photos.cluster.audit.beginning(), include_open=True)
        if entry.user == USER
    ]
    refused = [str(entry) for entry in requests if entry.forbidden]
    granted = _granted(photos.cluster)
    used = {permission for entry in requests for permission in _permissions(entry)}

    assert refused == []
    assert granted - used - ASKED_BY_ADMISSION - AFTER_A_CONFLICT == set(), "granted, but never used"
    assert used - granted == set(), "used by another role than those of config/rbac"


def _use_what_comes_and_goes(photos: Photos) -> None:
    """Every kind of object is made, changed and removed; what goes wrong is looked into; the other operator was here."""
    quota = {"metadata": {"name": "no-pods", "namespace": photos.namespace}, "spec": {"hard": {"pods": "0"}}}
    photos.api.create({"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    photos.create(
        {
            "postgres": {"persistence": {"storageClass": "standard"}},
            "server": {
                "ingress": {
                    "enabled": True,
                    "ingressClassName": "none",
                    "preset": "Auto",
                    "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}],
                },
                "httpRoute": {"enabled": True, "parentRefs": [{"name": "none"}]},
                "route": {"enabled": True, "host": "photos.example.com"},
            },
            "machineLearning": {
                "persistence": {"enabled": False},
                "autoscaling": {"enabled": True, "minReplicas": 2},
                "podDisruptionBudget": {"enabled": True},
            },
            "networkPolicy": {"enabled": True},
            "immich": {"configuration": {"trash": {"days": 5}}},
        }
    )
    photos.wait_condition("PostgresReady", "PodRefused")
    photos.api.delete("ResourceQuota", "no-pods", photos.namespace)
    photos.wait_ready()
    photos.change({"postgres": {"image": "localhost/postgres:no-such-tag"}})
    photos.wait_condition("PostgresReady", "ImagePullFailed")
    photos.change({"postgres": {"image": None}, "immich": {"configurationKind": "Secret"}})
    photos.wait_ready()
    photos.change(
        {
            "server": {
                "ingress": {"enabled": False},
                "route": {"enabled": False},
                "httpRoute": {"enabled": False},
            },
            "networkPolicy": {"enabled": False},
            "immich": {"configurationKind": "ConfigMap"},
            "machineLearning": {"enabled": False},
        }
    )
    photos.wait_ready()
    photos.secret("database", password="of-a-database-that-is-not-there")
    outside = {
        "enabled": False,
        "host": "nowhere.example.com",
        "passwordSecretRef": {"name": "database", "key": "password"},
    }
    photos.change({"postgres": outside})
    photos.wait("its own database is gone", lambda: not photos.get("StatefulSet", "photos-postgres"))
    photos.api.merge_patch("Immich", "photos", photos.namespace, {"metadata": {"finalizers": [FORMER_FINALIZER]}})
    photos.api.delete("Immich", "photos", photos.namespace, wait=True)


def _permissions(entry: AuditEntry) -> set[Permission]:
    """What a request needs; a patch that makes its object (server-side apply) needs `create` too."""
    resource = f"{entry.resource}/{entry.subresource}" if entry.subresource else entry.resource
    verbs = {entry.verb, "create"} if entry.verb == "patch" and entry.code == 201 else {entry.verb}
    return {(entry.group, resource, verb) for verb in verbs if entry.resource}


def _granted(cluster: Cluster) -> set[Permission]:
    """By the roles that are bound to the operator's service account."""
    found: set[Permission] = set()
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for binding in cluster.api.list(kind):
            subjects = [(s.get("namespace"), s["name"]) for s in binding.get("subjects", ())]
            if (Deployed.NAMESPACE, Deployed.NAME) not in subjects:
                continue
            reference = binding["roleRef"]
            namespace = binding["metadata"].get("namespace") if reference["kind"] == "Role" else None
            role: dict[str, Any] = cluster.api.get(reference["kind"], reference["name"], namespace)
            found |= {
                (group, resource, verb)
                for rule in role["rules"]
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return found
