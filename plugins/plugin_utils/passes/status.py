# SPDX-License-Identifier: Apache-2.0
"""From what a pass planned, did and saw to the status of the custom resource and the Events that report changes."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..components import autoscaling, exposure, http_route, registry, server_service, volumes
from ..components.instance import Instance
from ..components.reasons import Effect, Notice, Reason
from ..kube.commands import Given, command
from ..kube.readiness import has_ended, is_ready, is_running, is_scaled_to_zero, lacks_pods
from ..kube.values import Manifest, dig, fitted, visible
from ..spec import names
from ..spec.images import version_of
from ..spec.names import Component
from . import cluster_events
from .causes import Cause
from .claims import may_be_shared
from .diagnosis import Written, diagnose
from .planning import State, blocked_components
from .versions import REFUSED_BY_IMMICH

LOOK_AGAIN_S = 15.0
"""When to look for Events, which the loop does not watch: of a StatefulSet that lacks pods, of a pod that does not start."""
LONGEST_LOOK_S = 600.0

LONGEST_MESSAGE = 4000
"""Bytes of a condition's message. The whole custom resource has to fit into the 1.5 MiB that etcd takes, with a status that
has a dozen conditions, and a spec is long where much is wrong."""
LONGEST_TOLD = LONGEST_MESSAGE - 50
"""Bytes of a single trouble: there is always room to say how many others there are."""
LONGEST_URL, LONGEST_IMAGE = 2000, 1000
"""Bytes. What is longer is nothing that a browser or a registry takes."""

TIME_HEALS = frozenset({Reason.WAITING_FOR_ROLLOUT, Reason.VOLUME_NOT_BOUND})
"""Reasons that require no action."""


MORE_TO_READ = frozenset(
    {
        Reason.NODE_LOST,
        Reason.CREDENTIALS_LOST,
        Reason.DATABASE_LOST,
        Reason.LIBRARY_MISSING,
        Reason.LIBRARY_IN_USE,
        Reason.VOLUME_UNCLEAR,
        Reason.CLAIM_BEING_DELETED,
        Reason.VOLUME_LOST,
    }
)
"""Where data is at stake and a message can't hold all that is worth knowing before one acts: Degraded says where it is."""


class Condition(NamedTuple):
    type: str
    is_true: bool
    reason: str
    message: str
    is_healing: bool = False
    """Whether time may heal it, although its reason is one that somebody may have to act on."""

    @property
    def needs_nobody(self) -> bool:
        return self.is_healing or self.reason in TIME_HEALS

    def as_dict(self, generation: int) -> dict[str, Any]:
        """As in `status.conditions`; the time of the last transition is set where it is written."""
        return {
            "type": self.type,
            "status": "True" if self.is_true else "False",
            "reason": str(self.reason),
            "message": fitted(self.message, LONGEST_MESSAGE),
            "observedGeneration": generation,
        }


def report(plan: Mapping[str, Any], outcome: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    """{"status": {...} or None, "events", "failures", "changed", "observed", "requeue_after", "current"}.

    `plan` is what `Plan.as_dict` gave, `outcome` the result of the action apply. `events` are {"type", "reason",
    "message"}; `failures` are why the pass has to be tried again; `changed` says in words what it did to which
    object; `observed` is {"dependents": {"Deployment/photos-server": resource version, ...}, "references": {"Secret/x":
    resource version or None, ...}}, by which the loop knows when nothing has changed since, or None if another pass
    may have something to do anyway; `requeue_after` is when to run another pass at the latest, such as "15s", or None;
    `current` is the custom resource as it was read. After a removal there is `kept` too.

    If `seen` or `outcome` hold a "problem" instead of what was read or done, it is the failure.

    `outcome["left"]` are sections of the plan that were left out. What was not applied, no status may tell of: then there
    is none, `left` is handed on, and what keeps the other sections from working is among the failures.
    """
    results: list[Mapping[str, Any]] = [_shown(result, "error") for result in outcome.get("results") or ()]
    notices = [Notice.from_dict(_shown(notice, "message"), registry.names()) for notice in plan["notices"]]
    seen, outcome = _shown(seen, "problem"), _shown(outcome, "problem")
    failures = [result["error"] for result in results if result.get("error")]
    failures += [notice.message for notice in notices if notice.retry]
    told: dict[str, Any] = {"failures": failures, "changed": _changes(results, seen), "current": seen.get("cr")}
    told |= {"kept": plan["kept"]} if "kept" in plan else {}
    nothing: dict[str, Any] = {"status": None, "events": [], "observed": None, "requeue_after": None}
    if problem := seen.get("problem"):
        return {**nothing, **told, "status": _unread_status(seen.get("cr"), problem), "failures": [problem]}
    if problem := outcome.get("problem"):  # there is nothing to write a status to
        return {**nothing, **told, "failures": [problem]}
    if left := outcome.get("left"):
        return {**nothing, **told, "left": left, "failures": [*failures, *_hindrances(notices, outcome["done"])]}
    if plan["state"] != State.PRESENT:
        return {**nothing, **told}
    instance = Instance.from_cr(plan["cr"])
    notices += _rewritten(instance, results)
    pods, live = list(seen.get("pods") or ()), _after(seen, results)
    view = _View(instance, live, pods, notices, results, seen)
    workloads = registry.workloads()
    components = {
        component: condition._replace(message=visible(condition.message))
        for component in workloads
        for condition in [view.component_condition(component)]
    }
    if components[
        Component.SERVER
    ].is_true:  # what was doubted runs; the status that the plan looked at did not say so yet
        notices = [n for n in notices if n.effect is not Effect.WARNS or n.reason not in REFUSED_BY_IMMICH]
    notices += [*view.warnings_of_exposure(), *view.warnings_of_autoscaling(), *view.warnings_of_growth()]
    errors = [result["error"] for result in results if result.get("error")]
    conditions = [*_summary(components, notices, errors), *components.values()]
    images = {workloads[component].flag.removesuffix("Ready"): view.image(component) for component in workloads}
    images = {key: image and visible(image) for key, image in images.items() if image != ""}
    status = {
        "observedGeneration": instance.generation,
        "ready": conditions[0].is_true,
        **{workloads[component].flag: condition.is_true for component, condition in components.items()},
        "url": visible(view.url()),
        **_version(images),
        "images": images,
        "conditions": [condition.as_dict(instance.generation) for condition in conditions],
    }
    events = _events(dig(plan["cr"], "status", "conditions", default=[]), conditions)
    without_pods = [item for item in live.values() if item["kind"] == "StatefulSet" and lacks_pods(item)]
    has_written = any(result.get("changed") and not _is_known_with_its_result(result) for result in results)
    is_rewritten = any(result.get("rewritten") for result in results)
    # What was deleted may have to be created again, and the loop does not notify this instance of what others do with a
    # claim, nor of a policy that is gone.
    is_shared = may_be_shared(plan["cr"], seen.get("neighbours") or ())
    settled = not (has_written or without_pods or is_shared or is_rewritten)
    unexplained = any(item["metadata"]["name"] not in view.refusals for item in without_pods)
    looks = [*view.look_again_in, *([LOOK_AGAIN_S] if unexplained else [])]
    return {
        "status": status,
        "events": events,
        "observed": _versions(instance, seen, live, pods) if settled else None,
        "requeue_after": f"{math.ceil(min(looks))}s" if looks else None,
        **told,
    }


def _shown(told: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What was told, with the text at `key` as a person may read it: others have written parts of it."""
    return {**told, key: visible(told[key])} if told.get(key) else dict(told)


def _hindrances(notices: Iterable[Notice], done: Container[str]) -> list[str]:
    """What keeps one of the sections from working. Each has the name of its component; the server waits for others."""
    waited_for = registry.feed_server() if Component.SERVER in done else frozenset()
    return [
        notice.message
        for notice in notices
        if notice.effect is not Effect.WARNS
        and not notice.retry  # which is a failure anyway
        and (notice.component in done or notice.component in waited_for)
    ]


SHOWN_FIELDS = 3


def _rewritten(instance: Instance, results: Iterable[Mapping[str, Any]]) -> list[Notice]:
    """A warning for each object of which admission rewrites fields."""
    notices = []
    for result in results:
        fields = result.get("rewritten") or ()
        if not fields:
            continue
        kind, name, more = result["kind"], result["name"], len(fields) - SHOWN_FIELDS
        shown = ", ".join(fields[:SHOWN_FIELDS]) + (f" and {more} more" if more > 0 else "")
        remove = f"{names.REWRITTEN_ANNOTATION}-"
        annotate = command("kubectl", "annotate", kind.lower(), *instance.place, Given(name, "NAME"), remove)
        message = (
            f"{kind} {name}: the cluster makes something else of {shown} than the operator writes, by a policy or a webhook. "
            "It is left so. If that is not meant, change the policy; the operator then writes it again with its next pass, "
            f"which is within `reconcilePeriod` (an hour), or at once after {annotate}"
        )
        notices.append(Notice(Component(result["component"]), Effect.WARNS, Reason.FIELD_REWRITTEN, message))
    return notices


def _unread_status(cr: Manifest | None, problem: str) -> dict[str, Any] | None:
    """What is added to the status of an instance whose objects could not be read: everything known about it stays."""
    if cr is None or dig(cr, "metadata", "deletionTimestamp"):
        return None
    status = cr.get("status") or {}
    is_new = not any(
        entry.get("type") == "Ready" and entry.get("status") != "Unknown" for entry in status.get("conditions") or ()
    )
    types = [*(["Ready"] if is_new else []), "Degraded", "Reconciling", "Stalled"]
    conditions = [Condition(type_, type_ in ("Degraded", "Stalled"), Reason.READ_FAILED, problem) for type_ in types]
    flags = ("ready", *(workload.flag for workload in registry.workloads().values()))
    return {
        **{flag: False for flag in flags if flag not in status},
        "conditions": [condition.as_dict(dig(cr, "metadata", "generation", default=0)) for condition in conditions],
    }


def _version(images: Mapping[str, str | None]) -> dict[str, str]:
    """{"version"} of the server, if one runs. What is not there stays as it is in the status."""
    return {} if images.get("server") is None else {"version": version_of(str(images["server"]))}


class _View:
    """One instance after the pass's writes."""

    def __init__(
        self,
        instance: Instance,
        live: Mapping[tuple[str, str], Manifest],
        pods: list[Manifest],
        notices: list[Notice],
        results: list[Mapping[str, Any]],
        seen: Mapping[str, Any],
    ) -> None:
        self.instance, self.live, self.pods, self.notices, self.results = instance, live, pods, notices, results
        self.refusals: Mapping[str, str] = seen.get("refusals") or {}
        self.told: Mapping[str, Any] = seen.get("events") or {}
        self.looked_up: Sequence[Mapping[str, Any]] = seen.get("looked_up") or ()
        self.now = float(seen.get("now") or 0.0)
        self.look_again_in: list[float] = []
        """Seconds after which a pass may say something else although nothing that is watched has changed."""
        self.blocked = blocked_components(notices)

    def component_condition(self, component: Component) -> Condition:
        described = registry.workloads()[component]
        kind, condition_type = described.kind, described.condition
        if not self.instance.is_enabled(component):
            return Condition(condition_type, True, *described.absence(self.instance))
        why = self._hindrance(component)
        if why:
            return Condition(condition_type, False, *why)
        name = names.workload_name(self.instance.name, component)
        workload = self.live.get((kind, name))
        if workload is None:
            return Condition(condition_type, False, Reason.WAITING_FOR_ROLLOUT, f"{kind} {name}: waiting to be created")
        if is_ready(workload):
            if is_scaled_to_zero(workload):
                if ending := sum(not has_ended(pod) for pod in self._pods_of(component)):
                    # Their controller no longer counts them, but until they have ended they serve and write.
                    waiting = f"{kind} {name}: waiting for {ending} pod{'s' if ending > 1 else ''} to end"
                    return Condition(condition_type, False, Reason.WAITING_FOR_ROLLOUT, waiting)
                return Condition(
                    condition_type, True, Reason.SCALED_TO_ZERO, f"{kind} {name} has no replicas, as requested"
                )
            return Condition(condition_type, True, Reason.READY, f"{kind} {name} is ready")
        explained = [notice for notice in self._concerning(component) if notice.effect == Effect.EXPLAINS]
        if explained:
            return Condition(
                condition_type, False, explained[0].reason, _joined(notice.message for notice in explained)
            )
        claims = [
            (claim, self.live.get(("PersistentVolumeClaim", claim))) for claim in self._claims(component) if claim
        ]
        written = Written(f"spec.{names.spec_key(component)}", bool(self.instance.settings(component).image))
        cause = diagnose(
            workload,
            self._pods_of(component),
            claims,
            written,
            self.refusals.get(name, ""),
            told=self.told,
            now=self.now,
        )
        told = [notice for notice in self._concerning(component) if notice.reason in REFUSED_BY_IMMICH]
        if cause.reason is Reason.CRASH_LOOPING and told:
            cause = cause._replace(reason=told[0].reason, message=f"{told[0].message}; {cause.message}")
        if not cause.is_watched:
            unwell = [claim for _unused, claim in claims if claim] + self._pods_of(component)
            self.look_again_in += look_again_in(cause, unwell, self.now)
        return Condition(condition_type, False, cause.reason, cause.message, cause.heals(self.now))

    def image(self, component: Component) -> str | None:
        """The image that a ready pod runs; "" while none is ready, None when it is switched off.

        Of several images it is that of the workload's template, if it runs already, else the newest pod's. A pod of an
        earlier template may be newer, for example after an eviction in the middle of a rollout.
        """
        if not self.instance.is_enabled(component):
            return None
        ready = [pod for pod in self._pods_of(component) if is_running(pod)]
        if not ready:
            return ""
        name = names.workload_name(self.instance.name, component)
        workload = self.live.get((registry.workloads()[component].kind, name))
        wanted = _image_in(dig(workload, "spec", "template"), component)
        by_age = sorted(ready, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""))
        images = [_image_in(pod, component) for pod in by_age]
        return fitted(wanted if wanted in images else images[-1], LONGEST_IMAGE)

    def url(self) -> str:
        gateways = {
            (one["namespace"], one["name"]): one["object"]
            for one in self.looked_up
            if one["kind"] == http_route.GATEWAY and one.get("object")
        }
        found = (
            exposure.url(*self._exposing())
            or http_route.url(self._of_server(http_route.KIND), gateways)
            or server_service.url(self._of_server("Service"))
        )
        return found if len(found.encode()) <= LONGEST_URL else ""

    def warnings_of_exposure(self) -> list[Notice]:
        """That nobody serves the Ingress or the Route, once their controllers have had time for it."""
        found = exposure.unserved(*self._exposing())
        found += http_route.unserved(self._of_server(http_route.KIND))
        found += server_service.unserved(self._of_server("Service"))
        return [Notice(Component.SERVER, Effect.WARNS, Reason.NOT_SERVED, message) for message in self._due(found)]

    def warnings_of_autoscaling(self) -> list[Notice]:
        """That an autoscaler of ours does not know how busy the pods are."""
        return [
            Notice(component, Effect.WARNS, Reason.NOT_AUTOSCALED, message)
            for component in registry.workloads()
            if autoscaling.is_on(self.instance, component)
            for live in [self.live.get((autoscaling.KIND, names.workload_name(self.instance.name, component)))]
            for message in self._due(autoscaling.idle(live))
        ]

    def warnings_of_growth(self) -> list[Notice]:
        """That a claim does not get as large as it was asked to be, once its storage had time for it."""
        notices = []
        for component, claim in registry.claims().items():
            live = self.live.get(("PersistentVolumeClaim", claim.name(self.instance) or ""))
            mounted_by = registry.workloads()[claim.mounted_by]
            name = names.workload_name(self.instance.name, claim.mounted_by)
            workload = Given(name, "NAME", before=f"{mounted_by.kind.lower()}/")
            restart = command("kubectl", "rollout", "restart", *self.instance.place, workload)
            found = volumes.ungrown(live, restart) if live else None
            for message in self._due([found] if found else []):
                notices.append(Notice(component, Effect.WARNS, Reason.VOLUME_NOT_CHANGED, message))
        return notices

    def _due(self, found: Sequence[tuple[str, float]]) -> list[str]:
        """The messages whose time has come; for each other one, another pass is due when it comes."""
        self.look_again_in += [begins - self.now for _unused, begins in found if begins > self.now]
        return [message for message, begins in found if begins <= self.now]

    def _exposing(self) -> tuple[Manifest | None, Manifest | None]:
        """Route and Ingress."""
        return self._of_server("Route"), self._of_server("Ingress")

    def _of_server(self, kind: str) -> Manifest | None:
        return self.live.get((kind, names.workload_name(self.instance.name, Component.SERVER)))

    def _hindrance(self, component: Component) -> tuple[Reason, str] | None:
        """What keeps the component from being what the custom resource says: a blocking notice or a refused write."""
        own = [n for n in self._concerning(component) if n.effect == Effect.BLOCKS]
        if own:
            return own[0].reason, _joined(notice.message for notice in own)
        covered = self._covered_by(component)
        errors = [r["error"] for r in self.results if r.get("error") and r["component"] in covered and _is_needed(r)]
        if errors:
            return Reason.APPLY_FAILED, _joined(errors)
        if component in self.blocked:
            waits_for = sorted(other for other in self.blocked & registry.feed_server() if other != component)
            return Reason.BLOCKED, f"{component} waits for {' and '.join(waits_for)}"
        return None

    def _concerning(self, component: Component) -> list[Notice]:
        return [notice for notice in self.notices if notice.component in self._covered_by(component)]

    def _covered_by(self, component: Component) -> set[str]:
        """What its condition speaks for. Library, configuration and external services have none: the server's does."""
        if component != Component.SERVER:
            return {component}
        workloads = registry.workloads()
        untold = {
            other for other in registry.feed_server() if other not in workloads or not self.instance.is_enabled(other)
        }
        return {component, *untold}

    def _pods_of(self, component: Component) -> list[Manifest]:
        key = "app.kubernetes.io/component"
        return [pod for pod in self.pods if dig(pod, "metadata", "labels", default={}).get(key) == component]

    def _claims(self, component: Component) -> list[str | None]:
        return [claim.name(self.instance) for claim in registry.claims().values() if claim.mounted_by == component]


def _image_in(pod: Manifest | None, component: Component) -> str:
    """The image of the component's container in a pod or its template, "" if there is none."""
    containers = {entry.get("name"): entry for entry in dig(pod, "spec", "containers", default=[])}
    return str(containers.get(str(component), {}).get("image") or "")


def _is_known_with_its_result(result: Mapping[str, Any]) -> bool:
    """True for a patch of a claim: `observed` has the resulting version, and nothing follows from it."""
    return bool(result["verb"] == "merge" and result["kind"] == "PersistentVolumeClaim")


def _is_needed(result: Mapping[str, Any]) -> bool:
    """False for a write that no component depends on: something still has to be removed, or a finalizer."""
    return bool(result["verb"] != "delete" and result["kind"] != names.KIND)


def _summary(
    components: Mapping[Component, Condition], notices: Iterable[Notice], errors: Iterable[str]
) -> list[Condition]:
    """The conditions of the whole instance. What no component's condition reports is in Degraded.

    Reconciling and Stalled say the same as Progressing and Degraded to tools that go by kstatus: Flux, cli-utils, kpt. For
    them something is either on its way or stuck, so what is stuck is not on its way.
    """
    waiting = {component: condition for component, condition in components.items() if not condition.is_true}
    failing = {component: condition for component, condition in waiting.items() if not condition.needs_nobody}
    moving = {component: condition for component, condition in waiting.items() if condition.needs_nobody}
    troubles = [
        *((notice.reason, notice.message) for notice in notices if notice.effect != Effect.WARNS),
        *((Reason.APPLY_FAILED, error) for error in errors),
    ]
    untold = [
        trouble
        for trouble in troubles
        if not any(fitted(trouble[1], LONGEST_TOLD) in c.message for c in failing.values())
    ]
    warnings = [notice for notice in notices if notice.effect == Effect.WARNS]
    degraded = [*(c.message for c in _first_causes(failing)), *(message for _unused, message in untold)]

    if not waiting:
        ready = Condition("Ready", True, Reason.ALL_COMPONENTS_READY, "All Immich components are ready")
    else:
        reason = _first_causes(failing)[0].reason if failing else Reason.COMPONENTS_NOT_READY
        ready = Condition(
            "Ready", False, reason, _joined(f"{c}: {condition.message}" for c, condition in waiting.items())
        )
    if moving:
        progressing = Condition(
            "Progressing", True, Reason.WAITING_FOR_ROLLOUT, _joined(c.message for c in moving.values())
        )
    elif failing:
        progressing = Condition(
            "Progressing", False, Reason.BLOCKED, "nothing continues until somebody acts; see Degraded"
        )
    else:
        progressing = Condition("Progressing", False, Reason.ROLLOUT_COMPLETE, "all components are as the spec says")
    if degraded and progressing.is_true:
        reconciling = Condition("Reconciling", False, Reason.BLOCKED, "somebody has to act; see Stalled")
    else:
        reconciling = progressing._replace(type="Reconciling")
    degraded_reason = _first_causes(failing)[0].reason if failing else untold[0][0] if untold else Reason.AS_EXPECTED
    more = (
        [f"more in docs/reference/conditions.md#{degraded_reason.lower()}"] if degraded_reason in MORE_TO_READ else []
    )
    stuck = Condition("Degraded", bool(degraded), degraded_reason, _joined([*degraded, *more]))
    return [
        ready,
        progressing,
        stuck,
        Condition(
            "Warning",
            bool(warnings),
            warnings[0].reason if warnings else Reason.NO_WARNINGS,
            _joined(warning.message for warning in warnings),
        ),
        reconciling,
        stuck._replace(type="Stalled"),
    ]


def _first_causes(failing: Mapping[Component, Condition]) -> list[Condition]:
    """The failing conditions, those that only wait for another component last."""
    return sorted(failing.values(), key=lambda condition: condition.reason == Reason.BLOCKED)


def _events(before: Iterable[Mapping[str, Any]], conditions: Iterable[Condition]) -> list[dict[str, str]]:
    """One Event for each transition that a person would want to know about; none for a state that persists."""
    old = {condition.get("type"): condition for condition in before}
    events: dict[tuple[str, str, str], None] = {}
    for condition in conditions:
        was = old.get(condition.type, {})
        is_new = (was.get("status"), was.get("reason")) != ("True" if condition.is_true else "False", condition.reason)
        if condition.type == "Ready" and is_new and condition.is_true:
            events["Normal", condition.reason, condition.message] = None
        elif condition.type == "Ready" and was.get("status") == "True" and not condition.is_true:
            events["Warning", condition.reason, condition.message] = None
        elif condition.type == "Warning" and condition.is_true and was.get("message") != condition.message:
            events["Warning", condition.reason, condition.message] = None
        elif condition.type.endswith("Ready") and is_new and _is_for_somebody(condition):
            events["Warning", condition.reason, condition.message] = None
    return [{"type": kind, "reason": str(reason), "message": message} for kind, reason, message in events]


def _is_for_somebody(condition: Condition) -> bool:
    is_trouble = not condition.is_true and not condition.needs_nobody and condition.reason != Reason.BLOCKED
    return is_trouble and condition.type != "Ready"


def look_again_in(cause: Cause, manifests: Iterable[Manifest], now: float) -> list[float]:
    """Seconds until the next look at pods and claims that are not well, and whose change nothing tells; [] if all are.

    The pauses grow with their age, so that what nobody mends costs little. What somebody has to act on from a certain time
    on is told then.
    """
    ages = [
        now - cluster_events.since(item, now)
        for item in manifests
        if cluster_events.is_unwell(item) or dig(item, "metadata", "deletionTimestamp")
    ]
    if not ages:
        return []
    pause = min(max(min(ages) / 2, LOOK_AGAIN_S), LONGEST_LOOK_S)
    return [min(pause, cause.heals_until - now + 1) if cause.heals(now) else pause]


def _after(seen: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Manifest]:
    """{(kind, name): object} as the pass left them."""
    live = {(r["kind"], r["name"]): r["object"] for r in seen.get("references") or () if r.get("object")}
    live |= {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in seen.get("objects") or ()}
    for result in results:
        key = (result["kind"], result["name"])
        if result["verb"] == "delete" and not result.get("error"):
            live.pop(key, None)
        elif result.get("object"):
            live[key] = result["object"]
    return live


def _versions(
    instance: Instance, seen: Mapping[str, Any], live: Mapping[tuple[str, str], Manifest], pods: Iterable[Manifest]
) -> dict[str, Any]:
    """The versions of everything that the loop watches for this instance."""
    versions = {
        f"{manifest['kind']}/{manifest['metadata']['name']}": manifest["metadata"].get("resourceVersion", "")
        for manifest in (*live.values(), *pods)
        if _carries_labels_of(instance, manifest)
    }
    versions |= dig(seen, "pods_of_others", "versions", default={})
    references = {
        f"{reference['kind']}/{reference['name']}": dig(
            live.get((reference["kind"], reference["name"])), "metadata", "resourceVersion"
        )
        for reference in seen.get("references") or ()
    }
    return {"dependents": versions, "references": references}


def _carries_labels_of(instance: Instance, manifest: Manifest) -> bool:
    found = dig(manifest, "metadata", "labels", default={})
    wanted = {"app.kubernetes.io/instance": instance.name, "app.kubernetes.io/managed-by": names.FIELD_MANAGER}
    return all(found.get(key) == value for key, value in wanted.items())


def _changes(results: Iterable[Mapping[str, Any]], seen: Mapping[str, Any]) -> list[str]:
    before = _after(seen, ())
    words = []
    for result in results:
        if not result.get("changed"):
            continue
        existed = (result["kind"], result["name"]) in before or result["kind"] == names.KIND
        verb = "removed" if result["verb"] == "delete" else "changed" if existed else "created"
        section = f" ({result['section']})" if result.get("section") else ""
        words.append(f"{verb} {result['kind']} {result['name']}{section}")
    return list(dict.fromkeys(words))


def _joined(messages: Iterable[str]) -> str:
    """Each message once, as many as fit into LONGEST_MESSAGE; the others are counted."""
    distinct = [fitted(message, LONGEST_TOLD) for message in dict.fromkeys(messages)]
    kept, length = distinct[:1], len("".join(distinct[:1]).encode())
    for position, message in enumerate(distinct[1:], start=1):
        length += len("; ") + len(message.encode())
        if length > LONGEST_TOLD:
            return "; ".join([*kept, f"and {len(distinct) - position} more"])
        kept.append(message)
    return "; ".join(kept)
