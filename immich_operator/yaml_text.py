# SPDX-License-Identifier: Apache-2.0
"""Writing YAML that kubectl and kustomize read as it was meant.

Generated files are written by it too, see hack/writing.py. The collection, which may import neither, writes Immich's own
file, for readers that agree on less: components/configuration.py.
"""

from __future__ import annotations

import re

import yaml

__all__ = ["ManifestDumper"]

# PyYAML writes YAML 1.1 and leaves plain what only YAML 1.2, or Go's reading of both, takes for a number or a flag: a
# tag, label or checksum such as 1e3, 0o17 or y.
_NOT_TEXT_IN_GO = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?0[xXoObB][0-9a-fA-F_]+|[yYnN]"
)


class ManifestDumper(yaml.SafeDumper):
    """Strings of several lines as blocks, which people can read, and in quotes what could be taken for no string."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _NOT_TEXT_IN_GO.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


ManifestDumper.add_representer(str, _string)
