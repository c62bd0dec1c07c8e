# SPDX-License-Identifier: Apache-2.0
"""Events of the pods and claims that do not get going, which nothing else tells of: how few are read, and of which.

Nothing is read of an instance that is well, and nothing in the first seconds of a start. Else one request for each of
at most MAX_OBJECTS objects. If that brings FEW_EVENTS, the newest may be missing, because the API server lists Events by
name, which begins with that of the object and ends in the time of the first occurrence (client-go, tools/record/event.go,
makeEvent). Then at most MAX_EVENTS of just this object are read, as many of those that do not say of which one they are, and
of those that tell why a former one is gone; the newest FEW_EVENTS count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from ..kube import kinds
from ..kube.api_error import ApiError, ObjectRef
from ..kube.applying import InParallel
from ..kube.readiness import has_ended, is_running
from ..kube.redaction import Redaction
from ..kube.timestamps import seconds_of
from ..kube.values import Manifest, dig

__all__ = ["OVERDUE_S", "is_overdue", "is_unwell", "last_seen", "read", "since", "worth_a_look"]

SLOW_AFTER_S = 10.0
"""How long a pod or a claim may take before anybody asks why."""
OVERDUE_S = 30.0
"""How long after its time a pod may still be there."""
MAX_PODS = 2
"""Of one component: others of the same template are in the same trouble."""
MAX_OBJECTS = 12
FEW_EVENTS = 200
"""Kubelet posts 25 of a pod at once and one each five minutes after that (client-go, EventSourceObjectSpamFilter); all of
them are gone after an hour. There are more where a StatefulSet makes pods of the same name again and again, or where
others post Events."""
MAX_EVENTS = 2000
MAX_TEXT = 2000
"""Longest message that is kept, in characters. The API server takes 1024 of a core/v1 Event."""

WHY_GONE = frozenset({"Evicted"})
"""Reasons of Events by which a pod is gone whose StatefulSet makes another one of its name, and deletes what had failed."""

EVENT = kinds.named("Event")
COMPONENT = "app.kubernetes.io/component"


class Reader(Protocol):
    """What is needed of `kube.api_objects.ApiObjects`."""

    def list(self, ref: ObjectRef, *, selector: str = "", fields: str = "", limit: int = 0) -> list[Manifest]: ...


def is_unwell(manifest: Manifest) -> bool:
    """True for a pod that is to run and is not ready, and for a claim without a volume. One that goes is neither."""
    if dig(manifest, "metadata", "deletionTimestamp"):
        return False
    if manifest["kind"] == "PersistentVolumeClaim":
        return bool(dig(manifest, "status", "phase", default="Pending") != "Bound")
    return not (has_ended(manifest) or is_running(manifest))


def is_overdue(pod: Manifest, now: float) -> bool:
    """True for a pod that was to have ended by now."""
    due = seconds_of(dig(pod, "metadata", "deletionTimestamp"))
    return due is not None and now >= due + OVERDUE_S


def since(manifest: Manifest, now: float) -> float:
    """Since when it is as it is, in seconds since the epoch; `now` where nothing tells."""
    for condition in dig(manifest, "status", "conditions", default=[]):
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            changed = seconds_of(condition.get("lastTransitionTime"))
            if changed is not None:
                return changed
    created = seconds_of(dig(manifest, "metadata", "creationTimestamp"))
    return now if created is None else created


def worth_a_look(manifests: Iterable[Manifest], now: float) -> list[Manifest]:
    """The pods and claims whose Events are read: those unwell for some time, or overdue; claims first, then the newest pods."""
    slow = [
        item
        for item in manifests
        if item["kind"] in ("Pod", "PersistentVolumeClaim")
        and item["metadata"].get("uid")
        and ((is_unwell(item) and now - since(item, now) >= SLOW_AFTER_S) or is_overdue(item, now))
    ]
    slow.sort(key=lambda item: (item["kind"] == "Pod", -since(item, now), item["metadata"]["name"]))
    taken: Counter[Any] = Counter()
    found = []
    for item in slow:
        component = dig(item, "metadata", "labels", COMPONENT) if item["kind"] == "Pod" else None
        taken[component] += 1
        if component is None or taken[component] <= MAX_PODS:
            found.append(item)
    return found[:MAX_OBJECTS]


def read(
    manifests: Iterable[Manifest], api: Reader, in_parallel: InParallel, *, hidden: Redaction, now: float
) -> dict[str, list[dict[str, Any]]]:
    """{uid: [{"reason", "message", "at", "former_node"}]} of the objects worth a look; `at` is when it was last seen.

    `former_node` is None, but of an Event that tells why a pod of the same name had to go: the node that it was on.

    What `hidden` hides is not in the messages. What may not be read is left out: an operator whose role is older may not
    list Events.
    """
    objects = worth_a_look(manifests, now)
    answers = in_parallel([partial(_events_of, api, item) for item in objects])
    return {
        item["metadata"]["uid"]: [
            {
                "reason": event.get("reason") or "",
                "message": hidden.text(str(event.get("message") or ""))[:MAX_TEXT],
                "at": last_seen(event),
                "former_node": None if _is_of(item, event) else str(dig(event, "source", "host", default="NODE")),
            }
            for event in events
        ]
        for item, events in zip(objects, answers, strict=True)
        if events
    }


def last_seen(event: Mapping[str, Any]) -> float:
    """When it was last seen: Events of both APIs, counted ones and series; 0.0 if it does not say."""
    times = (
        dig(event, "series", "lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        dig(event, "metadata", "creationTimestamp"),
    )
    return max((found for text in times if (found := seconds_of(text)) is not None), default=0.0)


def _events_of(api: Reader, item: Manifest) -> list[Manifest]:
    metadata = item["metadata"]
    ref = ObjectRef(EVENT.api_version, EVENT.kind, namespace=metadata.get("namespace") or "")
    of_name = f"involvedObject.kind={item['kind']},involvedObject.name={metadata['name']}"
    try:
        found = api.list(ref, fields=of_name, limit=FEW_EVENTS)
        if len(found) >= FEW_EVENTS:
            exactly = [f"involvedObject.uid={uid}" for uid in (metadata["uid"], "")]
            exactly += [f"reason={reason}" for reason in sorted(WHY_GONE)]
            more = [event for one in exactly for event in api.list(ref, fields=f"{of_name},{one}", limit=MAX_EVENTS)]
            each_once = {dig(event, "metadata", "name", default=id(event)): event for event in more}
            found = sorted(each_once.values(), key=last_seen)[-FEW_EVENTS:]
    except ApiError:
        return []
    return [event for event in found if _is_of(item, event) or event.get("reason") in WHY_GONE]


def _is_of(item: Manifest, event: Mapping[str, Any]) -> bool:
    """Not by uid alone, which some leave out, such as the controller that evicts pods from lost nodes. One of another uid is
    of a former object of the name."""
    uid = item["metadata"]["uid"]
    return bool((dig(event, "involvedObject", "uid") or uid) == uid)
