# SPDX-License-Identifier: Apache-2.0
"""YAML as generated files have it."""

from __future__ import annotations

from typing import Any

import yaml

from immich_operator.yaml_text import ManifestDumper

__all__ = ["yaml_text"]


class _Dumper(ManifestDumper):
    """Lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)


def yaml_text(content: Any) -> str:
    """One document, in the order of the content."""
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))
