# SPDX-License-Identifier: Apache-2.0
"""Wait until an instance is ready. Documented in plugins/modules/wait.py."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.components.images import images_from_environment
from ..plugin_utils.kube.api_error import TransportError
from ..plugin_utils.kube.api_objects import ApiObjects
from ..plugin_utils.kube.applying import InParallel
from ..plugin_utils.kube.transport import Transport
from ..plugin_utils.kube.values import text
from ..plugin_utils.passes import planning, status
from ..plugin_utils.passes.observation import observe

INTERVAL_S = 2.0


class ActionModule(ApiAction):
    """Reads only. An instance that is not ready in time is no failure of this task, see `media.immich.summary`."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {"timeout": {"type": "int", "default": 900}}
    VALUES: ClassVar[dict[str, type]] = {"images": dict}
    TEXTS: ClassVar[tuple[str, ...]] = ("stored", "report")

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        cr = (arguments["stored"] or {}).get("cr")
        if cr is None:
            raise AnsibleActionFail(f"{self._task.action}: stored must be what media.immich.store returned as `json`")
        last = arguments["report"] or {}
        if last.get("failures"):  # what was refused does not come by waiting
            return _told(last, waited=None)
        given = {name: image for name, image in (arguments["images"] or {}).items() if image}
        images = images_from_environment(os.environ, fall_back=True) | given
        api = self.objects(transport)
        began = time.monotonic()
        deadline = began + arguments["timeout"]
        while True:
            found, problem = _look(cr, images, api, transport.parallel)
            if _is_ready(found) or time.monotonic() >= deadline:
                break
            time.sleep(max(0.0, min(INTERVAL_S, deadline - time.monotonic())))
        if problem is not None:
            raise problem
        return _told(found, waited=round(time.monotonic() - began, 1))


def _told(report: Mapping[str, Any], *, waited: float | None) -> dict[str, Any]:
    # The resource as it was read may hold a password, and the result is shown.
    shown = {name: value for name, value in report.items() if name != "current"}
    return {"changed": False, "ready": _is_ready(report), "waited": waited, "json": text(shown)}


def _look(
    cr: Mapping[str, Any], images: Mapping[str, str], api: ApiObjects, in_parallel: InParallel
) -> tuple[Mapping[str, Any], TransportError | None]:
    """(what a pass that writes nothing would report, why it could not look)."""
    try:
        seen = observe(cr, api, in_parallel=in_parallel, now=time.time())
    except TransportError as exc:
        return {}, exc
    plan = planning.plan(cr, seen=seen, images=images, new_password="")  # nothing is written
    return status.report(plan.as_dict(), {"results": []}, seen), None


def _is_ready(report: Mapping[str, Any]) -> bool:
    return bool((report.get("status") or {}).get("ready"))
