# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server for both stand-ins: one function answers all requests."""

from __future__ import annotations

import json
import socket
import socketserver
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

__all__ = ["Answer", "Request", "failure", "json_answer", "listen", "log", "uploaded_file"]


def log(text: str) -> None:
    """One line for `kubectl logs`."""
    print(f"[stand-in] {text}", flush=True)


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Request(NamedTuple):
    """What came in; `path` is without the query."""

    method: str
    path: str
    headers: Message
    body: bytes = b""


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


def failure(status: int, message: str) -> Answer:
    return json_answer({"statusCode": status, "message": message}, status)


def uploaded_file(headers: Message, body: bytes, field: str) -> tuple[str, bytes] | None:
    """(file name, content) of a field in a multipart form, None when it is not there."""
    boundary = headers.get_param("boundary")
    if headers.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        return None
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode()):
        head, separator, content = part.partition(b"\r\n\r\n")
        described = Message()
        for line in head.decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            described[name] = value.strip()
        if separator and described.get_param("name", header="content-disposition") == field:
            return described.get_filename() or field, content
    return None


def listen(host: str | None, port: int, answer: Callable[[Request], Answer]) -> socketserver.ThreadingTCPServer:
    """A server on all addresses of both families, or on the one of `host`; `serve_forever` makes it work."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            self._respond(b"")

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length")
            if length is None:
                self._send(failure(411, "the length of the body is needed"))
            else:
                self._respond(self.rfile.read(int(length)))

        do_PUT = do_POST  # noqa: N815 - the name is given by http.server

        def _respond(self, body: bytes) -> None:
            request = Request(self.command, self.path.partition("?")[0], self.headers, body)
            try:
                given = answer(request)
            except Exception as error:  # whatever it is, the server goes on
                log(f"{request.method} {request.path}: {type(error).__name__}: {error}")
                given = failure(500, "Internal server error")
            self._send(given)

        def _send(self, given: Answer) -> None:
            self.send_response(given.status)
            self.send_header("Content-Type", given.content_type)
            self.send_header("Content-Length", str(len(given.body)))
            if given.status >= 400:
                # The body of the request may not have been read.
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(given.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes would fill the log."""

    # Not an HTTPServer: that asks the name service for the name of this machine, and waits where there is none.
    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if _wants_ipv6(host) else socket.AF_INET
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 64

        def server_bind(self) -> None:
            if self.address_family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

    return Server(((host or "").strip("[]"), port), Handler)


def _wants_ipv6(host: str | None) -> bool:
    if host:
        return ":" in host
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
