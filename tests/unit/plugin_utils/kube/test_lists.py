# SPDX-License-Identifier: Apache-2.0
"""A list comes whole and ends, whatever the server makes of pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube import api_objects as module
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import (
    ApiError,
    Malformed,
    ObjectRef,
    TooLarge,
)
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import (
    MAX_PAGES,
    MOST_WHOLE_PAGES,
    PAGE_BYTES,
    PAGE_SIZE,
    ApiObjects,
)

SECRETS = ObjectRef("v1", "Secret", namespace="default")


class Server:
    """Answers the list of Secrets by a function of the token asked for; counts the requests."""

    def __init__(self, answer: Callable[[str | None], tuple[list[str], str | None]]) -> None:
        self.answer = answer
        self.asked: list[str | None] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        subject: ObjectRef | str = "",
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        most_bytes: int | None = None,
    ) -> dict[str, Any]:
        del subject, body, content_type, most_bytes
        assert (method, path) == ("GET", "/api/v1/namespaces/default/secrets")
        token = (query or {}).get("continue")
        self.asked.append(token)
        names, following = self.answer(token)
        items = [{"metadata": {"name": name, "namespace": "default"}} for name in names]
        return {"items": items, "metadata": {"continue": following} if following else {}}

    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in ApiObjects(self).list(SECRETS, keep=dict)]


class Raw:
    """Answers each request by a function of the token asked for; notes query and Accept header."""

    def __init__(self, answer: Callable[[str | None], dict[str, Any]]) -> None:
        self.answer = answer
        self.asked: list[tuple[Mapping[str, str], str]] = []

    def request(self, _method: str, _path: str, *, query: Mapping[str, str], accept: str = "", **_: Any) -> Any:
        self.asked.append((query, accept))
        return self.answer(query.get("continue"))


def test_pages_are_put_together() -> None:
    pages = {None: (["a", "b"], "second"), "second": (["c"], "third"), "third": (["d"], None)}
    server = Server(pages.__getitem__)

    assert server.names() == ["a", "b", "c", "d"]
    assert server.asked == [None, "second", "third"]


def test_a_list_out_of_the_operator_sdk_s_cache_is_whole_with_its_first_answer() -> None:
    """Its proxy ignores `limit` and `continue`, and says so by this token."""
    server = Server(lambda _: (["a", "b"], "continue-not-supported"))

    assert server.names() == ["a", "b"]
    assert server.asked == [None]


def test_a_server_that_ignores_tokens_is_asked_twice_and_nothing_is_there_twice() -> None:
    server = Server(lambda _: (["a", "b"], "the same again"))

    assert server.names() == ["a", "b"]
    assert server.asked == [None, "the same again"]


def test_tokens_that_go_round_in_a_circle_end_the_list() -> None:
    server = Server(lambda token: ([token or "first"], {"x": "y"}.get(token or "", "x")))

    assert server.names() == ["first", "x", "y"]
    assert server.asked == [None, "x", "y"]


def test_the_version_to_watch_from_is_that_of_the_last_page() -> None:
    pages = {
        None: {"metadata": {"continue": "t1", "resourceVersion": "5"}, "items": [{"metadata": {"name": "a"}}]},
        "t1": {"metadata": {"resourceVersion": "6"}, "items": [{"metadata": {"name": "b"}}]},
    }
    server = Raw(lambda token: pages[token])

    first, last = ApiObjects(server).pages(SECRETS, selector="a=b", metadata_only=True)  # type: ignore[arg-type]

    assert [item["metadata"]["name"] for item in (*first.items, *last.items)] == ["a", "b"]
    assert first.items[0]["kind"] == "Secret", "which a list does not say of its items"
    assert last.resource_version == "6"
    assert [query["labelSelector"] for query, _ in server.asked] == ["a=b"] * 2
    assert all("as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" in accept for _, accept in server.asked)


@pytest.mark.parametrize("page", [{}, {"metadata": None, "items": []}, {"metadata": {}, "items": {}}])
def test_an_answer_that_is_no_list_is_an_error_of_ours(page: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="Secret default: the answer is not a list"):
        ApiObjects(Raw(lambda _: page)).list(SECRETS)  # type: ignore[arg-type]


def test_what_has_no_name_is_left_as_it_is() -> None:
    page = {"metadata": {}, "items": ["nonsense", {"metadata": None}, {"metadata": None}]}

    assert ApiObjects(Raw(lambda _: page)).list(SECRETS) == page["items"]  # type: ignore[arg-type]


def test_a_list_that_never_ends_is_an_error_that_names_it() -> None:
    server = Server(lambda token: ([f"a{token}"], str(int(token or 0) + 1)))

    with pytest.raises(
        ApiError, match=rf"^Secret default: 500 TooManyPages: the list does not end: .* {MAX_PAGES} pages"
    ):
        server.names()
    assert len(server.asked) == MAX_PAGES


class Sized:
    """A list of objects of the given lengths. Its tokens are numbers of the next object; it notes the size of each page."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.sent: list[int] = []
        self.longest = 0

    def request(
        self, _method: str, _path: str, *, query: Mapping[str, str], most_bytes: float = math.inf, **_: Any
    ) -> Any:
        start, size = int(query.get("continue", 0)), int(query["limit"])
        end = min(start + size, len(self.lengths))
        length = sum(self.lengths[start:end])
        if length > most_bytes:
            raise TooLarge("the answer is too long")
        self.sent.append(end - start)
        self.longest = max(self.longest, length)
        items = [{"metadata": {"name": str(number)}} for number in range(start, end)]
        return {"items": items, "metadata": {"continue": str(end)} if end < len(self.lengths) else {}}


LARGE = 3 * 1024 * 1024 // 2
"""Bytes of the largest object that etcd takes."""


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param([LARGE] * 40, id="all-large"),
        pytest.param([1_000] * 700 + [LARGE] * 10 + [1_000] * 3_000, id="some-large"),
        pytest.param([LARGE, 1_000, 1_000] * 400, id="one-in-three"),
        pytest.param([100 * LARGE, 1_000], id="one-that-is-longer-than-a-page-may-be"),
    ],
)
def test_no_page_is_longer_than_its_bound_or_its_only_object(lengths: list[int]) -> None:
    server = Sized(lengths)

    found = ApiObjects(server).list(SECRETS, keep=dict)  # type: ignore[arg-type]

    assert [int(item["metadata"]["name"]) for item in found] == list(range(len(lengths)))
    assert server.longest <= max(PAGE_BYTES, *lengths)


def test_pages_grow_again_behind_large_objects() -> None:
    server = Sized([LARGE] * 10 + [1_000] * 5_000)

    list(ApiObjects(server).pages(SECRETS))  # type: ignore[arg-type]

    assert server.sent[-2] == PAGE_SIZE
    assert len(server.sent) < 40


@pytest.mark.parametrize(
    ("lengths", "is_too_much"),
    [
        pytest.param([4_000] * 2_000, False, id="as-many-as-nobody-needs"),
        pytest.param([4_000] * 5_000, True, id="thousands-of-pods-with-our-labels"),
        pytest.param([LARGE] * 4, False, id="some-large"),
        pytest.param([LARGE] * 500, True, id="large"),
    ],
)
def test_a_list_that_is_wanted_whole_has_bounds_and_says_what_to_do(lengths: list[int], is_too_much: bool) -> None:
    server = Sized(lengths)
    objects = ApiObjects(server)  # type: ignore[arg-type]

    if is_too_much:
        with pytest.raises(
            ApiError, match=r"413 TooManyObjects: there are more or larger objects with the labels a=b than"
        ):
            objects.list(SECRETS, selector="a=b")
        assert len(server.sent) <= MOST_WHOLE_PAGES + 1
    else:
        assert len(objects.list(SECRETS, selector="a=b")) == len(lengths)


@pytest.mark.parametrize("names", [[], ["a"]], ids=["empty", "the-same-again"])
def test_pages_that_bring_nothing_new_end_the_list_soon(names: list[str]) -> None:
    server = Server(lambda token: (names, str(int(token or 0) + 1)))

    with pytest.raises(ApiError, match="the list does not end"):
        server.names()
    assert len(server.asked) <= module.MAX_EMPTY_PAGES + 1


def test_pages_with_more_items_than_any_cluster_has_end_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 100)
    server = Server(lambda token: ([f"{token}-{number}" for number in range(30)], str(int(token or 0) + 1)))

    with pytest.raises(ApiError, match="the list does not end"):
        server.names()
    assert len(server.asked) == 4


def test_a_page_that_is_larger_than_is_read_is_asked_for_in_smaller_ones() -> None:
    asked: list[Mapping[str, str]] = []

    class Large(Raw):
        def request(self, _method: str, _path: str, *, query: Mapping[str, str], **_: Any) -> Any:
            asked.append(query)
            if int(query["limit"]) > 5:
                raise TooLarge("Secret default: too large")
            token = query.get("continue")
            following = {None: "t1", "t1": None}[token]
            return {"metadata": {"continue": following}, "items": [{"metadata": {"name": f"a{token}"}}]}

    found = ApiObjects(Large(lambda _: {})).list(SECRETS)  # type: ignore[arg-type]

    assert [item["metadata"]["name"] for item in found] == ["aNone", "at1"]
    assert [query["limit"] for query in asked] == ["500", "125", "31", "7", "1", "2"]


def test_one_object_that_is_larger_than_is_read_is_an_error() -> None:
    def refuse(_token: str | None) -> dict[str, Any]:
        raise TooLarge("Secret default: too large")

    with pytest.raises(TooLarge):
        ApiObjects(Raw(refuse)).list(SECRETS)  # type: ignore[arg-type]


def test_of_a_list_with_a_limit_no_more_pages_are_read_than_it_takes() -> None:
    pages = {None: (["a", "b"], "second"), "second": (["c", "d"], "third")}
    server = Server(pages.__getitem__)

    found = ApiObjects(server).list(SECRETS, limit=3)  # type: ignore[arg-type]

    assert [item["metadata"]["name"] for item in found] == ["a", "b", "c"]
    assert server.asked == [None, "second"]


@pytest.mark.parametrize(("limit", "page"), [(0, 500), (3, 3), (2000, 500)])
def test_a_page_is_no_larger_than_what_is_wanted(limit: int, page: int) -> None:
    server = Raw(lambda _: {"metadata": {}, "items": []})

    ApiObjects(server).list(SECRETS, limit=limit)  # type: ignore[arg-type]

    assert [query["limit"] for query, _unused in server.asked] == [str(page)]
