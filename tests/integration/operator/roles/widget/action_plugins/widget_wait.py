# SPDX-License-Identifier: Apache-2.0
"""A task that takes as long as it is told, for tests of what happens meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

from ansible.plugins.action import ActionBase

POLL_S = 0.02


class ActionModule(ActionBase):
    """Argument: `seconds`, or a `file` whose coming ends it."""

    def run(self, *_args, **_kwargs):
        pause, file = threading.Event(), self._task.args.get("file")
        pause.wait(float(self._task.args.get("seconds", 0)))
        while file and not Path(file).exists():
            pause.wait(POLL_S)
        return {"changed": False}
