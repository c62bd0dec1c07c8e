# SPDX-License-Identifier: Apache-2.0
"""Store the status of an object when it differs, and post Events. Documented in plugins/modules/k8s_status.py."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.kube.api_error import ObjectRef
from ..plugin_utils.kube.api_objects import ApiObjects
from ..plugin_utils.kube.manifest_diff import value_diff
from ..plugin_utils.kube.status_merge import patched, status_problem, wanted_status
from ..plugin_utils.kube.status_writer import post_events, write_status
from ..plugin_utils.kube.timestamps import text_of
from ..plugin_utils.kube.transport import Transport

IN_REPORT = ("status", "events", "failures", "current")
EVENT_TYPES = ("Normal", "Warning")


class ActionModule(ApiAction):
    """The arguments of operator_sdk.util.k8s_status, and `current`, `events` and `report`."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        "api_version": {"type": "str", "default": "v1", "aliases": ["api", "version"]},
        "kind": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str"},
        "replace": {"type": "bool", "default": False, "aliases": ["force"]},
        "replace_lists": {"type": "bool", "default": False},
    }
    VALUES: ClassVar[dict[str, type]] = {
        "status": dict,
        "conditions": list,
        "current": dict,
        "events": list,
        "failures": list,
    }
    TEXTS: ClassVar[tuple[str, ...]] = ("report",)

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        arguments = _with_report(arguments)
        problem = status_problem(arguments["status"], arguments["conditions"]) or _event_problem(arguments["events"])
        if problem:
            raise AnsibleActionFail(f"{self._task.action}: {problem}")
        result = self._written(arguments, self.objects(transport))
        if arguments["report"] is not None:
            result["report"] = arguments["report"]
        if arguments["failures"]:
            result.update(failed=True, msg="; ".join(str(failure) for failure in arguments["failures"]))
        return result

    def _written(self, arguments: dict[str, Any], api: ApiObjects) -> dict[str, Any]:
        events = arguments["events"] or []
        has_status = arguments["status"] is not None or arguments["conditions"] is not None
        if not has_status and not events:
            return {"changed": False, "result": _shown(arguments["current"]), "patch": {}}
        ref = ObjectRef(arguments["api_version"], arguments["kind"], arguments["name"], arguments["namespace"] or "")
        now = text_of(time.time())
        options = {name: arguments[name] for name in ("status", "conditions", "replace", "replace_lists")}
        wanted = partial(wanted_status, now=now, **options) if has_status else dict
        write = write_status(ref, arguments["current"], wanted, api, dry_run=self.is_check)
        result: dict[str, Any] = {"changed": write.changed, "result": _shown(write.current), "patch": write.patch}
        if write.skipped_reason:
            result["skipped_reason"] = write.skipped_reason
        if write.current is not None and not self.is_check:
            problems = post_events(write.current, events, api, now=now)
            if problems:
                result["warnings"] = problems
        if self.is_diff and write.changed:
            result["diff"] = [value_diff(f"{ref} status", write.before, patched(write.before, write.patch))]
        return result


def _with_report(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, those that are not given taken out of the report."""
    report = arguments["report"]
    if report is None:
        return arguments
    given = {name: arguments[name] for name in IN_REPORT}
    if report.get("status") is None:  # a failure that no status tells of must not be kept from the user
        given["failures"] = given["failures"] or None
    taken = {name: report.get(name) if value is None else value for name, value in given.items()}
    rest = {name: value for name, value in report.items() if name not in IN_REPORT}
    return {**arguments, **taken, "report": rest}


def _shown(manifest: dict[str, Any] | None) -> dict[str, Any] | None:
    """Who it is and its status. Not its spec, which may hold a password and has no place in a task's result."""
    if manifest is None:
        return None
    shown = ("name", "namespace", "uid", "generation", "resourceVersion")
    metadata = {key: value for key, value in manifest["metadata"].items() if key in shown}
    return {**{key: manifest.get(key) for key in ("apiVersion", "kind", "status")}, "metadata": metadata}


def _event_problem(events: list[Any] | None) -> str | None:
    for position, event in enumerate(events or []):
        if not isinstance(event, dict) or not event.get("reason"):
            return f"events[{position}] must be a mapping with a reason"
        if event.get("type", "Normal") not in EVENT_TYPES:
            return f"events[{position}].type must be one of {', '.join(EVENT_TYPES)}"
    return None
