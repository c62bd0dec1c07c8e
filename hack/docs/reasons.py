# SPDX-License-Identifier: Apache-2.0
"""What hack/docs/reasons.yaml says of each reason of a condition: what it means and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason

SOURCE = Path(__file__).with_name("reasons.yaml")
FINE = "All is well"
"""The chapter of the reasons that are no trouble."""


class Told(NamedTuple):
    """Sentences in Markdown without the last full stop. Links are those of a page in docs/reference/."""

    means: str
    remedy: str


def chapters() -> dict[str, dict[Reason, Told]]:
    """{heading: {reason: what is told of it}}, in the order of the code. ValueError if one is missing, or is none."""
    found: Mapping[str, Mapping[str, Mapping[str, str]]] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    named = [name for reasons in found.values() for name in reasons]
    if named != list(Reason):
        raise ValueError(f"{SOURCE.name} has to tell of each reason in components/reasons.py, in its order")
    return {
        heading: {Reason(name): Told(**entry) for name, entry in reasons.items()} for heading, reasons in found.items()
    }


def anchor(reason: Reason) -> str:
    """Where the page of conditions tells of it: MkDocs and GitHub make it from the heading."""
    return str(reason).lower()
