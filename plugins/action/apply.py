# SPDX-License-Identifier: Apache-2.0
"""Write what a plan says, and only where the live object differs. Documented in plugins/modules/apply.py."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.kube.api_error import Misconfigured, ObjectRef, TransportError
from ..plugin_utils.kube.applying import Objects, apply_steps, misuse
from ..plugin_utils.kube.kinds import named
from ..plugin_utils.kube.manifest_diff import object_diff
from ..plugin_utils.kube.transport import Transport
from ..plugin_utils.kube.values import FIELD_MANAGER, structure, text

ROUTE_GROUP = f"{named('Route').group}/"


class ActionModule(ApiAction):
    """A refusal by the API server is part of the result, which only lacks `results` when there is no API server at all."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {"field_manager": {"type": "str", "default": FIELD_MANAGER}}
    VALUES: ClassVar[dict[str, tuple[type, ...]]] = {"steps": (list,), "plan": (dict, str), "live": (list, dict, str)}

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        is_text = isinstance(arguments["plan"], str)
        arguments = {**arguments, **{name: structure(arguments[name]) for name in ("plan", "live")}}
        steps = self._steps(arguments)
        field_manager = arguments["field_manager"]
        outcomes = apply_steps(
            steps,
            _live(arguments["live"]),
            objects_for=_ObjectsByGroup(transport, dry_run=self.is_check, field_manager=field_manager),
            in_parallel=transport.parallel,
            field_manager=field_manager,
            dry_run=self.is_check,
        )
        changed = [outcome for outcome in outcomes if outcome.changed]
        told: dict[str, Any] = {"results": [outcome.as_dict() for outcome in outcomes]}
        if arguments["plan"] is not None:
            told["plan"] = _without_steps(arguments["plan"])
        diff = [object_diff(str(outcome.ref), outcome.before, outcome.object) for outcome in changed]
        if self.is_diff and is_text:  # no_log drops the diff of this task: media.immich.show_diff shows it
            told["changes"] = diff
        result: dict[str, Any] = {"changed": bool(changed), **({"json": text(told)} if is_text else told)}
        # Ansible takes `results` for those of a loop, whose items no_log hides only when each says so itself.
        for item in result.get("results", ()):
            item["_ansible_no_log"] = True
        if self.is_diff:
            result["diff"] = diff
        return result

    def unable(self, arguments: dict[str, Any], cause: TransportError) -> dict[str, Any]:
        """For a plan in JSON part of the text: the task has no_log, and the user has to learn why nothing was written."""
        if not isinstance(arguments["plan"], str):
            return super().unable(arguments, cause)
        told = {"plan": _without_steps(structure(arguments["plan"])), "results": [], "problem": str(cause)}
        return {"changed": False, "json": text(told)}

    def _steps(self, arguments: dict[str, Any]) -> list[Any]:
        if (arguments["steps"] is None) == (arguments["plan"] is None):
            raise AnsibleActionFail(f"{self._task.action}: give either steps or plan")
        steps = arguments["steps"] if arguments["plan"] is None else arguments["plan"].get("steps")
        problem = misuse(steps) if isinstance(steps, list) else "plan.steps must be a list"
        if problem:
            raise AnsibleActionFail(f"{self._task.action}: {problem}")
        return list(steps)


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


def _without_steps(plan: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plan.items() if key != "steps"}


def _live(given: list[dict[str, Any]] | dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """The objects as read in this pass: as given, or those in what `observe` returned; None to read each one first."""
    if not isinstance(given, dict):
        return given
    referenced = [reference["object"] for reference in given.get("references") or () if reference.get("object")]
    return [*filter(None, [given.get("cr")]), *(given.get("objects") or ()), *referenced]
