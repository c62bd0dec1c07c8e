# SPDX-License-Identifier: Apache-2.0
"""Wheel and collection as users get them, each installed into an environment that has nothing else of this project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcluster.testing import Cluster

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "runtime.txt"
LEADS_HERE = ("ANSIBLE_", "PYTHONPATH", "VIRTUAL_ENV", "RELATED_IMAGE_")
"""Variables through which an environment could still find the work tree."""


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Standard output; fails the test with all output when the command fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(LEADS_HERE)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def install_api(cluster: Cluster) -> None:
    """As `make install` does, and wait until it is served."""
    cluster.kubectl("apply", "--server-side", "-k", str(ROOT / "config" / "crd"))
    cluster.api.wait_served("immiches.media.rm3l.org")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment; `folder` is an empty place to run programs in."""

    root: Path
    folder: Path

    def run(
        self, program: str, *args: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> str:
        own = {"HOME": str(self.folder), "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}
        return run(self.root / "bin" / program, *args, cwd=cwd or self.folder, env={**own, **(env or {})})

    def attempt(self, program: str, *args: str | Path) -> tuple[int, str]:
        """(exit status, all output) of a program that may fail."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(LEADS_HERE)}
        own = {"HOME": str(self.folder), "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}
        command = [str(self.root / "bin" / program), *map(str, args)]
        done = subprocess.run(command, cwd=self.folder, env=clean | own, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def install(self, *args: str | Path) -> None:
        """pip of this test run installs into the environment, which has none of its own."""
        pip = (sys.executable, "-m", "pip", "--python", self.root / "bin" / "python", "install", "--quiet")
        run(*pip, *args, cwd=self.folder, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"})


def new_environment(parent: Path) -> Environment:
    root, folder = parent / "venv", parent / "empty"
    folder.mkdir()
    venv.create(root, with_pip=False, symlinks=True)
    return Environment(root, folder)


def pinned(names: Iterable[str]) -> list[str]:
    """The lines of the lock file for these packages, without hashes: name==version ; marker."""
    lines = re.findall(r"^([a-z0-9-]+)(==[^\\\n]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return [f"{name}{rest.strip()}" for name, rest in lines if name in set(names)]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", output, cwd=ROOT)
    [file] = output.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("collection")
    run(sys.executable, ROOT / "hack" / "collection.py", output, cwd=ROOT)
    [file] = output.glob("*.tar.gz")
    return file


@pytest.fixture(scope="session")
def operator_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with exactly the packages of the lock file."""
    environment = new_environment(tmp_path_factory.mktemp("operator"))
    environment.install("--require-hashes", "--requirement", LOCK)
    environment.install("--no-deps", "--no-index", wheel)
    return environment


@pytest.fixture(scope="session")
def collection_environment(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The collection where users keep collections, with ansible-core and what its requirements.txt names."""
    environment = new_environment(tmp_path_factory.mktemp("collection-only"))
    names = re.findall(r"^[a-z0-9-]+", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    environment.install(*pinned(["ansible-core", *names]))
    environment.run("ansible-galaxy", "collection", "install", "--offline", collection)
    return environment
