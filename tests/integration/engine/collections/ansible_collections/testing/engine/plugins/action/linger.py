# SPDX-License-Identifier: Apache-2.0
"""Starts processes in several ways, writes their ids down, and waits for ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

SLEEP = ["sleep", "600"]


class ActionModule(ActionBase):  # type: ignore[misc]
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        child = subprocess.Popen(SLEEP)
        in_own_session = subprocess.Popen(SLEEP, start_new_session=True)
        shell = subprocess.run(
            ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], check=True, capture_output=True, text=True
        )
        file = Path(self._task.args["pids"])
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps([os.getpid(), child.pid, in_own_session.pid, int(shell.stdout)]))
        partial.rename(file)
        while True:
            signal.pause()
