# SPDX-License-Identifier: Apache-2.0
"""Reading the audit log: the order of lines that the API server allows, and what a reader makes of it."""

import json
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from localcluster import audit
from localcluster.audit import Audit
from localcluster.discovery import Resource, resources
from localcluster.errors import LocalClusterError


class ApiServer:
    """Writes the log as the API server does; `before_marker` runs while the reader's own request is handled."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.log.touch()
        self.number = 0

    def write(self, stage: str, number: int, verb: str = "get", uri: str = "/api") -> None:
        event = {
            "stage": stage,
            "auditID": str(number),
            "verb": verb,
            "requestURI": uri,
            "user": {"username": "u"},
            "requestReceivedTimestamp": "t",
        }
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")

    def begin(self, verb: str = "get", uri: str = "/api") -> int:
        self.number += 1
        self.write("RequestReceived", self.number, verb, uri)
        return self.number

    def request(self, method: str, path: str) -> dict[str, Any]:
        self.write("ResponseComplete", self.begin(method.lower(), path), uri=path)
        return {}


@pytest.fixture
def server(tmp_path: Path) -> ApiServer:
    return ApiServer(tmp_path / "audit.jsonl")


@pytest.fixture
def reader(server: ApiServer) -> Audit:
    return Audit(server.log, server)  # type: ignore[arg-type]


def test_a_request_whose_second_line_comes_late_is_counted(server: ApiServer, reader: Audit) -> None:
    mark = reader.mark()
    late = server.begin(uri="/late")
    timer = Timer(0.2, server.write, ("ResponseComplete", late), {"uri": "/late"})
    timer.start()

    entries = reader.since(mark)

    timer.join()
    assert [entry.uri for entry in entries] == ["/late"]


def test_a_request_that_began_before_the_mark_is_not_counted(server: ApiServer, reader: Audit) -> None:
    early = server.begin("watch", "/early")
    mark = reader.mark()
    server.write("ResponseComplete", early, "watch", "/early")

    assert reader.since(mark) == []


def test_a_half_written_line_is_waited_for(server: ApiServer, reader: Audit) -> None:
    mark = reader.mark()
    number = server.begin(uri="/split")
    server.write("ResponseComplete", number, uri="/split")
    text = server.log.read_text(encoding="utf-8")
    server.log.write_text(text[:-20], encoding="utf-8")

    def complete_it(method: str, path: str) -> dict[str, Any]:
        def append() -> None:
            with server.log.open("a", encoding="utf-8") as stream:
                stream.write(text[-20:])
            ApiServer.request(server, method, path)

        Timer(0.1, append).start()
        return {}

    server.request = complete_it  # type: ignore[method-assign]

    assert [entry.uri for entry in reader.since(mark)] == ["/split"]


def test_a_log_that_does_not_get_complete_is_an_error_that_names_the_request(
    server: ApiServer, reader: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_DEADLINE_S", 0.05)
    mark = reader.mark()
    server.begin("delete", "/stuck")

    with pytest.raises(LocalClusterError, match="missing: delete /stuck"):
        reader.since(mark)


def test_a_rotated_log_is_an_error_and_not_an_empty_answer(server: ApiServer, reader: Audit) -> None:
    mark = reader.mark()
    server.log.rename(server.log.with_suffix(".old"))
    server.log.touch()

    with pytest.raises(LocalClusterError, match="was rotated"):
        reader.since(mark)


def test_kinds_are_found_by_short_and_by_full_name() -> None:
    def group(name: str, version: str, kind: str, plural: str, scope: str) -> dict[str, Any]:
        entry = {"responseKind": {"kind": kind}, "resource": plural, "scope": scope}
        return {"metadata": {"name": name}, "versions": [{"version": version, "resources": [entry]}]}

    core = {"items": [group("", "v1", "Event", "events", "Namespaced")]}
    rest = {
        "items": [
            group("events.k8s.io", "v1", "Event", "events", "Namespaced"),
            group("storage.k8s.io", "v1", "StorageClass", "storageclasses", "Cluster"),
        ]
    }

    found = resources([core, rest])

    assert found["Event"] == Resource("v1", "Event", "events", True)
    assert found["events.k8s.io/v1/Event"].path("ns", "x") == "/apis/events.k8s.io/v1/namespaces/ns/events/x"
    assert found["Event"].path() == "/api/v1/events"
    assert found["StorageClass"].path(None, "standard") == "/apis/storage.k8s.io/v1/storageclasses/standard"
