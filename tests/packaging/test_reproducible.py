# SPDX-License-Identifier: Apache-2.0
"""Whoever builds the same files again gets the same wheel, collection and image, and can so check what is published.

Each is built twice, with everything different that must not matter: folder, time, umask, locale, time zone, hash seed, order of
files. The images need root, buildah and mmdebstrap.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, run

EPOCH = "1767225600"
BUILDERS = (
    {"umask": 0o022, "env": {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"}},
    {"umask": 0o077, "env": {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "4711"}},
)
PROGRAMS = Path(sys.executable).parent


def tree(folder: Path, umask: int, *, backwards: bool) -> Path:
    """The files of the work tree that git knows or would add, made in this or the other order."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    former = os.umask(umask)
    try:
        for name in sorted(filter(None, listed.split("\0")), reverse=backwards):
            source, target = ROOT / name, folder / name
            if not source.is_file():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod((0o777 if os.access(source, os.X_OK) else 0o666) & ~umask)
    finally:
        os.umask(former)
    return folder


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    parent = tmp_path_factory.mktemp("reproducible")
    return [
        tree(parent / ("a" * (number + 1)), builder["umask"], backwards=bool(number))  # type: ignore[arg-type]
        for number, builder in enumerate(BUILDERS)
    ]


def build(trees: Sequence[Path], *command: str | Path) -> list[Path]:
    """The folders `built` of both trees, after the command has been run in each."""
    for folder, builder in zip(trees, BUILDERS, strict=True):
        env = {**os.environ, **builder["env"], "SOURCE_DATE_EPOCH": EPOCH, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}  # type: ignore[dict-item]
        env.pop("PYTHONPATH", None)
        done = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            env=env,
            umask=builder["umask"],  # type: ignore[arg-type]
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return [folder / "built" for folder in trees]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def manifest_of(archive: Path) -> dict[str, object]:
    """{"digest", "layers"} of the only image of an OCI archive."""
    with tarfile.open(archive) as content:
        index = json.load(content.extractfile("index.json"))  # type: ignore[arg-type]
        [entry] = index["manifests"]
        name = "blobs/sha256/" + entry["digest"].removeprefix("sha256:")
        manifest = json.load(content.extractfile(name))  # type: ignore[arg-type]
    return {"digest": entry["digest"], "layers": [layer["digest"] for layer in manifest["layers"]]}


def test_wheel_and_source_archive_are_the_same_byte_for_byte(trees: list[Path]) -> None:
    one, other = build(
        trees, sys.executable, "-m", "build", "--sdist", "--wheel", "--no-isolation", "--outdir", "built"
    )

    assert digests(one) == digests(other)
    assert sorted(name.rpartition(".")[2] for name in digests(one)) == ["gz", "whl"]


def test_the_collection_is_the_same_byte_for_byte(trees: list[Path]) -> None:
    one, other = build(trees, sys.executable, "hack/collection.py", "built/collection")

    assert digests(one / "collection") == digests(other / "collection")


def test_what_is_built_has_the_license_in_it(wheel: Path, collection: Path) -> None:
    text = (ROOT / "LICENSE").read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
        assert archive.read(name) == text
    with tarfile.open(collection) as content:
        assert content.extractfile("LICENSE").read() == text  # type: ignore[union-attr]


@pytest.fixture
def image_builder() -> None:
    missing = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"images need root, buildah and mmdebstrap; here: uid {os.geteuid()}, without {missing}")


@pytest.mark.weekly
def test_the_image_is_the_same_layer_for_layer(trees: list[Path], image_builder: None) -> None:
    command = 'REVISION=none NO_CACHE=1 hack/image/build.sh "localhost/reproducible:$0" "$PWD/built/image.tar"'
    try:
        one, other = build(trees, "sh", "-c", command, "test")
    finally:
        subprocess.run(["buildah", "rmi", "localhost/reproducible:test"], capture_output=True, check=False)

    assert manifest_of(one / "image.tar") == manifest_of(other / "image.tar")


@pytest.mark.weekly
def test_the_stand_in_for_the_base_image_is_the_same(trees: list[Path], image_builder: None) -> None:
    one, other = build(trees, "hack/image/base.sh", "built/base.tar")

    assert manifest_of(one / "base.tar") == manifest_of(other / "base.tar")
