# SPDX-License-Identifier: Apache-2.0
"""Where the Operator SDK looks for a role, and where ansible-core finds collections that came as Python packages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_COLLECTIONS: Final = "/usr/share/ansible/collections:~/.ansible/collections"


@dataclass(frozen=True, slots=True)
class RoleSearch:
    """Folders to look in, and the working directory that relative paths start from."""

    collections: tuple[Path, ...]
    roles: tuple[Path, ...]
    folder: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], folder: Path) -> RoleSearch:
        packages = tuple(path for entry in sys.path if (path := Path(entry or ".")).is_dir())
        return cls(
            collections=_paths(environ.get("ANSIBLE_COLLECTIONS_PATH") or DEFAULT_COLLECTIONS) + packages,
            roles=_paths(environ.get("ANSIBLE_ROLES_PATH", "")),
            folder=folder,
        )

    def candidates(self, role: str) -> list[Path]:
        """All places, first choice first."""
        if Path(role).is_absolute():
            return [Path(role)]
        found = []
        parts = role.split(".")
        if len(parts) == 3 and all(parts):
            namespace, collection, name = parts
            inside = Path("ansible_collections", namespace, collection, "roles", name)
            found += [path / inside for path in self.collections]
        for path in self.roles:
            found += [path / role, path / "roles" / role]
        return [*found, self.folder / "roles" / role]

    def find(self, role: str) -> Path | None:
        """The first place that exists."""
        return next((path for path in self.candidates(role) if path.is_dir()), None)


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(part).expanduser() for part in text.split(":") if part)
