# SPDX-License-Identifier: Apache-2.0
"""The Molecule scenario for any cluster: converge, idempotence, a disturbance that is mended, data kept at the end."""

from __future__ import annotations

import os
import subprocess

from support.operating import ROOT
from support.plays import PROGRAMS


def test_the_scenario_default_passes_against_the_cluster_of_kubeconfig(bare_cluster, tmp_path):
    env = {
        **bare_cluster.env,
        "PATH": f"{PROGRAMS}{os.pathsep}{bare_cluster.env['PATH']}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
        "NO_COLOR": "1",
    }

    done = subprocess.run(
        [str(PROGRAMS / "molecule"), "test"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    for action in ("converge", "idempotence", "side_effect", "verify", "cleanup"):
        assert f"{action}: Executed: Successful" in done.stdout + done.stderr
