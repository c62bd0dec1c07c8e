# SPDX-License-Identifier: Apache-2.0
"""What the fork engine makes of a zygote's last messages."""

from __future__ import annotations

import os
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from immich_operator.engine import wire
from immich_operator.engine.fork import _ForkedRunner
from immich_operator.engine.outcome import Outcome
from immich_operator.engine.zygotes import Running

NOBODY = 1 << 30
"""More than a process id can be."""
STARTED, EXIT = {"started": NOBODY}, {"exit": 0}


class EndingZygote:
    """Sends its last messages after the operator has looked for some, and is gone when it is asked for."""

    def __init__(self, channel: socket.socket, last: list[dict[str, int]]) -> None:
        self._channel, self._last = channel, last

    def is_alive(self) -> bool:
        while self._last:
            wire.send(self._channel, self._last.pop(0))
        return False


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param([STARTED], [EXIT], id="its end"),
        pytest.param([], [STARTED, EXIT], id="its beginning and its end"),
        pytest.param([STARTED, EXIT], [], id="nothing"),
    ],
)
def test_a_play_of_which_a_zygote_told_before_it_ended_is_neither_lost_nor_run_again(tmp_path, first, last):
    begun: list[Running] = []
    channel = socket.socketpair()

    def start(_request: Any) -> Running:
        assert not begun, "the play was run again"
        ours, theirs = channel
        output, nothing = os.pipe()
        os.close(nothing)
        for message in first:
            wire.send(theirs, message)
        begun.append(Running(EndingZygote(theirs, list(last)), ours, output))
        return begun[0]

    config = SimpleNamespace(
        artifact_dir=str(tmp_path / "artifacts" / "run"),
        private_data_dir=str(tmp_path),
        command=["python"],
        cwd=str(tmp_path),
        env={},
        ident="run",
        rotate_artifacts=0,
    )
    (tmp_path / "artifacts" / "run").mkdir(parents=True)
    runner = _ForkedRunner(config, Outcome(), start, deadline=time.monotonic() + 20, cancel=threading.Event())

    with channel[1]:
        runner.run()

    assert (runner.status, runner.rc, runner.lost) == ("successful", 0, None)
