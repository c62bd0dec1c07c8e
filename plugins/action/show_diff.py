# SPDX-License-Identifier: Apache-2.0
"""Show what tasks with no_log have changed or would change. Documented in plugins/modules/show_diff.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.kube.values import structure


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """Prints what others have masked: it neither reads nor writes anything."""

    _supports_check_mode = True
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        shown: list[dict[str, Any]] = []
        for name in ("stored", "outcome"):
            told = structure(self._task.args.get(name, "{}"))
            if told is None:
                raise AnsibleActionFail(f"{self._task.action}: {name} must be the `json` of an earlier task's result")
            shown += told.get("changes") or []
        return {**result, "changed": bool(shown), "diff": shown}
