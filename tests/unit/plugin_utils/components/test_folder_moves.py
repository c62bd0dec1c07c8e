# SPDX-License-Identifier: Apache-2.0
"""A folder moves to a volume of its own and back, whenever it is interrupted; the script runs in the shell of this machine."""

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.folder_moves import MOVE_SCRIPT, PRIVATE


class Volumes:
    """The library's volume, and one of thumbnails."""

    def __init__(self, top: Path) -> None:
        self.library, self.volumes, self.said = top / "library", top / "volumes", top / "said"
        self.inside, self.own = self.library / "thumbs", self.volumes / "thumbs"
        self.library.mkdir()
        self.own.mkdir(parents=True)
        (self.own / "lost+found").mkdir()

    def start(self, wanted: str, can_be_made_again: str = "no") -> subprocess.Popen[str]:
        script = MOVE_SCRIPT.replace("/dev/termination-log", str(self.said))
        return subprocess.Popen(
            ["bash", "-c", script, "move", str(self.library), str(self.volumes), "thumbs", wanted, can_be_made_again],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def move(self, wanted: str, can_be_made_again: str = "no") -> tuple[int, list[str]]:
        """(exit code, what the status of the pod says)"""
        process = self.start(wanted, can_be_made_again)
        self.log, _none = process.communicate(timeout=120)
        return process.returncode, self.said.read_text().splitlines()

    def interrupted(self, wanted: str, after_s: float) -> int | None:
        """The exit code if it ended before that, else None: it was killed, with all that it had started."""
        process = self.start(wanted)
        try:
            self.log, _none = process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None
        return process.returncode


def files(folder: Path) -> dict[str, bytes | str]:
    """{path: content, or where a link leads} below a folder, but for what is not Immich's."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir() and path.relative_to(folder).parts[0] not in (PRIVATE, "lost+found")
    }


def fill(folder: Path, number: int = 12) -> dict[str, bytes | str]:
    """What Immich leaves in its folder, with names that need quotes."""
    folder.mkdir(exist_ok=True)
    (folder / ".immich").write_text("mark")
    for index in range(number):
        path = folder / f"user {index % 3}" / f"$(x) '{index}'\n-n" / "a.webp"
        path.parent.mkdir(parents=True)
        path.write_bytes(random.Random(index).randbytes(2000 * index))  # noqa: S311
    (folder / "-rf").write_bytes(b"no option")
    (folder / "link").symlink_to("user 0/elsewhere")
    return files(folder)


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path)


def test_a_folder_moves_to_its_volume_with_immichs_mark_and_its_former_copy_is_kept(volumes):
    before = fill(volumes.inside)

    assert volumes.move("volume") == (0, ["volume thumbs", "kept thumbs-1"])

    assert files(volumes.own) == before
    assert files(volumes.inside) == {}
    assert files(volumes.library / PRIVATE / "old" / "thumbs-1") == before
    (modified,) = {p.stat().st_mtime_ns for p in (volumes.own / "-rf", volumes.library / PRIVATE / "old/thumbs-1/-rf")}
    assert modified


def test_it_moves_back_and_its_volume_keeps_a_copy(volumes):
    before = fill(volumes.own)

    assert volumes.move("library") == (0, ["library thumbs"])

    assert files(volumes.inside) == before
    assert files(volumes.own) == {}
    assert files(volumes.own / PRIVATE / "old" / "thumbs-1") == before


def test_to_and_fro_loses_nothing_that_came_in_between(volumes):
    fill(volumes.inside)
    for number, wanted in enumerate(("volume", "library", "volume", "library")):
        place = volumes.inside if wanted == "volume" else volumes.own
        (place / f"new-{number}").write_bytes(b"new")
        (place / f"new-{number - 1}").unlink(missing_ok=True)
        before = files(place)

        assert volumes.move(wanted)[0] == 0, volumes.log

        assert files(volumes.own if wanted == "volume" else volumes.inside) == before
    assert sorted(p.name for p in (volumes.library / PRIVATE / "old").iterdir()) == ["thumbs-1", "thumbs-2"]


@pytest.mark.parametrize("wanted", ["volume", "library"])
def test_where_it_is_already_nothing_is_touched(volumes, wanted):
    place = volumes.own if wanted == "volume" else volumes.inside
    before = fill(place)

    assert volumes.move(wanted) == (0, [f"{wanted} thumbs"])

    assert files(place) == before
    assert not (place / PRIVATE / "old").exists()


def test_a_new_instance_has_nothing_to_move_and_gets_no_mark(volumes):
    """Immich makes its own marks, and refuses to start where one is missing that it has made before."""
    assert volumes.move("volume") == (0, ["volume thumbs"])

    assert files(volumes.own) == files(volumes.library) == {}


@pytest.mark.parametrize("wanted", ["volume", "library"])
def test_what_can_be_made_again_gets_a_mark_where_there_is_nothing(volumes, wanted):
    """Its volume goes with the Immich, the database does not, and it expects the mark when the Immich is made again."""
    assert volumes.move(wanted, "yes") == (0, [f"{wanted} thumbs"])

    assert files(volumes.own if wanted == "volume" else volumes.inside) == {".immich": b""}
    assert files(volumes.inside if wanted == "volume" else volumes.own) == {}


@pytest.mark.parametrize("wanted", ["volume", "library"])
def test_where_both_places_have_files_a_person_has_to_decide(volumes, wanted):
    inside = fill(volumes.inside)
    (volumes.own / "other.webp").write_bytes(b"other")

    assert volumes.move(wanted) == (1, ["both thumbs"])

    assert files(volumes.inside) == inside
    assert files(volumes.own) == {"other.webp": b"other"}


def test_a_copy_that_was_spoilt_by_a_crash_is_found_by_its_content(volumes):
    """The node has lost what was not on its disk: size and time are right, the content is not."""
    before = fill(volumes.inside)
    shutil.copytree(volumes.inside, volumes.own, dirs_exist_ok=True, symlinks=True)
    spoilt = volumes.own / "-rf"
    then = spoilt.stat()
    spoilt.write_bytes(b"\0" * then.st_size)
    os.utime(spoilt, ns=(then.st_atime_ns, then.st_mtime_ns))
    (volumes.own / PRIVATE).mkdir()
    (volumes.own / PRIVATE / "copying-thumbs").touch()

    assert volumes.move("volume")[0] == 0, volumes.log

    assert files(volumes.own) == before


def test_what_was_compared_is_not_left_if_the_original_has_changed_since(volumes):
    fill(volumes.inside)
    shutil.copytree(volumes.inside, volumes.own, dirs_exist_ok=True, symlinks=True)
    (volumes.own / PRIVATE).mkdir()
    (volumes.own / PRIVATE / "copied-thumbs").touch()
    (volumes.inside / "-rf").write_bytes(b"changed")
    inside, own = files(volumes.inside), files(volumes.own)

    assert volumes.move("volume") == (1, ["differs thumbs"])

    assert (files(volumes.inside), files(volumes.own)) == (inside, own)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_again_and_again_it_ends_with_all_files_in_the_right_place(volumes, seed):
    chance = random.Random(seed)  # noqa: S311
    before = fill(volumes.inside, 40)
    longest = 0.05

    for wanted in ("volume", "library", "volume"):
        kills = 0
        while (code := volumes.interrupted(wanted, chance.uniform(0.0, longest))) is None:
            kills += 1
            # Nothing is lost at any moment: each file is in one of the two places, or where it was set aside.
            everywhere = [files(volumes.inside), files(volumes.own)]
            everywhere += [
                files(old) for top in (volumes.library, volumes.own) for old in (top / PRIVATE).glob("old/*")
            ]
            assert [path for path, content in before.items() if content not in [o.get(path) for o in everywhere]] == []
            longest *= 1.1
        assert code == 0, volumes.log
        there, other = (volumes.own, volumes.inside) if wanted == "volume" else (volumes.inside, volumes.own)
        assert files(there) == before
        assert files(other) == {}
        assert not list((volumes.own / PRIVATE).glob("cop*")), "no work is left to finish"
        assert kills
        longest = 0.05


@pytest.mark.parametrize("seed", range(2))
def test_whoever_changes_their_mind_in_the_middle_finds_all_files_where_they_are_wanted_last(volumes, seed):
    chance = random.Random(seed)  # noqa: S311
    before = fill(volumes.inside, 40)

    for _unused in range(15):
        volumes.interrupted(chance.choice(("volume", "library")), chance.uniform(0.0, 0.4))
    wanted = chance.choice(("volume", "library"))
    assert volumes.move(wanted)[0] == 0, volumes.log

    there, other = (volumes.own, volumes.inside) if wanted == "volume" else (volumes.inside, volumes.own)
    assert files(there) == before
    assert files(other) == {}


def test_a_copy_that_nobody_wants_any_more_does_not_keep_the_server_from_starting(volumes):
    before = fill(volumes.inside)
    shutil.copytree(volumes.inside / "user 0", volumes.own / "user 0")
    (volumes.own / PRIVATE).mkdir()
    (volumes.own / PRIVATE / "copying-thumbs").touch()

    assert volumes.move("library") == (0, ["library thumbs"])

    assert files(volumes.inside) == before
    assert files(volumes.own) == {}
