# SPDX-License-Identifier: Apache-2.0
"""What plays leave on disk, bounded: per resource and for all together; the oldest goes first."""

from __future__ import annotations

import shutil
import threading
from collections import defaultdict
from pathlib import Path

from immich_operator.engine.workspace import folders

__all__ = ["Artifacts"]

BLOCK_BYTES = 512  # unit of st_blocks (POSIX)


class Artifacts:
    """The artifacts of all resources, folders like `<private data dir>/artifacts/<ident>`. Thread-safe.

    Args:
        each: bytes on disk that those of one private data dir may take.
        whole: bytes on disk that all of them may take.
    """

    def __init__(self, *, each: int, whole: int) -> None:
        self._each = each
        self._whole = whole
        self._lock = threading.Lock()
        self._sizes: dict[tuple[Path, str], int] = {}  # the oldest first
        self._of: defaultdict[Path, set[str]] = defaultdict(set)
        self._same: dict[Path, Path] = {}  # one object for equal paths, of which there are many
        self._taken = 0

    def find(self, root: Path) -> None:
        """Take account of what an earlier process has left in the private data dirs `<root>/<namespace>/<name>`."""
        found = [folder for each in folders(root) for folder in (each / "artifacts").glob("*")]
        for folder in sorted(found, key=_time_of):
            self.add(folder.parents[1], folder.name)

    def add(self, private_data_dir: Path, ident: str) -> None:
        """A play has ended: remove old artifacts, or those of the play itself, until all fits."""
        size = _bytes_on_disk(private_data_dir / "artifacts" / ident)
        with self._lock:
            private_data_dir = self._same.setdefault(private_data_dir, private_data_dir)
            for known in list(self._of[private_data_dir]):
                if known == ident or not (private_data_dir / "artifacts" / known).exists():  # there were too many
                    self._drop((private_data_dir, known))
            self._sizes[private_data_dir, ident] = size
            self._of[private_data_dir].add(ident)
            self._taken += size
            if self._size_of(private_data_dir) > self._each:
                for key in [key for key in self._sizes if key[0] == private_data_dir]:
                    self._remove(key)
                    if self._size_of(private_data_dir) <= self._each:
                        break
            while self._taken > self._whole:
                self._remove(next(iter(self._sizes)))

    def remove(self, private_data_dir: Path) -> None:
        """The resource is gone, with its folder."""
        with self._lock:
            for ident in list(self._of.get(private_data_dir, ())):
                self._drop((private_data_dir, ident))

    def bytes_on_disk(self) -> int:
        """What all of them take."""
        with self._lock:
            return self._taken

    def _size_of(self, private_data_dir: Path) -> int:
        return sum(self._sizes[private_data_dir, ident] for ident in self._of.get(private_data_dir, ()))

    def _remove(self, key: tuple[Path, str]) -> None:
        self._drop(key)
        shutil.rmtree(key[0] / "artifacts" / key[1], ignore_errors=True)

    def _drop(self, key: tuple[Path, str]) -> None:
        self._taken -= self._sizes.pop(key)
        self._of[key[0]].discard(key[1])
        if not self._of[key[0]]:
            del self._of[key[0]]
            self._same.pop(key[0], None)


def _bytes_on_disk(folder: Path) -> int:
    """Symbolic links are not followed; what disappears meanwhile takes nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * BLOCK_BYTES
        except OSError:
            continue
    return total


def _time_of(folder: Path) -> float:
    try:
        return folder.lstat().st_mtime
    except OSError:
        return 0.0
