# SPDX-License-Identifier: Apache-2.0
"""Which program is used, what a cached build is called, and what is said when none can be made."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from localcluster import build, programs
from localcluster.errors import ProgramError
from localcluster.programs import PROGRAMS, Program
from localcluster.progress import Progress

GO_MOD = """\
module example
go 1.26.0
tool example.com/tool
require (
\texample.com/tool v1.2.3 // indirect
)
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go module of one program, in place of ours."""
    folder = tmp_path / "sources" / "example"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(GO_MOD, encoding="utf-8")
    (folder / "go.sum").write_text("sums\n", encoding="utf-8")
    monkeypatch.setattr(programs, "SOURCES", folder.parent)
    return folder


def a_program() -> Program:
    return Program("tool", "example", "example.com/tool", "example.com/tool")


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `go` on PATH that a test writes; the only thing there but the shell's own tools."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return folder / "go"


def write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_key_names_program_and_version(source: Path) -> None:
    assert a_program().key.startswith("tool-v1.2.3-")
    assert a_program().key == a_program().key


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param("go.mod", GO_MOD.replace("v1.2.3", "v1.2.4"), id="version"),
        pytest.param("go.mod", GO_MOD + "// a comment\n", id="go.mod"),
        pytest.param("go.sum", "other sums\n", id="go.sum"),
    ],
)
def test_the_key_changes_with_what_is_built(source: Path, file: str, text: str) -> None:
    before = a_program().key

    (source / file).write_text(text, encoding="utf-8")

    assert a_program().key != before


def test_the_key_changes_with_the_flags(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = a_program().key

    monkeypatch.setattr(Program, "build_flags", ("-other",))

    assert a_program().key != before


def test_kubernetes_programs_know_their_version() -> None:
    program = PROGRAMS["kube-apiserver"]
    major, minor, _ = program.version.removeprefix("v").split(".")

    mode, trim, _, link = program.build_flags

    assert (mode, trim) == ("-mod=readonly", "-trimpath")
    assert f"version.gitVersion={program.version} " in link
    assert f"version.gitMajor={major} " in link
    assert link.endswith(f"version.gitMinor={minor}")


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in PROGRAMS])
def test_every_program_has_a_module_that_pins_it(name: str) -> None:
    assert PROGRAMS[name].version.startswith("v")
    assert PROGRAMS[name].go_version.startswith("1.")


def test_assets_win_over_the_cache_and_may_be_incomplete(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    write_script(assets / "etcd", "exit 0")
    cached = tmp_path / "cache" / "immich-operator" / "programs" / PROGRAMS["kwok"].key / "kwok"
    cached.parent.mkdir(parents=True)
    write_script(cached, "exit 0")
    env = {"KUBEBUILDER_ASSETS": str(assets), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    found = {name: build.locate(name, env) for name in ("etcd", "kwok", "kubectl")}

    assert found == {"etcd": assets / "etcd", "kwok": cached, "kubectl": None}


def test_assets_that_are_no_folder_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    env = {"KUBEBUILDER_ASSETS": str(tmp_path / "absent")}

    with pytest.raises(ProgramError, match=r"KUBEBUILDER_ASSETS=.*/absent is not a folder; correct it, or unset it"):
        build.locate("etcd", env)


def test_a_missing_go_is_named_with_the_version_and_two_remedies(source: Path, fake_go: Path) -> None:
    with pytest.raises(ProgramError) as error:
        build.check_go([a_program()])

    assert str(error.value) == (
        "Go 1.26.0 or newer is needed to build tool, but there is no `go` on PATH. "
        "Install it from https://go.dev/dl/, or set KUBEBUILDER_ASSETS to a folder with the programs."
    )


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        pytest.param("echo go1.22.5", "is 1.22.5.", id="older"),
        pytest.param("echo go1.9", "is 1.9.", id="older-by-number-not-by-text"),
        pytest.param("echo 'requires go >= 1.26.0' >&2; exit 1", "is requires go >= 1.26.0.", id="go-refuses"),
        pytest.param("echo devel", "is devel.", id="unknown"),
    ],
)
def test_an_old_go_is_named_with_its_path_and_version(source: Path, fake_go: Path, script: str, shown: str) -> None:
    write_script(fake_go, script)

    with pytest.raises(ProgramError) as error:
        build.check_go([a_program()])

    assert f"{fake_go} {shown}" in str(error.value)
    assert str(source / "go.mod") in str(error.value)


@pytest.mark.parametrize(
    "version",
    [
        pytest.param("go1.26.0", id="same"),
        pytest.param("go1.26.8", id="newer-patch"),
        pytest.param("go1.27rc1", id="release-candidate"),
        pytest.param("go2.0", id="next-major"),
        pytest.param("go1.26.8-X:nodwarf5", id="with-experiments"),
    ],
)
def test_a_go_that_is_new_enough_is_used(source: Path, fake_go: Path, version: str) -> None:
    write_script(fake_go, f"echo {version}")

    assert build.check_go([a_program()]) == str(fake_go)


GO_THAT_BUILDS = """\
if [ "$1" = env ]; then echo go1.26.0; exit 0; fi
echo "$PWD $*" >> "$XDG_CACHE_HOME/calls"
while [ "$1" != -o ]; do shift; done
echo built > "$2"
chmod +x "$2"
"""


def test_a_missing_program_is_built_once_and_kept(
    source: Path, fake_go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PROGRAMS", {"tool": a_program()})
    write_script(fake_go, GO_THAT_BUILDS)
    shown = io.StringIO()

    first = build.ensure(["tool"], Progress(shown))
    second = build.ensure(["tool"], Progress(shown))

    assert first == second == {"tool": tmp_path / "cache/immich-operator/programs" / a_program().key / "tool"}
    calls = (tmp_path / "cache" / "calls").read_text(encoding="utf-8").splitlines()
    assert len(calls) == 1
    assert calls[0].startswith(f"{source} build -mod=readonly -trimpath -ldflags -s -w -o ")
    assert shown.getvalue() == "Building tool v1.2.3 ...\nBuilding tool v1.2.3: done after 0 s\n"
    assert [path.name for path in (tmp_path / "cache/immich-operator/programs").iterdir()] == [a_program().key]


GO_THAT_BUILDS_MANY = """\
if [ "$1" = env ]; then echo go1.26.0; exit 0; fi
echo "$*" >> "$XDG_CACHE_HOME/calls"
while [ "$1" != -o ]; do shift; done
folder=$2; shift 2
for package in "$@"; do echo built > "$folder/${package##*/}"; done
"""


def test_the_programs_of_a_module_come_out_of_one_build(
    source: Path, fake_go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("server", "client")
    module = {name: Program(name, "example", f"example.com/tool/{name}", "example.com/tool") for name in names}
    monkeypatch.setattr(build, "PROGRAMS", module)
    write_script(fake_go, GO_THAT_BUILDS_MANY)
    shown = io.StringIO()

    found = build.ensure(names, Progress(shown))

    assert {name: path.name for name, path in found.items()} == {"server": "server", "client": "client"}
    [call] = (tmp_path / "cache" / "calls").read_text(encoding="utf-8").splitlines()
    assert call.endswith("example.com/tool/server example.com/tool/client")
    assert shown.getvalue().startswith("Building server, client v1.2.3 ...\n")


def test_progress_names_what_is_left_now() -> None:
    shown = io.StringIO()
    left = ["server", "client"]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:

        class EndsWithTheLast(io.StringIO):
            def write(self, text: str) -> int:
                if "so far" in text and left:
                    left.pop()
                if "Building nothing" in text and process.stdin is not None:
                    process.stdin.close()
                return super().write(text)

        shown = EndsWithTheLast()
        Progress(shown, repeat_s=0.01).watch(
            "Building all", process, lambda: f"Building {', '.join(left) or 'nothing'}"
        )

    lines = [line.partition(":")[0] for line in shown.getvalue().splitlines()]
    assert lines[:4] == ["Building all ...", "Building server, client", "Building server", "Building nothing"]


def test_a_failed_build_shows_the_end_of_its_log_and_keeps_it(
    source: Path, fake_go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PROGRAMS", {"tool": a_program()})
    write_script(fake_go, 'if [ "$1" = env ]; then echo go1.26.0; exit 0; fi\necho "no space left"; exit 2')

    with pytest.raises(ProgramError, match=r"(?s)failed with status 2\..*\.log:\nno space left") as error:
        build.ensure(["tool"], Progress(quiet=True))

    log = tmp_path / "cache/immich-operator/programs" / f"{a_program().key}.log"
    assert str(log) in str(error.value)
    assert log.exists()


def test_progress_repeats_what_is_being_built_and_for_how_long() -> None:
    shown = io.StringIO()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:

        class EndsAfterTheThirdLine(io.StringIO):
            def write(self, text: str) -> int:
                if text.strip() and len(self.getvalue().splitlines()) == 2 and process.stdin is not None:
                    process.stdin.close()
                return super().write(text)

        shown = EndsAfterTheThirdLine()
        Progress(shown, repeat_s=0.01).watch("Building tool", process)

    lines = shown.getvalue().splitlines()
    assert lines[0] == "Building tool ..."
    assert lines[1] == "Building tool: 0 s so far ..."
    assert lines[-1].startswith("Building tool: ")
