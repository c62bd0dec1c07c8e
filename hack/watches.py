# SPDX-License-Identifier: Apache-2.0
"""What the loop watches, in watches.yaml: kinds from plugin_utils/kube/kinds.py, paths of names from hack/crd/.

All else in that file is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube import kinds
from hack.crd import generate as crds

WATCHES = Path(__file__).resolve().parents[1] / "watches.yaml"
ALL = "# all of plugin_utils/kube/kinds.py"
"""Beside `kinds:` of an entry that has every kind; other entries list those of their role by hand."""

Refers = Mapping[str, Mapping[str, Sequence[str]]]
"""By the kind of the custom resource and of what it names: the paths of the names."""


def files() -> dict[Path, str]:
    """{file: text}; ValueError as in `generated`."""
    return {WATCHES: generated(WATCHES.read_text(encoding="utf-8"))}


def entries() -> list[dict[str, Any]]:
    """The entries of the file as it would be written."""
    found: list[dict[str, Any]] = yaml.safe_load(files()[WATCHES])
    return found


def refers() -> Refers:
    """As the sources say."""
    return {made.source.kind: made.refers for made in crds.all_of_them()}


def generated(text: str) -> str:
    """The file with its lists of kinds and paths as the tables say.

    Raises:
        ValueError: one of our kinds has no entry, or an entry no place for what it needs; says what to add.
    """
    paths = refers()
    written = "".join(f"{line}\n" for line in _lines(text.splitlines(), paths))
    entries = {entry["kind"]: entry for entry in yaml.safe_load(written)}
    for kind in paths:
        if kind not in entries:
            raise ValueError(f"watches.yaml has no entry for {kind}; add one with its role")
        _check(entries[kind], paths[kind])
    return written


def _lines(given: list[str], paths_by_kind: Refers) -> Iterator[str]:
    """The lines, each list that is made replaced."""
    owner = referred = ""
    skipped = None
    for line in given:
        if skipped is not None and line.startswith(skipped):
            continue
        skipped = None
        if found := re.match(r"(?:- |  )kind: (\w+)", line):
            owner = found[1]
        elif found := re.match(r"    (?:- |  )kind: (\w+)", line):
            referred = found[1]
        if line.startswith("    kinds:") and line.endswith(ALL):
            yield line
            yield from (f"      - {_dependent(row)}" for row in kinds.WATCHED)
            skipped = "      - "
        elif line.startswith("      paths:") and (paths := paths_by_kind.get(owner, {}).get(referred)):
            yield "      paths:"
            yield from (f"        - {path}" for path in paths)
            skipped = "        - "
        else:
            yield line


def _dependent(row: kinds.KnownKind) -> str:
    optional = ", optional: true" if row.optional else ""
    return f"{{apiVersion: {row.api_version}, kind: {row.kind}{optional}}}"


def _check(entry: dict[str, Any], refers: Mapping[str, Sequence[str]]) -> None:
    """Raises ValueError for a kind that passes read by name and the loop would not watch."""
    listed = {reference["kind"]: reference.get("paths") for reference in entry.get("references", ())}
    for kind, paths in refers.items():
        row = kinds.named(kind)
        if row.namespaced and listed.get(kind) != paths:
            raise ValueError(
                f"{entry['kind']} names objects of the kind {kind}, and there is no place for their paths. Add to its entry:\n"
                f"  references:\n    - apiVersion: {row.api_version}\n      kind: {kind}\n      paths: []"
            )
