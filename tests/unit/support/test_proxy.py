# SPDX-License-Identifier: Apache-2.0
"""The proxy of the tests does to requests what its faults say, as a client sees it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ApiError, Gone, Malformed, Unreachable
from ansible_collections.media.immich.plugins.plugin_utils.kube.client_pool import long_lived_pool
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import Transport
from ansible_collections.media.immich.plugins.plugin_utils.kube.watch_stream import WatchStream
from localcluster.credentials import Authority
from support.proxy import CUT, SILENT, Fault, Proxy

OBJECT = {"kind": "ConfigMap", "data": {"text": "x" * 5000}}


class Answers(BaseHTTPRequestHandler):
    """Always the same object."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps(OBJECT).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """Of a server that stands for an API server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        document = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        }
        path = tmp_path / "server.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        yield path
        server.shutdown()


@pytest.fixture
def proxy(kubeconfig: Path) -> Iterator[Proxy]:
    with Proxy(kubeconfig) as running:
        yield running


def client(kubeconfig: Path) -> Transport:
    """As the loop has it: each request is sent once."""
    configuration, pool, renew = long_lived_pool(
        ConnectionSettings(kubeconfig=str(kubeconfig)), {}, connections=4, remedy=""
    )
    return Transport(configuration, pool, attempts=1, renew=renew)


@pytest.fixture
def transport(proxy: Proxy, tmp_path: Path) -> Iterator[Transport]:
    with client(proxy.kubeconfig(tmp_path)) as running:
        yield running


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        pytest.param(CUT, Unreachable, "the connection broke: the answer ended too early$", id="cut-before-the-body"),
        pytest.param(
            Fault(cut_after=700), Unreachable, "the connection broke: the answer ended too early$", id="cut-in-the-body"
        ),
        pytest.param(Fault(short_after=700), Malformed, "something else than a JSON object", id="truncated"),
        pytest.param(Fault(status=500), ApiError, "500", id="500"),
    ],
)
def test_a_fault_is_what_the_client_meets(
    fault: Fault, error: type[Exception], words: str, proxy: Proxy, transport: Transport
):
    proxy.fault = lambda _request: fault

    with pytest.raises(error, match=words):
        transport.request("GET", "/x")

    proxy.lift()
    assert transport.request("GET", "/x") == OBJECT


def test_a_slow_answer_is_whole(proxy: Proxy, transport: Transport):
    proxy.fault = lambda _request: Fault(pause_s=0.001, part_bytes=1000)

    assert transport.request("GET", "/x") == OBJECT


def test_a_refusal_may_say_when_to_come_back(proxy: Proxy, transport: Transport):
    proxy.fault = lambda _request: Fault(status=429, retry_after_s=3)

    with pytest.raises(ApiError) as raised:
        transport.request("GET", "/x")

    assert (raised.value.status_code, raised.value.retry_after_s) == (429, 3.0)


def test_a_watch_may_be_too_old(proxy: Proxy, transport: Transport):
    proxy.fault = lambda _request: Fault(expired=True)

    stream = WatchStream(transport.stream("/x", query={"watch": "true"}), "x")

    with pytest.raises(Gone):
        list(stream)
    assert transport.request("GET", "/x") == OBJECT, "what is no watch is answered"


def test_a_silent_peer_closes_nothing_until_the_fault_is_lifted(proxy: Proxy, transport: Transport):
    proxy.fault = lambda _request: SILENT
    with pytest.raises(Unreachable, match="no answer within"):
        transport.request("GET", "/x", read_s=0.2)

    threading.Timer(0.2, proxy.lift).start()

    with pytest.raises(Unreachable, match="the connection broke"):
        transport.request("GET", "/x", read_s=60)


def test_each_request_is_noted_with_its_answer(proxy: Proxy, transport: Transport):
    transport.request("GET", "/x")

    [request] = proxy.requests
    assert (request.method, request.path, request.status, request.is_of_a_pass) == ("GET", "/x", 200, True)
    assert not proxy.wait_requests(1, 0.01)


def test_a_client_with_a_certificate_that_was_replaced_is_known_again(kubeconfig: Path, tmp_path: Path):
    def replace(name: str) -> ssl.SSLContext:
        folder = tmp_path / name
        folder.mkdir()
        authority = Authority.create(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("server", "server", hosts=("127.0.0.1",)))
        context.load_verify_locations(authority.path)
        context.verify_mode = ssl.CERT_REQUIRED
        files = (authority.path, *authority.issue("client", "operator"))
        for source, target in zip(files, ("ca.crt", "client.crt", "client.key"), strict=True):
            (tmp_path / target).write_bytes(source.read_bytes())
        return context

    with Proxy(kubeconfig, tls=replace("first")) as proxy:
        proxy.knows = lambda _headers, connection: connection.context is proxy.tls
        user = {"client-certificate": str(tmp_path / "client.crt"), "client-key": str(tmp_path / "client.key")}
        config = proxy.kubeconfig(tmp_path, user=user, **{"certificate-authority": str(tmp_path / "ca.crt")})
        with client(config) as transport:
            transport.request("GET", "/x")
            proxy.tls = replace("second")

            assert transport.request("GET", "/x") == OBJECT
            assert [request.status for request in proxy.requests] == [200, 401, 200]
