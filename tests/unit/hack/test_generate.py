# SPDX-License-Identifier: Apache-2.0
"""One command writes every generated file, or tells which are stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack import generate


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the only generator writes: "fresh", in a folder that is not there yet."""
    target = tmp_path / "folder" / "page.md"
    monkeypatch.setattr(generate, "GENERATORS", {"page": lambda: {target: "fresh"}})
    return target


@pytest.mark.parametrize("name", generate.GENERATORS)
def test_what_is_committed_is_what_its_source_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check", name]) == 0, capsys.readouterr().err


def test_a_missing_file_is_written(file: Path) -> None:
    assert generate.main([]) == 0
    assert file.read_text(encoding="utf-8") == "fresh"


def test_a_check_names_the_stale_file_and_leaves_it_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.parent.mkdir()
    file.write_text("old", encoding="utf-8")

    assert generate.main(["--check"]) == 1
    assert f"page: {file} is not what its source says; run `make generate`" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "old"


def test_a_file_that_is_fresh_is_not_touched(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("fresh", encoding="utf-8")
    file.chmod(0o444)
    before = file.stat().st_mtime_ns

    assert generate.main([]) == 0
    assert file.stat().st_mtime_ns == before


def test_only_the_named_generators_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        generate, "GENERATORS", {name: lambda name=name: {tmp_path / name: ""} for name in ("one", "two")}
    )

    generate.main(["two"])

    assert [file.name for file in tmp_path.iterdir()] == ["two"]


def test_an_unknown_name_is_refused_with_those_there_are(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        generate.main(["pages"])

    assert "there is no pages; known are page" in capsys.readouterr().err


def test_what_is_wrong_in_a_source_is_reported_and_keeps_no_other_file_from_being_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[Path, str]:
        raise ValueError("spec.size: requred is no keyword")

    monkeypatch.setattr(generate, "GENERATORS", {"crds": broken, **generate.GENERATORS})

    assert generate.main([]) == 1
    assert "crds: spec.size: requred is no keyword" in capsys.readouterr().err
    assert file.exists()
