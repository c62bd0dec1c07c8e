# SPDX-License-Identifier: Apache-2.0
"""Of two operators one writes, whatever happens to it; the audit log of the API server tells who wrote when."""

from __future__ import annotations

import datetime
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from localcluster.audit import AuditEntry, Mark
from localcluster.testing import Cluster
from support.families import PLAY, belonging_to, send
from support.ledger import Ledger
from support.operating import WRITES
from support.proxy import Proxy
from support.waiting import eventually
from tests.chaos.bustle import Bustle, watched_passwords
from tests.chaos.conftest import Place, TimesOf
from tests.chaos.operators import Supervised

LEASE_S, RENEW_S, RETRY_S = 15.0, 10.0, 2.0
"""As an operator is deployed."""
FAULTS = ("killed", "loop stopped", "all stopped", "cut off", "ended")
ENDS = {"killed": -signal.SIGKILL, "loop stopped": 1, "all stopped": 1, "cut off": 1, "ended": 0}
"""How the loop ends after each of them; after being stopped and cut off, once it knows."""
ALONE_S = 90.0


@dataclass(frozen=True)
class Candidate:
    """An operator that has a user of its own at the API server, and a connection of its own that can be cut."""

    user: str
    proxy: Proxy
    running: Supervised

    def wait_standing_by(self) -> None:
        """Its caches are filled."""
        eventually("the stand-by's readiness", lambda: self.running.operator.probe("/readyz")[0] == 200)

    def wait_leading(self) -> None:
        self.running.operator.wait_line("leading", ALONE_S)

    def wait_wrote(self) -> None:
        """A pass of it has ended well."""
        operator = self.running.operator
        operator.wait_for(
            "a good pass",
            lambda lines: any(line.get("msg") == "pass finished" and line.get("changed") for line in lines),
        )


class Candidates:
    """Makes them one after another."""

    def __init__(self, place: Place, stack: ExitStack, watched: Sequence[str]) -> None:
        self._place, self._stack, self._watched = place, stack, watched
        self._lease = place.lease(lease_s=LEASE_S, renew_s=RENEW_S, retry_s=RETRY_S)
        (self._home,) = place.namespaces(1)
        self.users: list[str] = []
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": self._home},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io",
                          "name": f"system:serviceaccounts:{self._home}"}],
        }  # fmt: skip
        place.cluster.api.create(binding)
        stack.callback(place.cluster.api.delete, "ClusterRoleBinding", self._home)

    def make(self) -> Candidate:
        name = f"operator-{len(self.users)}"
        cluster, folder = self._place.cluster, self._place.folder / name
        folder.mkdir()
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": self._home}}
        cluster.api.create(account)
        proxy = self._stack.enter_context(Proxy(cluster.kubeconfig_for(name, self._home, folder)))
        config = proxy.kubeconfig(folder)
        running = self._place.operator(
            *self._lease, name=name, watches=self._watched, environment={"KUBECONFIG": str(config)}
        )
        self.users.append(f"system:serviceaccount:{self._home}:{name}")
        return Candidate(self.users[-1], proxy, running)


def test_of_two_operators_never_two_write(place: Place, chance, times: TimesOf, ledger: Ledger):
    watched = place.namespaces(3)
    bustle = Bustle(place.cluster, watched, chance, each=4)
    mark = place.cluster.audit.mark()
    faults = [FAULTS[number % len(FAULTS)] for number in range(times(25))]
    chance.shuffle(faults)
    with watched_passwords(place.cluster, watched) as passwords, ExitStack() as stack:
        candidates = Candidates(place, stack, watched)
        leader = candidates.make()
        leader.wait_leading()
        bustle.create_all()
        with bustle.going_on(pause_s=0.3):
            for fault in faults:
                standby = candidates.make()
                standby.wait_standing_by()
                leader.running.wait_generation(PLAY)
                time.sleep(chance.uniform(0.0, 0.5))  # any moment is what is tried
                began = time.monotonic()
                with befallen(fault, leader, first=chance.choice(["loop", "plays"])):
                    standby.wait_leading()
                    took_s = time.monotonic() - began
                    standby.wait_wrote()
                assert leader.running.operator.wait() == ENDS[fault], leader.running.operator.tail()
                eventually("the end of its processes", lambda gone=leader: not belonging_to(gone.running.folder))
                ledger.count(f"leader {fault}, Lease of {LEASE_S:g} s", seconds=[took_s])
                leader = standby
        bustle.wait_right(words=leader.running.operator.tail)
        assert leader.running.operator.stop() == 0
        assert passwords.changes == []

    writes = written_by(place.cluster, mark, candidates.users)
    assert [(user, bool(entries)) for user, entries in writes.items()] == [(user, True) for user in candidates.users]
    assert late_writes(writes) == []
    for fault, old, new in zip(faults, candidates.users, candidates.users[1:], strict=True):
        silent_s = hand_over_s(place.cluster, mark, old, new)
        limit_s = LEASE_S / 2 if fault == "ended" else LEASE_S + 3 * RETRY_S
        assert silent_s < limit_s, f"{fault}: {silent_s:.1f} s from the last renewal to the next leader's Lease"


@contextmanager
def befallen(fault: str, leader: Candidate, *, first: str) -> Iterator[None]:
    """The leader as it is during the fault, and what comes afterwards for it. `first`: who goes on first after a stop."""
    operator, loop = leader.running.operator, {leader.running.pid}
    others = leader.running.family() - loop
    match fault:
        case "killed":
            operator.signal(signal.SIGKILL)
            yield
        case "ended":
            operator.signal(signal.SIGTERM)
            yield
        case "cut off":
            leader.proxy.interrupt()
            yield
        case "loop stopped":
            send(loop, signal.SIGSTOP)
            yield
            send(loop, signal.SIGCONT)
        case "all stopped":
            send(loop | others, signal.SIGSTOP)
            yield
            for some in (loop, others) if first == "loop" else (others, loop):
                send(some, signal.SIGCONT)


def written_by(cluster: Cluster, mark: Mark, users: Sequence[str]) -> dict[str, list[AuditEntry]]:
    """What each has changed, its Lease aside, in the order in which the requests came."""
    found: dict[str, list[AuditEntry]] = {user: [] for user in users}
    for entry in cluster.audit.since(mark, verbs=WRITES):
        if entry.user in found and entry.resource != "leases" and entry.code is not None and entry.code < 300:
            found[entry.user].append(entry)
    return {user: sorted(entries, key=lambda entry: entry.received) for user, entries in found.items()}


def late_writes(writes: dict[str, list[AuditEntry]]) -> list[str]:
    """Those that came after the first write of a later leader."""
    users = list(writes)
    firsts = [writes[user][0].received for user in users]
    return [
        f"{entry}, after the first write of the next at {following}"
        for user, following in zip(users, firsts[1:], strict=False)
        for entry in writes[user]
        if entry.received > following
    ]


def hand_over_s(cluster: Cluster, mark: Mark, old: str, new: str) -> float:
    """From the last write of the old leader to the Lease to the first of the new one."""
    leases = [
        entry
        for entry in cluster.audit.since(mark, verbs=["create", "update"], resource="leases")
        if entry.code is not None and entry.code < 300
    ]
    first = min(_time(entry) for entry in leases if entry.user == new)
    return first - max(at for entry in leases if entry.user == old and (at := _time(entry)) < first)


def _time(entry: AuditEntry) -> float:
    return datetime.datetime.fromisoformat(entry.received).timestamp()
