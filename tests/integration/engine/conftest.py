# SPDX-License-Identifier: Apache-2.0
"""Engines, and plays made from a few lines of YAML. No cluster: the plays talk to nobody."""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from immich_operator.engine import Engine, Play, PlayResult, make_engine
from immich_operator.engine.fork import ForkEngine
from support.waiting import eventually

COLLECTIONS = Path(__file__).parent / "collections"
ANCHOR = COLLECTIONS / "ansible_collections/testing/engine/roles/anchor"
Kind = Literal["fork", "process"]
WAITING = """\
- ansible.builtin.command: sh -c 'touch begun; until test -e go; do sleep 0.02; done'
  changed_when: false
"""
"""Writes `begun` into its project folder, and ends when `go` is there."""


class Bench:
    """An engine with folders of one test. `identity_only`: see `Play`, of all plays."""

    def __init__(self, engine: Engine, folder: Path, *, identity_only: bool = False) -> None:
        self.engine = engine
        self.folder = folder
        self._identity_only = identity_only
        self._numbers = itertools.count(1)

    def play(self, tasks: str, *, name: str = "photos", **fields: Any) -> Play:
        """A play of a role with `tasks`, for the custom resource `name`."""
        number = next(self._numbers)
        role = self.folder / "roles" / f"role{number}"
        (role / "tasks").mkdir(parents=True)
        (role / "tasks" / "main.yml").write_text(f"---\n{tasks}")
        return Play(
            ident=f"run-{number}",
            private_data_dir=self.folder / "runs" / name,
            role=role,
            identity_only=self._identity_only,
            **fields,
        )

    def run(self, tasks: str, *, cancel: threading.Event | None = None, **fields: Any) -> PlayResult:
        """Run `tasks` now."""
        return self.engine.run(self.play(tasks, **fields), cancel or threading.Event())

    def artifacts(self, name: str = "photos") -> list[Path]:
        """The artifacts folders that are left, oldest first."""
        return sorted((self.folder / "runs" / name / "artifacts").iterdir())


@contextmanager
def a_fork_engine(folder: Path, *, identity_only: bool = False) -> Iterator[Bench]:
    """A fork engine of one test alone, with a copy of the collections that the test may change."""
    shutil.copytree(COLLECTIONS, folder / "collections", ignore=shutil.ignore_patterns("__pycache__"))
    role = folder / "collections" / ANCHOR.relative_to(COLLECTIONS)
    (folder / "base").mkdir()
    engine = ForkEngine(base_dir=folder / "base", preload_roles=[role], log=logging.getLogger("engine"))
    yield Bench(engine, folder, identity_only=identity_only)
    engine.close()


def timed_out(run: Callable[[float], PlayResult], begun: Path) -> PlayResult:
    """The result of a play that would run for ever, in the least time in which it had `begun`; `run` takes seconds."""
    timeouts = (2.0**power for power in itertools.count(-1))

    def result() -> PlayResult | None:
        found = run(next(timeouts))
        assert found.status == "timeout"
        return found if begun.exists() else None

    return eventually("a play that has begun before its time was over", result)


def wait_ended(*pids: int) -> None:
    """Until none of the processes runs any more."""
    eventually(f"the processes {list(pids)} gone", lambda: not any(map(is_running, pids)))


def is_running(pid: int) -> bool:
    """True unless the process is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def tree(folder: Path) -> Mapping[Path, bytes]:
    """All files below `folder`."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Engine]]:
    """One engine of each kind for all tests: that plays leave nothing behind in it is part of what is tested."""
    made: dict[str, Engine] = {}

    def get(kind: Kind) -> Engine:
        if kind not in made:
            made[kind] = make_engine(
                kind,
                base_dir=tmp_path_factory.mktemp(kind),
                workers=4,
                preload_roles=[ANCHOR],
                log=logging.getLogger("engine"),
            )
        return made[kind]

    yield get
    for engine in made.values():
        engine.close()


@pytest.fixture(params=["fork", "process", "parked"])
def bench(request: pytest.FixtureRequest, engines: Callable[[Kind], Engine], tmp_path: Path) -> Bench:
    """Both engines, one after the other, and the fork engine with plays that it may park."""
    is_parked = request.param == "parked"
    return Bench(engines("fork" if is_parked else request.param), tmp_path, identity_only=is_parked)


@pytest.fixture
def fork(engines: Callable[[Kind], Engine], tmp_path: Path) -> Bench:
    """The fork engine."""
    return Bench(engines("fork"), tmp_path)
