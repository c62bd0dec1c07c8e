# SPDX-License-Identifier: Apache-2.0
"""The operator's own processes and its machine fail: nothing is lost, and nothing stays half done."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
import yaml

from localcluster.testing import Cluster
from support.families import LOOP, PARKED, PLAY, ZYGOTE, belonging_to
from support.ledger import Ledger
from support.operating import WRITES, Instances
from support.waiting import eventually
from tests.chaos import machine
from tests.chaos.bustle import Bustle, watched_passwords
from tests.chaos.conftest import Place, TimesOf
from tests.chaos.operators import Supervised, files_below
from tests.integration.operator.widgets import HERE, a_widget, watches

EACH = 4
"""Instances in a namespace."""
NAMES = {
    "fork": {LOOP: "the loop", ZYGOTE: "the zygote", PARKED: "the parked process", PLAY: "a play"},
    "process": {LOOP: "the loop", ZYGOTE: "a play"},
}
"""Generations of each engine; with the process engine, a play is a child of the loop."""
WEIGHTS = {"fork": {LOOP: 4, ZYGOTE: 4, PARKED: 5, PLAY: 7}, "process": {LOOP: 1, ZYGOTE: 2}}
FILES_EACH = 40
"""Of an instance on the operator's disk: what the last plays have left to be read."""
FILES_OF_ENGINE = 60
ENDED_S = 300.0
EDITS = 8
"""Changes to instances during a fault of the machine."""


@pytest.mark.parametrize(
    ("engine", "full", "places"),
    [pytest.param("fork", 300, 4, id="fork-engine"), pytest.param("process", 20, 1, id="process-engine")],
)
def test_processes_that_are_killed_at_any_moment_lose_nothing(
    engine: str, full: int, places: int, place: Place, chance, times: TimesOf, ledger: Ledger
):
    watched = place.namespaces(places)
    bustle = Bustle(place.cluster, watched, chance, each=EACH)
    with watched_passwords(place.cluster, watched) as passwords:
        running = place.operator(engine=engine, watches=watched)
        bustle.create_all()
        killed: Counter[int] = Counter()
        with bustle.going_on(pause_s=0.5):
            while killed.total() < times(full):
                (number,) = chance.choices(list(WEIGHTS[engine]), list(WEIGHTS[engine].values()))
                time.sleep(chance.uniform(0.0, 0.8))  # any moment is what is tried
                killed[number] += running.kill(number, chance)
        began = time.monotonic()
        bustle.wait_right(words=running.operator.tail)
        took_s = time.monotonic() - began
    for number, name in NAMES[engine].items():
        ledger.count(f"SIGKILL of {name} ({engine} engine)", tried=killed[number])
    ledger.count(f"all right after the last SIGKILL ({engine} engine)", seconds=[took_s])
    assert passwords.changes == []
    assert passwords.count == places * EACH
    assert_nothing_is_left(running, places * EACH)


def assert_nothing_is_left(running: Supervised, instances: int) -> None:
    """Of plays that were killed; asked after the operator has ended in good order."""
    assert running.operator.stop() == 0, running.operator.tail()
    eventually("the end of all its processes", lambda: not belonging_to(running.folder))
    assert list(running.operator.run_dir.glob("plays/*/*/*/*/*/tmp/*")) == []
    assert sorted(path.name for path in running.temporary.iterdir()) == []
    assert files_below(running.folder) <= FILES_EACH * instances + FILES_OF_ENGINE


Fault = Callable[[Supervised], AbstractContextManager[None]]


def a_full_disk(running: Supervised) -> AbstractContextManager[None]:
    return machine.full(running.folder / "run")


def a_read_only_folder(running: Supervised) -> AbstractContextManager[None]:
    return machine.read_only(running.operator.run_dir / "plays")


def no_descriptors(running: Supervised) -> AbstractContextManager[None]:
    return machine.no_descriptors(running.pid)


def no_processes(running: Supervised) -> AbstractContextManager[None]:
    return machine.no_more_processes(running.family(), f"no-processes-{running.pid}")


MACHINE: dict[str, tuple[Fault, str]] = {
    "full disk": (a_full_disk, "No space left on device; the volume of --run-dir is full"),
    "read-only folder": (a_read_only_folder, "Read-only file system; the volume of --run-dir is read-only"),
    "no descriptors": (no_descriptors, "Too many open files; the operator may open no more files"),
    "no processes": (no_processes, "Resource temporarily unavailable; no more processes may be started"),
}
"""By their name: the fault, and how it is told."""
ANSWERING = ("full disk", "read-only folder")
"""Where probes are answered; without descriptors or threads they cannot be, which tells the same to a kubelet."""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems and makes control groups, so needs root")
def test_a_machine_that_lets_no_play_run_is_told_and_costs_only_time(
    place: Place, chance, times: TimesOf, ledger: Ledger
):
    (watched,) = place.namespaces(1)
    bustle = Bustle(place.cluster, [watched], chance, each=EACH)
    with (
        watched_passwords(place.cluster, [watched]) as passwords,
        machine.small_disk(place.folder / "operator" / "run", 24),
    ):
        running = place.operator(watches=[watched])
        operator = running.operator
        bustle.create_all()
        bustle.wait_right(words=operator.tail)
        for title, (fault, told) in [*MACHINE.items()] * times(4):
            before = len(operator.lines())
            with fault(running):
                for _ in range(EDITS):
                    bustle.act()
                operator.wait_for(
                    f"{title}, in the log",
                    lambda lines, told=told, before=before: any(told in str(line) for line in lines[before:]),
                )
                eventually(f"an Event that tells of {title}", lambda told=told: told in events(place.cluster, watched))
                if title in ANSWERING:
                    eventually("its readiness", lambda told=told: told in operator.probe("/readyz")[1])
            began = time.monotonic()
            bustle.wait_right(words=operator.tail)
            ledger.count(title, seconds=[time.monotonic() - began])
        assert passwords.changes == []
        eventually("its readiness", lambda: operator.probe("/readyz") == (200, "ok\n"))
        assert operator.stop() == 0, operator.tail()


def events(cluster: Cluster, namespace: str) -> str:
    found = cluster.api.list("v1/Event", namespace, fields="involvedObject.kind=Immich")
    return "\n".join(event["message"] for event in found if event["reason"] == "PassNotFinished")


@pytest.mark.skipif(machine.CLOCK is None, reason="needs libfaketime: apt-get install faketime")
def test_a_clock_that_jumps_neither_ends_the_leader_nor_loses_a_change(
    place: Place, chance, times: TimesOf, ledger: Ledger
):
    clock = machine.Clock(place.folder)
    (watched,) = place.namespaces(1)
    bustle = Bustle(place.cluster, [watched], chance, each=EACH)
    with watched_passwords(place.cluster, [watched]) as passwords:
        running = place.operator(*place.lease(), watches=[watched], environment=clock.environment)
        bustle.create_all()
        jumps = times(20)
        with bustle.going_on(pause_s=0.5):
            for _ in range(jumps):
                clock.jump(chance.choice(["+40d", "+1h", "+61s", "+0", "-61s", "-2m"]))
                time.sleep(chance.uniform(0.0, 2.0))  # any moment is what is tried
        began = time.monotonic()
        bustle.wait_right(words=running.operator.tail)
        ledger.count("jump of the clock", tried=jumps, seconds=[time.monotonic() - began])
        assert passwords.changes == []
    assert len([line for line in running.operator.lines() if line.get("msg") == "leading"]) == 1
    assert running.operator.stop() == 0, running.operator.tail()


def test_a_play_that_hangs_in_a_system_call_is_ended_told_and_holds_up_no_other(
    place: Place, times: TimesOf, ledger: Ledger
):
    place.cluster.kubectl("apply", "-f", str(HERE / "widgets.yaml"))
    place.cluster.api.wait_served("widgets.test.media.rm3l.org")
    (watched,) = place.namespaces(1)
    hangs = place.folder / "hangs"
    os.mkfifo(hangs)
    role = place.folder / "roles" / "reader" / "tasks"
    role.mkdir(parents=True)
    read = {"name": "Read", "ansible.builtin.debug": {"msg": "{{ lookup('ansible.builtin.file', file) }}"}}
    (role / "main.yml").write_text(yaml.safe_dump([read]))
    good = place.folder / "good"
    good.write_text("good")
    running = place.operator("--play-timeout=20s", watches=[watched], entries=watches(role=str(role.parent)))
    operator = running.operator
    operator.wait_line("passes begin")

    def wait_good(name: str) -> None:
        operator.wait_for(
            f"a good pass over {name}", lambda _: any(one["result"] == "successful" for one in operator.passes(name))
        )

    place.cluster.api.create(a_widget("before", watched, {"file": str(good)}))
    wait_good("before")
    hanging = [f"hanging-{number}" for number in range(times(6))]
    for name in hanging:
        place.cluster.api.create(a_widget(name, watched, {"file": str(hangs)}))
    place.cluster.api.create(a_widget("beside", watched, {"file": str(good)}))

    for name in hanging:
        line = operator.wait_for(f"a pass over {name}", lambda _, name=name: operator.passes(name), ENDED_S)[0]
        assert (line["result"], line["failures"]) == (
            "timeout", ["the play took too long and was killed; see --play-timeout"],
        )  # fmt: skip
    wait_good("beside")
    found = place.cluster.api.list("v1/Event", watched, fields="reason=PassNotFinished")
    assert set(hanging) <= {event["involvedObject"]["name"] for event in found}
    ledger.count("a play that hangs in a system call", tried=len(hanging))
    hangs.unlink()
    hangs.write_text("good")
    for name in hanging:
        wait_good(name)
    assert operator.stop() == 0, operator.tail()
    eventually("the end of all its processes", lambda: not belonging_to(running.folder))


def test_two_operators_at_once_make_each_password_once(place: Place, times: TimesOf, ledger: Ledger):
    """As after a Lease was stolen, or without leader election: both work on everything."""
    count = times(200)
    watched = place.namespaces(-(-count // 10))
    names = [(watched[number // 10], f"photos-{number}") for number in range(count)]
    mark = place.cluster.audit.mark()
    with watched_passwords(place.cluster, watched) as passwords:
        both = [place.operator(name=name, watches=watched) for name in ("one", "other")]
        for one in both:
            one.operator.wait_line("passes begin")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda where: Instances(place.cluster, where[0]).create({}, where[1]), names))
        for where in names:
            place.cluster.api.wait_for("Immich", where[1], where[0], lambda cr: cr["status"]["ready"], 600)
        for one in both:
            assert one.operator.stop() == 0, one.operator.tail()
        passes = [sum(bool(one.operator.passes(name, namespace)) for namespace, name in names) for one in both]
        eventually("the watch to have seen all", lambda: passwords.count >= count)
        assert passwords.changes == []

    made = Counter(
        (entry.namespace, entry.name)
        for entry in place.cluster.audit.since(mark, verbs=WRITES, resource="secrets", user_agent_contains="immich")
        if entry.name.endswith("-postgres-credentials") and entry.code == 201
    )
    assert made == {(namespace, f"{name}-postgres-credentials"): 1 for namespace, name in names}
    assert [used_password(place.cluster, where) for where in names] == [
        f"{name}-postgres-credentials/password" for _, name in names
    ]
    assert min(passes) > count / 2, f"both have worked on most of them: {passes}"
    ledger.count("an instance that two operators make at once", tried=count)


def used_password(cluster: Cluster, where: tuple[str, str]) -> str | None:
    """SECRET/KEY from which the pods of the database have their password, as the API server keeps them."""
    pods = Instances(cluster, where[0]).pods("postgres", where[1])
    entries = [entry for pod in pods for entry in pod["spec"]["containers"][0]["env"]]
    references = {
        f"{entry['valueFrom']['secretKeyRef']['name']}/{entry['valueFrom']['secretKeyRef']['key']}"
        for entry in entries
        if entry["name"] == "POSTGRES_PASSWORD"
    }
    return references.pop() if len(references) == 1 else None
