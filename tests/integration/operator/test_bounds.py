# SPDX-License-Identifier: Apache-2.0
"""What one author of a resource, or one client of the operator's ports, may cost everybody else."""

from __future__ import annotations

import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localcluster.testing import Cluster
from support.waiting import eventually
from tests.integration.operator.conftest import StartOperator, Widgets

PREFIX = "ansible.sdk.operatorframework.io/"
RESET = struct.pack("ii", 1, 0)  # close() sends a reset instead of an orderly end


def test_annotations_get_no_more_load_than_the_administrator_allows_and_say_so(
    start: StartOperator, widgets: Widgets, cluster: Cluster, namespace
):
    operator = start("--min-reconcile-period=1h", "--log-level=debug")
    wishes = {"reconcile-period": "1ns", "verbosity": "7", "max-runner-artifacts": "0"}
    widgets.create("greedy", annotations={PREFIX + name: text for name, text in wishes.items()})
    operator.wait_pass("greedy", "ConfigMap greedy-widget created")

    for number in range(4):
        widgets.change("greedy", {"metadata": {"annotations": {"look": str(number)}}})
        operator.wait_pass("greedy", "annotations changed", after=2 + number)

    told = [line["error"] for line in operator.lines() if line["msg"] == "annotation not followed"]
    assert [text.split(":")[0] for text in told] == [f"annotation {PREFIX}{name}" for name in wishes]
    events = [event for event in cluster.api.list("Event", namespace) if event["reason"] == "AnnotationNotFollowed"]
    assert sorted(event["message"] for event in events) == sorted(told)
    assert {line["why"][0] for line in operator.passes("greedy")} <= {
        "created", "ConfigMap greedy-widget created", "annotations changed",
    }  # fmt: skip
    assert len(list(operator.run_dir.glob("plays/**/greedy/artifacts/*"))) <= 20


def test_a_resource_that_never_stops_changing_gets_a_burst_of_plays_and_ends_as_its_last_change_says(
    start: StartOperator, widgets: Widgets, cluster: Cluster, namespace
):
    operator = start("--pass-burst=5", "--pass-interval=2s")
    widgets.create("restless", {"message": "0"})
    began = time.monotonic()

    for number in range(1, 300):
        widgets.change("restless", {"spec": {"message": str(number)}})
        if number % 30 == 0:
            widgets.create(f"calm-{number}", {"message": "x"})
            operator.wait_pass(f"calm-{number}", "created")

    operator.wait_for(
        "the last change is applied",
        lambda _lines: cluster.api.get("ConfigMap", "restless-widget", namespace)["data"] == {"message": "299"},
    )
    assert len(operator.passes("restless")) <= 5 + (time.monotonic() - began) / 2 + 1
    slowed = [line for line in operator.lines() if line["msg"].startswith("changes come faster")]
    assert 1 <= len(slowed) <= len(operator.passes("restless"))


def test_a_secret_that_never_stops_changing_causes_a_burst_of_plays_and_then_one_now_and_then(
    start: StartOperator, widgets: Widgets, cluster: Cluster, namespace
):
    operator = start("--pass-burst=5", "--pass-interval=2s", "--settle-time=0s", "--settle-time-max=0s")
    cluster.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "busy", "namespace": namespace}})
    widgets.create("one", {"secretName": "busy", "message": "x"})
    operator.wait_pass("one", "created")
    began = time.monotonic()

    for number in range(200):
        patch = {"metadata": {"annotations": {"number": str(number)}}}
        cluster.api.merge_patch("Secret", "busy", namespace, patch)

    widgets.change("one", {"spec": {"message": "last"}})
    operator.wait_for(
        "the change that comes last is applied",
        lambda _lines: cluster.api.get("ConfigMap", "one-widget", namespace)["data"] == {"message": "last"},
    )
    assert len(operator.passes("one")) <= 5 + (time.monotonic() - began) / 2 + 1


def test_artifacts_of_all_plays_together_stay_within_their_size(start: StartOperator, widgets: Widgets):
    operator = start("--artifacts-size=300Ki")

    for number in range(10):
        widgets.create(f"w{number}", {"message": "x"})
        operator.wait_pass(f"w{number}", f"ConfigMap w{number}-widget created")

    kept = list(operator.run_dir.glob("plays/**/artifacts/*"))
    blocks = sum(path.lstat().st_blocks for folder in kept for path in folder.rglob("*"))
    assert kept
    assert blocks * 512 <= 300 * 1024


@pytest.fixture
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_connections_end_neither_probes_nor_passes_nor_the_form_of_the_log(
    start: StartOperator, widgets: Widgets, descriptors
):
    operator = start()
    ports = operator.wait_line("operator started")["ports"]

    with ExitStack() as held:
        for number in range(1000):
            for port in ports.values():
                client = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                client.sendall(b"GET /healthz HTTP/1.1\r\n"[: number % 24])
                if number % 3 == 0:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    client.close()

        assert operator.probe("/healthz") == (200, "ok\n")
        assert operator.probe("/readyz") == (200, "ok\n")
        assert "ansible_operator_build_info" in operator.metrics()
        widgets.create("one")
        assert operator.wait_pass("one", "created")["result"] == "successful"

    assert operator.stop() == 0
    assert [line for line in operator.lines() if "ts" not in line] == []
    cut = [line for line in operator.lines() if line["msg"] == "connections were cut or refused"]
    assert {line["port"] for line in cut} == set(ports.values())
    assert len(cut) <= 2 * len(ports)


def limits_below(pid: int) -> dict[int, dict[str, str]]:
    """{process: {limit: its hard value}} of a process and all that it has started."""
    found = {
        pid: {line[:26].strip(): line.split()[-2] for line in Path(f"/proc/{pid}/limits").read_text().splitlines()}
    }
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found |= limits_below(int(child))
    return found


def test_each_process_dumps_no_core_and_those_of_a_play_have_a_bound_of_memory(
    start: StartOperator, widgets: Widgets, tmp_path
):
    operator = start("--play-memory=300Mi", "--engine=fork")
    before = limits_below(operator.process.pid)
    go_ahead = tmp_path / "go-ahead"
    widgets.create("waiting", {"goAhead": str(go_ahead)})

    def bounded():
        return [pid for pid, each in limits_below(operator.process.pid).items() if each["Max data size"] == "314572800"]

    plays = eventually("a process of a play", bounded)
    every = limits_below(operator.process.pid)
    go_ahead.touch()

    assert operator.wait_pass("waiting", "created")["result"] == "successful"
    assert len(before) >= 2, "the loop and the zygote"
    assert not before.keys() & set(plays)
    assert {each["Max core file size"] for each in every.values()} <= {"0", "1"}
