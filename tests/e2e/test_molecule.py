# SPDX-License-Identifier: Apache-2.0
"""The Molecule scenarios against a node that runs containers: the role alone, and the deployed operator."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from e2e.conftest import ROOT
from e2e.photos import Deployed

from localcluster.testing import Cluster

ACTIONS = {
    "default": ("prepare", "converge", "idempotence", "side_effect", "verify", "cleanup"),
    "operator": ("create", "prepare", "converge", "idempotence", "side_effect", "verify", "cleanup", "destroy"),
}


@pytest.mark.parametrize("scenario", ACTIONS)
def test_a_scenario_passes(cluster: Cluster, operator: Deployed, new_image: str, tmp_path: Path, scenario: str) -> None:
    environment = {
        **cluster.env,
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{cluster.env['PATH']}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
        "MOLECULE_OPERATOR_IMAGE": new_image,
        "NO_COLOR": "1",
    }
    # One of them has no operator, the other brings its own.
    operator.undeploy()
    try:
        done = subprocess.run(
            ["molecule", "test", "--scenario-name", scenario],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        operator.deploy(new_image)

    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-9000:]
    assert [action for action in ACTIONS[scenario] if f"{action}: Executed: Successful" not in said] == []
