# SPDX-License-Identifier: Apache-2.0
"""What a play prints when the API server, or a webhook behind it, quotes the Secrets that it refuses.

No real API server does so on request, so here it is one that does nothing else.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.plays import LONGEST_S, PROGRAMS

MAIL = "the-mail-password"
QUEUES = "the-password-of-the-queues"


class Quoting(ThreadingHTTPServer):
    """Refuses every write with `status_code` and the whole object, and a Secret that it has; `sent` are the objects."""

    daemon_threads = True
    status_code = 403
    broken = False
    """Whether its lists hold what no object is, with the password in places where none is expected."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sent: list[dict[str, Any]] = []

    def passwords(self) -> set[str]:
        """What the Secrets hold that were sent, in the clear and in base64."""
        encoded = {
            value
            for item in self.sent
            if item.get("kind") == "Secret"
            for key, value in (item.get("data") or {}).items()
            if key not in ("username", "database")
        }
        return encoded | {base64.b64decode(value).decode() for value in encoded}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/secrets/mail"):
            data = {"password": base64.b64encode(MAIL.encode()).decode()}
            metadata = {"name": "mail", "namespace": "default", "uid": "u", "resourceVersion": "1"}
            self.answer(200, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        elif path == "/apis":
            self.answer(200, {"kind": "APIGroupList", "groups": []})
        elif re.search(r"/namespaces/default/[a-z]+$", path):
            server = self.server
            assert isinstance(server, Quoting)
            odd = {"kind": MAIL, "metadata": {MAIL: MAIL}, "data": {"password": {MAIL: MAIL}}, "status": MAIL}
            self.answer(200, {"kind": "List", "metadata": {}, "items": [odd] if server.broken else []})
        else:
            self.answer(404, {"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"})

    def do_PATCH(self) -> None:
        server = self.server
        assert isinstance(server, Quoting)
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.sent.append(sent)
        clear = [
            base64.b64decode(value).decode() for value in (sent.get("data") or {}).values() if sent["kind"] == "Secret"
        ]
        message = f'admission webhook "quotes.example" denied the request: {json.dumps(sent)} {clear} {MAIL}'
        status = {"kind": "Status", "code": server.status_code, "reason": "Forbidden", "message": message}
        self.answer(server.status_code, status)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Quoting]:
    with Quoting() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}).start()
        yield running
        running.shutdown()


SPEC = {
    "valkey": {"enabled": False, "host": "valkey.example", "password": QUEUES},
    "immich": {
        "configuration": {
            "notifications": {
                "smtp": {"enabled": True, "transport": {"passwordSecretRef": {"name": "mail", "key": "password"}}}
            }
        }
    },
}


def output_of_a_play(server: Quoting, tmp_path: Path) -> str:
    """All that ansible-playbook prints and logs, with as many words as it has, of a play that fails."""
    playbook = tmp_path / "own.yml"
    variables = {"immich_name": "photos", "immich_namespace": "default", "immich_spec": SPEC}
    role = {"name": "Run Immich", "ansible.builtin.import_role": {"name": "media.immich.immich"}, "vars": variables}
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [role]}])
    )
    environment = {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ANSIBLE_LOG_PATH": str(tmp_path / "log"),
        "K8S_AUTH_HOST": f"http://127.0.0.1:{server.server_address[1]}",
        "K8S_AUTH_API_KEY": "x",
    }

    done = subprocess.run(
        [str(PROGRAMS / "ansible-playbook"), "-i", "localhost,", "-vvvv", "--diff", str(playbook)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )

    told = done.stdout + done.stderr + (tmp_path / "log").read_text()
    assert done.returncode != 0, told
    return told


@pytest.mark.every_core
def test_an_answer_that_no_api_server_gives_fails_the_task_without_its_content(server: Quoting, tmp_path: Path) -> None:
    server.broken = True

    told = output_of_a_play(server, tmp_path)

    # ansible-core 2.18 hides all of a task with no_log
    assert "media.immich.observe: KeyError in " in told or "the output has been hidden" in told
    assert MAIL not in told


@pytest.mark.every_core
@pytest.mark.parametrize(
    "status_code", [403, *(pytest.param(code, marks=pytest.mark.weekly) for code in (409, 418, 422)), 500]
)
def test_no_output_of_a_play_shows_what_a_webhook_quotes_of_secrets(
    server: Quoting, tmp_path: Path, status_code: int
) -> None:
    server.status_code = status_code

    told = output_of_a_play(server, tmp_path)

    assert {item["metadata"]["name"] for item in server.sent if item["kind"] == "Secret"} >= {
        "photos-postgres-credentials",
        "photos-valkey-credentials",
        "photos-immich-config",
    }
    plain = told.replace('\\"', '"')  # ansible-core 2.18 prints results as JSON
    assert 'admission webhook "quotes.example" denied the request' in plain
    assert "its text is withheld" in told
    found = [password for password in {MAIL, QUEUES, *server.passwords()} if password in told]
    assert found == []
