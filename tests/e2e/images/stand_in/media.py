# SPDX-License-Identifier: Apache-2.0
"""The folders of the library, and the marks by which a missing volume is noticed.

Source: Immich v3.1.0, `server/src/services/storage.service.ts`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["FOLDERS", "check_marks", "derive", "is_video", "location", "store"]

FOLDERS = ("encoded-video", "library", "upload", "profile", "thumbs", "backups")
DERIVED = {"thumbnail": ("thumbs", "_thumbnail.webp"), "encoded_video": ("encoded-video", ".mp4")}
"""{what is made of an original: (folder, end of the file's name)}"""
VIDEOS = (".mov", ".mp4")
PRESENT, LEGACY = Path("/data"), Path("/usr/src/app/upload")


def location(chosen: Path | None, exists: Callable[[Path], bool] = Path.exists) -> Path:
    """Where the library is: as chosen, else the one of two places that exists, else the older of them."""
    if chosen is not None:
        return chosen
    found = [place for place in (PRESENT, LEGACY) if exists(place)]
    return found[0] if len(found) == 1 else LEGACY


def check_marks(media: Path, known: Mapping[str, bool]) -> tuple[dict[str, bool], list[str]]:
    """Make the marks that were never made; read and write all others. Returns what is known from now on, and faults.

    `known` tells per folder whether its mark was made before. Such a mark is not made again: that it is gone means that
    this is another volume.
    """
    made: dict[str, bool] = {}
    faults = []
    for folder in FOLDERS:
        mark = media / folder / ".immich"
        try:
            if not known.get(folder):
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
            mark.read_bytes()
            mark.write_text("stand-in\n", encoding="utf-8")
            made[folder] = True
        except OSError as error:
            faults.append(f"{mark}: {error.strerror}")
    return {**known, **made}, faults


def store(media: Path, asset: str, suffix: str, content: bytes) -> Path:
    """Write an original into the folder for uploads, complete or not at all."""
    return _written(_place(media, "upload", asset, suffix), content)


def derive(media: Path, asset: str, kind: str, original: Path) -> Path:
    """Make a thumbnail or a video that plays everywhere: here a line that names its original's content."""
    folder, ending = DERIVED[kind]
    digest = hashlib.sha1(original.read_bytes(), usedforsecurity=False).hexdigest()
    return _written(_place(media, folder, asset, ending), f"{kind} of {digest}\n".encode())


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def _place(media: Path, folder: str, asset: str, ending: str) -> Path:
    return media / folder / asset[:2] / asset[2:4] / f"{asset}{ending}"


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    with unfinished.open("wb") as stream:
        stream.write(content)
        os.fsync(stream.fileno())
    unfinished.replace(path)
    return path
