# SPDX-License-Identifier: Apache-2.0
"""Write the generated files, or report which are stale.

python -m hack.generate [--check] [NAME...]    all of them, or those of the generators named
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hack import components, licenses, rbac, samples, watches
from hack.bundle import generate as bundle
from hack.crd import generate as crds
from hack.docs import commands, conditions, fields, pictures, settings, troubleshooting, variables

__all__ = ["GENERATORS", "main"]

ROOT = Path(__file__).resolve().parents[1]
GENERATORS: dict[str, Callable[[], Mapping[Path, str]]] = {
    "crds": crds.files,
    "watches": watches.files,
    "rbac": rbac.files,
    "components": components.files,
    "samples": samples.files,
    "bundle": bundle.files,
    "fields": fields.files,
    "variables": variables.files,
    "conditions": conditions.files,
    "troubleshooting": troubleshooting.files,
    "commands": commands.files,
    "settings": settings.files,
    "licenses": licenses.files,
    "pictures": pictures.files,
}
"""{name: gives {file: text}}. None reads what another one writes, so their order does not matter."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 written or up to date, 1 stale, or a source has something invalid."""
    parser = argparse.ArgumentParser(prog="python -m hack.generate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if something would change")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(GENERATORS)}; all by default")
    args = parser.parse_args(argv)
    if unknown := sorted(set(args.names) - GENERATORS.keys()):
        parser.error(f"there is no {unknown[0]}; known are {', '.join(GENERATORS)}")
    results = [_run(name, is_check=args.check) for name in GENERATORS if name in (args.names or GENERATORS)]
    return 0 if all(results) else 1


def _run(name: str, *, is_check: bool) -> bool:
    """Whether the files of a generator are up to date afterwards."""
    try:
        texts = GENERATORS[name]()
    except ValueError as exc:
        sys.stderr.write(f"{name}: {exc}\n")
        return False
    stale = [file for file, text in texts.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        if is_check:
            sys.stderr.write(f"{name}: {file} is not what its source says; run `make generate`\n")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(texts[file], encoding="utf-8")
    return not (is_check and stale)


if __name__ == "__main__":
    sys.exit(main())
