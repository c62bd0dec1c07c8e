# SPDX-License-Identifier: Apache-2.0
"""From ansible-runner's events to the result of a play. Nothing here reads files, clocks or processes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from immich_operator.config import durations
from immich_operator.engine.base import PlayResult, Status

__all__ = ["Outcome", "merge_reports", "seconds"]

HOST = "localhost"
COUNTERS = ("ok", "changed", "skipped", "failures", "rescued", "ignored")
REQUEUE_AFTER = frozenset({"operator_sdk.util.requeue_after", "requeue_after"})
FAILED = frozenset({"runner_on_failed", "runner_on_unreachable"})
MAY_QUOTE_RESULTS = FAILED | {"runner_item_on_failed", "runner_on_async_failed", "runner_retry"}
HIDDEN_OUTPUT = "failed: [localhost] => (hidden, because the task has no_log)"

MAX_MESSAGE_CHARS = 2000
"""A condition's message may have 32 KiB in Kubernetes; several failures must fit in one."""

MAX_FAILURES = 20
"""Failures that are told; the others are counted. Also how many failed items of a task are told."""
MAX_OUTPUT_CHARS = 4 * 1024 * 1024
"""Of a play's output that ansible-runner writes to its artifacts."""
NO_MESSAGE = "failed without a message"
OUTPUT_CUT = "the rest of the output is left out: it is longer than 4 MiB"

_ERROR = re.compile(r"^(ERROR!|\[ERROR\]:).*", re.MULTILINE | re.DOTALL)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Outcome:
    """Collects the events of one play; not thread-safe, one thread feeds it."""

    def __init__(self) -> None:
        self._failures: list[str] = []
        self._of_items: dict[str, list[str]] = {}
        self._errors: list[str] = []
        self._stats: dict[str, int] | None = None
        self._report: dict[str, Any] = {}
        self._requeue_after_s: float | None = None
        self._output_chars = 0

    def on_event(self, event: MutableMapping[str, Any]) -> bool:
        """ansible-runner's event handler. True keeps the event in job_events/: only what tells why a play failed.

        Since 2.19 Ansible prints the message of a failed task although its result is hidden by no_log. ansible-runner
        writes to artifacts/<ident>/stdout what we leave in the event, so the text is taken out here.
        """
        kind = event.get("event", "")
        data = event.get("event_data") or {}
        if kind in MAY_QUOTE_RESULTS and _is_hidden(data.get("res")):
            event["stdout"] = HIDDEN_OUTPUT
        self._bound_output(event)
        if kind in FAILED and not data.get("ignore_errors"):
            self._failures.append(_failure(data, self._of_items.pop(str(data.get("task_uuid")), [])))
            return len(self._failures) <= MAX_FAILURES
        if kind == "runner_item_on_failed":
            of_items = self._of_items.setdefault(str(data.get("task_uuid")), [])
            of_items += [_cut(_message(data.get("res")))] if len(of_items) < MAX_FAILURES else []
        if kind == "runner_on_ok":
            self._on_ok(data)
        elif kind == "playbook_on_stats":
            self._stats = {name: _count(data, name) for name in COUNTERS}
        elif kind == "error":
            self._errors.append(_ESCAPES.sub("", event.get("stdout") or "").strip())
            return True
        return False

    def add_failure(self, message: str) -> None:
        """Note a failure that no event reports."""
        self._failures.append(message)

    def add_output(self, text: str) -> None:
        """Look for the reason of a failure in what came before Ansible had its callbacks, so without an event."""
        found = _ERROR.search(_ESCAPES.sub("", text))
        if found is not None and not self._errors:
            self._errors.append(found.group().strip())

    def result(self, status: Status, rc: int | None, duration_s: float) -> PlayResult:
        """The result of the play whose process ended with `rc`; a good exit without final statistics is an error."""
        if status == "successful" and self._stats is None:
            status = "error"
        failures = self._real_failures()
        if not failures and status in {"failed", "error"}:
            failures = tuple(filter(None, (_cut(text) for text in self._errors)))
        return PlayResult(
            status=status,
            rc=rc,
            stats=self._stats,
            failures=_first(failures),
            requeue_after_s=self._requeue_after_s,
            report=self._report,
            duration_s=duration_s,
        )

    def _bound_output(self, event: MutableMapping[str, Any]) -> None:
        before = self._output_chars
        self._output_chars += len(event.get("stdout") or "")
        if self._output_chars > MAX_OUTPUT_CHARS:
            event["stdout"] = OUTPUT_CUT if before <= MAX_OUTPUT_CHARS else ""

    def _on_ok(self, data: Mapping[str, Any]) -> None:
        result = data.get("res")
        if not isinstance(result, Mapping):
            return
        for one in (result, *_items(result)):
            if isinstance(one.get("report"), Mapping):
                merge_reports(self._report, one["report"])
                self._look_again_after(one["report"].get("requeue_after"))
        if REQUEUE_AFTER & {str(data.get("task_action")), str(data.get("resolved_action"))}:
            self._look_again_after(result.get("period"))

    def _look_again_after(self, period: object) -> None:
        """The earliest of several requests counts."""
        wish = seconds(period)
        if wish is not None:
            known = self._requeue_after_s
            self._requeue_after_s = wish if known is None else min(wish, known)

    def _real_failures(self) -> tuple[str, ...]:
        """Failures that nobody rescued.

        An event doesn't say whether its failure was rescued (ansible-runner reports that in the statistics only), but a
        failure that nobody rescues ends the play of our only host: so the last ones are those that count.
        """
        if self._stats is None or not self._stats["rescued"]:
            return tuple(self._failures)
        return tuple(self._failures[self._stats["rescued"] :])


def merge_reports(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merge `more` into `into`: mappings are merged, lists joined, anything else is replaced."""
    for key, value in more.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, Mapping):
            merge_reports(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            into[key] = [*present, *value]
        elif isinstance(value, Mapping):
            into[key] = {}
            merge_reports(into[key], value)
        else:
            into[key] = value


def seconds(period: object) -> float | None:
    """Seconds of a duration as Go writes it (`1h30m`, `1.5s`), or of a plain number; None when it is neither."""
    if isinstance(period, str):
        try:
            return durations.parse(period)
        except ValueError:
            return None
    if isinstance(period, bool) or not isinstance(period, int | float):
        return None
    return float(period) if 0 <= period <= durations.LONGEST_S else None


def _failure(data: Mapping[str, Any], of_items: Sequence[str]) -> str:
    """`task name: message`. What `no_log` hides is already hidden: awx_display replaces it with `censored`."""
    task = data.get("task") or data.get("task_action") or "task without a name"
    result = data.get("res")
    if not isinstance(result, Mapping) or "censored" in result:
        return f"{task}: failed; its task has no_log, so the message is not shown"
    return _cut(f"{task}: {'; '.join(of_items) or _message(result)}")


def _first(failures: tuple[str, ...]) -> tuple[str, ...]:
    more = len(failures) - MAX_FAILURES
    return (*failures[:MAX_FAILURES], f"and {more} more failures") if more > 0 else failures


def _is_hidden(result: object) -> bool:
    """True when no_log hides the result or that of one of its items."""
    if not isinstance(result, Mapping):
        return False
    return "censored" in result or any("censored" in item for item in _items(result))


def _message(result: object) -> str:
    if not isinstance(result, Mapping):
        return NO_MESSAGE
    if "censored" in result:
        return "the message is hidden by no_log"
    text = result.get("msg") or result.get("reason") or result.get("stderr") or NO_MESSAGE
    return str(text).strip()


def _items(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    results = result.get("results")
    if isinstance(results, list):
        yield from (item for item in results if isinstance(item, Mapping))


def _count(data: Mapping[str, Any], name: str) -> int:
    of_hosts = data.get(name)
    counted = of_hosts.get(HOST) if isinstance(of_hosts, Mapping) else None
    return counted if isinstance(counted, int) else 0


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "…"
