# SPDX-License-Identifier: Apache-2.0
"""What the API server's audit log says about who asked for what, and when: the times are the server's own."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figure, Key
from localcluster.api import USER_AGENT as BENCH
from localcluster.audit import WRITES, Mark

__all__ = ["OPERATOR", "Request", "creation", "instance_of", "read", "repair_s", "verbs"]

OPERATOR = "immich-operator"
"""Begins the user agent of the loop, and that of plays."""

_INSTANCE = re.compile(r"[a-z]+-\d{4}")
_NOT_COUNTED = {"watch"}
"""A watch is answered when it ends, which is long after what it was opened for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An answered request; times in seconds since 1970."""

    agent: str
    verb: str
    resource: str
    namespace: str = ""
    name: str
    code: int
    received: float
    completed: float

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        """Read an event of audit.k8s.io/v1 with the stage ResponseComplete."""
        target = event.get("objectRef") or {}
        resource = "/".join(filter(None, (target.get("resource", ""), target.get("subresource", ""))))
        return cls(
            agent=event.get("userAgent", ""),
            verb=event["verb"],
            resource=resource,
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            code=(event.get("responseStatus") or {}).get("code", 0),
            received=_seconds(event["requestReceivedTimestamp"]),
            completed=_seconds(event["stageTimestamp"]),
        )

    @property
    def is_operators(self) -> bool:
        return self.agent.startswith(OPERATOR)

    @property
    def is_about_instances(self) -> bool:
        """False for what goes on without them: watches, and the Lease."""
        return self.is_operators and self.verb not in _NOT_COUNTED and self.resource != "leases"

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES


def read(log: Path, begin: Mark, end: Mark) -> list[Request]:
    """The requests of operator and bench that were answered between the marks, in the order of their answers."""
    wanted = (f'"userAgent":"{OPERATOR}'.encode(), f'"userAgent":"{BENCH}'.encode())
    found = []
    with log.open("rb") as stream:
        stream.seek(begin.offset)
        while stream.tell() < end.offset:
            line = stream.readline()
            # With a thousand instances there are a million lines, most of them Kubernetes' own.
            if b'"stage":"ResponseComplete"' in line and any(agent in line for agent in wanted):
                found.append(Request.from_event(json.loads(line)))
    return found


def creation(
    requests: Sequence[Request], *, ready_at: Mapping[str, float], settled_at: float, crs: int
) -> list[Figure]:
    """How long it took from the first custom resource to the last one that got so far, and what it cost.

    Args:
        requests: from before the first custom resource until after the operator has nothing left to do.
        ready_at: {name of a custom resource: when it was seen to be ready}.
        settled_at: when the last pass ended.
    """
    start = min(request.received for request in requests if _creates_an_instance(request))
    objects_at: dict[str, float] = {}
    status_at: dict[str, float] = {}
    for request in requests:
        name = instance_of(request.name)
        if not request.is_operators or name not in ready_at:
            continue
        if request.code == 201 and request.resource != "events":
            objects_at[name] = max(request.completed, objects_at.get(name, 0.0))
        if request.resource == "immiches/status":
            status_at[name] = min(request.completed, status_at.get(name, request.completed))
    if not objects_at.keys() == status_at.keys() == ready_at.keys():
        raise ValueError(
            f"some of {len(ready_at)} custom resources have objects but no status, or status but no objects"
        )

    ends = {
        "all objects exist": max(objects_at.values()),
        "first status written": max(status_at.values()),
        "ready": max(ready_at.values()),
        "no pass due any more": settled_at,
    }
    mine = [request for request in requests if request.is_about_instances]
    return [
        *(Figure(Key("Creation", what, "s", crs), at - start) for what, at in ends.items()),
        *(
            Figure(Key("Requests per instance", f"until {what}", "", crs), _until(at, mine) / crs)
            for what, at in ends.items()
        ),
        *(
            Figure(Key("Requests per instance", f"of these, {verb}", "", crs), number / crs)
            for verb, number in verbs(mine).items()
        ),
    ]


def repair_s(requests: Sequence[Request], resource: str, name: str) -> float:
    """From the request with which the bench broke an object to the answer to the operator's that repaired it."""
    writes = [
        request for request in requests if (request.resource, request.name) == (resource, name) and request.is_write
    ]
    spoilt = [request for request in writes if request.agent.startswith(BENCH)]
    repaired = [request for request in writes if request.is_operators and request.completed > spoilt[0].completed]
    if not repaired:
        raise ValueError(f"{resource} {name} was set right by somebody else than the operator")
    return repaired[0].completed - spoilt[0].received


def verbs(requests: Iterable[Request]) -> dict[str, int]:
    """{verb: number of requests}, in alphabetical order."""
    return dict(sorted(Counter(request.verb for request in requests).items()))


def instance_of(name: str) -> str:
    """The instance that an object belongs to, by its name: photos-0001 for data-photos-0001-postgres-0."""
    found = _INSTANCE.search(name)
    return found.group() if found else ""


def _creates_an_instance(request: Request) -> bool:
    return request.agent.startswith(BENCH) and request.verb == "create" and request.resource == "immiches"


def _until(at: float, requests: Collection[Request]) -> int:
    return sum(request.completed <= at for request in requests)


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
