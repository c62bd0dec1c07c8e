# SPDX-License-Identifier: Apache-2.0
"""What was settled survives the process that knew it, unless something about the program is different."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import refusal
from immich_operator.config.watches import Watch
from immich_operator.kube.client import ObjectRef
from immich_operator.kube.resources import Kind, NamespacedName
from immich_operator.passes.settled import Digest
from immich_operator.process.memory import MAX_BYTES, Memory, keyed, program_digest, seal

D1, D2 = Digest("1" * 24, 1_000_000), Digest("2" * 24, 1_000_001)
MAIN, OTHER = NamespacedName("family", "main"), NamespacedName("family", "other")
CONFIG_MAP = ObjectRef("v1", "ConfigMap", "immich-operator-settled", "system")
SECRET = ObjectRef("v1", "Secret", "immich-operator-settled", "system")


class Known:
    """A controller's memory, as far as it is kept."""

    def __init__(self, **digests: Digest) -> None:
        self.known = {NamespacedName("family", name): digest for name, digest in digests.items()}

    def digests(self) -> dict[NamespacedName, Digest]:
        return dict(self.known)

    def restore(self, digests: dict[NamespacedName, Digest]) -> None:
        self.known = {**digests, **self.known}


class Server:
    """Holds one ConfigMap, and the Secret with the key."""

    def __init__(self) -> None:
        self.objects: dict[ObjectRef, dict[str, Any]] = {}
        self.writes = 0
        self.refuses = False
        self.during_read: Callable[[], None] = lambda: None
        self.before_write: Callable[[], None] = lambda: None

    @property
    def data(self) -> Any:
        return self.objects.get(CONFIG_MAP, {}).get("data")

    @data.setter
    def data(self, value: Any) -> None:
        self.objects[CONFIG_MAP] = {"data": value}

    def within(self, seconds: float) -> Server:
        assert seconds < 15, "the Lease would run out meanwhile"
        return self

    def find(self, ref: ObjectRef) -> dict[str, Any] | None:
        assert ref in (CONFIG_MAP, SECRET)
        if ref == CONFIG_MAP:
            self.during_read()
        if self.refuses:
            raise refusal(403, "Forbidden", {}, ref)
        return self.objects.get(ref)

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = ObjectRef.of(body)
        assert ref in (CONFIG_MAP, SECRET)
        if self.refuses:
            raise refusal(403, "Forbidden", {}, ref)
        if self.objects.get(ref, {}).get("immutable"):
            raise refusal(422, "Unprocessable Entity", {"message": "field is immutable when `immutable` is set"}, ref)
        if ref == CONFIG_MAP:
            self.before_write()
            self.writes += 1
        self.objects[ref] = body
        return body

    def delete(self, ref: ObjectRef) -> bool:
        return self.objects.pop(ref, None) is not None

    def key(self) -> bytes:
        return base64.b64decode(self.objects[SECRET]["data"]["key"])


def a_memory(server: Server, known: Known, program: str = "p1") -> Memory:
    return Memory(
        server,  # type: ignore[arg-type]
        namespace="system",
        name="immich-operator-settled",
        program=program,
        settled={"immich": known},  # type: ignore[dict-item]
        log=logging.getLogger("test"),
    )


def a_leader(server: Server, known: Known, program: str = "p1") -> Memory:
    """A memory that has read what there is."""
    memory = a_memory(server, known, program)
    memory.load()
    return memory


@pytest.fixture
def server() -> Server:
    return Server()


def test_the_next_process_knows_what_the_last_one_has_saved(server):
    a_leader(server, Known(main=D1, other=D2)).save()
    successor = Known()

    a_memory(server, successor).load()

    assert successor.known == {MAIN: D1, OTHER: D2}


def test_another_program_knows_nothing_and_takes_over(server, caplog):
    a_leader(server, Known(main=D1)).save()
    successor = Known()

    a_leader(server, successor, program="p2").save()

    assert successor.known == {}
    assert (server.data["program"], server.data["settled"]) == (keyed(server.key(), "p2"), "{}")
    assert caplog.text == "", "an upgrade is nothing to be told"


def test_the_config_map_tells_nothing_of_the_environment_to_those_who_try_values(server):
    a_leader(server, Known(main=D1), program="digest-of-a-guess").save()

    assert "digest-of-a-guess" not in json.dumps(server.data)
    assert server.data["program"] != keyed(b"", "digest-of-a-guess")


def test_a_leader_that_ends_while_it_reads_leaves_the_digests_of_the_last_one(server):
    a_leader(server, Known(main=D1)).save()
    before, memory = server.data, a_memory(server, Known())
    server.during_read = memory.save

    memory.load()

    assert (server.data, server.writes) == (before, 1)


def test_a_leader_that_could_not_read_writes_only_when_there_is_something_to_say(server):
    a_leader(server, Known(main=D1)).save()
    known = Known()
    server.refuses = True
    memory = a_leader(server, known)
    server.refuses = False

    memory.save()
    assert server.writes == 1

    known.known[OTHER] = D2
    memory.save()
    assert server.writes == 2


def test_the_last_of_two_saves_at_a_time_is_what_stays(server):
    known, began, overtaken = Known(main=D1), threading.Event(), threading.Event()
    memory = a_leader(server, known)

    def is_overtaken_if_it_can_be() -> None:
        server.before_write = lambda: None
        began.set()
        overtaken.wait(0.2)

    server.before_write = is_overtaken_if_it_can_be
    periodic = threading.Thread(target=memory.save)
    periodic.start()
    assert began.wait(5)
    known.known[MAIN] = D2

    memory.save()
    overtaken.set()
    periodic.join(5)

    successor = Known()
    a_memory(server, successor).load()
    assert successor.known == {MAIN: D2}


def test_what_is_as_it_was_saved_is_not_written_again(server):
    known = Known(main=D1)
    memory = a_leader(server, known)
    memory.save()
    memory.save()
    assert server.writes == 1

    known.known[MAIN] = D2
    memory.save()

    assert server.writes == 2


def test_what_was_loaded_is_not_written_again(server):
    a_leader(server, Known(main=D1)).save()

    a_leader(server, Known()).save()

    assert server.writes == 1


def test_without_permission_all_is_as_if_nothing_were_known(server, caplog):
    server.refuses = True
    known = Known(main=D1)
    memory = a_memory(server, known)

    memory.load()
    memory.save()

    assert known.known == {MAIN: D1}
    assert "could not be read; every resource gets a pass" in caplog.text
    assert "could not be written" in caplog.text


def forged(entry: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    text = entry if isinstance(entry, str) else json.dumps({"immich": {"family/main": entry}})
    return lambda data: {**data, "settled": text}


FORGERIES = [
    pytest.param(forged([D2.text, D2.since]), id="another-digest"),
    pytest.param(forged("[" * 100_000), id="nested"),
    pytest.param(forged('{"immich": {"family/main": ["1", 1e999]}}'), id="no-number"),
    pytest.param(forged('{"immich": {"family/main": ["1", ' + "1" * 5000 + "]}}"), id="digits"),
    pytest.param(forged([[], {}]), id="other-types"),
    pytest.param(forged("x" * 1_000_000), id="huge"),
    pytest.param(forged(""), id="empty"),
    pytest.param(lambda data: {**data, "program": "p2"}, id="another-program"),
    pytest.param(lambda data: {**data, "seal": "0" * 64}, id="another-seal"),
    pytest.param(lambda data: {**data, "seal": "é"}, id="no-seal-at-all"),
    pytest.param(lambda data: {key: value for key, value in data.items() if key != "seal"}, id="older-version"),
    pytest.param(lambda _data: {}, id="nothing"),
    pytest.param(lambda _data: None, id="null"),
    pytest.param(lambda _data: ["list"], id="list"),
    pytest.param(lambda data: dict.fromkeys(data, 7), id="numbers"),
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_what_the_operator_has_not_written_is_ignored_in_one_line_and_replaced(server, caplog, forge):
    a_leader(server, Known(main=D1)).save()
    server.data = forge(server.data)
    known = Known()

    memory = a_leader(server, known)
    assert known.known == {}
    assert [record.getMessage() for record in caplog.records] == [
        "what was settled was not written by this operator; every resource gets a pass"
    ]

    known.known[OTHER] = D2
    memory.save()
    successor = Known()
    a_memory(server, successor).load()
    assert successor.known == {OTHER: D2}


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(None, id="gone"),
        pytest.param({"data": {}}, id="empty"),
        pytest.param({"data": {"key": "c2hvcnQ="}}, id="short"),
        pytest.param({"data": {"key": "*"}}, id="no-base64"),
        pytest.param({"data": {"key": 7}}, id="number"),
        pytest.param({"data": None, "immutable": True}, id="immutable"),
        pytest.param({"data": {"key": base64.b64encode(b"k" * 64).decode()}}, id="another-key"),
    ],
)
def test_with_another_key_nothing_is_known_and_the_next_one_knows_again(server, secret):
    a_leader(server, Known(main=D1)).save()
    server.objects.pop(SECRET)
    if secret is not None:
        server.objects[SECRET] = secret
    known = Known()

    memory = a_leader(server, known)
    assert known.known == {}

    known.known[OTHER] = D2
    memory.save()
    successor = Known()
    a_memory(server, successor).load()
    assert successor.known == {OTHER: D2}


def test_a_config_map_that_nobody_can_change_any_more_is_made_again(server):
    a_leader(server, Known(main=D1)).save()
    server.objects[CONFIG_MAP] = {"data": {"settled": "x"}, "immutable": True}

    a_leader(server, Known(main=D2)).save()

    successor = Known()
    a_memory(server, successor).load()
    assert successor.known == {MAIN: D2}


def test_the_seal_of_one_place_is_worth_nothing_in_another(server):
    a_leader(server, Known(main=D1)).save()
    known = Known()
    elsewhere = Memory(
        Moved(server),  # type: ignore[arg-type]
        namespace="other",
        name="immich-operator-settled",
        program="p1",
        settled={"immich": known},  # type: ignore[dict-item]
        log=logging.getLogger("test"),
    )

    elsewhere.load()

    assert known.known == {}


class Moved:
    """Another namespace, into which somebody has copied both objects."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def within(self, _seconds: float) -> Moved:
        return self

    def find(self, ref: ObjectRef) -> dict[str, Any] | None:
        return self._server.find(ref._replace(namespace="system"))


def test_a_write_that_keeps_failing_is_one_line(server, caplog):
    known = Known(main=D1)
    memory = a_leader(server, known)
    server.refuses = True

    for _unused in range(3):
        memory.save()

    assert [record.getMessage() for record in caplog.records] == ["what is settled could not be written"]


@pytest.mark.parametrize(
    "text",
    [
        None, "", "[]", "{", "7", "[" * 100_000, '{"immich": 1}', '{"immich": {"no-slash": ["1", 1]}}',
        '{"immich": {"a/b": ["x", 1]}}', '{"immich": {"a/b": ["1", 1e999]}}', '{"immich": {"a/b": ["1", true]}}',
        '{"immich": {"a/b": [1, 1]}}', '{"immich": {"a/b": ["1", -1]}}', '{"immich": {"a/b": ["1"]}}',
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_nothing_even_with_the_right_seal(server, text):
    memory = a_leader(server, Known(main=D1))
    memory.save()
    program = keyed(server.key(), "p1")
    server.data = {"program": program, "settled": text, "seal": seal(server.key(), CONFIG_MAP, program, str(text))}
    known = Known()

    a_memory(server, known).load()

    assert known.known == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("a/b"), inner, max_size=3),
)


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda found: json.dumps({"immich": {"a/b": found}})))
def test_whatever_stands_there_what_is_taken_of_it_has_the_form_of_a_digest(text):
    server, known = Server(), Known()
    server.objects[SECRET] = {"data": {"key": base64.b64encode(b"k" * 32).decode()}}
    program = keyed(server.key(), "p1")
    server.data = {"program": program, "settled": text, "seal": seal(server.key(), CONFIG_MAP, program, text)}

    a_memory(server, known).load()

    assert all(len(digest.text) == 24 and digest.since >= 0 for digest in known.known.values())
    assert all(digest.has_expired(0) in (True, False) for digest in known.known.values())


def test_more_than_an_object_can_hold_is_cut(server):
    a_leader(server, Known(**{f"n{number:06}": D1 for number in range(30_000)})).save()

    assert MAX_BYTES * 0.8 < len(server.data["settled"]) <= MAX_BYTES


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    role = tmp_path / "ansible_collections" / "media" / "immich" / "roles" / "immich"
    for folder in (role / "tasks", role.parents[1] / "plugins", role.parents[1] / "docs"):
        folder.mkdir(parents=True)
    (role / "tasks" / "main.yml").write_text("---\n")
    return Watch(kind=Kind("example.org/v1", "Widget"), role=role)


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        pytest.param(lambda root, _: (root / "roles/immich/tasks/main.yml").write_text("- x:\n"), True, id="role"),
        pytest.param(lambda root, _: (root / "plugins/new.py").write_text("x"), True, id="plugin"),
        pytest.param(lambda _, env: env.update(RELATED_IMAGE_immich="other:1"), True, id="default-image"),
        pytest.param(lambda root, _: (root / "docs/page.md").write_text("x"), False, id="documentation"),
        pytest.param(lambda _, env: env.update(HOSTNAME="pod-2"), False, id="name-of-the-pod"),
    ],
)
def test_whatever_decides_what_a_pass_does_makes_another_program(watch, change, matters):
    root, environ = watch.role.parents[1], {"RELATED_IMAGE_immich": "server:1", "HOSTNAME": "pod-1"}
    before = program_digest([watch], environ, "")

    change(root, environ)

    assert (program_digest([watch], environ, "") != before) is matters


def test_other_arguments_of_plays_make_another_program(watch):
    assert program_digest([watch], {}, "") != program_digest([watch], {}, "--diff")
