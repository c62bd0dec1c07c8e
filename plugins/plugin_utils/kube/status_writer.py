# SPDX-License-Identifier: Apache-2.0
"""Store a status, and post the Events that go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .api_error import Conflict, NotFound, ObjectRef, TransportError
from .status_merge import merge_patch, patched
from .values import FIELD_MANAGER, Manifest, fitted, visible

__all__ = ["StatusObjects", "StatusWrite", "event", "post_events", "write_status"]

EVENT_MESSAGE_BYTES, EVENT_REASON_BYTES = 1024, 128
"""The API server refuses longer ones (pkg/apis/core/validation/events.go of Kubernetes), and counts bytes."""
MAX_EVENTS = 20
"""Of one pass. There are fewer conditions than that; a play of somebody else's may ask for more."""
ATTEMPTS = 2


class StatusObjects(Protocol):
    """What is needed of ApiObjects."""

    def find(self, ref: ObjectRef) -> Manifest | None: ...
    def post(self, manifest: Manifest) -> Manifest: ...
    def merge(self, ref: ObjectRef, patch: Mapping[str, Any], *, subresource: str = "") -> Manifest: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWrite:
    """`current` is the object afterwards (None: there is none), `patch` what was or would be sent for its status."""

    current: Manifest | None
    before: Mapping[str, Any]
    patch: Mapping[str, Any]
    changed: bool
    skipped_reason: str | None = None


def write_status(
    ref: ObjectRef,
    current: Manifest | None,
    wanted: Callable[[Mapping[str, Any]], dict[str, Any]],
    objects: StatusObjects,
    *,
    dry_run: bool = False,
) -> StatusWrite:
    """Store `wanted(live status)` if it differs, guarded by the version that it was computed from.

    If somebody else wrote in between (409), the object is read again and the status recomputed, once. An object that is
    gone is not an error: nobody is left to read its status. `current` saves the first read, and distinguishes the object
    from a later one of the same name.
    """
    for attempt in range(1, ATTEMPTS + 1):
        live = current if current is not None and attempt == 1 else objects.find(ref)
        if live is None:
            return StatusWrite(current=None, before={}, patch={}, changed=False, skipped_reason=f"{ref} does not exist")
        if current is not None and live["metadata"].get("uid") != current["metadata"].get("uid"):
            reason = f"{ref} was deleted and created again in the meantime"
            return StatusWrite(current=None, before={}, patch={}, changed=False, skipped_reason=reason)
        before = live.get("status") or {}
        patch = merge_patch(before, wanted(before))
        if not patch:
            return StatusWrite(current=live, before=before, patch={}, changed=False)
        if dry_run:
            expected = {**live, "status": patched(before, patch)}
            return StatusWrite(current=expected, before=before, patch=patch, changed=True)
        guarded = {"metadata": {"resourceVersion": live["metadata"].get("resourceVersion")}, "status": patch}
        try:
            after = objects.merge(ref, guarded, subresource="status")
        except NotFound:
            reason = _gone(ref, live, objects)
            return StatusWrite(current=None, before=before, patch={}, changed=False, skipped_reason=reason)
        except Conflict:
            if attempt == ATTEMPTS:
                raise
            continue
        changed = after["metadata"].get("resourceVersion") != live["metadata"].get("resourceVersion")
        return StatusWrite(current=after, before=before, patch=patch, changed=changed)
    raise AssertionError("the last attempt returns or raises")


def _gone(ref: ObjectRef, live: Manifest, objects: StatusObjects) -> str:
    """Why a write found nothing: the object was deleted, or its kind has no status to write to."""
    now = objects.find(ref)
    if now is not None and now["metadata"].get("uid") == live["metadata"].get("uid"):
        raise NotFound(
            404,
            "NotFound",
            f"{ref.api_version} {ref.kind} has no status subresource; its CRD must declare one",
            subject=str(ref),
        )
    return f"{ref} was deleted in the meantime"


def event(involved: Manifest, given: Mapping[str, Any], *, now: str) -> Manifest:
    """A core/v1 Event about an object, from {"type", "reason", "message"}."""
    metadata = involved["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": metadata.get("namespace") or "default"},
        "involvedObject": {
            "apiVersion": involved["apiVersion"],
            "kind": involved["kind"],
            "name": metadata["name"],
            **{field: metadata[field] for field in ("namespace", "uid", "resourceVersion") if metadata.get(field)},
        },
        "type": given.get("type") or "Normal",
        "reason": fitted(visible(str(given["reason"])[: EVENT_REASON_BYTES + 1]), EVENT_REASON_BYTES),
        "message": fitted(visible(str(given.get("message") or "")[: EVENT_MESSAGE_BYTES + 1]), EVENT_MESSAGE_BYTES),
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def post_events(
    involved: Manifest, events: Sequence[Mapping[str, Any]], objects: StatusObjects, *, now: str
) -> list[str]:
    """Post the first MAX_EVENTS; what went wrong, in words. An Event that cannot be posted must never stop a pass."""
    more = len(events) - MAX_EVENTS
    problems = [f"{more} more Events were not posted"] if more > 0 else []
    for given in events[:MAX_EVENTS]:
        try:
            objects.post(event(involved, given, now=now))
        except TransportError as exc:
            problems.append(f"the Event {given['reason']} could not be posted: {exc}")
    return problems
