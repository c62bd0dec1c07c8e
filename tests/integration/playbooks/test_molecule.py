# SPDX-License-Identifier: Apache-2.0
"""The Molecule scenarios for any cluster: an instance as it is created and repaired, and what people do to one."""

from __future__ import annotations

from support.plays import molecule_test


def test_the_scenario_default_passes_against_the_cluster_of_kubeconfig(bare_cluster, tmp_path):
    molecule_test(bare_cluster, tmp_path, "default", ("converge", "idempotence", "side_effect", "verify", "cleanup"))


def test_the_scenario_changes_announces_makes_and_takes_back_what_people_do(bare_cluster, tmp_path):
    actions = ("converge", "side_effect", "cleanup")

    said = molecule_test(bare_cluster, tmp_path, "changes", actions, MOLECULE_NAMESPACE="molecule-changes")

    checks = (
        "it was announced but not made",
        "it took effect",
        "it is still text",
        "nothing is left of them",
        "more was asked for",
        "it is named",
        "the API server's words are reported",
        "only data is left",
        "it is there, with the same data",
    )
    assert [check for check in checks if f"[Check that {check}]" not in said] == []
