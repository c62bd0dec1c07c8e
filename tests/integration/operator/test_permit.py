# SPDX-License-Identifier: Apache-2.0
"""Who may not lead any more writes nothing, although nobody has told it yet."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from localcluster.testing import Cluster
from support.families import PLAY, generations, is_running, send
from support.operating import Operator
from support.waiting import eventually
from tests.integration.operator.conftest import StartOperator, Widgets
from tests.integration.operator.widgets import HERE, watches

LEASE = (
    "--leader-elect",
    "--leader-election-id=widgets",
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
)
ENTRIES = watches(role=str(HERE / "roles/late_writer"))


def written(cluster: Cluster, namespace: str) -> set[str]:
    return {found["metadata"]["name"] for found in cluster.api.list("ConfigMap", namespace, labels="of=late-writer")}


def below(operator: Operator) -> set[int]:
    """The processes that the loop has started, at whatever distance."""
    first, *others = generations(operator.process.pid)
    assert first == {operator.process.pid}
    return set().union(*others)


def let_a_play_write_once(widgets: Widgets, cluster: Cluster, namespace: str, go: Path) -> None:
    """It waits for `go` to write again."""
    widgets.create("one", {"goAhead": str(go)})
    cluster.api.wait_for("ConfigMap", "first", namespace, lambda _: True)


def test_a_play_may_write_while_its_operator_leads(start: StartOperator, widgets, cluster, namespace, tmp_path):
    operator = start(*LEASE, f"--leader-election-namespace={namespace}", entries=ENTRIES)
    let_a_play_write_once(widgets, cluster, namespace, tmp_path / "go")

    (tmp_path / "go").touch()

    cluster.api.wait_for("ConfigMap", "second", namespace, lambda _: True)
    assert operator.wait_for("the pass", lambda _: operator.passes("one"))[0]["result"] == "successful"


@pytest.mark.parametrize("stops", ["the loop", "the whole family"])
def test_the_play_of_a_leader_that_stood_still_does_not_write_after_the_lease(
    stops, start: StartOperator, widgets, cluster, namespace, tmp_path
):
    lease = (*LEASE, f"--leader-election-namespace={namespace}")
    old = start(*lease, name="old", entries=ENTRIES)
    let_a_play_write_once(widgets, cluster, namespace, tmp_path / "go")
    with cluster.namespace("elsewhere") as elsewhere:
        new = start(*lease, name="new", env={"WATCH_NAMESPACE": elsewhere}, entries=ENTRIES, passes=False)
        loop, others = old.process.pid, below(old)
        play = set().union(*generations(loop)[PLAY:])
        assert play
        send([loop, *(others if stops == "the whole family" else ())], signal.SIGSTOP)
        try:
            new.wait_line("leading")

            send(others, signal.SIGCONT)
            (tmp_path / "go").touch()

            eventually("the end of the play", lambda: not any(map(is_running, play)))
            assert written(cluster, namespace) == {"first"}
        finally:
            send([loop], signal.SIGCONT)
        assert old.wait() == 1
        assert "was lost" in old.lines()[-1]["error"]
        assert written(cluster, namespace) == {"first"}


def test_a_play_that_outlives_its_killed_operator_does_not_write(
    start: StartOperator, widgets, cluster, namespace, tmp_path
):
    operator = start("--engine=process", entries=ENTRIES)
    let_a_play_write_once(widgets, cluster, namespace, tmp_path / "go")
    play = below(operator)

    operator.signal(signal.SIGKILL)
    operator.wait()
    (tmp_path / "go").touch()

    eventually("the end of the play", lambda: not any(map(is_running, play)))
    assert written(cluster, namespace) == {"first"}
