# SPDX-License-Identifier: Apache-2.0
"""Whatever the author of one resource writes, the operator works on, for all others and after a restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcluster.testing import Cluster
from support.hostile import Attacker, nested
from support.waiting import eventually
from tests.integration.operator.conftest import StartOperator, Widgets

LARGE = b'{"a":[%b[]]}' % (b"[]," * 480_000)
"""1.4 MiB, which Python makes 30 of."""


@pytest.fixture
def attacker(cluster: Cluster) -> Iterator[Attacker]:
    with Attacker.of(cluster) as attacker:
        yield attacker


def create(attacker: Attacker, namespace: str, name: str, spec: bytes) -> None:
    path = f"/apis/test.media.rm3l.org/v1/namespaces/{namespace}/widgets"
    body = b'{"apiVersion":"test.media.rm3l.org/v1","kind":"Widget","metadata":{"name":"%b"},"spec":%b}'
    status, answer = attacker.send("POST", path, body % (name.encode(), spec))
    assert status == 201, answer[-300:]


def why_no_play(attacker: Attacker, namespace: str, name: str) -> bytes:
    path = f"/apis/test.media.rm3l.org/v1/namespaces/{namespace}/widgets/{name}"
    return attacker.send("GET", path)[1].partition(b'"message":"no play was run: ')[2].partition(b'"')[0]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param(nested(1_100), b"spec is nested more than 100 levels deep; make it flatter", id="deep"),
        pytest.param(
            nested(9_000),
            b"spec is nested more than 100 levels deep; make it flatter",
            id="deeper",
            marks=pytest.mark.weekly,
        ),
        pytest.param(LARGE, b"it has more than 512 KiB", id="large"),
        pytest.param(
            b'{"a":"%b"}' % (b"x" * 1_400_000), b"it has more than 512 KiB", id="long", marks=pytest.mark.weekly
        ),
    ],
)
def test_a_resource_that_is_too_much_says_so_and_the_others_go_on_after_a_restart_too(
    spec: bytes, why: bytes, start: StartOperator, widgets: Widgets, attacker: Attacker, namespace: str
) -> None:
    first = start(name="first")
    create(attacker, namespace, "bad", spec)
    widgets.create("good")

    assert first.wait_pass("good", "created")["result"] == "successful"
    eventually("the status says why", lambda: why_no_play(attacker, namespace, "bad").startswith(why))
    assert first.stop() == 0

    second = start(name="second")
    assert second.wait_pass("good", "found at start")["result"] == "successful"
    widgets.change("good", {"spec": {"message": "b"}})
    assert second.wait_pass("good", "generation 1 -> 2")["result"] == "successful"
    assert not [line for line in second.lines() if line.get("traceback")]
