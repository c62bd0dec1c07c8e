# SPDX-License-Identifier: Apache-2.0
"""From a live status and the wanted one to the smallest JSON merge patch (RFC 7386); pure, `now` is passed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .values import fitted, visible

__all__ = ["merge_patch", "merged_conditions", "patched", "status_problem", "wanted_status"]

Status: TypeAlias = dict[str, Any]
Condition: TypeAlias = Mapping[str, Any]

LONGEST = {"message": 32768, "reason": 1024}
"""Bytes; metav1.Condition allows as many characters. With more there would be no status at all."""
CONDITION_STATUSES = ("True", "False", "Unknown")


def status_problem(status: Any, conditions: Any) -> str | None:
    """What is wrong with the arguments, or None. Conditions are given in one place, not in both."""
    inside = status.get("conditions") if isinstance(status, Mapping) else None
    if inside is not None and conditions is not None:
        return "give conditions either in status.conditions or in conditions, not in both"
    where, given = ("conditions", conditions) if inside is None else ("status.conditions", inside)
    if given is None:
        return None
    if not isinstance(given, list):
        return f"{where} must be a list, not {type(given).__name__}"
    for position, condition in enumerate(given):
        place = f"{where}[{position}]"
        if not isinstance(condition, Mapping) or not condition.get("type"):
            return f"{place} must be a mapping with a type"
        if str(condition.get("status")) not in CONDITION_STATUSES:
            return f"{place}.status must be one of {', '.join(CONDITION_STATUSES)}, not {condition.get('status')!r}"
    types = [condition["type"] for condition in given]
    twice = next((name for name in types if types.count(name) > 1), None)
    return f"{where} has the type {twice} more than once" if twice else None


def wanted_status(
    live: Mapping[str, Any],
    status: Mapping[str, Any] | None,
    conditions: Sequence[Condition] | None,
    *,
    now: str,
    replace: bool = False,
    replace_lists: bool = False,
) -> Status:
    """The whole status as it should be stored.

    Keys of `status` are merged into the live ones (null removes a key), or with `replace` are all that remains.
    Conditions are merged by type; with `replace` or `replace_lists` only the given ones remain.
    """
    given = dict(status or {})
    inside = given.pop("conditions", None)
    wanted = patched({} if replace else {key: value for key, value in live.items() if key != "conditions"}, given)
    former = live.get("conditions") or []
    if conditions is None and inside is None:
        kept = [] if replace or "conditions" in (status or {}) else former
        return {**wanted, "conditions": kept} if kept else wanted
    exact = replace or replace_lists
    return {**wanted, "conditions": merged_conditions(former, conditions or inside or [], now=now, exact=exact)}


def merged_conditions(
    live: Sequence[Condition], given: Sequence[Condition], *, now: str, exact: bool = False
) -> list[dict[str, Any]]:
    """Live conditions merged with the given ones by type; new types follow in their order.

    What is not `visible` in a given message is written out, line breaks excepted.

    lastTransitionTime belongs to the status: it is kept while the status stays the same, whatever reason and message
    say, and is `now` (or the given time) if the status is new. Other fields, such as observedGeneration, are as given.
    """
    former = {condition.get("type"): condition for condition in live}
    fresh = {condition["type"]: _dated(condition, former.get(condition["type"]), now) for condition in given}
    if exact:
        return list(fresh.values())
    kept = [fresh.pop(str(condition.get("type")), dict(condition)) for condition in live]
    return [*kept, *fresh.values()]


def _dated(condition: Condition, former: Condition | None, now: str) -> dict[str, Any]:
    dated = {**condition, "status": str(condition["status"])}
    dated = {key: value for key, value in dated.items() if value is not None}
    for field, limit in LONGEST.items():
        if isinstance(dated.get(field), str):
            dated[field] = fitted(visible(dated[field][: limit + 1], keep="\n"), limit)
    if former is not None and former.get("status") == dated["status"] and former.get("lastTransitionTime"):
        return {**dated, "lastTransitionTime": former["lastTransitionTime"]}
    return {**dated, "lastTransitionTime": dated.get("lastTransitionTime") or now}


def patched(target: Any, patch: Any) -> Any:
    """`target` after a JSON merge patch."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest patch with patched(before, patch) == after; {} if they are equal. `after` contains no null."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        former = before.get(key)
        if _is_equal(former, value):
            continue
        both = isinstance(former, Mapping) and isinstance(value, Mapping)
        patch[key] = merge_patch(former or {}, value) if both else value
    return patch


def _is_equal(one: Any, other: Any) -> bool:
    """1 == True in Python, but not in JSON."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_is_equal(left, right) for left, right in zip(one, other, strict=True))
    return bool(one == other)
