# SPDX-License-Identifier: Apache-2.0
"""The Molecule scenarios against a node that runs containers: the role alone, and the deployed operator."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.photos import Deployed

from localcluster.testing import Cluster
from support.plays import molecule_test

ACTIONS = {
    "default": ("prepare", "converge", "idempotence", "side_effect", "verify", "cleanup"),
    "operator": ("create", "prepare", "converge", "idempotence", "side_effect", "verify", "cleanup", "destroy"),
}


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=pytest.mark.weekly if name == "default" else ()) for name in ACTIONS]
)
def test_a_scenario_passes(cluster: Cluster, operator: Deployed, new_image: str, tmp_path: Path, scenario: str) -> None:
    # One of them has no operator, the other brings its own.
    operator.undeploy()
    try:
        molecule_test(cluster, tmp_path, scenario, ACTIONS[scenario], MOLECULE_OPERATOR_IMAGE=new_image)
    finally:
        operator.deploy(new_image)
