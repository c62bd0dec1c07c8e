# SPDX-License-Identifier: Apache-2.0
"""The servers of probes and metrics answer whoever asks plainly, whatever others send, hold open or break off."""

from __future__ import annotations

import io
import json
import logging
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immich_operator.errors import SettingsError
from immich_operator.process import logs
from immich_operator.process.endpoints import Answer, Limits, Page, Server, probe_page, spared
from support.operating import fetch
from support.waiting import eventually

HEALTHY = probe_page(list)
RESET = struct.pack("ii", 1, 0)  # close() sends a reset instead of an orderly end
Serve = Callable[..., Server]


class Lines(io.StringIO):
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def serve(lines: Lines) -> Iterator[Serve]:
    """Start a server of some pages; all are closed with the test, and none may have left a thread."""
    before = threading.active_count()
    running: list[tuple[Server, threading.Thread]] = []
    log = logs.set_up("info", "json", lines)

    def begin(pages: dict[str, Page] | None = None, **limits: Any) -> Server:
        server = Server(
            ("127.0.0.1", 0), pages or {"/healthz": HEALTHY}, setting="--x", log=log, limits=Limits(**limits)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return server

    yield begin
    for server, thread in running:
        server.close()
        thread.join(5)
        assert not thread.is_alive()
    eventually("no thread is left", lambda: threading.active_count() <= before)


@pytest.fixture
def clients() -> Iterator[Callable[[int], socket.socket]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    with ExitStack() as opened:

        def connect(port: int) -> socket.socket:
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            opened.callback(client.close)
            return client

        yield connect
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ask(client: socket.socket, request: bytes) -> bytes:
    """Everything that is answered until the other side ends the connection."""
    client.sendall(request)
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_probes_answer_ok_or_every_reason_why_not(serve):
    problems: list[str] = []
    server = serve({"/readyz": probe_page(lambda: problems)})

    assert fetch(server.port, "/readyz") == (200, "ok\n")

    problems += ["Pod: first list not done", "Secret: first list not done"]
    assert fetch(server.port, "/readyz?verbose") == (500, "Pod: first list not done\nSecret: first list not done\n")


def test_a_probe_is_answered_while_a_thousand_connections_are_held_open(serve, clients):
    server = serve(accepts_per_s=100_000)
    for number in range(1000):
        client = clients(server.port)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" if number % 2 else b"")

    for _unused in range(3):
        assert fetch(server.port, "/healthz") == (200, "ok\n")  # which waits as long as the kubelet does

    assert threading.active_count() < 2 * Limits().connections + 20


def test_probes_are_answered_while_the_other_server_is_flooded(serve, clients):
    asked = threading.Event()

    def expensive() -> Answer:
        asked.set()
        return Answer(200, b"x" * 1_000_000)

    metrics, probes = serve({"/metrics": expensive}), serve()
    for _unused in range(200):
        clients(metrics.port).sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert asked.wait(5)

    assert fetch(probes.port, "/healthz") == (200, "ok\n")


def test_a_request_that_does_not_arrive_in_time_is_given_up_however_slowly_it_comes(serve, clients):
    server = serve(read_s=0.3)
    client = clients(server.port)
    began = time.monotonic()

    def byte_by_byte() -> bool:
        try:
            client.sendall(b"G")
        except OSError:
            return True
        client.settimeout(0.05)
        try:
            return client.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    eventually("the server ends the connection", byte_by_byte)
    assert time.monotonic() - began < 3


def test_a_client_that_does_not_read_its_answer_is_given_up(serve, clients):
    server = serve({"/metrics": lambda: Answer(200, b"x" * 50_000_000)}, write_s=0.3)
    client = clients(server.port)
    client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")

    eventually("no thread serves it any more", lambda: server.open_connections() == 0)


def test_a_request_longer_than_allowed_is_refused_before_all_of_it_is_read(serve, clients, lines):
    server = serve(head_bytes=1000)
    client = clients(server.port)

    answer = ask(client, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 2000)

    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200, id="plain"),
        pytest.param(b"GET /healthz HTTP/1.0\n\n", 200, id="bare-line-feeds"),
        pytest.param(b"GET /healthz?full=1 HTTP/1.1\r\n\r\n", 200, id="query"),
        pytest.param(b"GET /healthz/ HTTP/1.1\r\n\r\n", 200, id="slash"),
        pytest.param(b"GET /other HTTP/1.1\r\n\r\n", 404, id="unknown-path"),
        pytest.param(b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404, id="climbing-path"),
        pytest.param(b"POST /healthz HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405, id="other-method"),
        pytest.param(b"GET /healthz\r\n\r\n", 400, id="no-version"),
        pytest.param(b"GET  /healthz  HTTP/1.1\r\n\r\n", 400, id="two-blanks"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400, id="tls"),
        pytest.param(b"\r\n\r\n", 400, id="empty"),
        pytest.param(b"\xff\xfe\x00\n\n", 400, id="no-text"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\n", 400, id="http-2"),
    ],
)
def test_each_request_is_answered_or_refused_in_a_word(serve, clients, request_, status):
    answer = ask(clients(serve().port), request_)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.binary(max_size=200) | st.builds(lambda path: b"GET /" + path + b" HTTP/1.1", st.binary(max_size=50)))
def test_whatever_is_sent_gets_a_status_line_and_no_traceback(serve, clients, capfd, sent):
    server = serve()

    answer = ask(clients(server.port), sent + b"\n\n")

    assert answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4"))
    assert capfd.readouterr() == ("", "")


def test_head_has_no_body(serve, clients):
    answer = ask(clients(serve().port), b"HEAD /healthz HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"Content-Length: 3\r\nConnection: close\r\n\r\n")


def test_clients_that_break_off_leave_no_trace_in_the_log(serve, clients, lines, capfd):
    server = serve({"/metrics": lambda: Answer(200, b"x" * 5_000_000)})
    for sent in (b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n\r\n") * 20:
        client = clients(server.port)
        client.sendall(sent)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()

    eventually("all are gone", lambda: server.open_connections() == 0)

    assert fetch(server.port, "/metrics")[0] == 200
    assert capfd.readouterr() == ("", "")
    assert lines.getvalue() == ""


def test_a_flood_is_one_line_that_says_what_was_cut(serve, clients, lines):
    server = serve(connections=5, accepts_per_s=100_000)
    for _unused in range(50):
        clients(server.port)

    eventually("the flood is in the log", lines.all)

    [line] = lines.all()
    assert (line["level"], line["msg"]) == ("warning", "connections were cut or refused")
    assert (line["port"], line["too_many"] >= 1) == (server.port, True)


def test_more_connections_than_it_may_take_in_a_second_wait_for_the_next_one(serve, clients):
    server = serve(accepts_per_s=5)
    began = time.monotonic()

    for _unused in range(11):
        assert fetch(server.port, "/healthz")[0] == 200

    assert time.monotonic() - began >= 1


def test_without_descriptors_it_goes_on_when_there_are_some_again(serve, monkeypatch, lines):
    accept, failures = socket.socket.accept, iter([OSError(24, "Too many open files")] * 3)

    def scarce(listener: socket.socket) -> Any:
        if (failure := next(failures, None)) is not None:
            raise failure
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", scarce)
    server = serve()

    assert fetch(server.port, "/healthz") == (200, "ok\n")
    assert lines.all()[0]["not_accepted"] >= 1


def test_a_page_that_fails_is_an_answer_and_one_line(serve, lines, capfd):
    def broken() -> Answer:
        raise ValueError("a bug")

    server = serve({"/metrics": broken})

    assert [fetch(server.port, "/metrics")[0] for _unused in range(3)] == [500, 500, 500]
    assert [line["msg"] for line in lines.all()] == ["page failed"]
    assert capfd.readouterr() == ("", "")


def test_a_page_takes_a_fifth_of_the_time_at_most_however_often_it_is_asked_for():
    now, made = [0.0], []

    def page() -> Answer:
        now[0] += 1.0
        made.append(now[0])
        return Answer(200, b"x")

    spare = spared(page, clock=lambda: now[0])
    for _unused in range(100):
        spare()
        now[0] += 0.1

    assert len(made) == pytest.approx(3, abs=1)


def test_an_address_in_use_names_the_setting(serve):
    port = serve().port

    with pytest.raises(SettingsError, match=rf"--y: cannot listen on 127\.0\.0\.1:{port} .*give another address, or 0"):
        Server(("127.0.0.1", port), {}, setting="--y", log=logging.getLogger("test"))


def test_a_server_that_was_never_run_can_be_closed():
    server = Server(("127.0.0.1", 0), {}, setting="--x", log=logging.getLogger("test"))
    port = server.port

    server.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
