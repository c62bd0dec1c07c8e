# SPDX-License-Identifier: Apache-2.0
"""Transport: paging, streams cut anywhere, and errors that leak nothing. The server says what a real one never would."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException

from immich_operator.errors import ApiError, ForbiddenError, GoneError, MalformedAnswerError, UnreachableError
from immich_operator.kube.client import USER_AGENT, Client, RequestObserver, split_lines
from immich_operator.kube.resources import Kind, Resource

PODS = Resource(Kind("v1", "Pod"), "pods", namespaced=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, bytes, bool]]]  # status, body, whether the connection is cut afterwards
    requests: ClassVar[list[tuple[str, str, dict[str, str]]]]
    hold: ClassVar[threading.Event]  # a stream stays open until it is set

    def do_GET(self) -> None:
        self.requests.append((self.command, self.path, dict(self.headers)))
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

    do_PATCH = do_GET  # noqa: N815 - a name of http.server

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
def client(server: FakeServer) -> Iterator[Client]:
    configuration = Configuration(host=server.url)
    configuration.api_key = {"authorization": "Bearer s3cret-token"}
    made = Client(configuration)
    yield made
    made.close()


def test_a_list_is_read_page_by_page_and_its_version_is_the_last_ones(server, client):
    server.answer({"metadata": {"continue": "t1", "resourceVersion": "5"}, "items": [{"a": 1}]})
    server.answer({"metadata": {"resourceVersion": "6"}, "items": [{"a": 2}]})

    items, version = client.list_pages(PODS, "ns", selector="a=b", metadata_only=True)

    assert (items, version) == ([{"a": 1}, {"a": 2}], "6")
    first, second = server.handler.requests
    assert first[1] == "/api/v1/namespaces/ns/pods?limit=500&labelSelector=a%3Db"
    assert second[1].endswith("&continue=t1")
    assert first[2]["Accept"].startswith("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert first[2]["User-Agent"] == USER_AGENT


def test_a_token_is_sent_and_never_part_of_a_message(server, client):
    server.answer({"kind": "Status", "reason": "Forbidden", "message": "no"}, 403)

    with pytest.raises(ForbiddenError) as caught:
        client.get("/x", what="get x")

    headers = {name.lower(): value for name, value in server.handler.requests[0][2].items()}
    assert headers["authorization"] == "Bearer s3cret-token"
    assert str(caught.value) == "get x: 403 Forbidden: no"
    assert "s3cret" not in repr(caught.value.__context__)


def test_a_body_that_is_no_status_never_becomes_part_of_a_message(server, client):
    server.answer(b"<html>password=hunter2</html>", 502)

    with pytest.raises(ApiError) as caught:
        client.get("/x", what="get x")

    assert str(caught.value) == "get x: 502 Bad Gateway"


def test_a_long_message_is_cut(server, client):
    server.answer({"kind": "Status", "message": "x" * 10_000}, 500)

    with pytest.raises(ApiError) as caught:
        client.get("/x", what="get x")

    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe"])
def test_an_answer_that_is_no_json_object_is_an_error_of_ours(body, server, client):
    server.answer(body)

    with pytest.raises(MalformedAnswerError, match="get x"):
        client.get("/x", what="get x")


@pytest.mark.parametrize("page", [{}, {"metadata": None, "items": []}, {"metadata": {}, "items": {}}])
def test_a_list_that_is_none_is_an_error_of_ours(page, server, client):
    server.answer(page)

    with pytest.raises(MalformedAnswerError, match="list pods: the answer is not a list"):
        client.list_pages(PODS, None)


def test_no_server_is_unreachable():
    with pytest.raises(UnreachableError, match=r"get x: no answer from the API server \(NewConnectionError\)"):
        Client(Configuration(host="http://127.0.0.1:1")).get("/x", what="get x")


def test_a_certificate_that_is_not_trusted_is_told_as_such(monkeypatch):
    client = Client(Configuration(host="https://127.0.0.1:1"))
    distrust = ssl.SSLCertVerificationError(1, "certificate verify failed: /a/path/of/ours")
    distrust.verify_message = "self-signed certificate"

    def refuse(*_args, **_kwargs):
        raise urllib3.exceptions.SSLError(distrust)

    monkeypatch.setattr(client._pool, "request", refuse)

    with pytest.raises(
        UnreachableError, match=r"get x: .* \(its certificate is not trusted: self-signed certificate\)"
    ):
        client.get("/x", what="get x")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(ConfigException("Token file exists but empty."), "ConfigException", id="empty-file"),
        pytest.param(OSError(24, "Too many open files"), "Too many open files", id="no-file-left"),
        pytest.param(ValueError("s3cret-token"), "ValueError", id="nonsense"),
    ],
)
def test_a_token_that_cannot_be_renewed_is_a_failed_request_that_may_be_tried_again(fault, why):
    def refresh(_: Configuration) -> None:
        raise fault

    configuration = Configuration(host="http://127.0.0.1:1")
    configuration.api_key = {"authorization": "Bearer s3cret-token"}
    configuration.refresh_api_key_hook = refresh

    with pytest.raises(UnreachableError) as caught:
        Client(configuration).get("/x", what="get x")

    assert str(caught.value) == f"get x: the credentials for the API server cannot be read ({why})"


def watch(client: Client) -> list[Any]:
    return list(client.watch(PODS, None, resource_version="5", timeout_s=300))


def test_a_watch_yields_its_events_and_ends_with_the_answer(server, client):
    events = [{"type": "ADDED", "object": {"metadata": {"name": name}}} for name in "ab"]
    server.answer(b"\n".join(json.dumps(event).encode() for event in events) + b"\n")

    assert watch(client) == events
    path = server.handler.requests[0][1]
    assert "watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=300" in path


def test_a_connection_that_breaks_in_the_middle_is_unreachable(server, client):
    server.answer(b'{"type": "ADDED", "object": {}}\n{"type": "MOD', cut=True)

    stream = iter(client.watch(PODS, None, resource_version="5", timeout_s=300))

    assert next(stream)["type"] == "ADDED"
    server.handler.hold.set()
    with pytest.raises(UnreachableError, match="watch pods: the connection broke"):
        next(stream)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param({"code": 410, "reason": "Expired", "message": "too old"}, GoneError, id="410"),
        pytest.param({"reason": "Expired"}, GoneError, id="expired-without-code"),
        pytest.param({"code": 500, "reason": "InternalError"}, ApiError, id="500"),
        pytest.param({}, ApiError, id="empty"),
    ],
)
def test_an_error_event_is_raised_as_what_it_means(status, error, server, client):
    server.answer(json.dumps({"type": "ERROR", "object": {"kind": "Status", **status}}).encode() + b"\n")

    with pytest.raises(error):
        watch(client)


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b'{"type": "ADDED"}', b'{"object": {}}', b'{"type": 1, "object": {}}']
)
def test_a_line_that_is_no_event_is_an_error_of_ours(line, server, client):
    server.answer(line + b"\n")

    with pytest.raises(MalformedAnswerError):
        watch(client)


def test_a_watch_that_waits_ends_when_it_is_closed(server, client):
    server.answer(b'{"type": "ADDED", "object": {}}\n', cut=True)
    stream = client.watch(PODS, None, resource_version="5", timeout_s=300)
    seen: list[object] = []
    first = threading.Event()

    def follow() -> None:
        try:
            for event in stream:
                seen.append(event["type"])
                first.set()
            seen.append("end")
        except UnreachableError as error:
            seen.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    assert first.wait(5)

    stream.close()
    thread.join(5)

    assert seen == ["ADDED", "end"]


def test_requests_are_counted_with_their_outcome(server):
    counted: list[tuple[str, str]] = []

    class Counting(RequestObserver):
        def answered(self, method: str, code: str) -> None:
            counted.append((method, code))

    server.answer({})
    server.answer({}, 404)
    client = Client(Configuration(host=server.url), on_request=Counting())
    client.get("/x", what="x")
    with pytest.raises(ApiError):
        client.send("PATCH", "/x", {}, what="x")
    client.close()

    assert counted == [("GET", "200"), ("PATCH", "404")]


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_come_out_whole_wherever_the_stream_is_cut(lines, data):
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(min_value=0, max_value=len(stream)), max_size=6)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert list(split_lines(iter(chunks), "x")) == [line for line in lines if line.strip()]


def test_an_endless_line_is_not_collected_for_ever(monkeypatch):
    monkeypatch.setattr("immich_operator.kube.client.MAX_LINE_BYTES", 100)

    with pytest.raises(MalformedAnswerError, match="a line of more than 100 bytes"):
        list(split_lines(iter([b"x" * 60, b"x" * 60]), "x"))
