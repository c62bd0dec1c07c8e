# SPDX-License-Identifier: Apache-2.0
"""docs/reference/conditions.md, from hack/docs/reasons.yaml and plugins/plugin_utils/passes/troubles.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from ansible_collections.media.immich.plugins.plugin_utils.passes.troubles import FOR_EVER, TROUBLES, Source, Trouble
from hack.docs import reasons
from hack.docs.reasons import Told

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "conditions.md"

INTRODUCTION = """\
# Conditions

<!-- Made by `make generate` from hack/docs/reasons.yaml and plugins/plugin_utils/passes/troubles.py; do not edit. -->

What `kubectl describe immich NAME` shows under `Status`, and what to do about it. Each reason has a section of its name
below. To start from what you see in the cluster instead, read [Troubleshooting](../how-to/troubleshooting.md).

```yaml
status:
  ready: false
  serverReady: false
  conditions:
    - type: ServerReady
      status: "False"
      reason: ImagePullFailed
      message: "Deployment photos-server: image ghcr.io/immich-app/immich-server:v9 from spec.server.image can't be pulled: the registry has no such image or tag"
      observedGeneration: 4
```

## Types

| Type | `True` means |
|---|---|
| `Ready` | Every component is ready, switched off or external. The same as `status.ready` |
| `Progressing` | Something is in progress and needs no action: pods that are starting, a volume that is being created |
| `Degraded` | Somebody has to act, because a problem does not go away by itself, or has not within [the time that it may take](#how-long-a-problem-may-last). The message lists all that is wrong, the first cause first. An instance can be ready and degraded: it runs, but would not start again as it is |
| `Warning` | A setting has no effect, or does not do what it seems to. The instance runs anyway |
| `Reconciling` | For tools that go by [kstatus](../how-to/gitops.md): something is on its way, as `Progressing` says, and nobody has to act |
| `Stalled` | For such tools: somebody has to act, as `Degraded` says. Never `True` together with `Reconciling` |
| `ServerReady` | The server is ready (`status.serverReady`). Problems with the library, the configuration file or an external service are reported here too |
| `MachineLearningReady` | Machine learning is ready, switched off or external (`status.machineLearningReady`) |
| `ValkeyReady` | Valkey is ready or external (`status.valkeyReady`) |
| `PostgresReady` | PostgreSQL is ready or external (`status.postgresReady`) |

A workload is ready when its controller has observed its last change and all its pods are up to date and available. A workload that is being deleted is not ready. One with `replicas: 0` is ready when its pods have ended. `observedGeneration` says which version of the custom resource a condition is about.

An Event is posted when a condition changes: when an instance becomes ready or stops being ready, when a component gets into trouble, and for each new warning. A state that persists is silent.

## How long a problem may last

When a pod does not start or a claim has no volume, the operator finds the cause in the status of pods and claims and in their Events, and reports it in the component's condition, in the cluster's own words. Below each reason is a table of what is known, and of when the instance is `Degraded` because of it. Until then it is `Progressing`, because some problems go away by themselves. *At once*: waiting does not help. *Never*: it just takes time.

An init container that keeps the others waiting is reported as `InitContainerWaiting`. The instance is `Degraded` after two minutes if it waits for an external database or Valkey, after an hour if it waits for the instance's own, and after ten minutes with any other. A pod that does not start for ten minutes, while no Event says why, is reported as `PodNotSetUp`, and one that is still there 30 seconds after it should have ended as `NodeLost`.
"""  # noqa: E501 - paragraphs and tables of Markdown

WHERE = {
    Source.SCHEDULER: "The pod's condition `PodScheduled`",
    Source.CLAIM: "Event of the claim",
    Source.POD: "Event of the pod",
    Source.STATUS: "`status.reason` of the pod",
    Source.CONTAINER: "State of the container",
}


def files() -> dict[Path, str]:
    """{file: text}"""
    return {PAGE: page()}


def page() -> str:
    return "\n".join([INTRODUCTION, *_sections()]).rstrip("\n") + "\n"


def _sections() -> Iterator[str]:
    for heading, told in reasons.chapters().items():
        yield f"## {heading}\n"
        for reason, entry in told.items():
            yield _section(reason, entry)


def _section(reason: Reason, told: Told) -> str:
    parts = [f"### {reason}", f"{told.means}.", f"**What to do:** {told.remedy}."]
    rows = [_row(row) for row in TROUBLES if row.reason is reason]
    if rows:
        head = "| Where | What Kubernetes says | `Degraded` | What to do |\n|---|---|---|---|"
        parts.append("\n".join([head, *rows]))
    return "\n\n".join(parts) + "\n"


def _row(row: Trouble) -> str:
    example = f"exit code {row.example}" if row.reason is Reason.CRASH_LOOPING else row.example
    words = f"`{row.sign}`: {cell(example)}" if example != row.sign else f"`{row.sign}`"
    advice = f"{row.advice[0].upper()}{row.advice[1:]}"
    return f"| {WHERE[row.source]} | {words} | {_after(row)} | {cell(advice)} |"


def cell(text: str) -> str:
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
