# SPDX-License-Identifier: Apache-2.0
"""From a custom resource and what is there already to the steps of one pass: the desired state as one value."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..components import (
    configuration,
    database_folder,
    exposure,
    keeping,
    library,
    machine_learning,
    postgres,
    registry,
    server,
    valkey,
    volumes,
)
from ..components.configuration import ConfigFile
from ..components.instance import Instance, Part, Surroundings, identity
from ..components.reasons import Effect, Notice, Reason
from ..kube.values import Manifest, dig, plain, text
from ..spec import names
from ..spec.checks import check
from ..spec.images import IMAGE_VARIABLES
from ..spec.names import SPEC_KEYS, Component
from . import claims, pairing
from .sections import Section, in_sections, section_of

CLEAN_UP_STAGE = 3


class State(StrEnum):
    PRESENT = "present"
    DELETING = "deleting"  # garbage collection does the work
    GONE = "gone"  # deleted since this pass was asked for
    UNREAD = "unread"  # what there is could not be read


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass is going to do, and what it has to say about it."""

    cr: Mapping[str, Any]
    state: State
    steps: list[dict[str, Any]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """{"cr", "state", "steps": [...], "notices": [{"component", "effect", "reason", "message", "retry"}, ...]}

        Steps are what `applying.apply_steps` takes. Their `section` (sections.Section) is what a play chooses them by, and
        `needs` are sections that have to be applied before in the same play.
        """
        result: dict[str, Any] = plain(self._content())
        return result

    def as_text(self) -> str:
        """{"plan": the same} as a text (`values.text`), to which `apply` adds what became of it."""
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
    """The steps that make the cluster what the custom resource says; none, if it is not known what there is.

    `cr` has its defaults; the live one in `seen` wins over it, because a pass acts on the present. `images` is
    {component: image}. `new_password` is for a database that neither has a password nor data.
    """
    live_cr = seen.get("cr")
    if seen.get("problem"):
        return Plan(live_cr or cr, State.UNREAD)
    if live_cr is None and cr["metadata"].get("uid"):
        return Plan(cr, State.GONE)
    cr = live_cr or cr
    instance, around = Instance.from_cr(cr), Surroundings(seen, images)
    first = [*keeping.without_owner(instance, around).steps, *_without_former_finalizer(cr)]
    if dig(cr, "metadata", "deletionTimestamp"):
        return Plan(cr, State.DELETING, in_sections(first))
    notices = [*_problems(cr), *_missing_images(instance, around), *_missing_pull_secrets(instance, around)]
    neighbours = seen.get("neighbours") or ()
    dangers = claims.notices(instance, around, neighbours)
    notices += dangers
    paired = pairing.plan(instance, around, claims.used_by_others(neighbours))
    parts, config = _parts(instance, around, new_password, paired, notices)
    notices += [notice for part in parts for notice in part.notices]
    blocked = blocked_components(notices)
    steps = [
        step
        for part in parts
        for step in part.steps
        if part.component not in blocked or _is_safe_when_blocked(step, around)
    ]
    server_stays = Component.SERVER in blocked and instance.is_enabled(Component.SERVER)
    unwanted = _unwanted(instance, around, config, server_stays=server_stays, running=_to_be_left_running(dangers))
    return Plan(cr, State.PRESENT, in_sections([*first, *steps, *unwanted]), notices)


def blocked_components(notices: Iterable[Notice]) -> set[str]:
    """The components that a notice blocks, and the server when one that it needs is among them."""
    blocked = {str(notice.component) for notice in notices if notice.effect == Effect.BLOCKS}
    return blocked | {Component.SERVER} if blocked & registry.feed_server() else blocked


def _parts(
    instance: Instance, around: Surroundings, new_password: str, paired: Part, notices: Iterable[Notice]
) -> tuple[list[Part], ConfigFile | None]:
    config_part, config = configuration.plan(instance, around)
    parts = [
        library.plan(instance, around),
        config_part,
        paired,
        *([] if paired.is_blocked else _database(instance, around, new_password)),
        valkey.plan(instance, around),
        machine_learning.plan(instance, around),
    ]
    if config is not None and Component.SERVER not in blocked_components(notices):
        parts += [server.plan(instance, around, config, _written_secrets(parts))]
    applied = {(step["object"]["kind"], step["object"]["metadata"]["name"]) for step in parts[0].steps}
    return [*parts, exposure.plan(instance, around), keeping.plan(instance, around, applied)], config


def _database(instance: Instance, around: Surroundings, new_password: str) -> list[Part]:
    part = postgres.plan(instance, around, new_password)
    if not instance.is_enabled(Component.POSTGRES):
        return [part]
    return [part, database_folder.remember(instance, around, postgres.claim_name(instance))]


def _written_secrets(parts: Iterable[Part]) -> dict[str, Mapping[str, str]]:
    """{name: data} of the Secrets that the parts write."""
    written = [step["object"] for part in parts for step in part.steps if dig(step, "object", "kind") == "Secret"]
    return {secret["metadata"]["name"]: secret["data"] for secret in written}


def _problems(cr: Mapping[str, Any]) -> list[Notice]:
    """What admission would have refused, had the custom resource not been stored before there was a rule for it."""
    components = {key: component for component, key in SPEC_KEYS.items()}
    return [
        Notice(
            components.get(problem.path.split(".")[1] if "." in problem.path else "", Component.SERVER),
            Effect.BLOCKS,
            Reason.SPEC_INVALID,
            str(problem),
        )
        for problem in check(cr)
    ]


def _missing_images(instance: Instance, around: Surroundings) -> list[Notice]:
    return [
        Notice(
            component,
            Effect.BLOCKS,
            Reason.IMAGE_NOT_CONFIGURED,
            f"no image for {component}: set {variable} in the operator's Deployment, or spec.{SPEC_KEYS[component]}.image",
        )
        for component, variable in IMAGE_VARIABLES.items()
        if instance.is_enabled(component)
        and not instance.settings(component).image
        and not around.images.get(component)
    ]


def _missing_pull_secrets(instance: Instance, around: Surroundings) -> list[Notice]:
    """A warning for each, because kubelet goes on without a missing one: a public or cached image starts all the same."""
    return [
        Notice(
            Component.SERVER,
            Effect.WARNS,
            Reason.SECRET_NOT_FOUND,
            f"Secret {name} named in spec.imagePullSecrets does not exist in namespace {instance.namespace}; "
            "create it or correct the name",
        )
        for name in (entry.name for entry in instance.spec.image_pull_secrets)
        if name and around.is_known_missing("Secret", name)
    ]


def _is_safe_when_blocked(step: Mapping[str, Any], around: Surroundings) -> bool:
    """Volumes are kept up whatever keeps their component from running. One that goes must not be made anew, empty."""
    if dig(step, "object", "kind") != "PersistentVolumeClaim":
        return False
    return not volumes.is_being_deleted(around.live("PersistentVolumeClaim", step["object"]["metadata"]["name"]))


def _to_be_left_running(dangers: Iterable[Notice]) -> set[str]:
    """The components whose pods alone keep a claim from being gone."""
    claims_of = registry.claims()
    return {claims_of[notice.component].mounted_by for notice in dangers if notice.reason == Reason.CLAIM_BEING_DELETED}


def _without_former_finalizer(cr: Mapping[str, Any]) -> list[dict[str, Any]]:
    finalizers = dig(cr, "metadata", "finalizers", default=[])
    if names.FORMER_FINALIZER not in finalizers or not dig(cr, "metadata", "uid"):
        return []
    part = Part(Component.SERVER)
    rest = [finalizer for finalizer in finalizers if finalizer != names.FORMER_FINALIZER]
    version = dig(cr, "metadata", "resourceVersion")  # refused when somebody else changed the list meanwhile
    part.merge(dict(cr), {"metadata": {"finalizers": rest, "resourceVersion": version}})
    # After the last finalizer a custom resource that is being deleted is gone, and all that it owns with it.
    return [{**step, "after": keeping.COMPONENT} for step in part.steps]


def _unwanted(
    instance: Instance, around: Surroundings, config: ConfigFile | None, *, server_stays: bool, running: Container[str]
) -> list[dict[str, Any]]:
    """Steps that remove what is switched off. Claims and database credentials are never among them.

    `server_stays` says that the server is held back as it is: then so is all that it was given to run with. `running`
    are the components whose pods must not be ended.
    """
    candidates = [
        (kind, names.workload_name(instance.name, each.component), each.component)
        for each in registry.COMPONENTS
        for kind, is_wanted in (each.objects or {}).items()
        if not is_wanted(instance, around)
        and not (server_stays and each.feeds_server)
        and not (each.workload and kind == each.workload.kind and each.component in running)
    ]
    if config is not None and not server_stays:
        kinds = [kind for kind in ("ConfigMap", "Secret") if kind != config.kind]
        candidates += [(kind, names.config_object(instance.name), Component.CONFIG) for kind in kinds]
    queue_password = valkey.used_by_server(instance)
    is_ours = queue_password is not None and queue_password.name == names.valkey_credentials(instance.name)
    if not is_ours and not server_stays:
        candidates.append(("Secret", names.valkey_credentials(instance.name), Component.VALKEY))
    steps: list[dict[str, Any]] = [
        {
            "verb": "delete",
            "component": str(component),
            "stage": CLEAN_UP_STAGE,
            "after": str(Component.SERVER),  # which runs with it until it has been changed
            "target": identity(live),
        }
        for kind, name, component in candidates
        if (live := around.live(kind, name)) and instance.may_remove(live)
    ]
    needed = [dict.fromkeys([section_of(step), str(Component.SERVER)]) for step in steps]
    return [
        {**step, "section": str(Section.CLEAN_UP), "needs": list(needs)}
        for step, needs in zip(steps, needed, strict=True)
    ]
