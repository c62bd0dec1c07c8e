# SPDX-License-Identifier: Apache-2.0
"""A task that takes as long as it is told, for tests of what happens meanwhile."""

from __future__ import annotations

import threading

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Argument: `seconds`."""

    def run(self, *_args, **_kwargs):
        threading.Event().wait(float(self._task.args["seconds"]))
        return {"changed": False}
