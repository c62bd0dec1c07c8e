# SPDX-License-Identifier: Apache-2.0
"""Show what tasks with no_log have changed or would change. Documented in plugins/modules/show_diff.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.kube.values import plain, structure


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """Prints what others have masked: it neither reads nor writes anything."""

    _supports_check_mode = True
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        changes, outcome = self._task.args.get("changes") or [], self._task.args.get("outcome")
        try:
            told = structure(outcome) if outcome else {}
            shown = [*plain(changes), *(told.get("changes") or told.get("diff") or ())]
        except (AttributeError, TypeError, ValueError) as exc:
            raise AnsibleActionFail(f"{self._task.action}: give what media.immich.apply and store returned") from exc
        return {**result, "changed": bool(shown), "diff": shown}
