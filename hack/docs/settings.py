# SPDX-License-Identifier: Apache-2.0
"""docs/reference/settings.md, from the fields of `Settings`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from immich_operator.config.settings import WITHOUT_EFFECT, Settings, flag_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "settings.md"

INTRODUCTION = """\
# Settings of the operator

<!-- Made by `make generate` from immich_operator/config/settings.py; do not edit. -->

A flag of `immich-operator run` takes precedence over its environment variable, and that over the default.
Durations are written as in Go: `300ms`, `30s`, `1h30m`."""


def files() -> dict[Path, str]:
    """{file: text}"""
    return {PAGE: page()}


def page() -> str:
    lines = [INTRODUCTION]
    section = ""
    for item in dataclasses.fields(Settings):
        meta = item.metadata
        if meta["section"] != section:
            section = meta["section"]
            lines += ["", f"## {section}", "", "| Flag | Variable | Default | Meaning |", "|---|---|---|---|"]
        flags = " or ".join(f"`--{name}`" for name in (flag_of(item.name), *meta["aliases"]))
        plain = meta["describe_default"] != meta["default"] or not meta["default"]
        default = meta["describe_default"] or "none"
        lines.append(f"| {flags} | `{meta['env']}` | {default if plain else f'`{default}`'} | {meta['help']} |")
    ignored = ", ".join(f"`--{name}`" for name in WITHOUT_EFFECT)
    lines += ["", f"Further flags of `ansible-operator run` are accepted and ignored: {ignored}."]
    return "\n".join(lines) + "\n"
