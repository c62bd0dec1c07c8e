# SPDX-License-Identifier: Apache-2.0
"""What is taken from others to build and test is named by its digest, and something renews it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components import images

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
DOCKERFILES = sorted([*ROOT.glob("Dockerfile*"), *ROOT.glob("bundle/Dockerfile*")])
PINNED_ACTION = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
PINNED_IMAGE = re.compile(r"[\w.-]+/[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
WITHOUT_DIGEST = {
    "quay.io/operator-framework/ansible-operator": "no digest of it could be confirmed by a second source; Renovate "
    "adds it (docker:pinDigests)",
}
"""Images that are named by a tag alone, and why."""


def actions() -> Iterator[str]:
    for path in WORKFLOWS:
        yield from re.findall(r"^\s*(?:- )?uses:\s*(.+?)\s*$", path.read_text(encoding="utf-8"), re.MULTILINE)


def base_images() -> Iterator[str]:
    """What FROM names, with the default of an argument in its place; without stages and `scratch`."""
    for path in DOCKERFILES:
        text = path.read_text(encoding="utf-8")
        arguments = dict(re.findall(r"^ARG (\w+)=(\S+)", text, re.MULTILINE))
        stages = set(re.findall(r"^FROM .* AS (\w+)", text, re.MULTILINE)) | {"scratch"}
        for name in re.findall(r"^FROM (?:--\S+ )*(\S+)", text, re.MULTILINE):
            variable = re.fullmatch(r"\$\{(\w+)\}", name)
            image = arguments[variable[1]] if variable else name
            if image not in stages:
                yield image


def renovate() -> dict[str, object]:
    found: dict[str, object] = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
    return found


def test_there_is_something_to_pin() -> None:
    assert len(set(actions())) >= 4
    assert len(set(base_images())) == 2


@pytest.mark.parametrize("action", sorted(set(actions())))
def test_each_action_is_named_by_its_commit_with_the_version_beside_it(action: str) -> None:
    assert PINNED_ACTION.fullmatch(action)


def test_one_action_has_one_commit_everywhere() -> None:
    commits: dict[str, set[str]] = {}
    for action in actions():
        commits.setdefault(action.partition("@")[0], set()).add(action)

    assert {name: each for name, each in commits.items() if len(each) > 1} == {}


@pytest.mark.parametrize("image", sorted(set(base_images())))
def test_each_base_image_is_named_by_its_digest_or_is_a_known_exception(image: str) -> None:
    name = image.partition("@")[0].rpartition(":")[0]

    assert bool(PINNED_IMAGE.fullmatch(image)) != (name in WITHOUT_DIGEST)


def test_no_exception_outlives_its_reason() -> None:
    assert WITHOUT_DIGEST.keys() <= {image.rpartition(":")[0] for image in base_images()}


def test_renovate_renews_digests() -> None:
    assert {"docker:pinDigests", "helpers:pinGitHubActionDigests"} <= set(renovate()["extends"])  # type: ignore[call-overload]


def test_renovate_finds_each_image_that_instances_run() -> None:
    [manager] = renovate()["customManagers"]  # type: ignore[misc]
    files = [
        path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("plugins/**/*.py"), *ROOT.glob("config/**/*.yaml"))
    ]
    patterns = [re.compile(text.strip("/")) for text in manager["managerFilePatterns"]]
    searched = [file for file in files if any(pattern.search(file) for pattern in patterns)]
    # Renovate's expressions name groups as JavaScript does.
    expressions = [re.compile(text.replace("(?<", "(?P<")) for text in manager["matchStrings"]]
    found = {
        f"{match['depName']}:{match['currentValue']}"
        for file in searched
        for expression in expressions
        for match in expression.finditer((ROOT / file).read_text(encoding="utf-8"))
    }

    assert {*images.DEFAULT_IMAGES.values()} <= found


def test_each_lock_file_belongs_to_a_manager_of_renovate() -> None:
    config = renovate()
    patterns = [
        re.compile(text.strip("/"))
        for manager in ("pip-compile", "pip_requirements")
        for text in config[manager]["managerFilePatterns"]  # type: ignore[index, call-overload]
    ]
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("requirements/*.txt")]

    assert [file for file in files if not any(pattern.search(file) for pattern in patterns)] == []


@pytest.mark.parametrize("file", [pytest.param(path, id=path.name) for path in sorted(ROOT.glob("requirements/*.txt"))])
def test_each_locked_package_has_its_hashes(file: Path) -> None:
    locked = re.split(r"\n(?=[a-zA-Z0-9])", file.read_text(encoding="utf-8"))
    packages = [entry for entry in locked if re.match(r"[a-zA-Z0-9._-]+(\[.*\])?==", entry)]

    assert packages
    assert [entry.split()[0] for entry in packages if "--hash=sha256:" not in entry] == []


def test_workflows_may_only_read_and_keep_no_credentials() -> None:
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        checkouts = [
            step
            for job in workflow["jobs"].values()
            for step in job["steps"]
            if step.get("uses", "").startswith("actions/checkout@")
        ]
        assert workflow["permissions"] == {"contents": "read"}, path.name
        assert {step["with"]["persist-credentials"] for step in checkouts} == {False}, path.name
