# SPDX-License-Identifier: Apache-2.0
"""docs/reference/troubles.md, from plugins/plugin_utils/passes/troubles.py."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from ansible_collections.media.immich.plugins.plugin_utils.passes.troubles import FOR_EVER, TROUBLES, Source, Trouble

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "troubles.md"

INTRODUCTION = """\
# Problems with pods and volumes

<!-- Made by `make generate` from plugins/plugin_utils/passes/troubles.py; do not edit. -->

What Kubernetes says when a pod does not start or a claim has no volume, and what to do. The operator finds it in the
status of pods and claims and in their Events, and reports it in the component's condition, in the cluster's own words:
`kubectl describe immich NAME` shows it.

Some problems go away by themselves, so the instance is `Progressing` at first, and `Degraded` after the time in the
third column. *At once*: waiting does not help. *Never*: it just takes time.

An init container that keeps the others waiting is reported as `InitContainerWaiting`. The instance is `Degraded` after
two minutes if it waits for an external database or Valkey, after an hour if it waits for the instance's own, and after
ten minutes with any other. A pod that does not start for ten minutes, while no Event says why, is reported as
`PodNotSetUp`, and one that is still there 30 seconds after it should have ended as `NodeLost`.
"""

HEADINGS = {
    Source.SCHEDULER: ("No node accepts the pod", "What the scheduler says in the pod's condition `PodScheduled`"),
    Source.CLAIM: ("A claim has no volume", "Events of the claim"),
    Source.POD: ("The pod has a node but does not start", "Events of the pod"),
    Source.STATUS: ("A node has evicted or rejected the pod", "The pod's `status.reason` and `status.message`"),
    Source.CONTAINER: ("A container does not run", "The state of the container, or how it ended"),
}


def files() -> dict[Path, str]:
    """{file: text}"""
    return {PAGE: page()}


def page() -> str:
    return "\n".join([INTRODUCTION, *(_section(source) for source in Source)]).rstrip("\n") + "\n"


def _section(source: Source) -> str:
    heading, where = HEADINGS[source]
    rows = [_row(row) for row in TROUBLES if row.source is source]
    head = "| What Kubernetes says | Reason of the condition | `Degraded` | What to do |\n|---|---|---|---|"
    return "\n".join([f"## {heading}", "", f"{where}.", "", head, *rows, ""])


def _row(row: Trouble) -> str:
    example = f"exit code {row.example}" if row.reason is Reason.CRASH_LOOPING else row.example
    words = f"`{row.sign}`: {_cell(example)}" if example != row.sign else f"`{row.sign}`"
    advice = f"{row.advice[0].upper()}{row.advice[1:]}"
    return f"| {words} | `{row.reason}` | {_after(row)} | {_cell(advice)} |"


def _cell(text: str) -> str:
    """Without what Markdown and HTML would take for their own."""
    for mark, written in (("|", "\\|"), ("<", "&lt;"), ("*", "\\*"), ("[", "\\["), ("{", "&#123;")):
        text = text.replace(mark, written)
    return text


def _after(row: Trouble) -> str:
    if not row.patience_s:
        return "At once"
    if row.patience_s == FOR_EVER:
        return "Never"
    minutes = round(row.patience_s / 60)
    return "After an hour" if minutes == 60 else f"After {minutes} minute{'s' if minutes > 1 else ''}"
