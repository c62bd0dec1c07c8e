# SPDX-License-Identifier: Apache-2.0
"""The operator's two small HTTP servers: probes and metrics."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from immich_operator.errors import SettingsError

REQUEST_TIMEOUT_S = 10.0


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Page = Callable[[], Answer]


class Server:
    """Serves GET requests for some paths; `run` in a thread."""

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Page], *, setting: str) -> None:
        """Binds at once, so that an address in use is a startup error.

        Raises:
            SettingsError: naming `setting` if the address cannot be bound.
        """
        handler = type("Handler", (_Handler,), {"pages": dict(pages)})
        try:
            self._server = _open(address, handler)
        except OSError as exc:
            where = f"{address[0]}:{address[1]} ({exc.strerror})"
            raise SettingsError(f"{setting}: cannot listen on {where}; give another address, or 0 for none") from exc
        self._serving = threading.Event()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def run(self) -> None:
        """Serve until `close`."""
        self._serving.set()
        self._server.serve_forever(poll_interval=0.5)  # how long `close` may take
        self._server.server_close()

    def close(self) -> None:
        """Stop serving; may be called from any other thread, also before `run`."""
        if self._serving.is_set():
            self._server.shutdown()
        else:
            self._server.server_close()


def metrics_page(registry: CollectorRegistry) -> Page:
    return lambda: Answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)


def probe_page(problems: Callable[[], list[str]]) -> Page:
    """200 "ok" while there is no problem, otherwise 500 with one problem per line."""

    def page() -> Answer:
        found = problems()
        return Answer(500, "\n".join([*found, ""]).encode()) if found else Answer(200, b"ok\n")

    return page


class _Handler(BaseHTTPRequestHandler):
    pages: Mapping[str, Page]
    server_version = "immich-operator"
    sys_version = ""
    timeout = REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        page = self.pages.get(self.path.partition("?")[0].rstrip("/") or "/")
        answer = page() if page else Answer(404, b"not found\n")
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes every few seconds are not worth logging."""


class _DualStack(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Single(ThreadingHTTPServer):
    daemon_threads = True


def _open(address: tuple[str, int], handler: type[_Handler]) -> ThreadingHTTPServer:
    host, port = address
    if ":" in host or (not host and socket.has_dualstack_ipv6()):
        try:
            return _DualStack((host or "::", port), handler)
        except OSError:
            if host:
                raise
    return _Single((host, port), handler)
