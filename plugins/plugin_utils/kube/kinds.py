# SPDX-License-Identifier: Apache-2.0
"""The kinds of Kubernetes that operators built on this collection work with: one row each, from which all lists are derived.

Code reads the table. `hack/rbac.py` writes the operator's rights from it, `hack/watches.py` what the loop watches. Custom
resources are not in it: their rows are in `spec/custom_kinds.py`, made from hack/crd/*.yaml.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KINDS", "ON_DEMAND", "OPTIONAL", "OWNED", "WATCHED", "KnownKind", "Right", "named"]

ALL = ("get", "list", "watch", "create", "patch", "delete")
"""`patch` is server-side apply, which needs `create` too for an object that is not there yet."""


class Right(NamedTuple):
    """What the operator's role allows."""

    verbs: tuple[str, ...]
    because: str = ""
    """The comment on the rule."""
    subresource: str = ""


class KnownKind(NamedTuple):
    """A kind, and what is done with its objects."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    optional: bool = False
    """Not every cluster serves it, so each pass checks first."""
    owned: bool = False
    """A custom resource may consist of such objects: passes list them by label."""
    on_demand: bool = False
    """Few custom resources do, so such objects are listed only where there may be some: see `passes.lookups`."""
    rights: tuple[Right, ...] = ()

    @property
    def group(self) -> str:
        """ "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def verbs(self) -> frozenset[str]:
        """What the operator may do with the objects themselves."""
        return frozenset(verb for right in self.rights if not right.subresource for verb in right.verbs)


KINDS = (
    KnownKind("apps/v1", "Deployment", "deployments", owned=True, rights=(Right(ALL),)),
    KnownKind("apps/v1", "StatefulSet", "statefulsets", owned=True, rights=(Right(ALL),)),
    KnownKind("v1", "Service", "services", owned=True, rights=(Right(ALL),)),
    KnownKind("v1", "ConfigMap", "configmaps", owned=True, rights=(Right(ALL),)),
    KnownKind("v1", "Secret", "secrets", owned=True, rights=(Right(ALL),)),
    KnownKind(
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        owned=True,
        rights=(
            Right(
                ("get", "list", "watch", "create", "patch"),
                "no delete: data is never removed, caches go by owner reference",
            ),
        ),
    ),
    KnownKind(
        "v1",
        "Pod",
        "pods",
        rights=(
            Right(
                ("list", "watch", "delete"),
                "the status names what keeps a pod from running; a StatefulSet's stuck pod is replaced",
            ),
        ),
    ),
    KnownKind(
        "v1",
        "Event",
        "events",
        rights=(Right(("create", "list"), "list: only there it is told why a pod or a volume does not get going"),),
    ),
    KnownKind("networking.k8s.io/v1", "Ingress", "ingresses", owned=True, rights=(Right(ALL),)),
    KnownKind(
        "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", owned=True, on_demand=True, rights=(Right(ALL),)
    ),
    KnownKind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        owned=True,
        on_demand=True,
        rights=(Right(ALL),),
    ),
    KnownKind(
        "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", owned=True, on_demand=True, rights=(Right(ALL),)
    ),
    KnownKind(
        "route.openshift.io/v1",
        "Route",
        "routes",
        optional=True,
        owned=True,
        rights=(
            Right(ALL),
            Right(
                ("create", "update"),
                "OpenShift requires it to set and to change spec.host and certificates",
                subresource="custom-host",
            ),
        ),
    ),
    KnownKind(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        "httproutes",
        optional=True,
        owned=True,
        on_demand=True,
        rights=(Right(ALL),),
    ),
    KnownKind(
        "gateway.networking.k8s.io/v1",
        "Gateway",
        "gateways",
        rights=(Right(("get",), "scheme and port of the address at which an HTTPRoute is served"),),
    ),
    KnownKind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False, rights=(Right(("get",)),)),
    KnownKind("networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False, rights=(Right(("get",)),)),
    # Only for people with their own rights to them: no pass needs these.
    KnownKind("v1", "Namespace", "namespaces", namespaced=False),
    KnownKind("v1", "PersistentVolume", "persistentvolumes", namespaced=False),
    KnownKind("v1", "ServiceAccount", "serviceaccounts"),
    KnownKind("apps/v1", "ReplicaSet", "replicasets"),
    KnownKind("coordination.k8s.io/v1", "Lease", "leases"),
)

OWNED = tuple(row for row in KINDS if row.owned and not row.optional and not row.on_demand)
"""What a custom resource may consist of in every cluster."""
ON_DEMAND = tuple(row for row in KINDS if row.owned and not row.optional and row.on_demand)
"""What few do."""
OPTIONAL = tuple(row for row in KINDS if row.owned and row.optional)
"""What it may consist of if the cluster serves the kind."""
WATCHED = tuple(row for row in KINDS if "watch" in row.verbs)
"""What the loop watches by label."""

_BY_NAME = {row.kind: row for row in KINDS}


def named(kind: str) -> KnownKind:
    """The row of a kind; KeyError if there is none. No two kinds of the table have the same name."""
    return _BY_NAME[kind]
