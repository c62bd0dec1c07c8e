# SPDX-License-Identifier: Apache-2.0
"""A plain-HTTP proxy in front of the real API server, for what that one can't be asked to do: fall silent, be away
for a moment, forget what a watch missed."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import urllib3
import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import load_kube_config

HOP_HEADERS = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}


class Proxy:
    """Use as a context manager. `paths` holds every request as "METHOD path"."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = Configuration()
        load_kube_config(str(kubeconfig), client_configuration=configuration)
        self.target = str(configuration.host)
        self.pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
        token = configuration.auth_settings().get("BearerToken", {}).get("value")
        self.headers = {"Authorization": token} if token else {}
        self.paths: list[str] = []
        self.expire: Callable[[str], bool] = lambda _path: False
        self.hold: Callable[[str], bool] = lambda _path: False  # requests that are never answered
        self.ended = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._place: socket.socket | None = None
        self._port = 0

    def __enter__(self) -> Proxy:
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.interrupt()
        if self._place is not None:
            self._place.close()
        self.pool.clear()

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that leads to the proxy."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "p", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}],
            "users": [{"name": "p", "user": {}}],
            "contexts": [{"name": "p", "context": {"cluster": "p", "user": "p"}}],
            "current-context": "p",
        }
        path = folder / "proxy.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    def interrupt(self) -> None:
        """Refuse connections and cut those that are open, as an API server that restarts."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            # Nobody listens, and nobody else gets the port meanwhile: the operator's own servers take any free one.
            self._place = socket.socket()
            self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._place.bind(("127.0.0.1", self._port))
        self.cut()

    def resume(self) -> None:
        """Serve again, on the same port."""
        if self._place is not None:
            self._place.close()
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.proxy = self
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def cut(self) -> None:
        """Break every open connection."""
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Cut connections are the point of these tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        cast("_Server", self.server).proxy.opened(self.connection)

    def finish(self) -> None:
        cast("_Server", self.server).proxy.closed(self.connection)
        super().finish()

    def _forward(self) -> None:
        proxy = cast("_Server", self.server).proxy
        proxy.paths.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        if "watch=true" in self.path and proxy.expire(self.path):
            self._answer_expired()
            return
        if proxy.hold(self.path):
            proxy.ended.wait()
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
        answer = proxy.pool.request(
            self.command, proxy.target + self.path, body=body, headers={**headers, **proxy.headers},
            preload_content=False, retries=False, redirect=False, timeout=urllib3.Timeout(connect=5, read=600),
        )  # fmt: skip
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_HEADERS:
                    self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in answer.stream(65536, decode_content=False):
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            answer.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - names of http.server

    def _answer_expired(self) -> None:
        status = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}
        line = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(line)))
        self.end_headers()
        self.wfile.write(line)

    def log_message(self, *_: object) -> None:
        return
