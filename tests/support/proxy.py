# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of the real API server, for what that one can't be asked to do: fall silent, be away for a moment, cut
answers short, forget what a watch missed, know nobody any more."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, cast

import urllib3
import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import load_kube_config

__all__ = ["CUT", "SILENT", "Fault", "Proxy", "Request"]

HOP_HEADERS = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}


class Request(NamedTuple):
    """One that has come. `at` is of the monotonic clock, `status` 0 until it is answered, and if it never is."""

    at: float
    method: str
    path: str
    agent: str
    status: int = 0

    @property
    def is_watch(self) -> bool:
        return "watch=true" in self.path

    @property
    def is_of_a_pass(self) -> bool:
        """Not of the loop."""
        return self.agent.endswith("(pass)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What becomes of one request. Without any field it is answered as usual.

    `status`: it is refused with that code, and with `retry_after_s`. `expired`: a watch that is too old. `silent`: it is
    neither answered nor closed, until `Proxy.lift`. `cut_after`: the connection breaks after so many bytes of the body.
    `short_after`: the answer ends there as if it were whole. `pause_s`: before each part of `part_bytes`.
    """

    status: int = 0
    retry_after_s: int | None = None
    expired: bool = False
    silent: bool = False
    cut_after: int | None = None
    short_after: int | None = None
    pause_s: float = 0.0
    part_bytes: int = 65536


CUT = Fault(cut_after=0)
SILENT = Fault(silent=True)
Decide = Callable[[Request], Fault | None]


def _no_fault(_request: Request) -> None:
    return


class Proxy:
    """Use as a context manager. `paths` holds every request as "METHOD path", `requests` more of each."""

    def __init__(self, kubeconfig: Path, *, tls: ssl.SSLContext | None = None) -> None:
        """With `tls` it is an HTTPS server; a client's certificate does not matter beyond what the context demands."""
        configuration = Configuration()
        load_kube_config(str(kubeconfig), client_configuration=configuration)
        self.target = str(configuration.host)
        self.pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
        self.pool.connection_pool_kw["maxsize"] = 64
        token = configuration.auth_settings().get("BearerToken", {}).get("value")
        self.headers = {"Authorization": token} if token else {}
        self.paths: list[str] = []
        self.requests: list[Request] = []
        self.expire: Callable[[str], bool] = lambda _path: False
        self.hold: Callable[[str], bool] = lambda _path: False  # requests that are never answered
        self.fault: Decide = _no_fault
        self.knows: Callable[[Mapping[str, str], Any], bool] = lambda _headers, _connection: True
        """Of the headers and the connection of a request; otherwise it is answered with 401."""
        self.tls = tls
        self.ended = threading.Event()
        self._lifted = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self._server: _Server | None = None
        self._place: socket.socket | None = None
        self._port = 0

    def __enter__(self) -> Proxy:
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.lift()
        self.interrupt()
        if self._place is not None:
            self._place.close()
        self.pool.clear()

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}"

    def kubeconfig(self, folder: Path, *, user: Mapping[str, str] | None = None, **cluster: str) -> Path:
        """A kubeconfig that leads to the proxy; `user` and `cluster` are the entries of these sections."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "p", "cluster": {"server": self.address, **cluster}}],
            "users": [{"name": "p", "user": dict(user or {})}],
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
        """Serve again, on the same port; fine if it does."""
        if self._server is not None:
            return
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

    def lift(self) -> None:
        """No more faults; what was kept waiting in silence breaks."""
        self.fault = _no_fault
        lifted, self._lifted = self._lifted, threading.Event()
        lifted.set()

    def wait_lifted(self) -> None:
        self._lifted.wait()

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)

    def came(self, request: Request) -> int:
        """Note a request; the place at which it is noted."""
        with self._came:
            self.paths.append(f"{request.method} {request.path}")
            self.requests.append(request)
            self._came.notify_all()
            return len(self.requests) - 1

    def answered(self, place: int, status: int) -> None:
        with self._lock:
            self.requests[place] = self.requests[place]._replace(status=status)

    def wait_requests(self, count: int, within_s: float) -> bool:
        """Wait for so many more requests; False if they did not come in that time."""
        with self._came:
            enough = len(self.requests) + count
            return self._came.wait_for(lambda: len(self.requests) >= enough, within_s)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: Proxy

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self.proxy.tls is None:
            return connection, address
        # The handshake comes with the first read, in the thread of the connection.
        return self.proxy.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

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
        request = Request(time.monotonic(), self.command, self.path, self.headers.get("User-Agent", ""))
        place = proxy.came(request)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        fault = proxy.fault(request) or Fault()
        if request.is_watch and (fault.expired or proxy.expire(self.path)):
            proxy.answered(place, 410)
            self._answer_expired()
            return
        if proxy.hold(self.path):
            proxy.ended.wait()
            return
        if fault.silent:
            proxy.wait_lifted()
            self.close_connection = True
            return
        if not proxy.knows(self.headers, self.connection):
            fault = Fault(status=401)
        if fault.status:
            proxy.answered(place, fault.status)
            self._refuse(fault)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
        headers.pop("Authorization", None)
        answer = proxy.pool.request(
            self.command, proxy.target + self.path, body=body, headers={**headers, **proxy.headers},
            preload_content=False, retries=False, redirect=False, timeout=urllib3.Timeout(connect=5, read=600),
        )  # fmt: skip
        proxy.answered(place, answer.status)
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_HEADERS:
                    self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in _parts(answer.stream(65536, decode_content=False), fault):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except _CutError:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        finally:
            answer.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - names of http.server

    def _refuse(self, fault: Fault) -> None:
        status = {"kind": "Status", "status": "Failure", "code": fault.status, "message": "refused by the proxy"}
        after = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        self._answer(fault.status, json.dumps(status).encode(), after)

    def _answer_expired(self) -> None:
        status = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}
        self._answer(200, json.dumps({"type": "ERROR", "object": status}).encode() + b"\n", {})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


class _CutError(Exception):
    """The connection breaks here."""


def _parts(chunks: Iterator[bytes], fault: Fault) -> Iterator[bytes]:
    """What of a body is sent, in which parts. Raises _CutError where the connection is to break."""
    limit = fault.cut_after if fault.cut_after is not None else fault.short_after
    sent = 0
    for chunk in chunks:
        for start in range(0, len(chunk), fault.part_bytes):
            part = chunk[start : start + fault.part_bytes]
            if limit is not None:
                part = part[: limit - sent]
            if fault.pause_s:
                time.sleep(fault.pause_s)
            if part:
                sent += len(part)
                yield part
            if limit is not None and sent >= limit:
                if fault.cut_after is not None:
                    raise _CutError
                return
    if fault.cut_after is not None:
        raise _CutError
