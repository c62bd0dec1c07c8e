# SPDX-License-Identifier: Apache-2.0
"""Answers like the module of the same name in operator_sdk.util."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        return {"changed": False, "period": self._task.args["time"]}
