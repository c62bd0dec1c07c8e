# SPDX-License-Identifier: Apache-2.0
"""The process that forks for plays, and what it is told."""

import signal
import socket
from collections.abc import Iterator

import pytest

from immich_operator.engine.forker import Forker, Handed


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    handler, wakeup = signal.getsignal(signal.SIGCHLD), signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, handler)


class Listener(Forker):
    """Writes down what it is told."""

    def __init__(self, control: socket.socket) -> None:
        super().__init__(control)
        self.told: list[bytes] = []

    def obey(self, message: bytes, files: list[int]) -> Handed | None:
        """Do nothing."""
        self.told.append(message)
        assert not files
        return None

    def close(self) -> None:
        """Release the sockets that a process of its own would leave to its end."""
        self._wakeup.close()
        self._wakeup_writer.close()


def test_a_message_of_a_play_with_long_arguments_arrives_whole() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    message = b"play" + b"x" * 150_000
    with theirs:
        listener = Listener(theirs)
        with ours:
            ours.send(message)
        listener.run()
        listener.close()

    assert listener.told == [message]
