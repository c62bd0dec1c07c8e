# SPDX-License-Identifier: Apache-2.0
"""The Molecule scenarios for any cluster: an instance as it is made and mended, and what people do to one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

import pytest

from support.operating import ROOT
from support.plays import PROGRAMS

Test = Callable[[str, Sequence[str]], str]
"""Runs a scenario, checks that it and each of these actions succeeded, and returns what was said."""


@pytest.fixture
def molecule_test(bare_cluster, tmp_path) -> Test:
    def run(scenario: str, actions: Sequence[str]) -> str:
        env = {
            **bare_cluster.env,
            "PATH": f"{PROGRAMS}{os.pathsep}{bare_cluster.env['PATH']}",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
            "MOLECULE_NAMESPACE": f"molecule-{scenario}",
            "NO_COLOR": "1",
        }
        command = [str(PROGRAMS / "molecule"), "test", "--scenario-name", scenario]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-9000:]
        assert [action for action in actions if f"{action}: Executed: Successful" not in said] == []
        return said

    return run


def test_the_scenario_default_passes_against_the_cluster_of_kubeconfig(molecule_test):
    molecule_test("default", ("converge", "idempotence", "side_effect", "verify", "cleanup"))


def test_the_scenario_changes_announces_makes_and_takes_back_what_people_do(molecule_test):
    said = molecule_test("changes", ("converge", "side_effect", "cleanup"))

    checks = (
        "it was announced and not made",
        "it took effect",
        "it is a text",
        "nothing of them is left",
        "more was asked for",
        "it is named",
        "the API server's words are told",
        "only data is left",
        "it is there, with the same data",
    )
    assert [check for check in checks if f"[Check that {check}]" not in said] == []
