# SPDX-License-Identifier: Apache-2.0
"""Where the API server keeps a kind: the names that discovery would tell, for the kinds that a pass needs."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from .api_error import ApiError, ObjectRef

__all__ = ["BUILT_IN", "Resource", "path_of"]


class Resource(NamedTuple):
    """A kind as the API server serves it: its name in addresses, and whether it lives in namespaces."""

    plural: str
    namespaced: bool = True


BUILT_IN: dict[tuple[str, str], Resource] = {
    ("v1", "ConfigMap"): Resource("configmaps"),
    ("v1", "Event"): Resource("events"),
    ("v1", "Namespace"): Resource("namespaces", namespaced=False),
    ("v1", "PersistentVolume"): Resource("persistentvolumes", namespaced=False),
    ("v1", "PersistentVolumeClaim"): Resource("persistentvolumeclaims"),
    ("v1", "Pod"): Resource("pods"),
    ("v1", "Secret"): Resource("secrets"),
    ("v1", "Service"): Resource("services"),
    ("v1", "ServiceAccount"): Resource("serviceaccounts"),
    ("apps/v1", "Deployment"): Resource("deployments"),
    ("apps/v1", "ReplicaSet"): Resource("replicasets"),
    ("apps/v1", "StatefulSet"): Resource("statefulsets"),
    ("networking.k8s.io/v1", "Ingress"): Resource("ingresses"),
    ("networking.k8s.io/v1", "NetworkPolicy"): Resource("networkpolicies"),
    ("storage.k8s.io/v1", "StorageClass"): Resource("storageclasses", namespaced=False),
    ("route.openshift.io/v1", "Route"): Resource("routes"),
    ("media.rm3l.org/v1alpha1", "Immich"): Resource("immiches"),
}


def path_of(ref: ObjectRef, resource: Resource, *, subresource: str = "") -> str:
    """The address of one object, or of all of its kind when `ref` has no name.

    Raises:
        ApiError: 404, as no object can have such a name or namespace; in an address it would lead to another object.
    """
    for name in (ref.name, ref.namespace):
        if name in {".", ".."} or "/" in name or "%" in name:
            raise ApiError(404, "NotFound", f"nothing can be named {name!r}", subject=str(ref))
    parts = ["api" if "/" not in ref.api_version else "apis", *ref.api_version.split("/")]
    if resource.namespaced and ref.namespace:
        parts += ["namespaces", ref.namespace]
    parts += [resource.plural, *filter(None, (ref.name, subresource))]
    return "/" + "/".join(quote(part, safe="") for part in parts)
