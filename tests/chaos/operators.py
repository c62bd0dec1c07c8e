# SPDX-License-Identifier: Apache-2.0
"""Operators for runs of faults: always in the same folder, and gone at the end."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from localcluster.testing import Cluster
from support.families import LOOP, PLAY, belonging_to, generations, send
from support.operating import Operator

__all__ = ["Supervised", "files_below"]

FLAGS = ("--retry-max=10s", "--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0")
FIND_S = 5.0
LOOK_AGAIN_S = 0.01


class Supervised:
    """An operator that can be started again, with what an earlier one has left on its disk, as by a kubelet."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *args: str,
        engine: str = "fork",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        variables = {"TMPDIR": str(self.temporary), **(environment or {})}
        self._start = lambda: Operator(cluster, folder, *FLAGS, *args, engine=engine, environment=variables)
        self.operator = self._start()

    def start(self) -> Operator:
        """The next one, after the one before has ended."""
        assert self.operator.process.poll() is not None
        self.operator = self._start()
        return self.operator

    @property
    def pid(self) -> int:
        """Of the loop."""
        return self.operator.process.pid

    def generation(self, number: int) -> set[int]:
        """Its processes; of the plays with all that they have started."""
        found = generations(self.pid)
        return set().union(*found[number:]) if number == PLAY else found[number]

    def wait_generation(self, number: int) -> set[int]:
        """As soon as there is one; empty if there was none for a while, because nothing was to do or it has just started."""
        end = time.monotonic() + FIND_S
        while not (found := self.generation(number)):
            if time.monotonic() > end or self.operator.process.poll() is not None:
                return set()
            time.sleep(LOOK_AGAIN_S)
        return found

    def kill(self, number: int, chance: random.Random) -> bool:
        """SIGKILL one process of the generation at whatever it is doing; False if there was none."""
        if not (found := self.wait_generation(number)):
            return False
        send([chance.choice(sorted(found))], signal.SIGKILL)
        if number == LOOP:
            assert self.operator.wait() == -signal.SIGKILL
            self.start()
        return True

    def family(self) -> set[int]:
        """All its processes."""
        return set().union(*generations(self.pid))

    def end(self) -> None:
        """Whatever state it is in, nothing of it runs afterwards."""
        self.operator.end()
        send(belonging_to(self.folder), signal.SIGKILL)


def files_below(folder: Path) -> int:
    """How many files there are."""
    return sum(path.is_file() for path in folder.rglob("*"))
