# SPDX-License-Identifier: Apache-2.0
"""What Dockerfile.ansible-operator puts together: a watches file that agrees with ours, and packages that are enough."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube.kinds import KINDS
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import KIND
from immich_operator.config.watches import load

ROOT = Path(__file__).resolve().parents[3]
OURS_ONLY = {"announce", "identityOnly", "formerFinalizer", "dependents", "references"}
"""Additions that the Operator SDK's runtime would ignore."""
THEIRS_ONLY = {"blacklist", "vars"}


def watch(file: str) -> dict:
    """The entry of the kind Immich."""
    entries = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    return next(entry for entry in entries if entry["kind"] == KIND)


def pins(file: str) -> dict[str, str]:
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z][a-z0-9-]*)==(\S+)", text, re.MULTILINE))


def test_the_watches_file_differs_from_ours_only_where_the_runtimes_do() -> None:
    ours, theirs = watch("watches.yaml"), watch("watches.ansible-operator.yaml")

    common = ours.keys() - OURS_ONLY - {"reconcilePeriod"}
    assert theirs.keys() == common | THEIRS_ONLY | {"reconcilePeriod"}
    assert {key: theirs[key] for key in common} == {key: ours[key] for key in common}


def test_everything_that_the_role_reads_is_kept_out_of_the_runtime_s_cache() -> None:
    listed = {
        (entry["group"], entry["version"], entry["kind"])
        for entry in watch("watches.ansible-operator.yaml")["blacklist"]
    }
    read = {(row.group, row.version, row.kind) for row in KINDS if row.verbs & {"get", "list"}}

    assert read == listed


def test_our_own_loop_could_read_it_too(tmp_path: Path) -> None:
    """It refuses what it does not know, so that a misspelt key is found here."""
    [loaded] = load(ROOT / "watches.ansible-operator.yaml", {})
    assert loaded.vars == {"immich_fail_on_refusal": False}


def test_added_packages_are_those_of_the_operator_or_plain_python() -> None:
    added, locked = pins("ansible-operator.txt"), pins("runtime.txt")

    assert added.keys() == {"attrs", "jsonschema", "openshift", "pyrsistent", "python-string-utils"}
    same = ("attrs", "openshift", "python-string-utils")
    assert {name: added[name] for name in same} == {name: locked[name] for name in same}
