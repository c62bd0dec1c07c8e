# SPDX-License-Identifier: Apache-2.0
"""The look at the database's volume, run by the shell of this machine on folders as volumes have them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.database_folder import LOOK_COMMAND, VOLUME

STARTS, REFUSES = 0, 1
NOBODY = 65534


class Look:
    """A volume, and what its look says of it."""

    def __init__(self, folder: Path) -> None:
        self.volume, self.said, self.programs = folder / "volume", folder / "said", folder / "programs"
        self.volume.mkdir()
        self.programs.mkdir()
        self.owner = ""

    def database(self, folder: str = ".") -> None:
        """What tells a database, and what PostgreSQL has below it that looks like one."""
        for inner in ("global", "base/1"):
            (self.volume / folder / inner).mkdir(parents=True)
        for file in ("PG_VERSION", "base/1/PG_VERSION"):
            (self.volume / folder / file).write_text("14\n")

    def program(self, name: str, script: str) -> None:
        """A program that stands in for the one of the image."""
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def run(self, folder: str | None, *, guess: bool = False, as_nobody: bool = False) -> tuple[int, list[str]]:
        """(exit code, lines of the message); `as_nobody` where only that user is kept out, because tests may be of root."""
        script = LOOK_COMMAND[-1].replace(VOLUME, str(self.volume)).replace("/dev/termination-log", str(self.said))
        env = {"PATH": f"{self.programs}:/usr/bin:/bin", **({"FOLDER_IS_A_GUESS": "yes"} if guess else {})}
        if folder is not None:
            env["PGDATA"] = str(self.volume) if folder == "." else f"{self.volume}/{folder}"
        nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if as_nobody and os.geteuid() == 0 else {}
        done = subprocess.run(
            [*LOOK_COMMAND[:-1], script], env=env, capture_output=True, text=True, check=False, cwd="/", **nobody
        )
        assert done.stderr == ""
        return done.returncode, self.said.read_text().splitlines()


@pytest.fixture
def look(tmp_path: Path) -> Look:
    made = Look(tmp_path)
    made.program("id", "echo 999")
    made.program("stat", "echo 999")
    return made


@pytest.mark.parametrize("guess", [False, True], ids=["known", "guess"])
@pytest.mark.parametrize(
    ("there", "folder", "said"),
    [
        pytest.param([], "pgdata", (STARTS, ["empty"]), id="empty"),
        pytest.param(["lost+found/"], "pgdata", (STARTS, ["empty"]), id="lost+found"),
        pytest.param(["pgdata/"], "pgdata", (STARTS, ["empty"]), id="empty-folder"),
        pytest.param(["notes", "a b"], "pgdata", (STARTS, ["other", "has a?b", "has notes"]), id="other-files"),
        pytest.param(["pgdata/half"], "pgdata", (REFUSES, ["other", "has pgdata"]), id="half-set-up"),
        pytest.param([], ".", (STARTS, ["empty"]), id="empty-top"),
        pytest.param(["lost+found/"], ".", (REFUSES, ["empty"]), id="lost+found-at-the-top"),
        pytest.param(["notes"], ".", (REFUSES, ["other", "has notes"]), id="other-files-at-the-top"),
        pytest.param([".hidden"], ".", (REFUSES, ["empty"]), id="hidden-file-at-the-top"),
        pytest.param(["DB ."], "pgdata", (REFUSES, ["elsewhere", "at .", "has PG_VERSION", "has base", "has global"]),
                     id="at-the-top-not-below"),
        pytest.param(["DB pgdata"], ".", (REFUSES, ["elsewhere", "at pgdata", "has pgdata"]), id="below-not-at-the-top"),
        pytest.param(["DB 18/docker"], "pgdata", (REFUSES, ["elsewhere", "at 18/docker", "has 18"]), id="newer-layout"),
        pytest.param(["DB data", "lost+found/"], "pgdata", (REFUSES, ["elsewhere", "at data", "has data"]), id="parent"),
        pytest.param(["DB my db"], "pgdata", (REFUSES, ["elsewhere", "at my?db", "has my?db"]), id="odd-name"),
        pytest.param(["DB 17/docker", "DB 18/docker"], "pgdata",
                     (REFUSES, ["elsewhere", "at 17/docker", "at 18/docker", "has 17", "has 18"]), id="two-elsewhere"),
        pytest.param([f"file{n}" for n in range(9)], "pgdata",
                     (STARTS, ["other", *(f"has file{n}" for n in range(5))]), id="many-files"),
    ],
)  # fmt: skip
def test_postgresql_starts_only_where_it_finds_its_database_or_where_there_is_none(look, there, folder, said, guess):
    for entry in there:
        if entry.startswith("DB "):
            look.database(entry.removeprefix("DB "))
        elif entry.endswith("/"):
            (look.volume / entry).mkdir()
        else:
            (look.volume / entry).parent.mkdir(exist_ok=True)
            (look.volume / entry).write_text("x")

    assert look.run(folder, guess=guess) == said


@pytest.mark.parametrize("folder", [".", "pgdata", "18/docker"])
def test_a_database_in_its_place_starts(look, folder):
    look.database(folder)

    assert look.run(folder) == (STARTS, ["database", "major 14"])
    code, said = look.run(folder, guess=True)
    assert (code, said[:2]) == (STARTS, ["database", f"at {folder}"])


def test_of_two_databases_the_one_that_the_claim_says_starts_and_none_as_a_guess(look):
    look.database(".")
    look.database("pgdata")

    assert look.run("pgdata") == (STARTS, ["database", "major 14"])
    code, said = look.run("pgdata", guess=True)
    assert (code, said[:3]) == (REFUSES, ["several", "at .", "at pgdata"])


def test_no_database_is_set_up_beside_a_folder_that_it_may_not_look_into(look):
    (look.volume / "pgdata").mkdir()
    look.program("ls", 'case $PWD in */pgdata) exit 2 ;; esac\nexec /bin/ls "$@"')
    look.program("stat", "echo 70")

    assert look.run("18/docker") == (REFUSES, ["unknown", "closed pgdata", "has pgdata", "user 70"])


def test_a_database_of_another_user_is_not_started_and_its_owner_is_named(look):
    look.database("pgdata")
    look.program("stat", "echo 70")

    assert look.run("pgdata") == (REFUSES, ["database", "user 70", "major 14"])


def test_root_may_start_anybodys_database_because_the_image_sees_to_the_owner(look):
    look.database("pgdata")
    look.program("stat", "echo 70")
    look.program("id", "echo 0")

    assert look.run("pgdata") == (STARTS, ["database", "major 14"])


@pytest.mark.parametrize(
    ("program", "major", "result"),
    [
        ("postgres (PostgreSQL) 14.20 (Debian 14.20-1.pgdg12+1)", "14", STARTS),
        ("postgres (PostgreSQL) 17.6 (Debian 17.6-1.pgdg12+1)", "17", REFUSES),
        ("postgres (PostgreSQL) 15.4", "15", REFUSES),
        ("postgres (PostgreSQL) 18beta1", "18", REFUSES),
    ],
)
@pytest.mark.parametrize("folder", [".", "pgdata"])
def test_data_of_another_major_version_are_not_started_and_both_versions_are_told(look, folder, program, major, result):
    look.database(folder)
    look.program("postgres", f"echo '{program}'")

    assert look.run(folder) == (result, ["database", "major 14", f"program {major}"])
    assert look.run(folder, guess=True)[1][-2:] == ["major 14", f"program {major}"]


@pytest.mark.parametrize("script", ["exit 127", "echo nonsense", "true"])
def test_an_image_that_does_not_tell_its_version_is_left_to_find_out_by_itself(look, script):
    look.database("pgdata")
    look.program("postgres", script)

    assert look.run("pgdata") == (STARTS, ["database", "major 14"])


def test_a_database_that_does_not_tell_its_version_is_left_to_postgresql(look):
    look.database("pgdata")
    (look.volume / "pgdata" / "PG_VERSION").write_text("new\n")
    look.program("postgres", "echo 'postgres (PostgreSQL) 17.6'")

    assert look.run("pgdata") == (STARTS, ["database", "program 17"])


def test_on_an_empty_volume_only_the_program_has_a_version(look):
    look.program("postgres", "echo 'postgres (PostgreSQL) 17.6'")

    assert look.run("pgdata") == (STARTS, ["empty", "program 17"])


def test_a_new_database_is_set_up_as_the_user_that_the_image_has_for_it(look):
    look.program("id", '[ "$2" = postgres ] && echo 70 || echo 999')

    assert look.run("pgdata") == (REFUSES, ["empty", "user 70"])
    look.program("id", '[ "$2" = postgres ] && echo 70 || echo 1000')
    assert look.run("pgdata") == (STARTS, ["empty"]), "a user that the resource names is not judged"


@pytest.fixture
def closed() -> Iterator[Look]:
    """A volume with the real programs, looked at by a user whom folders without rights keep out, also where tests are
    run by root. The folders of pytest are closed to others, so it lies in one of its own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    made = Look(folder)
    made.said.touch()
    made.said.chmod(0o666)
    made.owner = str(os.geteuid())
    yield made
    for inner in folder.rglob("*"):
        if inner.is_dir() and not inner.is_symlink():
            inner.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("guess", [False, True], ids=["known", "guess"])
@pytest.mark.parametrize(
    ("folder", "shut"),
    [("pgdata", "pgdata"), (".", "."), ("18/docker", "18"), ("18/docker", "18/docker"), ("a/b/c", "a/b/c"),
     ("a/b/c/d", "a/b/c")],
)  # fmt: skip
def test_a_closed_folder_is_not_taken_for_an_empty_one(closed, folder, shut, guess):
    closed.database(folder)
    (closed.volume / shut).chmod(0)

    code, said = closed.run(folder, guess=guess, as_nobody=True)

    assert (code, said[:2]) == (REFUSES, ["unknown", f"closed {shut}"])
    assert said[-1] == f"user {closed.owner}"


def test_a_folder_that_is_open_and_empty_is_for_a_new_database(closed):
    (closed.volume / "pgdata").mkdir()

    assert closed.run("pgdata", as_nobody=True)[1][0] == "empty"


@pytest.mark.parametrize("folder", ["pgdata", "other"])
def test_a_database_beside_a_closed_folder_is_not_beyond_doubt(closed, folder):
    closed.database(folder)
    (closed.volume / "real").mkdir(mode=0)

    code, said = closed.run("pgdata", guess=True, as_nobody=True)

    assert code == REFUSES
    assert said[0] == ("database" if folder == "pgdata" else "elsewhere")
    assert {f"at {folder}", "closed real", f"user {closed.owner}"} <= set(said)


def test_a_claim_that_says_where_is_not_kept_from_its_database_by_a_closed_folder(look):
    look.database("pgdata")
    (look.volume / "real").mkdir()
    look.program("ls", "exit 2")

    assert look.run("pgdata") == (STARTS, ["database", "major 14"])


def test_all_owners_of_closed_folders_are_named(look):
    for folder in ("a", "b", "c"):
        (look.volume / folder).mkdir()
    look.program("ls", 'case $PWD in */volume/?) exit 2 ;; esac\nexec /bin/ls "$@"')
    look.program("stat", 'case "$4" in */b) echo 70 ;; *) echo 1000 ;; esac')

    code, said = look.run("pgdata")

    assert (code, said[0]) == (REFUSES, "unknown")
    assert [line for line in said if line.startswith("user")] == ["user 1000", "user 70"]


def test_whose_a_database_is_that_a_link_leads_to_is_asked_of_the_database(look):
    """As PostgreSQL does."""
    look.database("real")
    (look.volume / "pgdata").symlink_to("real")
    look.program("stat", '[ "$1" = -L ] && echo 999 || echo 0')

    assert look.run("pgdata") == (STARTS, ["database", "major 14"])


def test_a_disk_with_thousands_of_folders_is_left_after_some_and_is_no_certainty(look):
    for number in range(30):
        for inner in range(100):
            (look.volume / f"movies{number}" / f"{inner}-{'x' * 200}").mkdir(parents=True)
    calls = look.volume.parent / "calls"
    look.program("ls", f'echo >>{calls}; exec /bin/ls "$@"')

    code, said = look.run("pgdata", guess=True)

    assert (code, said[0], said[-1]) == (REFUSES, "unknown", "more folders")
    assert len(calls.read_text()) < 250
    assert look.run("pgdata")[0] == STARTS, "a claim that says where has decided"
    look.database("zz")
    look.database("pgdata")
    assert look.run("pgdata", guess=True)[0] == REFUSES
    assert look.run("pgdata") == (STARTS, ["database", "major 14"])


def test_what_a_look_says_fits_into_a_status(look):
    """Kubelet keeps the last 4096 bytes, and the first line is the one that counts."""
    for number in range(40):
        look.database(f"{number:02}{'ä' * 120}")
    for number in range(150):
        (look.volume / "closed" / f"{number}{'x' * 240}").mkdir(parents=True)
    look.program("ls", 'case $PWD in */closed/*) exit 2 ;; esac\nexec /bin/ls "$@"')

    code, said = look.run("pgdata")

    assert (code, said[0]) == (REFUSES, "elsewhere")
    assert [line.split()[0] for line in said[1:]] == ["at"] * 5 + ["closed"] * 5 + ["has"] * 5 + ["user"]
    assert len("\n".join(said).encode()) < 4096
