# SPDX-License-Identifier: Apache-2.0
"""The conditions that the Operator SDK keeps for roles that leave the status to the runtime (`manageStatus`), and those
of an object that its role never gets to see.

Types, reasons and messages are the SDK's. Two of its habits are not: nothing is written when nothing changed but the
clock, and fields of other controllers' conditions survive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from immich_operator.engine.base import PlayResult
from immich_operator.kube.client import fitted, merged_conditions, text_of
from immich_operator.kube.resources import Manifest, mapping
from immich_operator.kube.texts import visible

REFUSED_REASON: Final = "SpecInvalid"
REFUSED: Final = "no play was run: "  # prefix of the messages of `refused`
ANNOUNCED: Final = ("WaitingForRollout", "the first play has not ended yet")  # reason and message
LONGEST_MESSAGE: Final = 8000  # bytes; a CRD allows 32768 characters at most, and the object has other conditions too
_VOLATILE: Final = "completion"  # time of the last run: differs in every pass, so it alone is not a reason to write

Condition = dict[str, Any]


def running(status: Mapping[str, Any], now: float) -> list[Condition]:
    """Conditions for a pass that begins. Only the first one is announced: others would cause a write in every pass."""
    conditions = _of(status)
    if _find(conditions, "Running") is not None:
        return conditions
    return _set(conditions, "Running", "True", "Running", "Running reconciliation", now)


def finished(status: Mapping[str, Any], result: PlayResult, now: float) -> list[Condition]:
    """Conditions after a pass; equal to the current ones if nothing worth a write has changed."""
    conditions = _of(status)
    outcome = {} if result.stats is None else {"ansibleResult": _outcome(result.stats, now)}
    if result.ok():
        message = "Awaiting next reconciliation"
        conditions = _set(conditions, "Running", "True", "Successful", message, now, outcome)
        conditions = _set(conditions, "Failure", "False", "", "", now)
        return _set(conditions, "Successful", "True", "Successful", "Last reconciliation succeeded", now)
    message = "\n".join(result.failures) or f"the play ended with status {result.status}"
    conditions = _set(conditions, "Running", "False", "Running", "Running reconciliation", now)
    conditions = _set(conditions, "Failure", "True", "Failed", message, now, outcome)
    return _set(conditions, "Successful", "False", "", "", now)


def failed(status: Mapping[str, Any], message: str, now: float) -> list[Condition]:
    """Conditions if no play could be started."""
    return finished(status, PlayResult(status="error", rc=None, failures=(message,)), now)


def announced(status: Mapping[str, Any], now: float) -> list[Condition]:
    """Conditions of an object that has none yet: without any, tools take it for one that is done (kstatus)."""
    conditions = _of(status)
    if conditions:
        return conditions
    return _set(conditions, "Ready", "Unknown", *ANNOUNCED, now)


def refused(status: Mapping[str, Any], message: str, generation: object, now: float) -> list[Condition]:
    """Conditions of an object that must not be given to a play, on behalf of the role that keeps the status itself."""
    conditions = _of(status)
    more = {"observedGeneration": generation} if generation else {}
    for type_, value in (("Ready", "False"), ("Degraded", "True"), ("Reconciling", "False"), ("Stalled", "True")):
        conditions = _set(conditions, type_, value, REFUSED_REASON, REFUSED + message, now, more)
    return conditions


def without_refusal(status: Mapping[str, Any]) -> list[Condition]:
    """Conditions without those of `refused` that the role has not replaced."""
    return [entry for entry in _of(status) if not str(entry.get("message")).startswith(REFUSED)]


def patch(cr: Manifest, conditions: list[Condition], *, unready: bool = False) -> Manifest | None:
    """Merge patch of the status subresource, None if nothing has changed.

    `unready`: a boolean `ready` and an `observedGeneration` beside the conditions must not contradict them. The resource
    version guards the list: conditions that somebody else has written in the meantime must not be lost.
    """
    present = mapping(cr.get("status"))
    summary: Manifest = {"ready": False} if unready and present.get("ready") is True else {}
    generation = mapping(cr.get("metadata")).get("generation")
    if unready and present.get("observedGeneration", generation) != generation:
        summary["observedGeneration"] = generation
    if _of(present) == conditions and not summary:
        return None
    version = mapping(cr.get("metadata")).get("resourceVersion")
    return {"metadata": {"resourceVersion": version}, "status": {**summary, "conditions": conditions}}


def _of(status: Mapping[str, Any]) -> list[Condition]:
    conditions = status.get("conditions")
    return [dict(entry) for entry in conditions if isinstance(entry, Mapping)] if isinstance(conditions, list) else []


def _find(conditions: list[Condition], type_: str) -> Condition | None:
    return next((entry for entry in conditions if entry.get("type") == type_), None)


def _set(
    conditions: list[Condition],
    type_: str,
    status: str,
    reason: str,
    message: str,
    now: float,
    more: Mapping[str, Any] | None = None,
) -> list[Condition]:
    """Replace or append one condition; it stays as it is when only volatile values differ."""
    old = _find(conditions, type_)
    # As `merged_conditions` stores it, or it would be written in every pass.
    told = fitted(visible(message[: LONGEST_MESSAGE + 1], keep="\n"), LONGEST_MESSAGE)
    new: Condition = {"type": type_, "status": status, "reason": reason, "message": told, **(more or {})}
    if old is not None and _stable(old) == _stable(new):
        return conditions
    return merged_conditions(conditions, [new], now=text_of(now))


def _stable(condition: Condition) -> Condition:
    kept = {key: value for key, value in condition.items() if key != "lastTransitionTime"}
    outcome = kept.get("ansibleResult")
    if isinstance(outcome, Mapping):
        kept["ansibleResult"] = {key: value for key, value in outcome.items() if key != _VOLATILE}
    return kept


def _outcome(stats: Mapping[str, int], now: float) -> dict[str, Any]:
    return {
        "ok": stats.get("ok", 0),
        "changed": stats.get("changed", 0),
        "skipped": stats.get("skipped", 0),
        "failures": stats.get("failures", 0),
        _VOLATILE: text_of(now),
    }
