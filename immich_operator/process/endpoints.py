# SPDX-License-Identifier: Apache-2.0
"""The operator's two small HTTP servers: probes and metrics.

Anybody who reaches the port may connect, so a server spends a bounded amount on all of them together: so many connections
and threads, so many bytes and seconds each. When there are more, the oldest connection makes room for the newest: one that
is answered at once hardly ever is the oldest. Each server has its own listener and its own threads, so that a flood of one
does not reach the other.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from immich_operator.errors import SettingsError

__all__ = ["Answer", "Limits", "Page", "Server", "metrics_page", "probe_page", "spared"]

POLL_S: Final = 0.5  # how often to look whether there is something to tell
PAUSE_S: Final = (
    0.1  # before the next attempt when no connection could be accepted, for want of descriptors for instance
)
TELL_S: Final = 60.0  # between two log lines about the same server
BACKLOG: Final = 128  # connections that the kernel holds while none is accepted
DRAIN_S: Final = 1.0  # for what a client still sends when it is refused: unread, it would turn the answer into a reset
SHARE: Final = 5  # a spared page takes at most one in so many parts of the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one server, whoever connects."""

    connections: int = 32
    """Open at a time; twice as many threads, while some of them still notice that their connection was ended."""
    accepts_per_s: int = 200
    """More wait for the next second."""
    head_bytes: int = 8192
    """Request line and headers."""
    read_s: float = 5.0
    """For the whole request."""
    write_s: float = 10.0
    """For the whole answer."""


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Page = Callable[[], Answer]


class _RefusedError(Exception):
    """A request that is not answered with a page."""

    def __init__(self, status: HTTPStatus) -> None:
        self.answer = Answer(status, f"{status.phrase.lower()}\n".encode())
        super().__init__(status.phrase)


class Server:
    """Serves GET requests for some paths, one per connection; `run` in a thread."""

    def __init__(
        self,
        address: tuple[str, int],
        pages: Mapping[str, Page],
        *,
        setting: str,
        log: logging.Logger,
        limits: Limits | None = None,
    ) -> None:
        """Binds at once, so that an address in use is a startup error.

        Raises:
            SettingsError: naming `setting` if the address cannot be bound.
        """
        self._pages = dict(pages)
        self._log = log
        self._limits = limits or Limits()
        try:
            self._listener = _listener(address)
        except OSError as exc:
            where = f"{address[0]}:{address[1]} ({exc.strerror})"
            raise SettingsError(f"{setting}: cannot listen on {where}; give another address, or 0 for none") from exc
        self._listener.settimeout(POLL_S)
        self._port = int(self._listener.getsockname()[1])
        self._closing = threading.Event()
        self._serving = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, None] = {}  # the oldest first
        self._threads = 0
        self._troubles = _Troubles(log, self._port)

    @property
    def port(self) -> int:
        return self._port

    def open_connections(self) -> int:
        """How many are being read or answered at this moment."""
        with self._lock:
            return len(self._open)

    def run(self) -> None:
        """Serve until `close`."""
        self._serving.set()
        second, accepted = time.monotonic(), 0
        while not self._closing.is_set():
            if accepted >= self._limits.accepts_per_s:
                self._closing.wait(second + 1 - time.monotonic())
            if time.monotonic() >= second + 1:
                second, accepted = time.monotonic(), 0
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                self._troubles.tell()
                continue
            except OSError:
                if not self._closing.wait(PAUSE_S):
                    self._troubles.note("not_accepted")
                continue
            accepted += 1
            self._take(connection)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                _end(connection)

    def close(self) -> None:
        """Stop serving; may be called from any other thread, also before `run`."""
        self._closing.set()
        if self._serving.is_set():
            _end(self._listener)
        else:
            self._listener.close()

    def _take(self, connection: socket.socket) -> None:
        """Serve it in a thread of its own, instead of the oldest one if there are too many."""
        with self._lock:
            has_room = self._threads < 2 * self._limits.connections
            if has_room:
                self._threads += 1
                oldest = next(iter(self._open)) if len(self._open) >= self._limits.connections else None
                if oldest is not None:
                    del self._open[oldest]
                    _end(oldest)
                self._open[connection] = None
        if not has_room or oldest is not None:
            self._troubles.note("too_many")
        if has_room:
            # daemon: the process need not wait for it; the deadlines end it in any case
            thread = threading.Thread(
                target=self._serve, args=(connection,), name=f"answer on {self._port}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no more threads in this process or container
                self._forget(connection)
                has_room = False
                self._troubles.note("not_accepted")
        if not has_room:
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._answer(connection)
        except TimeoutError:
            self._troubles.note("too_slow")
        except OSError:
            pass  # it was reset, or ended here: nobody is left to be answered
        except Exception:
            self._troubles.fault()  # nothing that a client sends may print a traceback of its own
        finally:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)
            self._threads -= 1

    def _answer(self, connection: socket.socket) -> None:
        try:
            head = self._read(connection)
            if head is None:
                return
            method, page = self._meant(head)
        except _RefusedError as refused:
            self._troubles.note("refused")
            self._send(connection, refused.answer)
            connection.shutdown(socket.SHUT_WR)
            _drain(connection, self._limits.head_bytes)
            return
        try:
            answer = page()
        except Exception:
            self._troubles.fault()
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"this page cannot be shown; see the operator's log\n")
        self._send(connection, answer, with_body=method == "GET")

    def _read(self, connection: socket.socket) -> bytes | None:
        """The request up to the end of its headers, None if the client has gone.

        Raises: TimeoutError, OSError, _RefusedError.
        """
        deadline = time.monotonic() + self._limits.read_s
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            if len(head) >= self._limits.head_bytes:
                raise _RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            received = connection.recv(self._limits.head_bytes)
            if not received:
                return None
            head += received
        return head

    def _meant(self, head: bytes) -> tuple[str, Page]:
        """Method and page. Raises _RefusedError."""
        words = head.partition(b"\n")[0].removesuffix(b"\r").decode("latin-1").split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED)
        page = self._pages.get(target.partition("?")[0].rstrip("/") or "/")
        if page is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND)
        return method, page

    def _send(self, connection: socket.socket, answer: Answer, *, with_body: bool = True) -> None:
        """Raises: TimeoutError, OSError."""
        lines = [
            f"HTTP/1.1 {int(answer.status)} {HTTPStatus(answer.status).phrase}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
        ]
        connection.settimeout(self._limits.write_s)  # of all that `sendall` sends
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + (answer.body if with_body else b""))


def metrics_page(registry: CollectorRegistry) -> Page:
    return lambda: Answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)


def probe_page(problems: Callable[[], list[str]]) -> Page:
    """200 "ok" while there is no problem, otherwise 500 with one problem per line."""

    def page() -> Answer:
        found = problems()
        return Answer(500, "\n".join([*found, ""]).encode()) if found else Answer(200, b"ok\n")

    return page


def spared(page: Page, *, clock: Callable[[], float] = time.monotonic) -> Page:
    """A page that costs something, made once for all who ask meanwhile, and so seldom that it takes at most a fifth of
    the time of one processor."""
    lock = threading.Lock()
    kept: Answer | None = None
    until = 0.0

    def answer() -> Answer:
        nonlocal kept, until
        with lock:
            began = clock()
            if kept is None or began >= until:
                kept = page()
                ended = clock()
                until = ended + (SHARE - 1) * (ended - began)
            return kept

    return answer


class _Troubles:
    """What clients do wrong, counted: one log line, and the next one not before TELL_S."""

    def __init__(self, log: logging.Logger, port: int) -> None:
        self._log = log
        self._port = port
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._quiet_until = {"counts": 0.0, "fault": 0.0}

    def note(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1
        self.tell()

    def tell(self) -> None:
        with self._lock:
            if not self._counts or not self._may("counts"):
                return
            counts, self._counts = self._counts, Counter()
        self._log.warning("connections were cut or refused", extra={"port": self._port, **counts})

    def fault(self) -> None:
        """While an exception of a page is handled."""
        with self._lock:
            may = self._may("fault")
        if may:
            self._log.exception("page failed", extra={"port": self._port})

    def _may(self, what: str) -> bool:
        now = time.monotonic()
        if now < self._quiet_until[what]:
            return False
        self._quiet_until[what] = now + TELL_S
        return True


def _end(connection: socket.socket) -> None:
    """Wake the thread that waits for it, which closes it."""
    with suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)


def _drain(connection: socket.socket, limit: int) -> None:
    """Read what still comes, for a short time. Raises OSError."""
    connection.settimeout(DRAIN_S)
    with suppress(TimeoutError):
        connection.recv(limit)


def _listener(address: tuple[str, int]) -> socket.socket:
    """Raises OSError."""
    host, port = address
    if not host and socket.has_dualstack_ipv6():
        with suppress(OSError):  # a kernel without IPv6
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(address, family=family, backlog=BACKLOG)
