# SPDX-License-Identifier: Apache-2.0
"""docs/how-to/troubleshooting.md, from hack/docs/symptoms.yaml: from what people see to the reasons of the status."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from hack.docs import reasons

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
SOURCE = Path(__file__).with_name("symptoms.yaml")

INTRODUCTION = """\
# Troubleshooting

<!-- Made by `make generate` from hack/docs/symptoms.yaml and hack/docs/reasons.yaml; do not edit. -->

Goal: from what you see to its cause, and to what you can do about it.

Look at the instance first. It tells of the troubles of its pods and volumes, too:

<!-- run -->
```sh
kubectl get immich photos --output wide
```

<!-- output -->
```text
NAME     READY   VERSION   URL   REASON          IMAGE   AGE
photos   false                   ClaimNotFound           60s
```

`READY` is `false`, and `REASON` says why in one word. What is wrong, and what to do, is in the conditions:

<!-- run -->
```sh
kubectl get immich photos --output \\
  jsonpath='{range .status.conditions[?(@.status=="True")]}{.type}: {.reason}: {.message}{"\\n"}{end}'
```

<!-- output -->
```text
...
Degraded: ClaimNotFound: PersistentVolumeClaim models named in spec.machineLearning.persistence.existingClaim does not exist...
...
```

| If this is `True` | Then |
|---|---|
| `Degraded` | Somebody has to act. The message lists all that is wrong, the first cause first |
| `Progressing` | Something is on its way. Wait, and look again |
| `Warning` | It works, but a setting does not do what it seems to |

Each reason is explained under [Conditions](../reference/conditions.md), in a section of its name: `ClaimNotFound` at
[conditions.md#claimnotfound](../reference/conditions.md#claimnotfound). Where data is at stake, the message of
`Degraded` ends with that place. Likewise each field that a message names under
[Fields](../reference/fields.md): `spec.server.image` at [fields.md#spec.server.image](../reference/fields.md#spec.server.image).

If you do not know yet what is wrong, begin with what you see:
"""


class Row(NamedTuple):
    """Something else that may be seen, and that no reason tells of."""

    seen: str
    why: str
    remedy: str


class Symptom(NamedTuple):
    """A heading of the page. Texts are Markdown without the last full stop in cells."""

    seen: str
    text: str
    rows: tuple[Row, ...]
    reasons: tuple[Reason, ...]


def symptoms() -> list[Symptom]:
    """In the order of the page. ValueError if one leads to a reason that there is not."""
    return [
        Symptom(
            entry["seen"],
            entry["text"],
            tuple(Row(**row) for row in entry.get("rows", ())),
            tuple(Reason(name) for name in entry["reasons"]),
        )
        for entry in yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    ]


def files() -> dict[Path, str]:
    """{file: text}"""
    return {PAGE: page()}


def page() -> str:
    found = symptoms()
    contents = [f"- [{symptom.seen}](#{anchor(symptom)})" for symptom in found]
    return "\n".join([INTRODUCTION, *contents, "", *(_section(symptom) for symptom in found)]).rstrip("\n") + "\n"


def anchor(symptom: Symptom) -> str:
    """Of its heading, as MkDocs and GitHub make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", symptom.seen).strip().lower())


def _section(symptom: Symptom) -> str:
    parts = [f"## {symptom.seen}", symptom.text]
    if symptom.rows:
        parts.append(_table("What you see", "Why", "What to do", rows=symptom.rows))
    known = {reason: told for chapter in reasons.chapters().values() for reason, told in chapter.items()}
    cells = [
        (
            f"[{reason}]({_link(reason)})",
            _shortened(known[reason].means, r"\. |; |: "),
            _shortened(known[reason].remedy, r"\. "),
        )
        for reason in symptom.reasons
    ]
    parts.append(_table("Reason in the status", "Meaning", "What to do", rows=cells))
    return "\n\n".join(parts) + "\n"


def _table(*head: str, rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows]
    return "\n".join(lines)


def _link(reason: Reason) -> str:
    return f"../reference/conditions.md#{reasons.anchor(reason)}"


def _shortened(text: str, ends: str) -> str:
    """What stands before the first of `ends`, a pattern, that is not within code or a link. Links lead on from this folder."""
    for end in re.finditer(ends, text):
        start = text[: end.start()]
        if start.count("`") % 2 == 0 and start.count("[") == start.count("]") and start.count("(") == start.count(")"):
            text = start
            break
    return re.sub(r"\]\((\.\./how-to/)?(?=[\w-]+\.md)", lambda link: "](" if link[1] else "](../reference/", text)
