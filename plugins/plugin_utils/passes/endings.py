# SPDX-License-Identifier: Apache-2.0
"""Pods that their node has evicted or rejected, and pods that should have ended and have not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..components.reasons import Reason
from ..kube.readiness import has_ended
from ..kube.timestamps import minute_of, seconds_of
from ..kube.values import Manifest, dig
from . import cluster_events
from .causes import CLAUSES, Cause, Told, node_named, node_of, without_ids
from .troubles import FOR_EVER, HOUR, MINUTE, NODE_OFF_FOR_GOOD, Source, recognise

__all__ = ["endings", "overdue", "replaced"]

EVICTIONS = 3
"""So many pods that a node has ended within an hour are somebody's to act on although another one is starting."""
REPLACED_WITHIN_S = 60.0
"""A controller makes the next pod as soon as one has failed, so one that was made later is of another rollout."""


class _Ending(NamedTuple):
    """That a node has evicted or rejected a pod."""

    at: float
    node: str
    reason: str
    message: str

    @classmethod
    def of(cls, pod: Manifest, now: float) -> _Ending:
        status = pod["status"]
        said = without_ids(status.get("message", ""), pod)
        return cls(cluster_events.since(pod, now), node_of(pod), status["reason"], said)

    def cause(self, where: str, called: str) -> Cause | None:
        row = recognise(Source.STATUS, self.reason, self.message)
        if row is None:
            return None
        clause = CLAUSES[row.reason].format(node=self.node).replace("its pod", called)
        text = f"{where}: {clause} ({self.reason}): {self.message}; {row.advice.replace('NODE', self.node)}"
        return Cause(row.reason, text, self.at + row.patience_s, is_watched=False)


def endings(where: str, pods: Sequence[Manifest], now: float) -> Iterable[Cause]:
    """Pods that their node has evicted or rejected, while no other one is there, or again and again."""
    ended = _ended_by_node(pods, now)
    is_often = sum(now - ending.at < HOUR for ending in ended) >= EVICTIONS
    is_replaced = any(not has_ended(pod) for pod in pods)
    if ended and (is_often or not is_replaced) and (cause := max(ended).cause(where, "its pod")):
        yield cause._replace(heals_until=0.0) if is_often else cause


def replaced(where: str, pods: Sequence[Manifest], told: Told, now: float) -> Cause | None:
    """Why the pods that are starting had to be made: their node has evicted or rejected the one before."""
    starting = [pod for pod in pods if not has_ended(pod)]
    made = [seconds_of(dig(pod, "metadata", "creationTimestamp")) or 0.0 for pod in starting]
    ended = _ended_by_node(pods, now)
    ended += (
        _Ending(event["at"], node_named(event["former_node"]), event["reason"], without_ids(event["message"], pod))
        for pod in starting
        for event in told.get(pod["metadata"].get("uid", ""), ())
        if event.get("former_node")
    )
    for ending in sorted(ended, reverse=True):
        if any(0 <= when - ending.at <= REPLACED_WITHIN_S for when in made):
            cause = ending.cause(where, "its old pod")
            return cause._replace(heals_until=FOR_EVER) if cause else None
    return None


def _ended_by_node(pods: Iterable[Manifest], now: float) -> list[_Ending]:
    ended = (pod for pod in pods if dig(pod, "status", "phase") == "Failed" and dig(pod, "status", "reason"))
    return [_Ending.of(pod, now) for pod in ended]


def overdue(where: str, pod: Manifest, told: Told, now: float) -> Cause | None:
    """A pod on its way out that does not end: its successor may have to wait for it."""
    due = seconds_of(dig(pod, "metadata", "deletionTimestamp"))
    if due is None or not cluster_events.is_overdue(pod, now):
        return None
    node = node_of(pod)
    said = [event for event in told.get(pod["metadata"].get("uid", ""), ()) if event["reason"] == "FailedKillPod"]
    row = recognise(Source.POD, "FailedKillPod", said[-1]["message"]) if said else None
    if row:
        why = f"{without_ids(said[-1]['message'], pod)}; {row.advice}"
    else:
        why = (
            "the node does not respond, or can't release a volume; start the node, or check its kubelet. "
            + NODE_OFF_FOR_GOOD
        )
    text = f"{where}: its old pod on node {node} should have ended by {minute_of(due)} and has not: {why}"
    return Cause(Reason.NODE_LOST, text, due + cluster_events.OVERDUE_S + 2 * MINUTE, is_watched=False)
