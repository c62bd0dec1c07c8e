# SPDX-License-Identifier: Apache-2.0
"""Write into watches.yaml what the loop watches: kinds from plugin_utils/kube/kinds.py, paths of names from hack/crd/.

python hack/watches.py            write the file
python hack/watches.py --check    fail if the file is not what would be written

All else in that file is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube import kinds
from ansible_collections.media.immich.plugins.plugin_utils.spec.custom_kinds import REFERS
from hack import writing
from hack.crd import sources

WATCHES = Path(__file__).resolve().parents[1] / "watches.yaml"
ALL = "# all of plugin_utils/kube/kinds.py"
"""Beside `kinds:` of an entry that has every kind; other entries list those of their role by hand."""


def main(arguments: list[str]) -> int:
    """Exit status: 0 written or fresh, 1 stale or not possible."""
    try:
        text = generated(WATCHES.read_text(encoding="utf-8"))
    except ValueError as exc:
        sys.stderr.write(f"watches.yaml: {exc}\n")
        return 1
    return writing.written_or_checked({WATCHES: text}, "hack/watches.py", is_check=arguments == ["--check"])


def generated(text: str) -> str:
    """The file with its lists of kinds and paths as the tables say.

    Raises:
        ValueError: one of our kinds has no entry, or an entry no place for what it needs; says what to add.
    """
    written = "".join(f"{line}\n" for line in _lines(text.splitlines()))
    entries = {entry["kind"]: entry for entry in yaml.safe_load(written)}
    for source in sources.all_of_them():
        if source.kind not in entries:
            raise ValueError(f"there is no entry for {source.kind} of {source.file.name}; add one with its role")
        _check(entries[source.kind])
    return written


def _lines(given: list[str]) -> Iterator[str]:
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
        elif line.startswith("      paths:") and (paths := REFERS.get(owner, {}).get(referred)):
            yield "      paths:"
            yield from (f"        - {path}" for path in paths)
            skipped = "        - "
        else:
            yield line


def _dependent(row: kinds.KnownKind) -> str:
    optional = ", optional: true" if row.optional else ""
    return f"{{apiVersion: {row.api_version}, kind: {row.kind}{optional}}}"


def _check(entry: dict[str, Any]) -> None:
    """Raises ValueError for a kind that passes read by name and the loop would not watch."""
    listed = {reference["kind"]: reference.get("paths") for reference in entry.get("references", ())}
    for kind, paths in REFERS.get(entry["kind"], {}).items():
        row = kinds.named(kind)
        if row.namespaced and listed.get(kind) != paths:
            raise ValueError(
                f"{entry['kind']} names objects of the kind {kind}, and there is no place for their paths. Add to its entry:\n"
                f"  references:\n    - apiVersion: {row.api_version}\n      kind: {kind}\n      paths: []"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
