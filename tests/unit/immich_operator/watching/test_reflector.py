# SPDX-License-Identifier: Apache-2.0
"""The reflector's answer to every way in which a list or a watch can end. The API server's side is a script."""

import logging
import random
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import refusal
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import Page
from ansible_collections.media.immich.plugins.plugin_utils.kube.resource_paths import Resource
from immich_operator.errors import Gone, Malformed, TransportError, Unreachable
from immich_operator.kube.client import ObjectRef
from immich_operator.kube.resources import Kind, Manifest, NamespacedName
from immich_operator.process.logs import FieldLogger, fields_of
from immich_operator.watching.faults import NAMED
from immich_operator.watching.outage import Outage
from immich_operator.watching.reflector import (
    FAILING_S,
    LONGEST_RETRY_AFTER_S,
    RELIST_AFTER,
    SHORT_WATCH_S,
    Hooks,
    Reflector,
    Scope,
    Timing,
    Tools,
    is_older,
    missing_rule,
)

ROUTE = Kind("route.openshift.io/v1", "Route")
FAST = Timing(backoff_first_s=0.001, backoff_max_s=0.002, discovery_s=0.001)


def an_object(name: str, version: str) -> Manifest:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": version}}


def an_event(type_: str, name: str, version: str) -> Manifest:
    return {"type": type_, "object": an_object(name, version)}


class Stream:
    def __init__(self, events: list[Any]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[Manifest]:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            if callable(event):
                event()
            else:
                yield event

    def close(self) -> None:
        return


class Script:
    """Objects and discovery in one: answers in turn, then sets `stop`. An answer that is an exception is raised.

    Steps: ("list", objects, version), ("watch", events), ("find", served), ("look", version) for a list of a single object;
    a look that is not among them finds a version that is later than all. `calls` notes what was asked but for such looks. A
    function among steps or events is called when its turn comes.
    """

    def __init__(self, *steps: Any, served: bool = True) -> None:
        self.stop = threading.Event()
        self.calls: list[str] = []
        self._steps = list(steps)
        self._served = served
        self.discovery = self

    def find(self, _api_version: str, _kind: str) -> Resource | None:
        self._call_functions()
        if self._steps and self._steps[0][0] == "find":
            answer = self._next("find")[0]
            if isinstance(answer, Exception):
                raise answer
            self._served = bool(answer)
        elif not self._steps:
            self.stop.set()
        return Resource("routes") if self._served else None

    def forget(self, _api_version: str, _kind: str) -> None:
        self.calls.append("forget")

    def pages(self, _ref: ObjectRef, *, limit: int = 0, **_: Any) -> Iterator[Page]:
        """A page for each object."""
        if limit == 1:
            yield self._look()
            return
        self.calls.append("list")
        answer = self._next("list")
        if answer and isinstance(answer[0], Exception):
            raise answer[0]
        objects, version = answer or ([], "0")
        yield from (Page([obj], version) for obj in objects)
        yield Page([], version)

    def _look(self) -> Page:
        self._call_functions()
        if not self._steps or self._steps[0][0] != "look":
            return Page([], str(10**18))
        self.calls.append("look")
        [version] = self._next("look")
        if isinstance(version, Exception):
            raise version
        return Page([], version)

    def watch(self, _ref: ObjectRef, *, resource_version: str, **_: Any) -> Stream:
        self.calls.append(f"watch {resource_version}")
        answer = self._next("watch")
        if answer and isinstance(answer[0], Exception):
            raise answer[0]
        return Stream(answer[0] if answer else [])

    def _call_functions(self) -> None:
        while self._steps and callable(self._steps[0]):
            self._steps.pop(0)()

    def _next(self, kind: str) -> tuple[Any, ...]:
        self._call_functions()
        if not self._steps:
            self.stop.set()
            return ()
        step = self._steps.pop(0)
        assert step[0] == kind, f"the reflector did {kind!r} where {step} was expected, after {self.calls}"
        return step[1:]


class Notes(logging.Handler):
    """A sink, the hooks and a log in one list of what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.lines: list[tuple[str, str]] = []

    def put(self, obj: Manifest) -> None:
        if (fault := obj.get("raises")) is not None:
            raise fault
        self.seen.append(("put", obj["metadata"]["name"]))

    def retain(self, refs: Collection[NamespacedName]) -> None:
        if any(ref.name == "fatal" for ref in refs):
            raise RuntimeError("of a listener")
        self.seen.append(("retain", sorted(ref.name for ref in refs)))

    def remove(self, obj: Manifest) -> None:
        self.seen.append(("remove", obj["metadata"]["name"]))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, str(fields_of(record).get("error", record.getMessage()))))


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> Callable[[], None]:
        def later() -> None:
            self.now += seconds

        return later


def play(
    script: Script,
    *,
    optional: bool = False,
    clock: Any = None,
    at_attempt: Callable[[str | None], None] | None = None,
    observe: Callable[[Reflector], None] = lambda _: None,
    timing: Timing = FAST,
) -> tuple[Notes, Reflector]:
    """Run the script; `at_attempt` gets the reflector's problem at the moment of its first attempt, `observe` the
    reflector before it runs."""

    def attempted() -> None:
        notes.seen.append("attempted")
        if at_attempt is not None:
            at_attempt(reflector.problem())

    notes = Notes()
    log = FieldLogger("test", logging.DEBUG)
    log.addHandler(notes)
    reflector = Reflector(
        Scope(kind=ROUTE, optional=optional),
        notes,
        Tools(
            objects=script,  # type: ignore[arg-type]
            stop=script.stop,
            log=log,
            outage=Outage("https://cluster.example.com:6443", log),
            timing=timing,
            random_=random.Random(1),  # noqa: S311 - the same delays each time
            clock=clock or iter(range(0, 10**6, 10)).__next__,
        ),
        Hooks(
            on_api=lambda _, served: notes.seen.append(("api", served)),
            on_attempt=attempted,
            on_restored=lambda: notes.seen.append("restored"),
        ),
    )
    observe(reflector)
    reflector.run()
    return notes, reflector


class Watcher:
    """Somebody who asks the reflector how it is, in the middle of a script."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.problems: list[str | None] = []
        self.reliable: list[bool] = []
        self._reflector: list[Reflector] = []

    def after(self, seconds: float) -> Callable[[], None]:
        def ask() -> None:
            self.clock.now += seconds
            self.problems.append(self._reflector[0].problem())
            self.reliable.append(self._reflector[0].reliable())

        return ask

    def play(self, *steps: Any, optional: bool = False) -> Script:
        script = Script(*steps)
        play(script, clock=self.clock, optional=optional, observe=self._reflector.append)
        return script


def test_the_list_fills_the_store_and_the_watch_goes_on_from_its_version():
    script = Script(
        ("list", [an_object("a", "5")], "7"),
        ("watch", [an_event("ADDED", "b", "8"), an_event("MODIFIED", "a", "9"), an_event("DELETED", "b", "10")]),
    )

    notes, reflector = play(script)

    assert notes.seen == [
        ("put", "a"),
        ("retain", ["a"]),
        "attempted",
        ("put", "b"),
        ("put", "a"),
        ("remove", "b"),
    ]
    assert script.calls[:2] == ["list", "watch 7"]
    assert reflector.problem() is None


def test_a_watch_that_has_ended_is_resumed_without_a_list():
    script = Script(
        ("list", [], "7"), ("watch", [an_event("ADDED", "a", "8")]), ("watch", [an_event("ADDED", "b", "9")])
    )

    play(script)

    assert script.calls == ["list", "watch 7", "watch 8", "watch 9"]


def test_a_bookmark_moves_the_version_and_touches_no_object():
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}}
    script = Script(("list", [], "7"), ("watch", [bookmark]))

    notes, _ = play(script)

    assert script.calls == ["list", "watch 7", "watch 20"]
    assert notes.seen == [("retain", []), "attempted"]


def gone() -> Gone:
    return refusal(410, "Expired", {}, "watch")


@pytest.mark.parametrize(
    "watch",
    [pytest.param([an_event("ADDED", "a", "8"), gone()], id="as-an-event"), pytest.param(gone(), id="as-an-answer")],
)
def test_410_leads_to_a_new_list(watch):
    script = Script(("list", [], "7"), ("watch", watch), ("list", [an_object("a", "8")], "30"))

    notes, _ = play(script)

    assert script.calls == ["list", "watch 7", "list", "watch 30"]
    assert ("retain", ["a"]) in notes.seen


def test_a_server_that_says_410_again_and_again_is_asked_at_growing_intervals_and_is_not_relied_on():
    watcher = Watcher()
    expired = (("list", [], "7"), ("watch", gone()))

    watcher.play(*expired, *expired, watcher.after(0), *expired, watcher.after(FAILING_S))

    assert watcher.reliable == [False, False]
    assert watcher.problems[0] is None
    assert "410" in str(watcher.problems[1])


@pytest.mark.parametrize("fault", [Unreachable("cut"), Malformed("nonsense"), refusal(500, "", {}, "w")])
def test_a_fault_in_the_middle_of_a_watch_is_reported_and_the_watch_resumed(fault):
    script = Script(("list", [], "7"), ("watch", [an_event("ADDED", "a", "8"), fault]), ("watch", []))

    notes, _ = play(script)

    assert script.calls == ["list", "watch 7", "watch 8", "watch 8"]
    assert [level for level, _ in notes.lines if level != "DEBUG"] == ["WARNING", "INFO"]


def test_a_server_that_refuses_a_version_again_and_again_is_asked_for_a_list():
    refused = refusal(504, "Timeout", {"message": "Too large resource version"}, "watch")
    script = Script(
        ("list", [], "900"),
        ("watch", refused),
        ("watch", refused),
        ("watch", refused),
        ("list", [], "5"),
        ("watch", []),
    )

    play(script)

    assert script.calls[:6] == ["list", "watch 900", "watch 900", "watch 900", "list", "watch 5"]


@pytest.mark.parametrize("fault", [Malformed("nonsense"), refusal(500, "", {}, "watch")])
def test_a_server_that_fails_in_the_stream_of_a_version_again_and_again_is_asked_for_a_list(fault):
    script = Script(
        ("list", [], "7"), ("watch", [fault]), ("watch", [fault]), ("watch", [fault]), ("list", [], "9"), ("watch", [])
    )

    play(script)

    assert script.calls[:6] == ["list", "watch 7", "watch 7", "watch 7", "list", "watch 9"]


def test_a_server_that_nobody_reached_is_asked_for_a_list_when_it_is_back():
    """It may have been restored and have passed our version since, so that only a list tells what is there."""
    down = Unreachable("down")
    script = Script(
        ("list", [], "7"), ("watch", [down]), ("watch", down), ("list", down), ("list", [], "900"), ("watch", [])
    )

    play(script)

    assert script.calls == ["list", "watch 7", "watch 7", "list", "list", "watch 900", "watch 900"]


def test_a_watch_that_broke_goes_on_after_a_look_at_the_version_of_the_server():
    script = Script(("list", [], "900"), ("watch", [Unreachable("cut")]), ("look", "901"), ("watch", []))

    notes, _ = play(script)

    assert script.calls[:4] == ["list", "watch 900", "look", "watch 900"]
    assert "restored" not in notes.seen


def test_an_outage_ends_with_the_look_because_the_watch_may_be_silent():
    outages: list[Outage] = []
    is_on: list[bool] = []
    ask = lambda: is_on.append(outages[0].is_on())  # noqa: E731
    cut = Unreachable("cut")

    play(
        Script(("list", [], "900"), ("watch", [cut]), ask, ("look", "901"), ("watch", [ask])),
        observe=lambda reflector: outages.append(reflector._outage),
    )

    assert is_on == [True, False]


def test_a_watch_that_ended_in_time_goes_on_without_a_look():
    script = Script(("list", [], "900"), ("watch", []), ("watch", []))

    play(script)

    assert script.calls[:3] == ["list", "watch 900", "watch 900"]


def test_a_server_that_was_restored_to_an_older_state_is_asked_for_a_list_and_all_are_told():
    """It would accept the watch and be silent until it has reached that version again."""
    script = Script(
        ("list", [], "900"),
        ("watch", [an_event("ADDED", "a", "1000"), Unreachable("cut")]),
        ("look", "950"),
        ("list", [an_object("b", "940")], "951"),
        ("watch", []),
    )

    notes, _ = play(script)

    assert script.calls[:5] == ["list", "watch 900", "look", "list", "watch 951"]
    assert notes.seen[2:] == [("put", "a"), ("put", "b"), ("retain", ["b"]), "restored"]


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        pytest.param("9", "10", True, id="as-numbers"),
        pytest.param("10", "10", False, id="equal"),
        pytest.param("11", "10", False, id="later"),
        pytest.param("", "10", False, id="none-yet"),
        pytest.param("abc", "10", False, id="no-number"),
        pytest.param("9", "v10", False, id="of-another-storage"),
    ],
)
def test_versions_are_compared_only_where_they_are_numbers(version, than, older):
    assert is_older(version, than) is older


REFUSED = ("watch", refusal(403, "Forbidden", {}, "watch"))
CUT = ("watch", [Unreachable("watch routes: no answer")])


def test_a_store_is_not_relied_on_from_the_first_failure_of_its_watch_until_an_event_comes():
    watcher = Watcher()

    watcher.play(
        ("list", [], "7"),
        watcher.after(0),
        CUT,
        watcher.after(0),
        ("watch", [an_event("ADDED", "a", "8"), watcher.after(0)]),
    )

    assert watcher.reliable == [True, False, True]
    assert watcher.problems == [None, None, None], "readiness does not change for a moment"


def test_a_watch_that_fails_for_minutes_is_a_problem_although_the_first_list_succeeded():
    watcher = Watcher()

    watcher.play(
        ("list", [], "7"),
        ("watch", [watcher.clock.go(300)]),
        CUT,
        watcher.after(FAILING_S - 1),
        CUT,
        watcher.after(1),
    )

    assert watcher.problems == [None, "Route.route.openshift.io: watch routes: no answer"]


def test_a_server_that_is_back_after_an_outage_is_no_problem_although_nothing_happens_there():
    watcher = Watcher()

    watcher.play(
        ("list", [], "7"),
        CUT,
        watcher.after(FAILING_S),
        ("watch", [watcher.after(0), watcher.after(SHORT_WATCH_S), watcher.clock.go(300)]),
        CUT,
        watcher.after(FAILING_S - 1),
    )

    assert [problem is None for problem in watcher.problems] == [False, False, True, True]
    assert watcher.reliable == [False, False, True, False]


def test_a_list_does_not_make_up_for_a_watch_that_is_refused():
    watcher = Watcher()

    script = watcher.play(
        ("list", [], "7"),
        REFUSED,
        REFUSED,
        REFUSED,
        watcher.clock.go(FAILING_S),
        ("list", [], "8"),
        REFUSED,
        watcher.after(0),
    )

    assert script.calls[4:6] == ["list", "watch 8"]
    assert watcher.problems[0] is not None
    assert "not allowed to list and watch Route" in watcher.problems[0]
    assert watcher.reliable == [False]


def test_a_list_that_succeeds_at_last_can_be_relied_on():
    watcher = Watcher()

    watcher.play(("list", refusal(403, "", {}, "list")), watcher.after(0), ("list", [], "7"), watcher.after(0))

    assert watcher.reliable == [False, True]


def test_a_proxy_that_cuts_each_watch_after_a_while_is_no_problem():
    watcher = Watcher()
    minute = ("watch", [watcher.clock.go(60), Unreachable("the connection broke")])

    watcher.play(("list", [], "7"), minute, minute, minute, watcher.after(1))

    assert watcher.problems == [None]


def test_a_store_of_an_api_that_went_away_is_relied_on():
    watcher = Watcher()

    watcher.play(
        ("list", [], "7"),
        ("watch", refusal(404, "", {}, "watch")),
        watcher.after(0),
        ("find", False),
        watcher.after(FAILING_S),
        optional=True,
    )

    assert watcher.reliable == [False, True]
    assert watcher.problems == [None, None]


def test_a_watch_that_ends_as_soon_as_it_begins_does_not_spin():
    script = Script(("list", [], "7"), ("watch", []))

    notes, _ = play(script, clock=lambda: 0.0)

    assert notes.lines[0] == ("WARNING", "Route: the watch ended as soon as it began")


def test_a_missing_permission_is_an_error_that_names_the_rule_and_is_said_once():
    refused = refusal(403, "Forbidden", {}, "list")
    script = Script(("list", refused), ("list", refused), ("list", [], "7"), ("watch", [an_event("ADDED", "a", "8")]))

    notes, reflector = play(script)

    rule = (
        "not allowed to list and watch Route.route.openshift.io: add to the operator's ClusterRole the rule "
        '{apiGroups: ["route.openshift.io"], resources: ["routes"], verbs: ["list", "watch"]}'
    )
    assert notes.lines[:2] == [("ERROR", rule), ("DEBUG", rule)]
    assert ("INFO", "watch works again") in notes.lines
    assert notes.seen[0] == "attempted", "passes of other kinds need not wait for it"
    assert reflector.problem() is None


def test_a_missing_permission_is_asked_of_the_user_where_the_operator_runs_as_one():
    assert "add to your ClusterRole the rule" in missing_rule(Scope(kind=ROUTE), whose_role="your")


def test_a_missing_permission_in_a_namespace_asks_for_a_role():
    assert "add to the operator's Role in namespace family the rule" in missing_rule(
        Scope(kind=ROUTE, namespace="family")
    )


def test_not_being_ready_has_a_reason():
    problems: list[str | None] = []

    play(Script(("list", Unreachable("list routes: no answer"))), at_attempt=problems.append)

    assert problems == ["Route.route.openshift.io: list routes: no answer"]


def test_an_optional_kind_is_watched_from_the_moment_its_api_exists():
    script = Script(("find", False), ("find", False), ("find", True), ("list", [an_object("a", "1")], "7"))

    notes, reflector = play(script, optional=True)

    assert notes.seen == ["attempted", ("put", "a"), ("retain", ["a"]), ("api", True)]
    assert reflector.problem() is None


def test_an_api_that_goes_away_empties_the_store_and_may_come_back():
    script = Script(
        ("list", [an_object("a", "1")], "7"),
        ("watch", refusal(404, "", {}, "watch")),
        ("find", False),
        ("find", True),
        ("list", [an_object("b", "9")], "9"),
    )

    notes, _ = play(script, optional=True)

    assert notes.seen == [
        ("put", "a"),
        ("retain", ["a"]),
        ("api", True),
        "attempted",
        ("retain", []),
        ("api", False),
        ("put", "b"),
        ("retain", ["b"]),
        ("api", True),
    ]
    assert "forget" in script.calls


def test_a_required_kind_that_is_not_served_says_what_to_install_and_is_not_ready():
    script = Script(("find", False), ("find", False))
    script._served = False

    notes, reflector = play(script)

    assert notes.lines == [("ERROR", "the API server does not serve this kind: install its CRD; waiting for it")]
    assert reflector.problem() == "Route.route.openshift.io: the API server does not serve this kind"
    assert notes.seen == ["attempted"], "other kinds need not wait for it"


def test_discovery_that_fails_is_tried_again():
    script = Script(("find", Unreachable("down")), ("list", [], "7"))

    play(script)

    assert script.calls[:1] == ["list"]


def test_entries_without_a_name_are_counted_and_skipped():
    script = Script(("list", ["nonsense", {"metadata": None}, an_object("a", "1")], "7"))

    notes, _ = play(script)

    assert notes.lines[0] == ("WARNING", "skipped entries without a usable name")


def test_delays_grow_to_their_cap_with_jitter():
    timing, delays = Timing(), []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            delays.append(timeout)
            return False

    script = Script(*[("list", Unreachable("down"))] * 8)
    script.stop = Stop()
    reflector = Reflector(
        Scope(kind=ROUTE),
        Notes(),
        Tools(
            objects=script,  # type: ignore[arg-type]
            stop=script.stop,
            log=logging.Logger("test"),
            outage=Outage("https://cluster.example.com:6443", logging.Logger("test")),
            timing=timing,
            random_=random.Random(1),  # noqa: S311 - the same delays each time
        ),
    )
    for _ in range(8):
        reflector._back_off(TransportError("down"))

    ceilings = [1, 2, 4, 8, 16, 30, 30, 30]
    assert all(ceiling / 2 <= delay <= ceiling for delay, ceiling in zip(delays, ceilings, strict=True))


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        pytest.param(0.0, 0.5, 1.0, id="nothing"),
        pytest.param(7.0, 7.0, 7.0, id="more-than-our-own-delay"),
        pytest.param(86400.0, LONGEST_RETRY_AFTER_S, LONGEST_RETRY_AFTER_S, id="a-day"),
    ],
)
def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(asked, least, most):
    delays: list[float | None] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            delays.append(timeout)
            return self.is_set()

    busy = refusal(429, "Too Many Requests", {}, "list")
    busy.retry_after_s = asked
    script = Script(("list", busy), ("list", [], "7"))
    script.stop = Stop()

    play(script, timing=Timing())

    assert delays[0] is not None
    assert least <= delays[0] <= most


RAISED = [
    RecursionError("maximum recursion depth exceeded"),
    KeyError("metadata"),
    UnicodeEncodeError("utf-8", "x", 0, 1, "no"),
    ValueError("Exceeds the limit (4300 digits)"),
    OverflowError("too large"),
    MemoryError(),
    RuntimeError("other"),
]


@pytest.mark.parametrize("fault", RAISED, ids=lambda fault: type(fault).__name__)
def test_an_object_that_nothing_can_be_made_of_is_named_and_the_others_go_on(fault):
    bad = an_object("bad", "1") | {"raises": fault}
    script = Script(
        ("list", [an_object("a", "1"), bad, an_object("b", "1")], "7"),
        ("watch", [{"type": "MODIFIED", "object": bad}, an_event("ADDED", "c", "8")]),
    )

    notes, reflector = play(script)

    assert notes.seen == [
        ("put", "a"),
        ("put", "b"),
        ("retain", ["a", "b", "bad"]),
        "attempted",
        ("put", "c"),
    ], "what was known of it before stays"
    assert script.calls == ["list", "watch 7", "watch 8"]
    assert reflector.problem() is None
    [(level, error)] = [line for line in notes.lines if line[0] != "DEBUG"]
    assert (level, error.partition(":")[0]) == ("ERROR", type(fault).__name__), "once, not for each event"


def test_an_object_that_is_well_again_may_be_named_again():
    bad = an_object("a", "1") | {"raises": ValueError("first")}
    worse = an_object("a", "3") | {"raises": ValueError("second")}
    script = Script(
        ("list", [bad], "7"),
        ("watch", [an_event("MODIFIED", "a", "2"), {"type": "MODIFIED", "object": worse}]),
    )

    notes, _ = play(script)

    assert [error for level, error in notes.lines if level == "ERROR"] == ["ValueError: first", "ValueError: second"]


def test_any_number_of_bad_objects_gives_a_bounded_log():
    many = [an_object(f"bad-{number}", "1") | {"raises": ValueError("x" * 10_000)} for number in range(3 * NAMED)]

    notes, _ = play(Script(("list", many, "7")))

    errors = [error for level, error in notes.lines if level == "ERROR"]
    assert len(errors) == NAMED + 1
    assert errors[-1] == "no more such objects are named"
    assert max(map(len, errors)) <= 300


@pytest.mark.parametrize("fault", [RecursionError("deep"), MemoryError(), AttributeError("of a library")])
def test_an_answer_that_nothing_can_be_made_of_does_not_end_the_reflector(fault):
    script = Script(
        ("list", fault),
        ("list", [an_object("a", "1")], "7"),
        *[("watch", [fault])] * RELIST_AFTER,
        ("list", [], "9"),
    )

    notes, _ = play(script)

    assert script.calls[:6] == ["list", "list", "watch 7", "watch 7", "watch 7", "list"]
    assert ("ERROR", "an answer could not be read") in notes.lines


def test_a_fault_of_ours_that_is_about_no_object_ends_the_reflector():
    """It would only look as if it worked."""

    def fail(_problem: str | None) -> None:
        raise RuntimeError("passes could not begin")

    with pytest.raises(RuntimeError):
        play(Script(("list", [], "7")), at_attempt=fail)


def test_a_fault_at_the_end_of_a_list_does_not_repeat_the_list():
    script = Script(("list", [an_object("fatal", "1")], "7"), ("watch", [an_event("ADDED", "a", "8")]))

    notes, reflector = play(script)

    assert script.calls == ["list", "watch 7", "watch 8"]
    assert reflector.problem() is None
    assert ("ERROR", "RuntimeError: of a listener") in notes.lines
