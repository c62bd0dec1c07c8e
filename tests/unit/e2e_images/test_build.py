# SPDX-License-Identifier: Apache-2.0
"""The images as files: what is in an archive, when it is made anew, and what is said when it cannot be."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from e2e.images import build

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from localcluster import images
from localcluster.images import archive
from localcluster.progress import Progress


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own; only Go keeps that which it has, or it would compile its library for each test."""
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(users / "go-build"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    return tmp_path / "immich-operator" / "images"


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """An empty layer instead of Debian; the list has a path for each time that it was made."""
    made: list[Path] = []

    def make(target: Path, progress: Progress) -> None:
        archive.write_layer(target, [])
        made.append(target)

    monkeypatch.setattr(build, "_make_debian", make)
    return made


def in_archive(path: Path) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """{image: (its settings, the names of its layers)}"""
    with tarfile.open(path) as tar:

        def parsed(name: str) -> Any:
            stream = tar.extractfile(name)
            assert stream is not None
            return json.load(stream)

        return {
            entry["RepoTags"][0]: (parsed(entry["Config"])["config"], entry["Layers"])
            for entry in parsed("manifest.json")
        }


def test_there_is_an_image_for_each_that_an_instance_uses_and_one_to_update_to(debian: list[Path]) -> None:
    found = build.ensure(Progress(quiet=True))

    needed = {image for name, image in DEFAULT_IMAGES.items() if name != "postgres14"}
    assert set(found) == {*needed, build.NEXT_SERVER}
    [path] = set(found.values())
    assert set(in_archive(path)) == set(found)


def test_all_images_share_the_lowest_layer(debian: list[Path]) -> None:
    [path] = set(build.ensure(Progress(quiet=True)).values())

    lowest = {layers[0] for _, layers in in_archive(path).values()}
    assert len(lowest) == 1


def test_the_next_server_is_the_same_but_for_its_version(debian: list[Path]) -> None:
    [path] = set(build.ensure(Progress(quiet=True)).values())

    (config, layers), (next_config, next_layers) = (
        in_archive(path)[name] for name in (DEFAULT_IMAGES["server"], build.NEXT_SERVER)
    )
    assert layers == next_layers
    assert sorted(set(next_config["Env"]) - set(config["Env"])) == ["IMMICH_SOURCE_REF=v3.3.2"]


def test_images_are_built_once_and_again_when_what_is_in_them_changes(
    debian: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build.ensure(Progress(quiet=True))
    again = build.ensure(Progress(quiet=True))
    monkeypatch.setattr(build, "setting_kinds", lambda: {"another": {"kind": "Text"}})
    changed = build.ensure(Progress(quiet=True))

    assert again == first
    assert set(changed.values()).isdisjoint(first.values())
    assert len(debian) == 1


def test_only_archives_that_nobody_used_for_a_day_go(debian: list[Path], cache: Path) -> None:
    cache.mkdir(parents=True)
    old, young = cache / "e2e-amd64-old.tar", cache / "e2e-amd64-young.tar"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))

    build.ensure(Progress(quiet=True))

    assert not old.exists()
    assert young.exists()


def test_what_is_missing_is_said_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(build.ImageError) as refused:
        build.ensure(Progress(quiet=True))

    assert "root is needed" in str(refused.value)
    assert "apt-get install --no-install-recommends mmdebstrap" in str(refused.value)


def test_a_failing_mmdebstrap_is_shown_with_the_end_of_its_log(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'E: no such mirror' >&2\nexit 25\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    with pytest.raises(build.ImageError, match=r"status 25(.|\n)*E: no such mirror"):
        build.ensure(Progress(quiet=True))

    assert [path.suffix for path in cache.iterdir()] == [".log"]


def test_layers_hold_files_folders_links_and_what_is_to_be_hidden(tmp_path: Path) -> None:
    archive.write_layer(
        tmp_path / "layer.tar",
        [
            archive.folder("data", owner=999),
            archive.file("bin/run", b"#!", mode=0o755),
            archive.link("bin/sh", "dash"),
            archive.hidden("usr/bin/bash"),
        ],
    )

    with tarfile.open(tmp_path / "layer.tar") as tar:
        found = [(info.name, oct(info.mode), info.uid, info.isdir(), info.linkname) for info in tar]
    assert found == [
        ("data", "0o755", 999, True, ""),
        ("bin/run", "0o755", 0, False, ""),
        ("bin/sh", "0o777", 0, False, "dash"),
        ("usr/bin/.wh.bash", "0o644", 0, False, ""),
    ]


def test_equal_input_gives_equal_archives_and_equal_layers_are_stored_once(tmp_path: Path) -> None:
    layers = tmp_path / "1.tar", tmp_path / "2.tar"
    for path in layers:
        archive.write_layer(path, [archive.file("x", b"y")])
    written = tmp_path / "a.tar", tmp_path / "b.tar"
    for path in written:
        archive.write(path, [archive.Image(f"localhost/{number}:1", {}, (layers[number],)) for number in range(2)])

    assert written[0].read_bytes() == written[1].read_bytes()
    with tarfile.open(written[0]) as tar:
        assert sorted(name.rpartition(".")[2] for name in tar.getnames()) == ["json", "json", "json", "tar"]


def test_an_error_leaves_no_half_written_file(tmp_path: Path) -> None:
    def write_half() -> None:
        with archive.replacing(tmp_path / "image.tar") as scratch:
            scratch.write_bytes(b"half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_half()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed, by which the image is built")
def test_the_image_pause_is_built_once_and_holds_one_program(cache: Path) -> None:
    said = io.StringIO()

    path = images.pause_archive(Progress(said))

    assert images.pause_archive(Progress(said)) == path
    assert said.getvalue().count("Building") == 1
    [(config, [layer])] = in_archive(path).values()
    assert config["Entrypoint"] == ["/pause"]
    with tarfile.open(path) as tar, tarfile.open(fileobj=tar.extractfile(layer)) as files:
        assert files.getnames() == ["pause"]
    assert list(cache.iterdir()) == [path]
