# SPDX-License-Identifier: Apache-2.0
"""One table of kinds and one source per custom resource: rights and watches are made from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube.kinds import KINDS, KnownKind, Right
from hack import rbac, watches
from hack.crd.sources import FIRST

ROOT = Path(__file__).parents[3]
A_JOB = KnownKind("batch/v1", "Job", "jobs", owned=True, rights=(Right(("list", "watch", "create"), "because"),))


def test_a_path_that_is_missing_in_a_watch_is_put_in():
    text = (ROOT / "watches.yaml").read_text(encoding="utf-8")

    assert watches.generated(text.replace("        - spec.postgres.urlSecretRef.name\n", "")) == text


def test_what_is_written_by_hand_stays(monkeypatch):
    by_hand = (
        (ROOT / "watches.yaml").read_text(encoding="utf-8").replace("reconcilePeriod: 1h", "reconcilePeriod: 2h # why")
    )

    assert watches.generated(by_hand) == by_hand


def test_a_kind_that_is_named_and_has_no_place_in_the_watch_is_reported_with_what_to_add(monkeypatch):
    monkeypatch.setattr(watches, "refers", lambda: {"Immich": {"Service": ["spec.door"]}})

    with pytest.raises(
        ValueError, match=r"(?s)Immich names objects of the kind Service.*apiVersion: v1\n.*paths: \[\]"
    ):
        watches.generated((ROOT / "watches.yaml").read_text(encoding="utf-8"))


def test_a_new_row_brings_its_watch_and_its_rights(monkeypatch):
    monkeypatch.setattr(watches.kinds, "WATCHED", (A_JOB,))
    monkeypatch.setattr(rbac, "KINDS", (A_JOB,))

    [watch] = [entry for entry in watches.entries() if entry["kind"] == FIRST]

    assert watch["dependents"]["kinds"] == [{"apiVersion": "batch/v1", "kind": "Job"}]
    assert "resources: [jobs]\n    verbs: [list, watch, create] # because\n" in rbac.manager_role()


def test_what_is_not_bound_to_a_namespace_is_allowed_by_the_role_for_the_whole_cluster_alone():
    role = yaml.safe_load((rbac.CLUSTER / "storage_class_reader_role.yaml").read_text(encoding="utf-8"))
    of_the_cluster = [row for row in KINDS if not row.namespaced and row.rights]

    assert role["rules"] == [
        {"apiGroups": [row.group], "resources": [row.plural], "verbs": sorted(row.verbs)} for row in of_the_cluster
    ]
    assert all(row.plural not in rbac.manager_role() for row in of_the_cluster)


def test_no_two_rows_have_the_same_name_because_references_name_kinds_alone():
    assert len({row.kind for row in KINDS}) == len(KINDS)
