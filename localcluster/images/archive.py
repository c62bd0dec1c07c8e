# SPDX-License-Identifier: Apache-2.0
"""Write container images as files that `ctr images import` and `docker load` read, in pure Python.

The format is that of `docker save`: a tar of `manifest.json`, one file of settings per image, and the layers, each of
them a tar. Images of one archive that share a layer share its file. The same input gives the same bytes.
"""

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

__all__ = ["Entry", "Image", "architecture", "file", "folder", "hidden", "link", "replacing", "write", "write_layer"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link of a layer."""

    info: tarfile.TarInfo
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Image:
    """`config` is what a container starts with (Entrypoint, Cmd, Env ...); `layers` are tar files, the lowest first."""

    name: str
    config: Mapping[str, Any]
    layers: tuple[Path, ...]


def architecture() -> str:
    """This machine's, as images call it: amd64, arm64."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def file(path: str, content: bytes, *, mode: int = 0o644) -> Entry:
    """A file that belongs to root; `path` has no leading slash."""
    info = _info(path, tarfile.REGTYPE, mode)
    info.size = len(content)
    return Entry(info, content)


def folder(path: str, *, mode: int = 0o755, owner: int = 0) -> Entry:
    """A folder that belongs to the user and the group `owner`."""
    info = _info(path, tarfile.DIRTYPE, mode)
    info.uid = info.gid = owner
    return Entry(info)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    info = _info(path, tarfile.SYMTYPE, 0o777)
    info.linkname = target
    return Entry(info)


def hidden(path: str) -> Entry:
    """Hides a file or folder of the layers below (a whiteout in the OCI image specification)."""
    place = PurePosixPath(path)
    return file(str(place.with_name(f".wh.{place.name}")), b"")


def _info(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type = kind
    info.mode = mode
    return info


def write_layer(path: Path, entries: Iterable[Entry]) -> None:
    """Write a layer of the entries, in their order."""
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            tar.addfile(entry.info, io.BytesIO(entry.content))


def write(path: Path, images: Sequence[Image]) -> None:
    """Write one archive of all images; it appears under its name once it is complete."""
    manifest: list[dict[str, Any]] = []
    digests = {layer: _digest(layer) for image in images for layer in image.layers}
    with replacing(path) as scratch, tarfile.open(scratch, "w") as tar:
        for digest, layer in {digest: layer for layer, digest in digests.items()}.items():
            with layer.open("rb") as stream:
                _add(tar, f"{digest}.tar", layer.stat().st_size, stream)
        for number, image in enumerate(images):
            layers = [digests[layer] for layer in image.layers]
            config = {
                "architecture": architecture(),
                "os": "linux",
                "config": image.config,
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layers]},
            }
            _add_json(tar, f"{number}.json", config)
            manifest.append(
                {"Config": f"{number}.json", "RepoTags": [image.name], "Layers": [f"{digest}.tar" for digest in layers]}
            )
        _add_json(tar, "manifest.json", manifest)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; at the end the result replaces `path`, unless there was an error."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as scratch:
        written = Path(scratch) / path.name
        yield written
        written.replace(path)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _add_json(tar: tarfile.TarFile, name: str, value: Any) -> None:
    content = json.dumps(value, sort_keys=True).encode()
    _add(tar, name, len(content), io.BytesIO(content))


def _add(tar: tarfile.TarFile, name: str, size: int, stream: BinaryIO) -> None:
    info = _info(name, tarfile.REGTYPE, 0o644)
    info.size = size
    tar.addfile(info, stream)
