# SPDX-License-Identifier: Apache-2.0
"""Which kinds are served, asked for as seldom as that can be known."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import Forbidden, Malformed, refusal
from ansible_collections.media.immich.plugins.plugin_utils.kube.discovery import Discovery
from ansible_collections.media.immich.plugins.plugin_utils.kube.resource_paths import Resource

ROUTE, EVERYTHING = ("route.openshift.io/v1", "Route"), ["get", "list", "watch"]
ROUTES = [
    {"name": "routes", "kind": "Route", "namespaced": True, "verbs": EVERYTHING},
    {"name": "routes/status", "kind": "Route", "namespaced": True, "verbs": ["get"]},
    {"name": "hosts", "kind": "Host", "namespaced": False, "verbs": EVERYTHING},
    {"name": "checks", "kind": "Check", "namespaced": True, "verbs": ["create"]},
]


class Server:
    """Answers discovery with the same until it is told otherwise."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        self.asked.append(f"{method} {path}")
        if isinstance(self.answer, int):
            raise refusal(self.answer, "", {}, path)
        return {"resources": self.answer}


def discovery(server: Server) -> Discovery:
    return Discovery(server)  # type: ignore[arg-type]


def test_all_kinds_of_a_group_are_known_after_one_request() -> None:
    server = Server(ROUTES)
    known = discovery(server)

    assert known.find(*ROUTE) == Resource("routes", namespaced=True)
    assert known.find("route.openshift.io/v1", "Host") == Resource("hosts", namespaced=False)
    assert server.asked == ["GET /apis/route.openshift.io/v1"]


class SlowServer(Server):
    """Answers nobody before it is let go."""

    def __init__(self, answer: Any) -> None:
        super().__init__(answer)
        self.reached, self.go = threading.Event(), threading.Event()

    def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        self.reached.set()
        assert self.go.wait(10)
        return super().request(method, path)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(ROUTES, {"Route": "routes", "Host": "hosts"}, id="an-answer"),
        pytest.param(404, {"Route": "None", "Host": "None"}, id="not-served"),
        pytest.param(403, {"Route": "Forbidden", "Host": "Forbidden"}, id="a-refusal"),
    ],
)
def test_who_asks_for_a_group_while_its_answer_is_on_its_way_gets_that_answer(
    answer: Any, told: dict[str, str]
) -> None:
    """As all reflectors do at the start of an operator."""
    server = SlowServer(answer)
    known, found = discovery(server), {}

    def ask(kind: str) -> None:
        try:
            resource = known.find("route.openshift.io/v1", kind)
            found[kind] = resource.plural if resource else "None"
        except Forbidden:
            found[kind] = "Forbidden"

    first, *others = [threading.Thread(target=ask, args=[kind]) for kind in told]
    first.start()
    assert server.reached.wait(10)
    for thread in others:
        thread.start()
    server.go.set()
    for thread in (first, *others):
        thread.join(10)

    assert found == told
    assert answer != ROUTES or len(server.asked) == 1


def test_the_core_group_has_an_address_of_its_own() -> None:
    server = Server([])

    discovery(server).find("v1", "Pod")

    assert server.asked == ["GET /api/v1"]


@pytest.mark.parametrize("answer", [404, [], ROUTES[2:]])
def test_a_kind_that_is_not_served_yet_is_asked_for_again(answer: Any) -> None:
    server = Server(answer)
    known = discovery(server)
    assert known.find(*ROUTE) is None

    server.answer = ROUTES

    assert known.find(*ROUTE) is not None


def test_a_kind_that_has_gone_is_asked_for_again_once_it_is_forgotten() -> None:
    server = Server(ROUTES)
    known = discovery(server)
    known.find(*ROUTE)
    server.answer = 404
    assert known.find(*ROUTE) is not None

    known.forget(*ROUTE)

    assert known.find(*ROUTE) is None


def test_what_stands_for_an_action_is_no_kind_of_object() -> None:
    assert discovery(Server(ROUTES)).find("route.openshift.io/v1", "Check") is None


def test_an_answer_that_does_not_tell_is_not_taken_for_a_no() -> None:
    with pytest.raises(Forbidden):
        discovery(Server(403)).find(*ROUTE)
    with pytest.raises(Malformed, match=r"the kinds of route\.openshift\.io/v1"):
        discovery(Server(None)).find(*ROUTE)
