# SPDX-License-Identifier: Apache-2.0
"""As much of the protocol of Valkey (RESP 2) as a queue needs."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType
from typing import BinaryIO

from .environment import QueueServer

__all__ = ["Connection", "QueueError", "command", "reply"]

Reply = str | int | None | list["Reply"]


class QueueError(Exception):
    """Valkey is not there, or said no."""


def command(*words: str | int) -> bytes:
    """A command as it is sent."""
    encoded = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def reply(stream: BinaryIO) -> Reply:
    """The next answer; QueueError when it is an error, or when there is none."""
    line = stream.readline()
    kind, text = line[:1], line[1:].strip().decode(errors="replace")
    match kind:
        case b"+":
            return text
        case b"-":
            raise QueueError(text)
        case b":":
            return int(text)
        case b"$":
            return stream.read(int(text) + 2)[:-2].decode(errors="replace") if int(text) >= 0 else None
        case b"*":
            return [reply(stream) for _ in range(int(text))] if int(text) >= 0 else None
    raise QueueError("the connection was closed")


class Connection:
    """One connection, signed in and with its database chosen. QueueError from every method when something fails."""

    def __init__(self, server: QueueServer, timeout_s: float = 3.0) -> None:
        self._socket = _connect(server, timeout_s)
        self._stream = self._socket.makefile("rb")
        try:
            if server.password:
                self.run("AUTH", *([server.username] if server.username else []), server.password)
            if server.database:
                self.run("SELECT", server.database)
            self.run("PING")
        except QueueError:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, *words: str | int) -> Reply:
        try:
            self._socket.sendall(command(*words))
            return reply(self._stream)
        except (OSError, ValueError) as error:
            raise QueueError(str(error)) from error

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def _connect(server: QueueServer, timeout_s: float) -> socket.socket:
    try:
        if server.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout_s)
            connection.connect(server.socket)
            return connection
        plain = socket.create_connection((server.host, server.port), timeout_s)
        if server.ca is None:
            return plain
        trusted = ssl.create_default_context(cadata=server.ca or None)
        return trusted.wrap_socket(plain, server_hostname=server.server_name or server.host)
    except OSError as error:
        where = server.socket or f"{server.host}:{server.port}"
        raise QueueError(f"{where}: {error}") from error
