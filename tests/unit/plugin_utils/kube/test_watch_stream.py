# SPDX-License-Identifier: Apache-2.0
"""Watches: streams cut anywhere, and every way one can end. The server says what a real one never would."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube import watch_stream as module
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import (
    ApiError,
    Forbidden,
    Gone,
    Malformed,
    ObjectRef,
    Unreachable,
)
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import connect
from ansible_collections.media.immich.plugins.plugin_utils.kube.watch_stream import split_lines

PODS = ObjectRef("v1", "Pod", namespace="family")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, bytes, bool]]]  # status, body, whether the connection is cut afterwards
    requests: ClassVar[list[tuple[str, dict[str, str]]]]
    hold: ClassVar[threading.Event]  # a stream stays open until it is set

    def do_GET(self) -> None:
        self.requests.append((self.path, dict(self.headers)))
        status, body, cut = self.answers.pop(0)
        self.send_response(status)
        if cut:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
            self.hold.wait(10)
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


class FakeServer:
    def __init__(self, handler: type[Handler], server: ThreadingHTTPServer) -> None:
        self.handler = handler
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def answer(self, body: object, status: int = 200, *, cut: bool = False) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.handler.answers.append((status, data, cut))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    handler = type("TestHandler", (Handler,), {"answers": [], "requests": [], "hold": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield FakeServer(handler, running)
        handler.hold.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def objects(server: FakeServer) -> Iterator[ApiObjects]:
    with connect(ConnectionSettings(host=server.url, api_key="s3cr3t-token"), {}) as transport:
        yield ApiObjects(transport)


def watch(objects: ApiObjects) -> list[Any]:
    return list(objects.watch(PODS, resource_version="5", timeout_s=300))


def test_a_watch_yields_its_events_and_ends_with_the_answer(server: FakeServer, objects: ApiObjects) -> None:
    events = [{"type": "ADDED", "object": {"metadata": {"name": name}}} for name in "ab"]
    server.answer(b"\n".join(json.dumps(event).encode() for event in events) + b"\n")

    assert watch(objects) == events


def test_a_watch_says_where_to_begin_what_to_send_and_who_we_are(server: FakeServer, objects: ApiObjects) -> None:
    server.answer(b"")

    list(objects.watch(PODS, resource_version="5", timeout_s=300, selector="a=b", metadata_only=True))

    path, headers = server.handler.requests[0]
    assert path == (
        "/api/v1/namespaces/family/pods?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=300"
        "&labelSelector=a%3Db"
    )
    assert headers["Accept"].startswith("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == "Bearer s3cr3t-token"


def test_a_watch_that_is_refused_says_why(server: FakeServer, objects: ApiObjects) -> None:
    server.answer({"kind": "Status", "reason": "Forbidden", "message": "no"}, 403)

    with pytest.raises(Forbidden, match=r"^Pod family: 403 Forbidden: no$"):
        watch(objects)


def test_a_stream_whose_chunks_have_endless_sizes_ends_as_a_broken_connection() -> None:
    sent = 0

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal sent
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(OSError):
                while sent < 200_000_000:
                    sent += self.wfile.write(b"1" * 100_000)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{running.server_address[1]}"
        with (
            connect(ConnectionSettings(host=url, api_key="x"), {}) as transport,
            pytest.raises(Unreachable, match="the connection broke"),
        ):
            watch(ApiObjects(transport))
        running.shutdown()

    assert sent < 100_000_000


def test_a_connection_that_breaks_in_the_middle_is_unreachable(server: FakeServer, objects: ApiObjects) -> None:
    server.answer(b'{"type": "ADDED", "object": {}}\n{"type": "MOD', cut=True)

    stream = iter(objects.watch(PODS, resource_version="5", timeout_s=300))

    assert next(stream)["type"] == "ADDED"
    server.handler.hold.set()
    with pytest.raises(Unreachable, match="Pod family: the connection broke"):
        next(stream)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param({"code": 410, "reason": "Expired", "message": "too old"}, Gone, id="410"),
        pytest.param({"reason": "Expired"}, Gone, id="expired-without-code"),
        pytest.param({"code": 500, "reason": "InternalError"}, ApiError, id="500"),
        pytest.param({}, ApiError, id="empty"),
    ],
)
def test_an_error_event_is_raised_as_what_it_means(
    status: dict[str, Any], error: type[ApiError], server: FakeServer, objects: ApiObjects
) -> None:
    server.answer(json.dumps({"type": "ERROR", "object": {"kind": "Status", **status}}).encode() + b"\n")

    with pytest.raises(error):
        watch(objects)


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b'{"type": "ADDED"}', b'{"object": {}}', b'{"type": 1, "object": {}}']
)
def test_a_line_that_is_no_event_is_an_error_of_ours(line: bytes, server: FakeServer, objects: ApiObjects) -> None:
    server.answer(line + b"\n")

    with pytest.raises(Malformed):
        watch(objects)


def test_a_watch_that_waits_ends_when_it_is_closed(server: FakeServer, objects: ApiObjects) -> None:
    server.answer(b'{"type": "ADDED", "object": {}}\n', cut=True)
    stream = objects.watch(PODS, resource_version="5", timeout_s=300)
    seen: list[object] = []
    first = threading.Event()

    def follow() -> None:
        try:
            for event in stream:
                seen.append(event["type"])
                first.set()
            seen.append("end")
        except Unreachable as error:
            seen.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    assert first.wait(5)

    stream.close()
    thread.join(5)

    assert seen == ["ADDED", "end"]


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_come_out_whole_wherever_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(min_value=0, max_value=len(stream)), max_size=6)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert list(split_lines(iter(chunks), "x")) == [line for line in lines if line.strip()]


def test_an_endless_line_is_not_collected_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 100)

    with pytest.raises(Malformed, match="a line of more than 100 bytes"):
        list(split_lines(iter([b"x" * 60, b"x" * 60]), "x"))


@pytest.mark.parametrize("levels", [1_100, 9_990])
def test_an_object_that_is_too_deep_for_python_is_an_event_like_others(
    levels: int, server: FakeServer, objects: ApiObjects
) -> None:
    deep = b'{"type": "ADDED", "object": {"spec": %b1%b, "metadata": {"name": "a"}}}' % (
        b'{"a":' * levels,
        b"}" * levels,
    )
    server.answer(deep + b'\n{"type": "ADDED", "object": {"metadata": {"name": "b"}}}\n')

    assert [event["object"]["metadata"]["name"] for event in watch(objects)] == ["a", "b"]
