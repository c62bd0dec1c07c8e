# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the machine of an operator, for a while. Needs root on Linux."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.waiting import eventually

__all__ = ["CLOCK", "Clock", "full", "no_descriptors", "no_more_processes", "read_only", "small_disk"]

CGROUPS = Path("/sys/fs/cgroup")
CLOCK = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
"""Of Debian's package libfaketime, if it is installed."""
BLOCK = bytes(4096)
FILL_AGAIN_S = 0.01


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """The folder as a disk of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Somebody else writes to the disk until it is full, and takes at once what becomes free."""
    ended, filled = threading.Event(), threading.Event()

    def fill() -> None:
        with (disk / "filler").open("wb", buffering=0) as file:
            while not ended.is_set():
                try:
                    file.write(BLOCK)
                except OSError:
                    filled.set()
                    ended.wait(FILL_AGAIN_S)

    filler = threading.Thread(target=fill, name="fill the disk")
    filler.start()
    try:
        assert filled.wait(60)
        yield
    finally:
        ended.set()
        filler.join()
        (disk / "filler").unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Whoever opens something below the folder from now on finds it empty, and cannot write."""
    _run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """The process can open nothing more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextmanager
def no_more_processes(pids: Iterable[int], name: str) -> Iterator[None]:
    """The processes, and all that they have started, can start neither processes nor threads."""
    base = CGROUPS / "pids" if (CGROUPS / "pids").is_dir() else CGROUPS
    group = base / name
    group.mkdir()
    try:
        for pid in pids:
            _move(pid, group)
        (group / "pids.max").write_text((group / "pids.current").read_text())
        yield
        (group / "pids.max").write_text("max")
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            _move(int(pid), base)
        eventually("an empty control group", lambda: not (group / "cgroup.procs").read_text().split())
        group.rmdir()


class Clock:
    """What programs started with `environment` take for the time; how fast it goes, and waiting, stay as they are."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.jump("+0")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(CLOCK),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, offset: str) -> None:
        """To so far from the real time, as in +30d or -2m."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset}\n")
        fresh.rename(self._file)


def _move(pid: int, group: Path) -> None:
    try:
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as problem:  # it has ended
        if problem.errno != errno.ESRCH:
            raise


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, env={**os.environ})
