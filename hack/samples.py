# SPDX-License-Identifier: Apache-2.0
"""The smallest sample of each kind in config/samples, from hack/crd/*.yaml, and the list of all samples there."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml

from hack.crd import sources
from hack.crd.sources import SAMPLES, Source
from hack.writing import kustomization, yaml_text

SMALLEST = "minimal"


def files() -> dict[Path, str]:
    """{file: text}"""
    smallest = {source.sample(SMALLEST): minimal(source) for source in sources.all_of_them()}
    names = sorted({file.name for file in (*smallest, *SAMPLES.glob("*_*.yaml"))})
    return {
        **smallest,
        SAMPLES / "kustomization.yaml": kustomization(names),
    }


def minimal(source: Source) -> str:
    """The text of the smallest sample."""
    sample = source.resource["sample"]
    comment = textwrap.fill(sample["comment"], 120, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    content = {
        "apiVersion": source.api_version,
        "kind": source.kind,
        "metadata": {"name": f"{source.singular}-{SMALLEST}"},
        **({"spec": sample["spec"]} if "spec" in sample else {}),
    }
    return f"---\n{comment}\n{yaml_text(content)}"


def examples() -> list[dict[str, Any]]:
    """The samples that a console offers as a start: of each kind the smallest and those under `examples`, in that order."""
    return [
        yaml.safe_load(minimal(source) if name == SMALLEST else source.sample(name).read_text(encoding="utf-8"))
        for source in sources.all_of_them()
        for name in (SMALLEST, *source.resource.get("examples", ()))
    ]
