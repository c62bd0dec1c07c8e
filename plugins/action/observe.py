# SPDX-License-Identifier: Apache-2.0
"""Read everything that one pass decides on, with all requests at once. Documented in plugins/modules/observe.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.api_objects import ApiObjects
from ..plugin_utils.observation import observe
from ..plugin_utils.transport import Transport


class ActionModule(ApiAction):
    """Reads only, so check mode makes no difference."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {"as_json": {"type": "bool", "default": False}}
    VALUES: ClassVar[dict[str, tuple[type, ...]]] = {"cr": (dict,)}
    REQUIRED: ClassVar[tuple[str, ...]] = ("cr",)

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        cr: Mapping[str, Any] = arguments["cr"]
        metadata = cr.get("metadata") or {}
        for field in ("name", "namespace"):
            if not isinstance(metadata.get(field), str) or not metadata[field]:
                raise AnsibleActionFail(f"{self._task.action}: cr.metadata.{field} must be given")
        seen = observe(cr, ApiObjects(transport), in_parallel=partial(transport.parallel, lambda read: read()))
        return {"changed": False, **({"json": json.dumps(seen)} if arguments["as_json"] else seen)}
