# SPDX-License-Identifier: Apache-2.0
"""However much plays write, what is kept of them fits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from immich_operator.engine.artifacts import Artifacts

KIB = 1024


def a_play(artifacts: Artifacts, root: Path, resource: str, ident: str, kib: int) -> Path:
    folder = root / resource / "artifacts" / ident
    (folder / "job_events").mkdir(parents=True)
    (folder / "stdout").write_bytes(b"x" * kib * KIB)
    artifacts.add(root / resource, ident)
    return folder


def left(root: Path) -> list[str]:
    return sorted(f"{folder.parts[-3]}/{folder.name}" for folder in root.glob("*/artifacts/*"))


def test_a_resource_keeps_what_fits_and_the_newest(tmp_path):
    artifacts = Artifacts(each=100 * KIB, whole=1000 * KIB)

    for number in range(10):
        a_play(artifacts, tmp_path, "one", f"p{number}", kib=40)

    assert left(tmp_path) == ["one/p8", "one/p9"]


def test_a_play_that_is_too_big_alone_is_not_kept(tmp_path):
    artifacts = Artifacts(each=100 * KIB, whole=1000 * KIB)

    a_play(artifacts, tmp_path, "one", "big", kib=200)

    assert left(tmp_path) == []
    assert artifacts.bytes_on_disk() == 0


def test_of_many_resources_the_oldest_artifacts_go_first(tmp_path):
    artifacts = Artifacts(each=100 * KIB, whole=300 * KIB)

    for number in range(20):
        a_play(artifacts, tmp_path, f"r{number:02}", "p", kib=60)

    assert left(tmp_path) == [f"r{number}/p" for number in range(16, 20)]
    assert artifacts.bytes_on_disk() <= 300 * KIB


def test_many_small_files_count_as_what_they_take(tmp_path):
    artifacts = Artifacts(each=1000 * KIB, whole=1000 * KIB)
    events = tmp_path / "one" / "artifacts" / "p" / "job_events"
    events.mkdir(parents=True)
    for number in range(50):
        (events / f"{number}.json").write_text("{}")

    artifacts.add(tmp_path / "one", "p")

    assert artifacts.bytes_on_disk() == pytest.approx(50 * os.statvfs(tmp_path).f_bsize, rel=0.2)


def test_what_an_earlier_process_has_left_counts_too(tmp_path):
    before = Artifacts(each=1000 * KIB, whole=1000 * KIB)
    for number, resource in enumerate(("one", "two", "three")):
        folder = a_play(before, tmp_path / "family", resource, "p", kib=100)
        os.utime(folder, (number, number))

    artifacts = Artifacts(each=250 * KIB, whole=250 * KIB)
    artifacts.find(tmp_path)

    assert left(tmp_path / "family") == ["three/p", "two/p"]


def test_a_namespace_or_a_resource_may_have_the_name_of_the_folder(tmp_path):
    before = Artifacts(each=1000 * KIB, whole=1000 * KIB)
    for namespace, name in (("artifacts", "one"), ("family", "artifacts")):
        a_play(before, tmp_path / namespace, name, "p", kib=10)
        (tmp_path / namespace / name / "env").mkdir()

    Artifacts(each=0, whole=0).find(tmp_path)

    assert sorted(str(folder.relative_to(tmp_path)) for folder in tmp_path.glob("*/*/*")) == [
        "artifacts/one/artifacts", "artifacts/one/env", "family/artifacts/artifacts", "family/artifacts/env",
    ]  # fmt: skip


def test_what_is_found_again_counts_once(tmp_path):
    artifacts = Artifacts(each=1000 * KIB, whole=1000 * KIB)
    a_play(artifacts, tmp_path / "family", "one", "p", kib=100)

    for _unused in range(3):
        artifacts.find(tmp_path)

    assert artifacts.bytes_on_disk() < 120 * KIB


def test_nothing_is_remembered_of_resources_whose_artifacts_were_all_removed(tmp_path):
    artifacts = Artifacts(each=1, whole=1)

    for number in range(10):
        a_play(artifacts, tmp_path, f"r{number}", "p", kib=10)

    assert (artifacts._sizes, dict(artifacts._of), artifacts._same) == ({}, {}, {})


def test_what_was_removed_with_its_resource_or_by_its_number_takes_nothing(tmp_path):
    artifacts = Artifacts(each=1000 * KIB, whole=1000 * KIB)
    for ident in ("p1", "p2"):
        a_play(artifacts, tmp_path, "one", ident, kib=100)
    a_play(artifacts, tmp_path, "two", "p", kib=100)
    (tmp_path / "one" / "artifacts" / "p1" / "stdout").unlink()
    (tmp_path / "one" / "artifacts" / "p1" / "job_events").rmdir()
    (tmp_path / "one" / "artifacts" / "p1").rmdir()

    artifacts.add(tmp_path / "one", "p3")
    artifacts.remove(tmp_path / "two")

    assert 100 * KIB <= artifacts.bytes_on_disk() < 120 * KIB
