# SPDX-License-Identifier: Apache-2.0
"""What Ansible itself asks of a collection, of the one that users get; and its changelog, up to a release.

ansible-test has 24 sanity tests. `pslint` and `shellcheck` look at nothing, because the collection has no such files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from tests.packaging.conftest import ROOT

PROGRAMS = Path(sys.executable).parent
BOOTSTRAP = """\
# What ansible-test would download: puts pip into the virtual environment that it has made without one.
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", *wanted])
"""


def run(*command: str, cwd: Path, home: Path) -> tuple[int, str]:
    env = {**os.environ, "HOME": str(home), "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    env.pop("ANSIBLE_HOME", None)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(collection: Path, tmp_path: Path) -> Path:
    """The archive unpacked where ansible-test wants a collection, with the changelog and what is to be ignored."""
    tree = tmp_path / "ansible_collections" / "media" / "immich"
    with tarfile.open(collection) as archive:
        archive.extractall(tree, filter="data")
    shutil.copytree(ROOT / "changelogs", tree / "changelogs")
    shutil.copytree(ROOT / "tests" / "sanity", tree / "tests" / "sanity")
    shutil.copy(ROOT / "galaxy.yml", tree)
    assert run("git", "init", "--quiet", cwd=tree, home=tmp_path)[0] == 0
    return tree


def pip_versions() -> set[str]:
    """The releases of pip that this ansible-test may want to put into its environments."""
    from ansible_test._internal import python_requirements  # noqa: PLC0415 # tells how it names the file

    source = Path(python_requirements.__file__).read_text(encoding="utf-8")
    return set(re.findall(r"\bpip='([\d.]+)'", source))


@pytest.mark.weekly
def test_ansibles_sanity_tests_pass(tree: Path, tmp_path: Path) -> None:
    cache = tmp_path / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True)
    for release in pip_versions():
        (cache / f"get_pip_{release.replace('.', '_')}.py").write_text(BOOTSTRAP, encoding="utf-8")

    status, output = run(
        str(PROGRAMS / "ansible-test"), "sanity", "--color", "no",
        "--python", f"{sys.version_info.major}.{sys.version_info.minor}", cwd=tree, home=tmp_path,
    )  # fmt: skip

    errors = "\n".join(line for line in output.splitlines() if line.startswith(("ERROR", "FATAL")))
    assert status == 0, f"ansible-core {version('ansible-core')}:\n{errors or output[-8000:]}"
    assert output.count('Running sanity test "') >= 24


def test_the_changelog_is_well_formed_and_becomes_a_release(tree: Path, tmp_path: Path) -> None:
    changelog = str(PROGRAMS / "antsibull-changelog")
    linted, complaints = run(changelog, "lint", cwd=tree, home=tmp_path)
    released, output = run(changelog, "release", "--version", "0.1.0", "--date", "2026-01-01", cwd=tree, home=tmp_path)

    assert linted == 0, complaints
    assert released == 0, output
    told = yaml.safe_load((tree / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))
    fragments = {path.name for path in (ROOT / "changelogs" / "fragments").glob("*.yml")}
    assert set(told["releases"]["0.1.0"]["fragments"]) == fragments
    assert 'id="v0-1-0"' in (tree / "CHANGELOG.md").read_text(encoding="utf-8")
