# SPDX-License-Identifier: Apache-2.0
"""Reports the process that the task runs in, and can leave traces in it."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        seen = {
            "cwd": str(Path.cwd()),
            "environment": {name: os.environ.get(name) for name in self._task.args.get("variables", ())},
            "pid": os.getpid(),
            "random": random.random(),  # noqa: S311 - the test is about its seed
            "sockets": [target for target in _open_files() if target.startswith("socket:")],
        }
        os.environ.update(self._task.args.get("leave", {}))
        if "chdir" in self._task.args:
            os.chdir(self._task.args["chdir"])
        return {"changed": False, "report": seen}


def _open_files() -> list[str]:
    """What the descriptors of this process point at; the listing's own one is gone when it is looked at."""
    targets = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            targets.append(str(entry.readlink()))
    return targets
