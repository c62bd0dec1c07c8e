# SPDX-License-Identifier: Apache-2.0
"""Count requests: read the audit log of the API server between two points in time.

Why the counts are exact. The log is written in blocking mode, and each request leaves two lines: RequestReceived
before it is handled, ResponseComplete afterwards (possibly a moment after the client has its answer). A reader first
sends a request of its own. Whatever was answered before that has its first line above the reader's; so once the
reader's line is there and every request above it has its second line, nothing is missing.
"""

import json
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster.api import Api
from localcluster.errors import LocalClusterError

__all__ = ["WRITES", "Audit", "AuditEntry", "Mark"]

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_MARKER = "/version?localcluster-audit="
_LONG_RUNNING = frozenset({"exec", "attach", "portforward", "proxy", "log"})
_DEADLINE_S = 10.0
_LOOK_AGAIN_S = 0.005


@dataclass(frozen=True, slots=True)
class Mark:
    """A position in the log; `file` is its inode."""

    file: int
    offset: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request. Strings are empty if a request has no such part; `code` is None while it is unanswered.

    `forbidden`: the user lacks the permission. A code of 403 alone may mean that admission refused it.
    """

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: str
    user_agent: str
    uri: str
    code: int | None
    forbidden: bool
    received: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> "AuditEntry":
        """Read an event of audit.k8s.io/v1."""
        target = event.get("objectRef") or {}
        return cls(
            verb=event["verb"],
            group=target.get("apiGroup", ""),
            resource=target.get("resource", ""),
            subresource=target.get("subresource", ""),
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            user=event["user"].get("username", ""),
            user_agent=event.get("userAgent", ""),
            uri=event["requestURI"],
            code=(event.get("responseStatus") or {}).get("code"),
            forbidden=(event.get("annotations") or {}).get("authorization.k8s.io/decision") == "forbid",
            received=event["requestReceivedTimestamp"],
        )

    def __str__(self) -> str:
        return f"{self.received} {self.verb} {self.uri} {self.code} ({self.user_agent})"


class Audit:
    """The audit log of one cluster."""

    def __init__(self, log: Path, api: Api) -> None:
        self._log = log
        self._api = api

    def mark(self) -> Mark:
        """A point in time for `since`: what was answered before this call is before the mark."""
        start = self._size()
        for offset, event in self._until_marker(start):
            if event["requestURI"].startswith(_MARKER):
                return Mark(self._log.stat().st_ino, offset)
        raise AssertionError("unreachable: the reader ends at its marker or raises")

    def beginning(self) -> Mark:
        """The point before all requests, for `since`."""
        return Mark(self._log.stat().st_ino, 0)

    def since(
        self,
        mark: Mark,
        *,
        user_agent_contains: str = "",
        verbs: Collection[str] = (),
        resource: str = "",
        namespace: str = "",
        include_open: bool = False,
    ) -> list[AuditEntry]:
        """The requests that came after the mark and have been answered, in the order of their answers.

        Empty filters match all. `verbs` are those of the audit log (get, list, watch, create, update, patch, delete,
        deletecollection; see WRITES), `resource` is a plural such as `pods` or `pods/status`. With `include_open`
        unanswered requests are included too, at the end: watches that are still running.
        """
        if self._log.stat().st_ino != mark.file:
            raise LocalClusterError(f"The audit log {self._log} was rotated and no longer is the mark's file")
        begun: dict[str, dict[str, Any]] = {}
        answered = []
        for _, event in self._until_marker(mark.offset):
            if event["requestURI"].startswith(_MARKER):
                continue
            if event["stage"] == "RequestReceived":
                begun[event["auditID"]] = event
            elif begun.pop(event["auditID"], None) is not None:
                answered.append(event)
        entries = [AuditEntry.from_event(event) for event in (*answered, *(begun.values() if include_open else ()))]
        return [
            entry
            for entry in entries
            if user_agent_contains in entry.user_agent
            and (not verbs or entry.verb in verbs)
            and (not resource or resource in (entry.resource, f"{entry.resource}/{entry.subresource}"))
            and (not namespace or entry.namespace == namespace)
        ]

    def _size(self) -> int:
        return self._log.stat().st_size

    def _until_marker(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """(offset after the line, event) from `start` until a request sent now, and all before it, are complete."""
        marker = f"{_MARKER}{uuid.uuid4()}"
        self._api.request("GET", marker)
        deadline = time.monotonic() + _DEADLINE_S
        outstanding: dict[str, str] = {}
        marker_seen = False
        with self._log.open("rb") as stream:
            stream.seek(start)
            partial = b""
            while True:
                # A line may be half written when we get to it.
                partial += stream.readline()
                if not partial.endswith(b"\n"):
                    if time.monotonic() > deadline:
                        missing = ", ".join(outstanding.values()) or marker
                        raise LocalClusterError(f"The audit log {self._log} is still incomplete; missing: {missing}")
                    time.sleep(_LOOK_AGAIN_S)
                    continue
                event = json.loads(partial)
                partial = b""
                yield stream.tell(), event
                if event["requestURI"] == marker:
                    marker_seen = True
                if event["stage"] != "RequestReceived":
                    outstanding.pop(event["auditID"], None)
                elif not marker_seen and not _is_long_running(event):
                    outstanding[event["auditID"]] = f"{event['verb']} {event['requestURI']}"
                if marker_seen and not outstanding:
                    return


def _is_long_running(event: dict[str, Any]) -> bool:
    return event["verb"] == "watch" or (event.get("objectRef") or {}).get("subresource") in _LONG_RUNNING
