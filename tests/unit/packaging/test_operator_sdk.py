# SPDX-License-Identifier: Apache-2.0
"""What Dockerfile.ansible-operator puts together: a watches file that agrees with ours, and packages that are enough."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.passes.observation import OWNED_KINDS, ROUTE
from ansible_collections.media.immich.plugins.plugin_utils.spec import names
from ansible_collections.media.immich.plugins.plugin_utils.spec.references import (
    CLAIM_PATHS,
    STORAGE_CLASS_PATHS,
    references,
)
from immich_operator.config.watches import load
from support.instances import a_cr

ROOT = Path(__file__).resolve().parents[3]
OURS_ONLY = {"identityOnly", "formerFinalizer", "dependents", "references"}
"""Additions that the Operator SDK's runtime would ignore."""
THEIRS_ONLY = {"blacklist", "vars"}


def watch(file: str) -> dict:
    [entry] = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    return entry


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
    cr = a_cr()
    for path in (*CLAIM_PATHS, *STORAGE_CLASS_PATHS):
        target = cr
        *way, last = path.split(".")
        for key in way:
            target = target.setdefault(key, {})
        target[last] = "named"
    kinds = {*OWNED_KINDS, ROUTE, ("v1", "Pod"), ("v1", "Event")}
    kinds |= {(reference["apiVersion"], reference["kind"]) for reference in references(cr)}

    def key(api_version: str, kind: str) -> tuple[str, str, str]:
        group, _, version = api_version.rpartition("/")
        return group, version, kind

    assert {key(*kind) for kind in kinds} - {key(names.API_VERSION, names.KIND)} == listed


def test_our_own_loop_could_read_it_too(tmp_path: Path) -> None:
    """It refuses what it does not know, so that a misspelt key is found here."""
    [loaded] = load(ROOT / "watches.ansible-operator.yaml", {})
    assert loaded.vars == {"immich_fail_on_refusal": False}


def test_added_packages_are_those_of_the_operator_or_plain_python() -> None:
    added, locked = pins("ansible-operator.txt"), pins("runtime.txt")

    assert added.keys() == {"attrs", "jsonschema", "openshift", "pyrsistent", "python-string-utils"}
    same = ("attrs", "openshift", "python-string-utils")
    assert {name: added[name] for name in same} == {name: locked[name] for name in same}
