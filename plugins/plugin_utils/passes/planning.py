# SPDX-License-Identifier: Apache-2.0
"""From a custom resource and what already exists to the steps of one pass: the desired state as one value."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..components import beside, checksums, keeping, library, registry, volumes
from ..components.instance import Cluster, Draft, Instance, Part, identity
from ..components.reasons import Effect, Notice, Reason
from ..kube.commands import Given, command
from ..kube.values import Manifest, dig, plain, text
from ..spec import names
from ..spec.checks import check
from ..spec.names import Component, spec_key
from . import claims, common_metadata, doubtful_settings, own_pods, pairing, versions
from .common_metadata import with_common_metadata
from .sections import Section, in_sections, section_of

CLEAN_UP_STAGE = 3


class State(StrEnum):
    PRESENT = "present"
    DELETING = "deleting"  # garbage collection does the work
    GONE = "gone"  # deleted since this pass was requested
    UNREAD = "unread"  # the state could not be read


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass is going to do, and what it has to say about it."""

    cr: Mapping[str, Any]
    state: State
    steps: list[dict[str, Any]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """{"cr", "state", "steps": [...], "notices": [{"component", "effect", "reason", "message", "retry"}, ...]}

        Steps are what `applying.apply_steps` takes. A play selects them by their `section` (sections.Section), and
        `needs` are sections that have to be applied earlier in the same play.
        """
        result: dict[str, Any] = plain(self._content())
        return result

    def as_text(self) -> str:
        """{"plan": the same} as a text (`values.text`), to which `apply` adds the outcome."""
        return text({"plan": self._content()})

    def _content(self) -> dict[str, Any]:
        notices = [notice.as_dict() for notice in self.notices]
        return {"cr": self.cr, "state": self.state, "steps": self.steps, "notices": notices}

    @property
    def objects(self) -> list[Manifest]:
        """The manifests alone, in the order in which they are applied."""
        ordered = sorted(self.steps, key=lambda step: step.get("stage", 0))
        return [step["object"] for step in ordered if "object" in step]


def plan(cr: Mapping[str, Any], *, seen: Mapping[str, Any], images: Mapping[str, str], new_password: str) -> Plan:
    """The steps that bring the cluster in line with the custom resource; none if the state is not known.

    `cr` has its defaults; the live one in `seen` takes precedence, because a pass acts on the current state. `images` is
    {component: image}. `new_password` is for a database that has neither a password nor data.
    """
    live_cr = seen.get("cr")
    if seen.get("problem"):
        return Plan(live_cr or cr, State.UNREAD)
    if live_cr is None and cr["metadata"].get("uid"):
        return Plan(cr, State.GONE)
    cr = live_cr or cr
    instance, cluster = Instance.from_cr(cr), Cluster(seen)
    first = [*keeping.without_owner(instance, cluster).steps, *_without_former_finalizer(cr)]
    if dig(cr, "metadata", "deletionTimestamp"):
        return Plan(cr, State.DELETING, in_sections(first))
    notices = [*_problems(cr), *_missing_images(instance, images), *_missing_pull_secrets(instance, cluster)]
    notices += [*common_metadata.notices(instance), *doubtful_settings.notices(cr, instance)]
    notices += own_pods.notices(seen.get("pods_of_others") or {})
    neighbours = seen.get("neighbours") or ()
    dangers = claims.notices(instance, cluster, neighbours)
    notices += dangers
    notices += versions.notices(cr, instance, cluster, images)
    key, made = checksums.plan(instance, cluster, new_password)
    draft = Draft(
        images=images,
        new_password=new_password,
        blocked=blocked_components(notices),
        checksums=made,
        shared_claims=claims.used_by_others(neighbours),
        parts=[key],
    )
    _plan_components(instance, cluster, draft)
    notices += [notice for part in draft.parts for notice in part.notices]
    blocked = blocked_components(notices)
    steps = [
        _after_what_it_needs(with_common_metadata(step, instance, cluster), instance, cluster)
        for part in draft.parts
        for step in part.steps
        if part.component not in blocked or _is_safe_when_blocked(step, cluster)
    ]
    server_stays = Component.SERVER in blocked and instance.is_enabled(Component.SERVER)
    unwanted = _unwanted(instance, cluster, draft, server_stays=server_stays, running=_to_be_left_running(dangers))
    removed = [_clean_up(live, component) for live, component in unwanted if instance.may_remove(live, component)]
    notices += [
        _not_owned(instance, live, component)
        for live, component in unwanted
        if instance.may_change(live, component) and not instance.may_remove(live, component)
    ]
    return Plan(cr, State.PRESENT, in_sections([*first, *steps, *removed]), notices)


def blocked_components(notices: Iterable[Notice]) -> set[str]:
    """The components that a notice blocks, and the server if one that it needs is among them."""
    blocked = {str(notice.component) for notice in notices if notice.effect == Effect.BLOCKS}
    return blocked | {Component.SERVER} if blocked & registry.feed_server() else blocked


def _plan_components(instance: Instance, cluster: Cluster, draft: Draft) -> None:
    """Put what each component contributes into the draft."""
    paired = pairing.plan(instance, cluster, draft.shared_claims)
    for described in registry.COMPONENTS:
        is_paired = described.component == pairing.HOLDS_BACK
        if is_paired:
            draft.parts.append(paired)
        if not (is_paired and paired.is_blocked):
            draft.parts += described.plan(instance, cluster, draft)
        if described.workload:
            draft.parts += beside.plan(instance, cluster, described.component)
    applied = {
        (step["object"]["kind"], step["object"]["metadata"]["name"])
        for part in draft.parts
        for step in part.steps
        if step["verb"] == "apply"
    }
    draft.parts.append(keeping.plan(instance, cluster, applied))


def _problems(cr: Mapping[str, Any]) -> list[Notice]:
    """What admission would have refused if the custom resource had not been stored before there was a rule for it."""
    components = {spec_key(component): component for component in registry.workloads()}
    return [
        Notice(
            components.get(problem.path.split(".")[1] if "." in problem.path else "", Component.SERVER),
            Effect.BLOCKS,
            Reason.SPEC_INVALID,
            str(problem),
        )
        for problem in check(cr)
    ]


def _missing_images(instance: Instance, images: Mapping[str, str]) -> list[Notice]:
    return [
        Notice(
            component,
            Effect.BLOCKS,
            Reason.IMAGE_NOT_CONFIGURED,
            f"no image for {component}: set {image.variable} in the operator's environment, or spec.{spec_key(component)}.image",
        )
        for component, image in registry.images().items()
        if instance.is_enabled(component) and not instance.settings(component).image and not images.get(component)
    ]


def _missing_pull_secrets(instance: Instance, cluster: Cluster) -> list[Notice]:
    """A warning for each, because kubelet continues without a missing one: a public or cached image starts anyway."""
    return [
        Notice(
            Component.SERVER,
            Effect.WARNS,
            Reason.SECRET_NOT_FOUND,
            f"Secret {name} named in spec.imagePullSecrets does not exist in namespace {instance.namespace}; "
            "create it or correct the name",
        )
        for name in (entry.name for entry in instance.spec.image_pull_secrets)
        if name and cluster.is_known_missing("Secret", name)
    ]


def _after_what_it_needs(step: Mapping[str, Any], instance: Instance, cluster: Cluster) -> dict[str, Any]:
    """The step, so that pods wait for the key of their checksums, and the server's for what it runs with.

    What the server would find under the name of a Service or ConfigMap that was refused is somebody else's. Of a library
    that is there, a refusal is one of its growth, without which the server goes on.
    """
    held = checksums.held_back_without_key(step)
    if held["component"] != Component.SERVER or not held["stage"]:
        return held
    has_library = cluster.live("PersistentVolumeClaim", library.claim_name(instance))
    needed = registry.feed_server() - ({library.COMPONENT} if has_library else set())
    return {**held, "after": [*held.get("after", ()), *sorted(needed)]}


def _is_safe_when_blocked(step: Mapping[str, Any], cluster: Cluster) -> bool:
    """Volumes are maintained whatever blocks their component. A deleted one must not be created again, empty."""
    if dig(step, "object", "kind") != "PersistentVolumeClaim":
        return False
    return not volumes.is_being_deleted(cluster.live("PersistentVolumeClaim", step["object"]["metadata"]["name"]))


def _to_be_left_running(dangers: Iterable[Notice]) -> set[str]:
    """The components whose pods alone keep a claim from disappearing."""
    claims_of = registry.claims()
    return {claims_of[notice.component].mounted_by for notice in dangers if notice.reason == Reason.CLAIM_BEING_DELETED}


def _without_former_finalizer(cr: Mapping[str, Any]) -> list[dict[str, Any]]:
    finalizers = dig(cr, "metadata", "finalizers", default=[])
    if names.FORMER_FINALIZER not in finalizers or not dig(cr, "metadata", "uid"):
        return []
    part = Part(Component.SERVER)
    rest = [finalizer for finalizer in finalizers if finalizer != names.FORMER_FINALIZER]
    version = dig(cr, "metadata", "resourceVersion")  # refused if somebody else has changed the list in the meantime
    part.merge(dict(cr), {"metadata": {"finalizers": rest, "resourceVersion": version}})
    # After the last finalizer a custom resource that is being deleted is gone, with everything that it owns.
    return [{**step, "after": [keeping.COMPONENT]} for step in part.steps]


def _unwanted(
    instance: Instance, cluster: Cluster, draft: Draft, *, server_stays: bool, running: Container[str]
) -> list[tuple[Manifest, Component]]:
    """What is there of what is switched off, with its component. Claims and database credentials are never among it.

    `server_stays` says that the server is held back as it is: then so is everything that it runs with. `running` are
    the components whose pods must not be ended.
    """
    candidates = [
        (each.kind, each.name(instance.name), described.component)
        for described in registry.shown()
        for each in described.removable
        if not each.is_wanted(instance, cluster, draft)
        and not (server_stays and described.feeds_server)
        and not (described.workload and each.kind == described.workload.kind and described.component in running)
    ]
    return [(live, component) for kind, name, component in candidates if (live := cluster.live(kind, name))]


def _not_owned(instance: Instance, live: Manifest, component: Component) -> Notice:
    kind, name = live["kind"], live["metadata"]["name"]
    message = (
        f"{kind} {name} has the name and the labels of one that this {names.KIND} no longer needs, but no owner reference to "
        "it, so it may belong to something else and is left as it is. If nothing else needs it, delete it: "
        f"{command('kubectl', 'delete', kind.lower(), *instance.place, Given(name, 'NAME'), ticks='')}"
    )
    return Notice(component, Effect.WARNS, Reason.NOT_OWNED, message)


def _clean_up(live: Manifest, component: Component) -> dict[str, Any]:
    step: dict[str, Any] = {
        "verb": "delete",
        "component": str(component),
        "stage": CLEAN_UP_STAGE,
        "after": [str(Component.SERVER)],  # which runs with it until it has been changed
        "target": identity(live),
    }
    needs = dict.fromkeys([section_of(step), str(Component.SERVER)])
    return {**step, "section": str(Section.CLEAN_UP), "needs": list(needs)}
