# SPDX-License-Identifier: Apache-2.0
"""The sources of our custom resources: each YAML file of this folder is one, and all generators loop over them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import documents

__all__ = ["FIRST", "SAMPLES", "Source", "all_of_them"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SAMPLES = ROOT / "config" / "samples"
FIRST = "Immich"
"""The kind that the operator is named after; lists and pages begin with it."""


class Source(NamedTuple):
    """One source. immich.yaml says in its first lines what it may hold."""

    file: Path
    resource: dict[str, Any]
    shared: dict[str, dict[str, Any]]
    schema: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.resource["kind"])

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def plural(self) -> str:
        return str(self.resource["plural"])

    @property
    def group(self) -> str:
        return str(self.resource["group"])

    @property
    def version(self) -> str:
        return str(self.resource["version"])

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"

    @property
    def crd_file(self) -> Path:
        return ROOT / "crds" / f"{self.group}_{self.plural}.yaml"

    def sample(self, name: str) -> Path:
        """The file of a sample."""
        return SAMPLES / f"{self.group.partition('.')[0]}_{self.version}_{self.singular}_{name}.yaml"


@functools.cache
def all_of_them() -> tuple[Source, ...]:
    """The sources, that of FIRST first and the others by the names of their files.

    Raises:
        ValueError: two sources describe the same kind; one lacks a part.
        yaml.YAMLError: one is not YAML, or has a key twice, of which the last would count in silence.
    """
    found: dict[str, Source] = {}
    for file in sorted(HERE.glob("*.yaml")):
        [content] = documents(file.read_text(encoding="utf-8"))
        if lacking := {"resource", "schema"} - content.keys():
            raise ValueError(f"{file.name} lacks {' and '.join(sorted(lacking))}; immich.yaml is an example")
        source = Source(file, content["resource"], content.get("shared", {}), content["schema"])
        if source.kind in found:
            raise ValueError(f"{file.name} and {found[source.kind].file.name} are both about {source.kind}")
        found[source.kind] = source
    return tuple(sorted(found.values(), key=lambda source: source.kind != FIRST))
