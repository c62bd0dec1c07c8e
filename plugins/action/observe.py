# SPDX-License-Identifier: Apache-2.0
"""Read everything that one pass decides on, with all requests at once. Documented in plugins/modules/observe.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.kube.api_error import ApiError, ObjectRef, TransportError
from ..plugin_utils.kube.api_objects import ApiObjects
from ..plugin_utils.kube.transport import Transport
from ..plugin_utils.kube.values import structure, text
from ..plugin_utils.passes.observation import observe, who_is


class ActionModule(ApiAction):
    """Reads only, so check mode makes no difference."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        "as_json": {"type": "bool", "default": False},
        "is_current": {"type": "bool", "default": False},
    }
    VALUES: ClassVar[dict[str, tuple[type, ...]]] = {"cr": (dict, str)}
    REQUIRED: ClassVar[tuple[str, ...]] = ("cr",)

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        cr = structure(arguments["cr"])
        if not isinstance(cr, Mapping):
            raise AnsibleActionFail(f"{self._task.action}: cr must be a mapping, not {type(cr).__name__}")
        metadata = cr.get("metadata") or {}
        for field in ("name", "namespace"):
            if not isinstance(metadata.get(field), str) or not metadata[field]:
                raise AnsibleActionFail(f"{self._task.action}: cr.metadata.{field} must be given")
        api = self.objects(transport)
        try:
            seen = observe(cr, api, in_parallel=transport.parallel, is_current=arguments["is_current"])
        except ApiError as exc:
            if not arguments["as_json"]:
                raise
            return _unread(exc, _live(api, who_is(cr)))
        return {"changed": False, **({"json": text(seen)} if arguments["as_json"] else seen)}

    def unable(self, arguments: dict[str, Any], cause: TransportError) -> dict[str, Any]:
        """With `as_json` part of the text: the task has no_log, and the user has to learn why nothing could be read."""
        return _unread(cause, None) if arguments["as_json"] else super().unable(arguments, cause)


def _unread(cause: TransportError, cr: dict[str, Any] | None) -> dict[str, Any]:
    return {"changed": False, "json": text({"problem": str(cause), "cr": cr})}


def _live(api: ApiObjects, who: ObjectRef) -> dict[str, Any] | None:
    """The custom resource, to write to its status what could not be read; None if it is that itself."""
    try:
        return api.find(who)
    except TransportError:
        return None
