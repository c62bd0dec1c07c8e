# SPDX-License-Identifier: Apache-2.0
"""What all generators have in common: write them, or tell which are not what would be written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["written_or_checked"]


def written_or_checked(texts: Mapping[Path, str], command: str, *, is_check: bool) -> int:
    """Write {file: text}, or with `is_check` compare only. Exit status: 0 written or fresh, 1 stale."""
    stale = [file for file, text in texts.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    if is_check:
        for file in stale:
            sys.stderr.write(f"{file.name} is not what its source says: run python {command}\n")
        return 1 if stale else 0
    for file in stale:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(texts[file], encoding="utf-8")
    return 0
