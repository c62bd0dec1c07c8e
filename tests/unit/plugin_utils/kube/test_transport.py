# SPDX-License-Identifier: Apache-2.0
"""What the transport does when the network or the API server misbehaves, in front of a server made to do so."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from kubernetes.config import ConfigException
from urllib3 import Timeout
from urllib3.exceptions import ReadTimeoutError, SSLError

from ansible_collections.media.immich.plugins.plugin_utils.kube import transport as module
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Malformed,
    Misconfigured,
    NotFound,
    NotLeading,
    ObjectRef,
    TooLarge,
    Unreachable,
    api_error,
)
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import COLLECTION_VERSION, Transport, connect

ROOT = Path(__file__).parents[4]
SECRET = ObjectRef("v1", "Secret", "photos-postgres-credentials", "default")
CUT = None
"""An answer that is no answer: the connection is closed."""


class Scripted(ThreadingHTTPServer):
    """Answers requests by the script: (status code, headers, body) each, or CUT. Then {} for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[tuple[int, dict[str, str], bytes] | None] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.connections: set[Any] = set()

    def handle_error(self, *_: Any) -> None:
        """Who asks may close the connection."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        server = self.server
        assert isinstance(server, Scripted)
        server.connections.add(self.client_address)
        server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        server.requests.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        step = server.script.pop(0) if server.script else (200, {}, b"{}")
        if step is CUT:
            self.close_connection = True
            return
        status, headers, body = step
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 # names that http.server calls

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def transport(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    monkeypatch.setattr(module, "FIRST_DELAY_S", 0.001)
    with connect(ConnectionSettings(host=server.address, api_key="s3cr3t-token"), {}) as running:
        yield running


BUSY: tuple[int, dict[str, str], bytes] = (503, {}, b"")


@pytest.mark.parametrize(
    ("method", "script", "requests"),
    [
        pytest.param("GET", [BUSY, BUSY], 3, id="read-from-a-busy-server"),
        pytest.param("GET", [CUT, CUT], 3, id="read-over-a-cut-connection"),
        pytest.param("PATCH", [BUSY, CUT], 3, id="apply"),
        pytest.param("DELETE", [(429, {"Retry-After": "0"}, b"")], 2, id="delete"),
        pytest.param("POST", [(429, {"Retry-After": "0"}, b"")], 2, id="create-that-was-turned-away"),
    ],
)
def test_what_can_be_repeated_without_harm_is_repeated(
    method: str, script: list[Any], requests: int, server: Scripted, transport: Transport
) -> None:
    server.script = script

    assert transport.request(method, "/api") == {}
    assert len(server.requests) == requests


@pytest.mark.parametrize("method", ["PATCH", "POST", "PUT", "DELETE"])
def test_no_write_is_sent_without_a_permit_and_reads_are(method: str, server: Scripted, transport: Transport) -> None:
    transport._why_no_writes = lambda: "another leads"

    with pytest.raises(NotLeading, match="ns/photos: not written: another leads"):
        transport.request(method, "/api", subject=ObjectRef("v1", "Secret", "photos", "ns"), body={})

    assert transport.request("GET", "/api") == {}
    assert [request[0] for request in server.requests] == ["GET"]


def test_a_write_is_not_repeated_once_the_permit_has_ended(server: Scripted, transport: Transport) -> None:
    server.script = [BUSY]
    transport._why_no_writes = lambda: "another leads" if server.requests else ""

    with pytest.raises(NotLeading):
        transport.request("PATCH", "/api", body={})

    assert len(server.requests) == 1


def test_a_process_that_stood_still_while_it_sent_a_write_does_not_finish_it(
    server: Scripted, transport: Transport
) -> None:
    answers = iter(["", "another leads"])
    transport._why_no_writes = lambda: next(answers)

    with pytest.raises(NotLeading):
        transport.request("PATCH", "/api", body={"data": {"key": "value"}})

    assert [body for body in server.bodies if body] == []


@pytest.mark.parametrize("fault", [pytest.param(BUSY, id="busy"), pytest.param(CUT, id="cut")])
def test_a_create_that_may_have_happened_is_not_repeated(fault: Any, server: Scripted, transport: Transport) -> None:
    server.script = [fault]

    with pytest.raises((ApiError, Unreachable)):
        transport.request("POST", "/api", body={})

    assert len(server.requests) == 1


def test_a_tls_handshake_that_failed_is_tried_again(transport: Transport) -> None:
    faults = [SSLError(ssl.SSLError(1, "[SSL: TLSV1_ALERT_DECODE_ERROR] tlsv1 alert decode error"))]

    def send() -> tuple[int, str, dict[str, str], bytes]:
        if faults:
            raise faults.pop()
        return 200, "OK", {}, b"{}"

    assert transport.retrying("GET", send, SECRET) == (200, "OK", {}, b"{}")


def test_a_server_that_stays_busy_is_given_up(server: Scripted, transport: Transport) -> None:
    server.script = [BUSY] * 10

    with pytest.raises(ApiError, match=r"^/api: 503 Service Unavailable$"):
        transport.request("GET", "/api")

    assert len(server.requests) == module.ATTEMPTS


def test_a_wait_that_the_server_asks_for_beyond_the_budget_is_not_waited(
    server: Scripted, transport: Transport
) -> None:
    server.script = [(429, {"Retry-After": "60"}, b"")] * 2

    with pytest.raises(ApiError, match="429"):
        transport.request("GET", "/api")

    assert len(server.requests) == 1


def test_what_has_a_back_off_of_its_own_has_requests_that_are_sent_once(server: Scripted, transport: Transport) -> None:
    server.script = [BUSY, CUT, CUT]
    once = Transport(transport.configuration, transport.pool, attempts=1)

    with pytest.raises(ApiError, match="503"):
        once.request("GET", "/api")
    with pytest.raises(Unreachable, match="the connection broke"):
        once.stream("/api")
    assert len(server.requests) == 2


def test_each_request_is_counted_with_its_outcome(server: Scripted, transport: Transport) -> None:
    counted: list[tuple[str, str]] = []
    server.script = [(200, {}, b"{}"), (404, {}, b""), CUT, (200, {}, b"")]
    client = Transport(
        transport.configuration, transport.pool, attempts=1, on_answer=lambda *answer: counted.append(answer)
    )

    client.request("GET", "/api")
    with pytest.raises(NotFound):
        client.request("PATCH", "/api", body={})
    with pytest.raises(Unreachable):
        client.request("DELETE", "/api")
    client.stream("/api").close()

    assert counted == [("GET", "200"), ("PATCH", "404"), ("DELETE", "<error>"), ("GET", "200")]


def test_a_request_is_given_up_after_the_time_that_it_may_take(server: Scripted, transport: Transport) -> None:
    seen: list[Timeout] = []

    def fail(*_: Any, timeout: Timeout, **__: Any) -> None:
        seen.append(timeout)
        raise ReadTimeoutError(None, "", "Read timed out")  # type: ignore[arg-type]

    once = Transport(transport.configuration, SimpleNamespace(request=fail), attempts=1)

    with pytest.raises(Unreachable, match=r"no answer within 0\.5 s to connect and 0\.5 s to read"):
        once.request("GET", "/api", read_s=0.5)
    assert (seen[0].connect_timeout, seen[0].read_timeout) == (0.5, 0.5)


def test_a_certificate_that_is_not_trusted_is_reported_in_words(transport: Transport) -> None:
    distrust = ssl.SSLCertVerificationError(1, "certificate verify failed: /a/path/of/ours")
    distrust.verify_message = "self-signed certificate"

    def refuse(*_: Any, **__: Any) -> None:
        raise SSLError(distrust)

    client = Transport(transport.configuration, SimpleNamespace(request=refuse))

    with pytest.raises(Unreachable, match=r"^/api: .* has no trusted certificate: self-signed certificate$"):
        client.request("GET", "/api")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(ConfigException("Token file exists but empty."), "ConfigException", id="empty-file"),
        pytest.param(OSError(24, "Too many open files"), "Too many open files", id="no-file-left"),
        pytest.param(ValueError("s3cr3t-token"), "ValueError", id="nonsense"),
    ],
)
def test_a_token_that_cannot_be_renewed_is_a_failed_request_that_may_be_tried_again(
    fault: Exception, why: str, server: Scripted, transport: Transport
) -> None:
    def refresh(_: Any) -> None:
        raise fault

    transport.configuration.refresh_api_key_hook = refresh

    with pytest.raises(Unreachable) as raised:
        transport.request("GET", "/api", subject="x")

    assert str(raised.value) == f"x: the credentials for {server.address} cannot be read ({why})"
    assert server.requests == []


def test_a_token_that_was_renewed_is_the_one_that_is_sent(server: Scripted, transport: Transport) -> None:
    tokens = iter(["first", "second"])

    def refresh(configuration: Any) -> None:
        configuration.api_key["authorization"] = f"Bearer {next(tokens)}"

    transport.configuration.refresh_api_key_hook = refresh

    transport.request("GET", "/api")
    transport.request("GET", "/api")

    assert [headers["authorization"] for _, _, headers in server.requests] == ["Bearer first", "Bearer second"]


@pytest.fixture
def renewed(server: Scripted) -> Iterator[Transport]:
    """A transport whose token is "old" until it reads it again."""
    first = connect(ConnectionSettings(host=server.address, api_key="old"), {})

    def renew() -> bool:
        first.configuration.api_key = {"authorization": "Bearer new"}
        return True

    with first, Transport(first.configuration, first.pool, attempts=1, renew=renew) as running:
        yield running


UNKNOWN = (401, {}, b'{"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"}')


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "DELETE"])
def test_a_server_that_does_not_know_our_token_any_more_is_asked_once_more_with_the_present_one(
    method: str, server: Scripted, renewed: Transport
) -> None:
    server.script = [UNKNOWN]

    answer = renewed.request(method, "/api", body={"a": 1})

    assert answer == {}
    assert [headers["authorization"] for _, _, headers in server.requests] == ["Bearer old", "Bearer new"]


def test_a_watch_is_opened_with_the_present_token(server: Scripted, renewed: Transport) -> None:
    server.script = [UNKNOWN]

    renewed.stream("/api").close()

    assert [headers["authorization"] for _, _, headers in server.requests] == ["Bearer old", "Bearer new"]


def test_a_connection_on_which_we_are_not_known_any_more_is_not_used_again(
    server: Scripted, renewed: Transport
) -> None:
    """It may stand for a client certificate that has been replaced."""
    renewed.request("GET", "/api")
    server.script = [UNKNOWN]

    renewed.request("GET", "/api")

    assert len(server.connections) == 2


def test_a_token_that_stays_unknown_is_tried_twice_and_no_more(server: Scripted, renewed: Transport) -> None:
    server.script = [UNKNOWN] * 3

    with pytest.raises(ApiError, match="401 Unauthorized"):
        renewed.request("GET", "/api")

    assert len(server.requests) == 2


def test_a_process_that_cannot_renew_its_token_asks_once(server: Scripted, transport: Transport) -> None:
    server.script = [UNKNOWN]

    with pytest.raises(ApiError, match="401 Unauthorized"):
        transport.request("GET", "/api")

    assert len(server.requests) == 1


def test_a_server_that_is_not_trusted_may_be_when_the_authorities_are_read_again(transport: Transport) -> None:
    asked: list[str] = []

    distrust = ssl.SSLCertVerificationError(1, "certificate verify failed")
    distrust.verify_message = "self-signed certificate"

    def refuse(*_: Any, **__: Any) -> None:
        raise SSLError(distrust)

    def renew() -> bool:
        asked.append("renew")
        return True

    client = Transport(transport.configuration, SimpleNamespace(request=refuse), renew=renew)

    with pytest.raises(Unreachable, match="no trusted certificate"):
        client.request("GET", "/api")

    assert asked == ["renew"]


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "17"}, 17.0), ({}, 0.0), ({"Retry-After": "soon"}, 0.0)]
)
def test_a_refusal_says_how_long_the_server_asks_to_wait(
    header: dict[str, str], seconds: float, server: Scripted, transport: Transport
) -> None:
    server.script = [(429, header, b"{}")]
    once = Transport(transport.configuration, transport.pool, attempts=1)

    with pytest.raises(ApiError) as raised:
        once.request("GET", "/api")

    assert raised.value.retry_after_s == seconds


def test_a_watch_that_does_not_even_begin_is_given_up_long_before_one_that_is_silent(
    server: Scripted, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and neither answers nor closes
        monkeypatch.setattr(module, "READ_TIMEOUT_S", 0.2)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with connect(ConnectionSettings(host=address, api_key="x"), {}) as client:
            once = Transport(client.configuration, client.pool, attempts=1)
            with pytest.raises(Unreachable, match=r"no answer within 0\.2 s to connect and 0\.2 s to read"):
                once.stream("/api", read_s=600)

    answer = transport.stream("/api", read_s=600)

    assert answer.connection.sock.gettimeout() == 600
    answer.close()


def test_closing_ends_the_wait_for_the_next_attempt(server: Scripted, transport: Transport) -> None:
    server.script = [(503, {"Retry-After": "9"}, b"")] * 2
    threading.Timer(0.1, transport.close).start()

    with pytest.raises(Unreachable, match="was closed while waiting"):
        transport.request("GET", "/api")


def test_nobody_listening_is_reported_in_words_without_the_token(server: Scripted, transport: Transport) -> None:
    address = server.address
    server.shutdown()
    server.server_close()

    with pytest.raises(Unreachable) as raised:
        transport.request("GET", "/api", subject=SECRET)

    assert str(raised.value) == (
        f"Secret default/photos-postgres-credentials: API server {address}: cannot connect: Connection refused"
    )


def test_a_redirect_is_not_followed_with_our_token(server: Scripted, transport: Transport) -> None:
    server.script = [(302, {"Location": "http://elsewhere.example/"}, b"")]

    with pytest.raises(ApiError, match="302"):
        transport.request("GET", "/api")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]", b'"text"', b"\xff\xfe"])
def test_a_server_that_does_not_answer_with_a_json_object_is_no_api_server(
    body: bytes, server: Scripted, transport: Transport
) -> None:
    server.script = [(200, {}, body)]

    with pytest.raises(Malformed, match="is it an API server"):
        transport.request("GET", "/api")


def test_requests_say_who_we_are(server: Scripted, transport: Transport) -> None:
    transport.request("PATCH", "/api", query={"dryRun": "All"}, body={"a": 1}, content_type="application/x")

    method, path, headers = server.requests[0]
    assert (method, path) == ("PATCH", "/api?dryRun=All")
    assert headers["user-agent"] == f"immich-operator/{COLLECTION_VERSION} (pass)"
    assert headers["authorization"] == "Bearer s3cr3t-token"
    assert headers["content-type"] == "application/x"


@given(texts=st.dictionaries(st.text(max_size=150), st.text(), min_size=1))  # YAML takes keys of 1,024 bytes as written
@example(
    texts={"loginPageMessage": "📷 ours", "control": "\x00\x1b\x7f\x85\u2028\ufeff\uffff", "written": "\\ud83d\\udcf7"}
)
def test_a_body_is_json_that_yaml_reads_too_whatever_characters_are_in_it(texts: dict[str, str]) -> None:
    """The API server reads server-side apply as YAML, and refuses the surrogates by which JSON may write an emoji."""
    body = module.written(texts)

    assert json.loads(body) == texts
    assert yaml.load(body.decode(), yaml.CSafeLoader) == texts


def test_requests_run_in_parallel_and_answer_in_order(transport: Transport) -> None:
    together = threading.Barrier(module.PARALLEL, timeout=10)

    def one(number: int) -> int:
        together.wait()
        return number

    assert transport.parallel(partial(one, number) for number in range(module.PARALLEL)) == list(range(module.PARALLEL))


def test_an_error_of_a_parallel_request_is_raised(transport: Transport) -> None:
    def one(number: int) -> int:
        if number == 1:
            raise Unreachable("gone")
        return number

    with pytest.raises(Unreachable, match="gone"):
        transport.parallel(partial(one, number) for number in (0, 1, 2))


STATUS = {
    "kind": "Status",
    "reason": "Invalid",
    "message": "m" * 2000,
    "details": {"causes": [{"field": "spec.a", "reason": "x"}, {"field": "spec.a"}, {"field": "spec.b"}]},
}


def test_an_api_error_keeps_a_cut_message_and_the_fields_of_a_status() -> None:
    error = api_error(422, "Unprocessable Entity", json.dumps(STATUS).encode(), ObjectRef("v1", "Service", "s", "n"))

    assert str(error).startswith("Service n/s: 422 Invalid: mmm")
    assert len(error.message) < 700
    assert error.fields == ("spec.a", "spec.b")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"password=hunter2", id="text"),
        pytest.param(b'{"data": "hunter2"}', id="another-object"),
        pytest.param(b'["hunter2"]', id="list"),
        pytest.param(None, id="nothing"),
    ],
)
def test_a_body_that_is_no_status_never_shows(body: bytes | None) -> None:
    assert str(api_error(502, "Bad Gateway", body, "x")) == "x: 502 Bad Gateway"


@pytest.mark.parametrize(
    ("status_code", "error"),
    [(403, Forbidden), (404, NotFound), (409, Conflict), (410, Gone), (422, ApiError), (503, ApiError)],
)
def test_answers_that_callers_tell_apart_have_a_class_each(status_code: int, error: type[ApiError]) -> None:
    assert type(api_error(status_code, "", None, "x")) is error


def test_a_refused_secret_does_not_show_its_content() -> None:
    causes = [{"field": "data[password]"}, {"field": "data: hunter2"}]
    details = {**STATUS, "message": 'data.password: Invalid value: "hunter2"', "details": {"causes": causes}}

    error = api_error(422, "", json.dumps(details).encode(), SECRET)

    assert "hunter2" not in f"{error!s} {error!r} {error.fields}"
    assert "the content was refused (data[password]) (its text is withheld)" in str(error)


@pytest.mark.parametrize(
    "status_code", [301, 400, 401, 403, 404, 409, 410, 413, 418, 422, 429, 500, 502, 503, 504, 599]
)
@pytest.mark.parametrize(
    "status",
    [
        pytest.param(
            {"message": 'admission webhook "v.example" denied the request: {"data":{"password":"hunter2"}}'},
            id="webhook",
        ),
        pytest.param({"message": "hunter2", "reason": "hunter2"}, id="reason"),
        pytest.param(
            {"message": 'User "hunter2 x" cannot get', "details": {"causes": [{"field": "hunter2"}]}}, id="field"
        ),
    ],
)
def test_no_answer_about_a_secret_shows_its_content_whatever_the_code(status_code: int, status: dict[str, Any]) -> None:
    body = json.dumps({"kind": "Status", **status}).encode()

    error = api_error(status_code, "hunter2", body, SECRET)

    assert "hunter2" not in f"{error!s} {error!r} {error.fields} {error.reason}"
    assert "its text is withheld" in str(error)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        pytest.param(
            'secrets is forbidden: User "system:serviceaccount:a:b" cannot create resource "secrets" in API group "" in the '
            'namespace "x"',
            'User "system:serviceaccount:a:b" cannot create resource "secrets" in API group "" in the namespace "x"',
            id="permission",
        ),
        pytest.param("exceeded quota: q1, requested: secrets=1", "exceeded quota: q1", id="quota"),
        pytest.param(
            'admission webhook "v.example" denied the request: hunter2',
            'admission webhook "v.example" denied the request',
            id="webhook",
        ),
    ],
)
def test_of_a_refused_secret_the_api_servers_own_words_are_told(message: str, kept: str) -> None:
    body = json.dumps({"kind": "Status", "message": message}).encode()

    assert api_error(403, "", body, SECRET).message == f"{kept} (its text is withheld)"


def a_secret(**values: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": data}


def status_saying(text: str) -> bytes:
    return json.dumps({"kind": "Status", "reason": "Forbidden", "message": text}).encode()


PASSWORDS = [
    "correct horse battery",
    'quote"and\\slash-9',
    "two\nlines-of-a-key",
    "p%40ss/w:rd-1",
    "a<b>&c=d",
    "größere",
    "s3cr3t",
]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("how", ["sent", "read", "read-in-a-list"])
def test_no_error_tells_the_value_of_a_secret_that_was_read_or_sent(
    password: str, how: str, server: Scripted, transport: Transport
) -> None:
    secret = a_secret(password=password)
    answer = {"kind": "SecretList", "items": [{"data": secret["data"]}]} if how == "read-in-a-list" else secret
    written = [
        password,
        json.dumps(password),
        " ".join(password.split()),
        base64.b64encode(password.encode()).decode(),
        quote(password, safe=""),
    ]
    server.script = [
        (200, {}, b"{}" if how == "sent" else json.dumps(answer).encode()),
        (403, {}, status_saying(f"webhook x denied: {' | '.join(written)}")),
    ]
    transport.request("PATCH" if how == "sent" else "GET", "/x", subject=SECRET, body=secret if how == "sent" else None)

    with pytest.raises(Forbidden) as caught:
        transport.request("GET", "/y", subject=ObjectRef("apps/v1", "Deployment", "d", "n"))

    told = f"{caught.value!s} {caught.value!r}"
    assert "webhook x denied" in told
    assert not any(form in told for form in written)
    assert not any(line in told for line in password.splitlines() if len(line) > 5)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"valkey": {"password": "hunter2-hunter2"}}, id="field"),
        pytest.param({"immich": {"configuration": {"oauth": {"clientSecret": "hunter2-hunter2"}}}}, id="setting"),
        pytest.param({"server": {"env": [{"name": "DB_PASSWORD", "value": "hunter2-hunter2"}]}}, id="variable"),
    ],
)
def test_no_error_tells_what_an_object_that_was_sent_holds_in_plain_text(
    spec: dict[str, Any], server: Scripted, transport: Transport
) -> None:
    cr = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos"}, "spec": spec}
    server.script = [(403, {}, status_saying(f"webhook x denied: {json.dumps(cr)}"))]

    with pytest.raises(Forbidden, match=r"webhook x denied: .*photos") as caught:
        transport.request("PATCH", "/x", body=cr)

    assert "hunter2" not in f"{caught.value!s} {caught.value!r}"


def test_words_that_are_no_secrets_stay_readable(server: Scripted, transport: Transport) -> None:
    secret = a_secret(username="immich-user", database="immich-database", short="abc", part="secret")
    server.script = [(200, {}, json.dumps(secret).encode()), (403, {}, status_saying("immich-user abc secretly"))]
    transport.request("GET", "/x", subject=SECRET)

    with pytest.raises(Forbidden, match="immich-user abc secretly"):
        transport.request("GET", "/y")


# Answers without end


def test_an_answer_that_is_larger_than_is_read_is_given_up(
    server: Scripted, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1000)
    server.script = [(200, {}, b" " * 2_000_000 + b"{}")]

    with pytest.raises(TooLarge, match="answers with more than"):
        transport.request("GET", "/x")

    assert transport.request("GET", "/y") == {}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_compressed_answer_was_not_asked_for_and_is_not_unpacked(
    status: int, encoding: str, server: Scripted, transport: Transport
) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    server.script = [(status, {"Content-Encoding": encoding}, bomb)]

    with pytest.raises(Malformed, match="the answer is compressed"):
        transport.request("POST", "/x")
    server.script = [(status, {"Content-Encoding": encoding}, bomb)] * 4
    with pytest.raises(Malformed, match="the answer is compressed"):
        transport.stream("/x")

    assert all(headers.get("accept-encoding", "identity") == "identity" for _m, _p, headers in server.requests)


def test_an_answer_that_comes_in_drops_is_given_up(
    server: Scripted, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 10_000, 50))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
    server.script = [(200, {}, b" " * 1_000_000 + b"{}")]

    with pytest.raises(Unreachable, match="no whole answer within 120 s"):
        transport.request("GET", "/x")


def test_an_answer_that_is_nested_too_deep_is_none_of_an_api_server(server: Scripted, transport: Transport) -> None:
    server.script = [(200, {}, b'{"a":' * 200_000)]

    with pytest.raises(Malformed):
        transport.request("GET", "/x")
    server.script = [(422, {}, b'{"a":' * 200_000)]
    with pytest.raises(ApiError, match="422"):
        transport.request("GET", "/x")


@pytest.mark.parametrize("text", ["²", "-1", "nan", "9" * 400, "1e9"])
def test_a_wait_that_is_no_number_of_seconds_is_passed_over(text: str, server: Scripted, transport: Transport) -> None:
    server.script = [(429, {"Retry-After": text}, b"")]

    assert transport.request("GET", "/x") == {}


def test_the_version_is_that_of_the_collection() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == COLLECTION_VERSION


def kubeconfig(server: str, **user: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [
            {"name": "c", "cluster": {"server": server}},
            {"name": "d", "cluster": {"server": "http://two.example"}},
        ],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "two", "context": {"cluster": "d", "user": "u"}},
        ],
    }


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    target = tmp_path / "config"
    target.write_text(yaml.safe_dump(kubeconfig("http://file.example", token="t")), encoding="utf-8")
    return target


def server_of(arguments: dict[str, Any], environment: dict[str, str]) -> str:
    with connect(ConnectionSettings.from_arguments(arguments, environment), environment) as transport:
        return str(transport.server)


def test_the_server_is_found_where_kubernetes_core_looks_for_it(config_file: Path) -> None:
    file, other = str(config_file), {"K8S_AUTH_KUBECONFIG": "/nowhere", "KUBECONFIG": "/nowhere"}

    assert server_of({"kubeconfig": file}, other) == "http://file.example"
    assert server_of({"kubeconfig": kubeconfig("http://inline.example")}, other) == "http://inline.example"
    assert server_of({}, {"K8S_AUTH_KUBECONFIG": file, "KUBECONFIG": "/nowhere"}) == "http://file.example"
    assert server_of({}, {"KUBECONFIG": file}) == "http://file.example"
    assert server_of({"context": "two"}, {"KUBECONFIG": file}) == "http://two.example"
    assert server_of({}, {"KUBECONFIG": file, "K8S_AUTH_CONTEXT": "two"}) == "http://two.example"
    assert server_of({"host": "http://arg.example"}, {"KUBECONFIG": file}) == "http://arg.example"
    assert server_of({}, {"K8S_AUTH_HOST": "http://var.example", "K8S_AUTH_API_KEY": "t"}) == "http://var.example"


def test_a_connection_that_nobody_configured_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(Misconfigured, match=r"Set kubeconfig \(or KUBECONFIG\), or host and api_key"):
        server_of({}, {})


def test_credentials_in_an_address_are_neither_used_nor_shown(server: Scripted) -> None:
    address = server.address.replace("http://", "http://eyJhcGk:x@")
    settings = ConnectionSettings(kubeconfig=kubeconfig(address, username="owner", password="unused"))

    with connect(settings, {}) as transport:
        transport.request("GET", "/api")

    assert "eyJhcGk" not in transport.server
    assert server.requests[0][2]["authorization"].startswith("Basic ")


def test_settings_never_show_their_values() -> None:
    settings = ConnectionSettings(host="h", api_key="s3cr3t", password="hunter2")

    assert repr(settings) == "ConnectionSettings(host, api_key, password)"


@pytest.mark.parametrize(
    ("text", "value"), [("no", False), ("False", False), ("0", False), ("true", True), ("1", True)]
)
def test_a_switch_can_be_a_variable(text: str, value: bool) -> None:
    assert ConnectionSettings.from_arguments({}, {"K8S_AUTH_VERIFY_SSL": text}).validate_certs is value


def test_tasks_of_one_process_share_a_connection_as_long_as_they_ask_for_the_same(monkeypatch):
    monkeypatch.setattr(module, "_kept", None)
    first = ConnectionSettings(host="https://127.0.0.1:1", api_key="a")
    other = ConnectionSettings(host="https://127.0.0.1:1", api_key="b")

    shared = module.connected(first, {"A": "1"})

    assert module.connected(first, {"A": "1"}) is shared
    assert module.connected(first, {"A": "2"}) is not shared, "another environment"
    assert module.connected(other, {"A": "2"}).configuration.api_key["authorization"] == "Bearer b"


def test_a_forked_process_has_a_connection_of_its_own(monkeypatch):
    monkeypatch.setattr(module, "_kept", None)
    settings = ConnectionSettings(host="https://127.0.0.1:1", api_key="a")
    parents = module.connected(settings, {})

    monkeypatch.setattr(module.os, "getpid", lambda: -1)

    assert module.connected(settings, {}) is not parents
    assert not parents._closed.is_set(), "the parent goes on using it"


def test_a_connection_that_cannot_be_set_up_leaves_no_closed_one_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_kept", None)
    settings = ConnectionSettings(host="https://127.0.0.1:1", api_key="a")
    module.connected(settings, {})
    with pytest.raises(Misconfigured):
        module.connected(ConnectionSettings(kubeconfig=str(tmp_path / "none")), {})

    assert not module.connected(settings, {})._closed.is_set()


def test_an_answer_is_read_up_to_the_length_that_was_asked_for(server: Scripted, transport: Transport) -> None:
    body = b'{"items":"%b"}' % (b"x" * 200_000)
    server.script = [(200, {}, body), (200, {}, body)]

    assert transport.request("GET", "/api", most_bytes=len(body)) == {"items": "x" * 200_000}
    with pytest.raises(TooLarge, match=rf"answers with more than {len(body) - 1} bytes$"):
        transport.request("GET", "/api", most_bytes=len(body) - 1)


def test_a_refusal_that_is_too_deep_for_python_is_a_refusal(server: Scripted, transport: Transport) -> None:
    details = b'{"a":' * 2000 + b"1" + b"}" * 2000
    server.script = [(403, {}, b'{"kind":"Status","message":"no","details":%b}' % details)]

    with pytest.raises(ApiError, match=r"403 Forbidden: no$"):
        transport.request("GET", "/api")


def test_connections_are_used_again_after_answers_with_and_without_a_body(
    server: Scripted, transport: Transport
) -> None:
    server.script = [(200, {}, b"{}"), (403, {}, b""), (404, {}, b"{}"), (200, {}, b"{}")]

    for _ in range(4):
        with contextlib.suppress(ApiError):
            transport.request("GET", "/api")

    assert len(server.connections) == 1


def test_what_a_server_says_is_visible_text() -> None:
    text = "a\x1b[2J\u202e\x9b"
    body = json.dumps({"kind": "Status", "reason": text, "message": text, "details": {"causes": [{"field": text}]}})

    error = api_error(403, text, body, ObjectRef("v1", "Service", text, text))

    assert str(error).isprintable()
    assert "".join(error.fields).isprintable()
