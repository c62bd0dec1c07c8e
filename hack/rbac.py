# SPDX-License-Identifier: Apache-2.0
"""The roles in config/rbac, from plugin_utils/kube/kinds.py, hack/crd/*.yaml and watches.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.media.immich.plugins.plugin_utils.kube.kinds import KINDS, KnownKind, Right
from hack import watches
from hack.crd import sources
from hack.crd.sources import Source
from hack.writing import kustomization

ROOT = Path(__file__).resolve().parents[1]
RBAC = ROOT / "config" / "rbac"
CLUSTER = RBAC / "cluster"
ROLE = """\
---
{comment}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: immich-operator
    app.kubernetes.io/managed-by: kustomize
{labels}rules:
{rules}"""
MANAGER = """\
# Written by `make generate` from plugin_utils/kube/kinds.py. The least that works: verbs are those that a pass and the
# watches use. `patch` is server-side apply, which needs `create` too for an object that is not there yet."""
CHANGE = ("get", "list", "watch", "create", "update", "patch", "delete")
PEOPLE = {
    "admin": ("Part of the built-in role admin: everything about {} instances of a namespace.", (*CHANGE, "deletecollection")),
    "editor": ("Part of the built-in role edit: make, change and remove {} instances of a namespace.", CHANGE),
    "viewer": ("Part of the built-in role view: see {} instances of a namespace and how they are.", CHANGE[:3]),
}  # fmt: skip
"""{role: (what it is for, what it allows)}"""
BUILT_IN = {"admin": "admin", "editor": "edit", "viewer": "view"}
ONLY_IN_CLUSTER = (
    "What only a cluster-wide installation has: StorageClasses to read, and roles for the people who use the API."
)
BY_HAND = ("storage_class_reader_role.yaml", "storage_class_reader_role_binding.yaml")


class Rule(NamedTuple):
    """What may be done with some resources of a group."""

    group: str
    verbs: tuple[str, ...]
    because: str = ""

    def text(self, resources: Iterable[str]) -> str:
        return (
            f"  - apiGroups: [{self.group or chr(34) * 2}]\n    resources: [{', '.join(sorted(resources))}]\n"
            f"    verbs: [{', '.join(self.verbs)}]{f' # {self.because}' if self.because else ''}\n"
        )


def files() -> dict[Path, str]:
    """{file: text}"""
    roles = {
        CLUSTER / f"{source.singular}_{who}_role.yaml": role_for_people(source, who)
        for source in sources.all_of_them()
        for who in PEOPLE
    }
    return {
        RBAC / "manager_role.yaml": manager_role(),
        CLUSTER / "kustomization.yaml": kustomization([*BY_HAND, *(file.name for file in roles)], ONLY_IN_CLUSTER),
        **roles,
    }


def manager_role() -> str:
    """What the operator may do. What is not bound to a namespace is for cluster/."""
    rules = "".join(
        [*map(_rules_for, sources.all_of_them()), *_rules_for_kinds(row for row in KINDS if row.namespaced)]
    )
    return ROLE.format(comment=MANAGER, name="manager-role", labels="", rules=rules)


def _rules_for(source: Source) -> str:
    """The rules for a kind of ours."""
    has_former = any(entry["kind"] == source.kind and "formerFinalizer" in entry for entry in watches.entries())
    own = Rule(source.group, ("get", "list", "watch"))
    if has_former:
        own = Rule(source.group, (*own.verbs, "patch"), "patch: takes off the finalizer of the operator written in Go")
    owner = Rule(
        source.group,
        ("update",),
        "to set blockOwnerDeletion where OwnerReferencesPermissionEnforcement is on, as on OpenShift",
    )
    return (
        own.text([source.plural])
        + Rule(source.group, ("patch",)).text([f"{source.plural}/status"])
        + owner.text([f"{source.plural}/finalizers"])
    )


def _rules_for_kinds(rows: Iterable[KnownKind]) -> Iterator[str]:
    """One rule for all kinds of a group that have the same rights for the same reason, in the order of the rows."""
    resources: dict[Rule, list[str]] = {}
    for row in rows:
        for right in row.rights:
            resources.setdefault(Rule(row.group, right.verbs, right.because), []).append(_resource(row, right))
    yield from (rule.text(found) for rule, found in resources.items())


def _resource(row: KnownKind, right: Right) -> str:
    return f"{row.plural}/{right.subresource}" if right.subresource else row.plural


def role_for_people(source: Source, who: str) -> str:
    """The part of one of Kubernetes' own roles for people that is about a kind of ours."""
    what_for, verbs = PEOPLE[who]
    built_in = BUILT_IN[who]
    return ROLE.format(
        comment=f"# {what_for.format(source.kind)}",
        name=f"{source.singular}-{who}-role",
        labels=f'    rbac.authorization.k8s.io/aggregate-to-{built_in}: "true"\n',
        rules=Rule(source.group, verbs).text([source.plural])
        + Rule(source.group, ("get",)).text([f"{source.plural}/status"]),
    )
