# SPDX-License-Identifier: Apache-2.0
"""Write what a plan says, and only where the live object differs. Documented in plugins/modules/apply.py."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.kube.api_error import Misconfigured, ObjectRef, TransportError
from ..plugin_utils.kube.applying import Objects, Outcome, apply_steps, misuse
from ..plugin_utils.kube.kinds import named
from ..plugin_utils.kube.manifest_diff import object_diff
from ..plugin_utils.kube.transport import Transport
from ..plugin_utils.kube.values import FIELD_MANAGER, dig, text

ROUTE_GROUP = f"{named('Route').group}/"


class ActionModule(ApiAction):
    """A refusal by the API server is part of what is told, and no failure of the task."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        "field_manager": {"type": "str", "default": FIELD_MANAGER},
        "section": {"type": "str"},
    }
    VALUES: ClassVar[dict[str, type]] = {"steps": list}
    TEXTS: ClassVar[tuple[str, ...]] = ("plan", "live")

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        told = self._told(arguments)
        for manifest in [*(_live(arguments["live"]) or ()), *(step.get("object") for step in told["plan"]["steps"])]:
            transport.learn(manifest)  # another process may have read it
        if told.get("problem"):  # the section before has found no API server
            return {"changed": False, "json": text(told)}
        section, done = arguments["section"], told.get("done") or []
        chosen, left = _chosen(told["plan"]["steps"], section, done)
        earlier = told.get("results") or []
        outcomes = apply_steps(
            chosen,
            _live(arguments["live"]),
            objects_for=_ObjectsByGroup(transport, dry_run=self.is_check, field_manager=arguments["field_manager"]),
            in_parallel=transport.parallel,
            field_manager=arguments["field_manager"],
            dry_run=self.is_check,
            earlier=earlier,
            now=float(dig(arguments["live"], "now") or 0.0),
        )
        results = [
            {**outcome.as_dict(), "section": step.get("section"), "stage": step.get("stage", 0)}
            for step, outcome in zip(chosen, outcomes, strict=True)
        ]
        changed = [(step, outcome) for step, outcome in zip(chosen, outcomes, strict=True) if outcome.changed]
        result: dict[str, Any] = {"changed": bool(changed)}
        changes = told.get("changes") or []
        if self.is_diff:  # no_log drops the diff of this task: media.immich.show_diff shows it
            result["diff"] = [
                object_diff(_title(step, outcome), outcome.before, outcome.object) for step, outcome in changed
            ]
            changes = [*changes, *result["diff"]]
        outcome = {
            "plan": {**told["plan"], "steps": left},
            "results": [*earlier, *results],
            "done": [*done, *([section] if section else [])],
            "left": list(dict.fromkeys(step.get("section") for step in left)),
            "changes": changes,
        }
        return {**result, "json": text(outcome)}

    def unable(self, arguments: dict[str, Any], cause: TransportError) -> dict[str, Any]:
        """For a plan part of the text: the task has no_log, and the user has to learn why nothing was written."""
        if arguments["plan"] is None:
            return super().unable(arguments, cause)
        told = self._told(arguments)
        plan = {**told["plan"], "steps": []}
        return {"changed": False, "json": text({"results": [], **told, "plan": plan, "problem": str(cause)})}

    def _told(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What was told of the plan until now; at first only {"plan": {"steps": [...], ...}}."""
        if (arguments["steps"] is None) == (arguments["plan"] is None):
            raise AnsibleActionFail(f"{self._task.action}: give either steps or plan")
        told: dict[str, Any] = arguments["plan"] or {"plan": {"steps": arguments["steps"]}}
        steps = dig(told, "plan", "steps")
        problem = misuse(steps) if isinstance(steps, list) else "plan must be what media.immich.plan returned"
        unread = dig(arguments, "live", "problem")
        if unread and steps:
            problem = f"live could not be read: {unread}"
        if problem:
            raise AnsibleActionFail(f"{self._task.action}: {problem}")
        return told


def _chosen(
    steps: list[dict[str, Any]], section: str | None, done: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(the steps of the section, all others); without one all are. A step waits for the sections that it needs."""
    if section is None:
        return steps, []
    is_chosen = [step.get("section") == section and set(step.get("needs") or ()) <= set(done) for step in steps]
    chosen = [step for step, chosen in zip(steps, is_chosen, strict=True) if chosen]
    return chosen, [step for step, chosen in zip(steps, is_chosen, strict=True) if not chosen]


def _title(step: dict[str, Any], outcome: Outcome) -> str:
    return f"{outcome.ref} ({step['section']})" if step.get("section") else str(outcome.ref)


class _ObjectsByGroup:
    """Which client writes an object: ours, or OpenShift's for Routes, which is loaded when the first one comes."""

    def __init__(self, transport: Transport, **options: Any) -> None:
        """`options` are those that ApiObjects and RouteObjects have in common."""
        self._transport = transport
        self._options = options
        self._objects = ApiAction.objects(transport, **options)
        self._routes: Objects | None = None
        self._loading = threading.Lock()

    def __call__(self, ref: ObjectRef) -> Objects:
        if not ref.api_version.startswith(ROUTE_GROUP):
            return self._objects
        with self._loading:
            if self._routes is None:
                self._routes = self._load_routes()
        return self._routes

    def _load_routes(self) -> Objects:
        try:
            from ..plugin_utils.kube.route_client import RouteObjects  # noqa: PLC0415 # see its first lines

            return RouteObjects(self._transport, **self._options)
        except ImportError as exc:
            raise Misconfigured(f"writing a Route needs the Python package openshift where this runs: {exc}") from exc


def _live(seen: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """The objects as `observe` read them in this pass; None to read each one first."""
    if seen is None:
        return None
    referenced = [reference["object"] for reference in seen.get("references") or () if reference.get("object")]
    return [*filter(None, [seen.get("cr")]), *(seen.get("objects") or ()), *referenced]
