# SPDX-License-Identifier: Apache-2.0
"""Read everything that one pass decides on, with all requests at once. Documented in plugins/modules/observe.py."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.kube.api_error import ApiError, ObjectRef, TransportError
from ..plugin_utils.kube.api_objects import ApiObjects
from ..plugin_utils.kube.transport import Transport
from ..plugin_utils.kube.values import text
from ..plugin_utils.passes.observation import observe, who_is


class ActionModule(ApiAction):
    """Reads only, so check mode makes no difference."""

    VALUES: ClassVar[dict[str, type]] = {"cr": dict}
    TEXTS: ClassVar[tuple[str, ...]] = ("stored",)

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        cr, is_current = self._given(arguments)
        metadata = cr.get("metadata") or {}
        for field in ("name", "namespace"):
            if not isinstance(metadata.get(field), str) or not metadata[field]:
                raise AnsibleActionFail(f"{self._task.action}: cr.metadata.{field} must be given")
        api = self.objects(transport)
        try:
            seen = observe(cr, api, in_parallel=transport.parallel, now=time.time(), is_current=is_current)
        except ApiError as exc:
            return _told({"given": cr, "problem": str(exc), "cr": _live(api, who_is(cr))})
        return _told({"given": cr, **seen})

    def unable(self, arguments: dict[str, Any], cause: TransportError) -> dict[str, Any]:
        """Part of the text: the task has no_log, and the user has to learn why nothing could be read."""
        return _told({"given": self._given(arguments)[0], "problem": str(cause), "cr": None})

    def _given(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """(the custom resource, whether it is what is stored)"""
        cr, stored = arguments["cr"], arguments["stored"]
        if (cr is None) == (stored is None):
            raise AnsibleActionFail(f"{self._task.action}: give either cr or stored")
        return (cr, False) if stored is None else (stored["cr"], stored["is_current"])


def _told(seen: dict[str, Any]) -> dict[str, Any]:
    return {"changed": False, "json": text(seen)}


def _live(api: ApiObjects, who: ObjectRef) -> dict[str, Any] | None:
    """The custom resource, to write to its status what could not be read; None if it is that itself."""
    try:
        return api.find(who)
    except TransportError:
        return None
