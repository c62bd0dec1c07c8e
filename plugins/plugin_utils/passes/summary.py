# SPDX-License-Identifier: Apache-2.0
"""What the end of a play says about an instance, for people: its conditions, its address, and whether it has failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sections import Section

__all__ = ["summary"]

FOR_TOOLS = ("Reconciling", "Stalled")
"""Conditions that say nothing that Progressing and Degraded do not."""
STAYS = (
    "The custom resource stays, because everything that it owns goes with it. An operator that runs makes again what was "
    "removed; a play of the whole instance removes it"
)


def summary(
    report: Mapping[str, Any], *, name: str, namespace: str, is_stored: bool, waited: float | None = None
) -> dict[str, Any]:
    """{"lines", "problem", "has_status"} of a report (status.report): what there is, why the play has failed (or None), and
    whether there is a status to be stored.

    `is_stored`: there is a custom resource that has the status, so a play need not fail because of what it says.
    `waited`: the seconds that the instance had to become ready, None if nobody waited.
    """
    title = f"Immich {namespace}/{name}"
    told = _told(report, title, namespace=namespace, is_stored=is_stored, waited=waited)
    return {**told, "has_status": report.get("status") is not None}


def _told(
    report: Mapping[str, Any], title: str, *, namespace: str, is_stored: bool, waited: float | None
) -> dict[str, Any]:
    sections = report.get("left") or ()
    left = f"{title}: only a part was chosen; left out: {', '.join(sections)}"
    if (kept := report.get("kept")) is not None:
        failures = "; ".join(report.get("failures") or ())
        lines = [left if sections else f"kept in namespace {namespace}: {', '.join(kept) or 'nothing'}"]
        lines += [STAYS] if Section.CUSTOM_RESOURCE in sections else []
        return {
            "lines": lines,
            "problem": f"{title} is not removed: {failures}" if failures else None,
        }
    if sections:
        lines = [left, "The status is not written: a play of the whole instance tells what it is like"]
        return {"lines": lines, "problem": _problem(report, {}, title, is_stored=is_stored, waited=None)}
    status = report.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    lines = [f"{title}: {'ready' if status.get('ready') else 'not ready'}"]
    lines += [f"URL: {status['url']}"] if status.get("url") else []
    lines += [
        f"{type_}: {condition['status']} ({condition['reason']})"
        + (f": {condition['message']}" if condition.get("message") else "")
        for type_, condition in conditions.items()
        if type_ not in FOR_TOOLS
    ]
    return {"lines": lines, "problem": _problem(report, conditions, title, is_stored=is_stored, waited=waited)}


def _problem(
    report: Mapping[str, Any],
    conditions: Mapping[str, Mapping[str, Any]],
    title: str,
    *,
    is_stored: bool,
    waited: float | None,
) -> str | None:
    degraded = conditions.get("Degraded", {})
    told = [degraded["message"]] if degraded.get("status") == "True" and not is_stored else []
    told += [failure for failure in report.get("failures") or () if not any(failure in text for text in told)]
    if told:
        return f"{title} cannot work as it is: {'; '.join(told)}"
    ready = conditions.get("Ready", {})
    if waited is not None and ready.get("status") != "True":
        return f"{title} is not ready after {waited:g} seconds: {ready.get('message') or 'it is gone'}"
    return None
