# SPDX-License-Identifier: Apache-2.0
"""Frames between the operator, the zygote and its children: four bytes of length, then JSON."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

__all__ = ["DRAIN", "MAX_CONTROL_BYTES", "PARKED", "PLAY", "receive", "send"]

PLAY = b"play"
"""Control message with two descriptors: the socket on which the play is described, and the pipe for its output.

After it there may be JSON about the play that is to be parked for it: {"argv", "cwd", "role", "roles_path"}.
"""
PARKED = b"parked"
"""Answer of a process that is ready to fork for plays; after it a JSON list of the files that it has loaded."""
DRAIN = b"drain"
"""Control message: take no more plays, end when the running ones have ended."""

MAX_CONTROL_BYTES = 1 << 20
"""Of one message on a control socket, at either end: a zygote names all files that it has loaded in one."""

_LENGTH = struct.Struct("!I")


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Send one frame. Raises OSError if nobody listens any more."""
    body = json.dumps(message).encode()
    channel.sendall(_LENGTH.pack(len(body)) + body)


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """The next frame, or None at the end of the stream (a cut frame is the end too). Blocks until it is complete."""
    head = _exactly(channel, _LENGTH.size)
    if head is None:
        return None
    body = _exactly(channel, _LENGTH.unpack(head)[0])
    return None if body is None else json.loads(body)


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        try:
            part = channel.recv(size)
        except ConnectionResetError:
            return None
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
