# SPDX-License-Identifier: Apache-2.0
"""Write YAML that kubectl and kustomize read as intended.

Generated files are written by it too, see hack/writing.py. The collection, which may import neither, writes Immich's own
file, for readers that agree on less: components/configuration.py.
"""

from __future__ import annotations

import re

import yaml

from immich_operator.kube.texts import visible

__all__ = ["ManifestDumper"]

# PyYAML writes YAML 1.1 and leaves unquoted what only YAML 1.2, or Go's parser, reads as a number or a boolean: a tag,
# label or checksum such as 1e3, 0o17 or y.
_NOT_TEXT_IN_GO = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?0[xXoObB][0-9a-fA-F_]+|[yYnN]"
)


class ManifestDumper(yaml.SafeDumper):
    """Multi-line strings as blocks, which people can read; in quotes what could be read as another type.

    What shows nothing, or commands a terminal, is written as an escape: manifests are looked at before they are applied.
    """

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        """Everything but ASCII as escapes in a text that `visible` would change; the reader gets the same text."""
        allowed = self.allow_unicode
        self.allow_unicode = allowed and visible(text, keep="\n\t") == text
        super().write_double_quoted(text, split)
        self.allow_unicode = allowed

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _NOT_TEXT_IN_GO.fullmatch(text) else None
    if visible(text, keep="\n\t") != text:
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


ManifestDumper.add_representer(str, _string)
