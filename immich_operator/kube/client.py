# SPDX-License-Identifier: Apache-2.0
"""The API server as the runtime needs it: raw JSON over the official client's connection pool.

The `kubernetes` package finds the configuration, sets up TLS and keeps tokens fresh; its typed layer is left out,
because decoding into models costs 50 times more than `json.loads`. Only what is equal in its releases 33 to 37 is
touched: `Configuration`, `auth_settings()`, `ConfigException` and `RESTClientObject(...).pool_manager`.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Final, Literal
from urllib.parse import urlencode

import urllib3
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException
from urllib3.connection import HTTPConnection

from immich_operator import NAME, __version__
from immich_operator.errors import ApiError, MalformedAnswerError, UnreachableError, api_error
from immich_operator.kube.resources import Manifest, Resource

USER_AGENT: Final = f"{NAME}/{__version__}"
PAGE: Final = 500  # what client-go's pager asks for
CONNECT_S: Final = 5.0
READ_S: Final = 30.0
WATCH_SLACK_S: Final = 30.0  # how long after its own timeout the server may take to end a watch
MAX_LINE_BYTES: Final = 64 * 1024 * 1024  # etcd refuses objects over 1.5 MiB; this only stops a stream without newlines
_METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1,application/json"


class WatchStream:
    """One open watch. Iterate in one thread; `close` may come from any other."""

    def __init__(self, response: urllib3.BaseHTTPResponse, what: str) -> None:
        self._response = response
        self._what = what
        self._closed = False

    def __iter__(self) -> Iterator[Manifest]:
        """Events `{"type": ..., "object": {...}}` until the server ends the watch or `close` is called.

        Raises:
            ApiError: an ERROR event; `GoneError` if the resource version is too old.
            UnreachableError: the connection broke.
            MalformedAnswerError: a line is not an event.
        """
        try:
            for line in split_lines(self._response.stream(65536, decode_content=True), self._what):
                yield _event(line, self._what)
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as exc:
            # ValueError and AttributeError: urllib3 reads on after `close` took the file away
            if not self._closed:
                raise UnreachableError(f"{self._what}: the connection broke ({type(exc).__name__})") from exc
        finally:
            self._response.close()

    def close(self) -> None:
        """End the iteration, also one that waits for data."""
        self._closed = True
        shutdown = getattr(self._response, "shutdown", None)  # urllib3 2.3 and later
        try:
            if shutdown is not None:
                shutdown()
            else:
                self._response.close()
        except (OSError, RuntimeError, ValueError):
            pass  # it has just ended by itself


class Client:
    """Requests to one API server; thread-safe."""

    def __init__(self, configuration: Configuration, *, on_request: RequestObserver | None = None) -> None:
        configuration.connection_pool_maxsize = 64  # a connection per watch and worker without discarding any
        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager
        self._pool.connection_pool_kw["socket_options"] = HTTPConnection.default_socket_options + _keepalive()
        self._base = str(configuration.host).rstrip("/")
        self._token_lock = threading.Lock()
        self._on_request = on_request or RequestObserver()

    def get(self, path: str, *, what: str, timeout_s: float = READ_S) -> Manifest:
        """One object, or any other JSON document (discovery).

        Raises: ApiError, UnreachableError, MalformedAnswerError.
        """
        return self._json("GET", path, what=what, read_s=timeout_s)

    def send(
        self,
        method: Literal["POST", "PUT", "PATCH", "DELETE"],
        path: str,
        body: Manifest,
        *,
        what: str,
        content_type: str = "application/json",
        timeout_s: float = READ_S,
    ) -> Manifest:
        """Write an object and return it as the API server holds it now. Never repeated by itself."""
        return self._json(method, path, what=what, body=body, content_type=content_type, read_s=timeout_s)

    def list_pages(
        self, resource: Resource, namespace: str | None, *, selector: str = "", metadata_only: bool = False
    ) -> tuple[list[Manifest], str]:
        """(all objects, resource version to watch from), read in pages, each item with apiVersion and kind."""
        items: list[Manifest] = []
        what = f"list {resource.title(namespace)}"
        accept = _METADATA.format("List") if metadata_only else "application/json"
        token = ""
        while True:
            query = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
            if token:
                query["continue"] = token
            page = self._json("GET", f"{resource.path(namespace)}?{urlencode(query)}", what=what, accept=accept)
            found, metadata = page.get("items"), page.get("metadata")
            if not isinstance(metadata, dict) or not isinstance(found, list | None):
                raise MalformedAnswerError(f"{what}: the answer is not a list")
            items += found or []
            token = metadata.get("continue") or ""
            if not token:
                return items, str(metadata.get("resourceVersion", ""))

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        timeout_s: int,
        selector: str = "",
        metadata_only: bool = False,
    ) -> WatchStream:
        """Open a watch with bookmarks; the API server ends it after `timeout_s`."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_s),
            **({"labelSelector": selector} if selector else {}),
        }
        what = f"watch {resource.title(namespace)}"
        accept = _METADATA.format("") if metadata_only else "application/json"
        path = f"{resource.path(namespace)}?{urlencode(query)}"
        response = self._request("GET", path, what=what, accept=accept, read_s=timeout_s + WATCH_SLACK_S)
        if response.status != 200:
            raise self._refusal(response, what)
        return WatchStream(response, what)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _json(
        self,
        method: str,
        path: str,
        *,
        what: str,
        accept: str = "application/json",
        body: Manifest | None = None,
        content_type: str = "",
        read_s: float = READ_S,
    ) -> Manifest:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        response = self._request(
            method, path, what=what, accept=accept, body=data, content_type=content_type, read_s=read_s
        )
        if response.status >= 300:
            raise self._refusal(response, what)
        return _document(self._read(response, what), what)

    def _request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        accept: str,
        read_s: float = READ_S,
        body: bytes | None = None,
        content_type: str = "",
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, "User-Agent": USER_AGENT, **self._authorization(what)}
        if content_type:
            headers["Content-Type"] = content_type
        try:
            response = self._pool.request(
                method,
                self._base + path,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(CONNECT_S, read_s), read=read_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            self._on_request.answered(method, "<error>")
            raise UnreachableError(f"{what}: no answer from the API server ({_why(exc)})") from exc
        self._on_request.answered(method, str(response.status))
        return response

    def _authorization(self, what: str) -> Mapping[str, str]:
        try:
            with self._token_lock:  # the refresh hook rewrites the configuration in place
                bearer = self._configuration.auth_settings().get("BearerToken", {})
        except (ConfigException, OSError, KeyError, ValueError) as exc:  # the hook reads files and runs programs
            why = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
            raise UnreachableError(f"{what}: the credentials for the API server cannot be read ({why})") from exc
        return {"Authorization": bearer["value"]} if bearer.get("value") else {}

    def _read(self, response: urllib3.BaseHTTPResponse, what: str) -> bytes:
        try:
            data: bytes = response.read(decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise UnreachableError(f"{what}: the answer broke off ({type(exc).__name__})") from exc
        finally:
            response.release_conn()
        return data

    def _refusal(self, response: urllib3.BaseHTTPResponse, what: str) -> ApiError:
        try:
            status = _document(self._read(response, what), what)
        except MalformedAnswerError:
            status = {}
        is_status = status.get("kind") == "Status"
        reason = str(status.get("reason") or "") if is_status else ""
        message = str(status.get("message") or "") if is_status else ""
        return api_error(what, response.status, reason or str(response.reason or ""), message)


class RequestObserver:
    """Is told of each answer; this one listens to nothing."""

    def answered(self, method: str, code: str) -> None: ...


def _why(exc: Exception) -> str:
    """What happened. The exception's own text may hold the address only, its class says more."""
    distrust = next((cause for cause in exc.args if isinstance(cause, ssl.SSLCertVerificationError)), None)
    return f"its certificate is not trusted: {distrust.verify_message}" if distrust else type(exc).__name__


def split_lines(chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    """Lines of a byte stream that is cut anywhere; an unfinished last line is dropped, empty ones are skipped."""
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        *whole, tail = chunk.split(b"\n")
        for line in whole:
            rest.append(line)
            complete = b"".join(rest)
            rest, size = [], 0
            if complete.strip():
                yield complete
        rest.append(tail)
        size += len(tail)
        if size > MAX_LINE_BYTES:
            raise MalformedAnswerError(f"{what}: a line of more than {MAX_LINE_BYTES} bytes")


def _event(line: bytes, what: str) -> Manifest:
    event = _document(line, what)
    subject = event.get("object")
    if not isinstance(event.get("type"), str) or not isinstance(subject, dict):
        raise MalformedAnswerError(f"{what}: a line of the stream is not an event")
    if event["type"] == "ERROR":
        code, reason = subject.get("code"), str(subject.get("reason") or "")
        status = 410 if reason in {"Expired", "Gone"} else code if isinstance(code, int) else 500
        raise api_error(what, status, reason, str(subject.get("message") or ""))
    return event


def _document(data: bytes, what: str) -> Manifest:
    try:
        document = json.loads(data)
    except ValueError as exc:
        raise MalformedAnswerError(f"{what}: the answer is not JSON") from exc
    if not isinstance(document, dict):
        raise MalformedAnswerError(f"{what}: the answer is not a JSON object")
    return document


def _keepalive() -> list[tuple[int, int, int]]:
    """TCP options that notice a silent peer within a minute; a watch alone can be silent for hours."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60_000)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
