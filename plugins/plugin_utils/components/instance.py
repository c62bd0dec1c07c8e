# SPDX-License-Identifier: Apache-2.0
"""One Immich instance: its custom resource, and what is known of its cluster."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..kube.commands import Given
from ..kube.ownership import belongs_to, hand_over
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.fields import Spec, Workload, read
from ..spec.images import with_variant
from ..spec.names import Component
from .reasons import Effect, Notice, Reason

if TYPE_CHECKING:
    from .checksums import Checksums


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What a custom resource says."""

    name: str
    namespace: str
    uid: str | None
    """None if the custom resource is only a file: then nothing can own the objects."""
    generation: int
    spec: Spec

    @classmethod
    def from_cr(cls, cr: Mapping[str, Any]) -> Instance:
        metadata = cr["metadata"]
        namespace = metadata.get("namespace")
        return cls(
            name=metadata["name"],
            namespace=namespace if namespace else "default",
            uid=metadata.get("uid"),
            generation=metadata.get("generation", 0),
            spec=read(Spec, cr.get("spec")),
        )

    def settings(self, component: Component) -> Workload:
        """The part of the spec for a workload."""
        settings: Workload = getattr(self.spec, names.attribute(component))
        return settings

    def image(self, component: Component, images: Mapping[str, str]) -> str | None:
        """What a component is to run; `images` is {component: image} for those that name none. The database has its own rules."""
        image = self.settings(component).image or images.get(component)
        is_accelerated = component == Component.MACHINE_LEARNING
        return with_variant(image, self.spec.machine_learning.acceleration) if image and is_accelerated else image

    def is_enabled(self, component: Component) -> bool:
        return self.settings(component).enabled

    @property
    def place(self) -> tuple[str, Given]:
        """The flag of a command that is about its namespace."""
        return "--namespace", Given(self.namespace, "NAMESPACE")

    def owner_references(self) -> list[dict[str, Any]]:
        if not self.uid:
            return []
        return [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": self.name,
                "uid": self.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]

    def is_reference(self, owner: Mapping[str, Any]) -> bool:
        """Whether an owner reference of an object in our namespace names this instance, or an earlier one of its name."""
        group = str(owner.get("apiVersion", "")).partition("/")[0]
        return (group, owner.get("kind"), owner.get("name")) == (names.GROUP, names.KIND, self.name)

    def stranger(self, live: Mapping[str, Any] | None) -> str:
        """What says that an object is somebody else's (`ownership.belongs_to`), "" if nothing does or there is none."""
        return belongs_to(live, names.labels(self.name, ""), self._is_owner) if live else ""

    def controlled_by_another(self, live: Mapping[str, Any]) -> bool:
        """Whether it is somebody else's whatever its labels are, and whatever we have written on it."""
        return bool(belongs_to(live, {}, self._is_owner))

    def hand_over(self, live: Mapping[str, Any]) -> str:
        """The command that makes a stranger's object this instance's."""
        return hand_over(live["kind"], self.namespace, live["metadata"]["name"], names.labels(self.name, ""))

    def _is_owner(self, owner: Mapping[str, Any]) -> bool:
        """The instance, or its database: with another retention policy, its controller makes one of these own the claim."""
        database = names.workload_name(self.name, Component.POSTGRES)
        own = (("StatefulSet", database), ("Pod", f"{database}-0"))
        return self.is_reference(owner) or owner.get("uid") == self.uid or (owner.get("kind"), owner.get("name")) in own

    def may_change(self, live: Mapping[str, Any], component: Component) -> bool:
        """Whether an object has the component's labels and no other controller. Another kind's role may make such one too."""
        found = dig(live, "metadata", "labels", default={})
        mine = names.labels(self.name, component)
        owners = dig(live, "metadata", "ownerReferences", default=[])
        controllers = {owner["uid"] for owner in owners if owner.get("controller")}
        return all(found.get(key) == value for key, value in mine.items()) and controllers <= {self.uid}

    def may_remove(self, live: Mapping[str, Any], component: Component) -> bool:
        """Whether an object is this instance's and nobody else's: the custom resource owns it.

        Each pass makes that so of all that is wanted. Where the custom resource is not stored, the labels have to do.
        """
        return self.may_change(live, component) and self.owns(live)

    def owns(self, live: Mapping[str, Any]) -> bool:
        """Whether the custom resource itself is among the owners; where it is not stored, nothing can say so."""
        owners = dig(live, "metadata", "ownerReferences", default=[])
        return not self.uid or any(owner["uid"] == self.uid for owner in owners)

    def manifest(self, api_version: str, kind: str, name: str, component: str, *, owned: bool = True) -> Manifest:
        """The frame of an object: type, name, labels and, unless its data has to outlive the instance, the owner."""
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self.namespace,
            "labels": names.labels(self.name, component),
        }
        if owned and self.uid:
            metadata["ownerReferences"] = self.owner_references()
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


class Cluster:
    """What there is in the cluster, looked up by kind and name.

    One word for one thing: `seen` is the dict that `observe` returned and that travels from task to task, a `Cluster` is
    that dict made ready for questions, and `live` is an object as it is there, in contrast to the one that is wanted.
    """

    def __init__(self, seen: Mapping[str, Any]) -> None:
        self._apis: Mapping[str, bool] = seen.get("apis") or {}
        self.has_route_api = self.serves("Route")
        self.is_openshift = bool(seen.get("openshift"))
        self.now = float(seen.get("now") or 0.0)
        """Seconds since the epoch, 0 where there is no clock: offline."""
        self.pods: list[Manifest] = list(seen.get("pods") or ())
        self.database_mounted_by: list[str] = list(seen.get("database_mounted_by") or ())
        self._live: dict[tuple[str, str], Manifest] = {}
        self._forbidden: set[tuple[str, str]] = set()
        for reference in seen.get("references") or ():
            key = (reference["kind"], reference["name"])
            if reference.get("forbidden"):
                self._forbidden.add(key)
            elif reference.get("object"):
                self._live[key] = reference["object"]
        for manifest in seen.get("objects") or ():
            self._live[manifest["kind"], manifest["metadata"]["name"]] = manifest
        self._looked_up = {(found["kind"], found["name"]): found for found in seen.get("looked_up") or ()}

    def serves(self, kind: str) -> bool:
        """Whether the cluster has that kind, of those that not every cluster has."""
        return bool(self._apis.get(kind.lower()))

    def looked_up(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """{"object", "forbidden"} of what `passes.lookups` has asked for; None where nobody has."""
        return self._looked_up.get((kind, name))

    def live(self, kind: str, name: str) -> Manifest | None:
        return self._live.get((kind, name))

    def deployment(self, instance: Instance, component: Component) -> Manifest | None:
        """The live Deployment of a component."""
        return self.live("Deployment", names.workload_name(instance.name, component))

    def is_known_missing(self, kind: str, name: str) -> bool:
        """True if the API server said so; an object that may not be read gets the benefit of the doubt."""
        return (kind, name) not in self._live and (kind, name) not in self._forbidden

    def objects(self) -> Iterable[Manifest]:
        return self._live.values()


@dataclass(slots=True)
class Part:
    """What one component contributes to the plan, and what it has to say. Each step carries the component's name."""

    component: str
    """A `Component`, or the name of a part that is none and says nothing of its own."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def apply(self, manifest: Manifest, *, stage: int = 0) -> None:
        self.steps.append({"verb": "apply", "component": str(self.component), "stage": stage, "object": manifest})

    def create(self, manifest: Manifest, *, stage: int = 0, alone: bool = False) -> None:
        """Create an object that is not there. `alone`: one that somebody else makes at the same time is a failure."""
        step = {"verb": "create", "component": str(self.component), "stage": stage, "object": manifest}
        self.steps.append({**step, "alone": True} if alone else step)

    def merge(self, target: Manifest, patch: Mapping[str, Any], *, stage: int = 0) -> None:
        """Merge-patch a live object, for the few changes that server-side apply can't make."""
        self.steps.append(
            {
                "verb": "merge",
                "component": str(self.component),
                "stage": stage,
                "target": identity(target),
                "patch": dict(patch),
            }
        )

    def delete(self, target: Manifest, *, stage: int = 0) -> None:
        self.steps.append(
            {"verb": "delete", "component": str(self.component), "stage": stage, "target": identity(target)}
        )

    def blocks(self, reason: Reason, message: str, *, component: Component | None = None, retry: bool = False) -> None:
        self._tell(Effect.BLOCKS, reason, message, retry=retry, component=component)

    def explains(self, reason: Reason, message: str, *, retry: bool = False) -> None:
        self._tell(Effect.EXPLAINS, reason, message, retry=retry)

    def warns(self, reason: Reason, message: str) -> None:
        self._tell(Effect.WARNS, reason, message)

    def _tell(
        self, effect: Effect, reason: Reason, message: str, *, retry: bool = False, component: Component | None = None
    ) -> None:
        """TypeError on behalf of a part that is no component: the status of none would have it."""
        subject = component or self.component
        if not isinstance(subject, Component):
            raise TypeError(f"{subject!r} is not a component")
        self.notices.append(Notice(subject, effect, reason, message, retry))

    @property
    def is_blocked(self) -> bool:
        return any(notice.effect is Effect.BLOCKS for notice in self.notices)


@dataclass(slots=True, kw_only=True)
class Draft:
    """A plan while it is made: what all components are given, and what those before have contributed."""

    images: Mapping[str, str]
    """{component: image} for those that name none in the custom resource."""
    new_password: str
    """For a database that neither has a password nor data."""
    blocked: Container[str]
    """The components that are blocked for other reasons than their own plan finds: an invalid spec, a claim in danger."""
    checksums: Checksums
    """Of what pods use."""
    shared_claims: Container[str] = ()
    """The claims that other instances use too."""
    parts: list[Part] = field(default_factory=list)

    def image(self, instance: Instance, component: Component) -> str | None:
        return instance.image(component, self.images)

    def written_secrets(self) -> dict[str, Mapping[str, str]]:
        """{name: {key: base64}} of the Secrets that the plan writes so far."""
        written = [
            step["object"] for part in self.parts for step in part.steps if dig(step, "object", "kind") == "Secret"
        ]
        return {secret["metadata"]["name"]: secret["data"] for secret in written}


def add_metadata(manifest: Manifest, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
    """The user's labels, below ours, and annotations."""
    metadata = manifest["metadata"]
    metadata["labels"] = {**labels, **metadata["labels"]}
    if annotations:
        metadata["annotations"] = dict(annotations)


def identity(manifest: Manifest) -> dict[str, Any]:
    """{"apiVersion", "kind", "namespace", "name", "uid"} of a live object."""
    metadata = manifest["metadata"]
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
        "uid": metadata.get("uid"),
    }
