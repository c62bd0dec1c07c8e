# SPDX-License-Identifier: Apache-2.0
"""Running ansible-playbook against a cluster, as a user does who has activated the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from localcluster.testing import Cluster
from support.operating import ROOT

PROGRAMS = Path(sys.executable).parent
LONGEST_S = 300.0
"""A play that hangs fails its test."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a play. `counts` is its recap: {"ok", "changed", "failed", ...}."""

    status: int
    output: str
    counts: Mapping[str, int] = field(default_factory=dict)


def run(cluster: Cluster, playbook: Path, *args: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Played:
    """Run a playbook with the environment's ansible-playbook."""
    command = [str(PROGRAMS / "ansible-playbook"), "-i", "localhost,", str(playbook), *args]
    environment = {
        **{name: value for name, value in cluster.env.items() if not name.startswith("RELATED_IMAGE_")},
        "PATH": f"{PROGRAMS}{os.pathsep}{cluster.env['PATH']}",
        "ANSIBLE_FORCE_COLOR": "0",
        **(env or {}),
    }
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_S
    )
    output = done.stdout + done.stderr
    recap = next((line for line in output.splitlines() if line.startswith("localhost") and "ok=" in line), "")
    counts = {key: int(value) for key, value in (pair.split("=") for pair in recap.split() if "=" in pair)}
    return Played(done.returncode, output, counts)


def own_play(
    cluster: Cluster, folder: Path, variables: Mapping[str, Any] | str, *args: str, env: Mapping[str, str] | None = None
) -> Played:
    """Run a play of somebody's own that imports the role with these variables (as YAML text, where tags matter)."""
    text = variables if isinstance(variables, str) else yaml.safe_dump(dict(variables), sort_keys=False)
    playbook = folder / "own.yml"
    playbook.write_text(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n"
        "    - name: Run Immich\n      ansible.builtin.import_role:\n        name: media.immich.immich\n"
        "      vars:\n" + "".join(f"        {line}\n" for line in text.splitlines()),
        encoding="utf-8",
    )
    return run(cluster, playbook, *args, cwd=folder, env=env)


def objects(cluster: Cluster, namespace: str, instance: str = "photos") -> dict[tuple[str, str], dict[str, Any]]:
    """{(kind, name): object} of all that carries the instance's label."""
    kinds = "deployment,statefulset,service,configmap,secret,pvc"
    selector = f"app.kubernetes.io/instance={instance}"
    found = json.loads(cluster.kubectl("get", kinds, "-n", namespace, "-l", selector, "-o", "json"))
    return {(item["kind"], item["metadata"]["name"]): item for item in found["items"]}


def molecule_test(cluster: Cluster, folder: Path, scenario: str, actions: Iterable[str], **variables: str) -> str:
    """Run a Molecule scenario with these environment variables besides, check that it and each of the actions succeeded,
    and return what was said."""
    environment = {
        **cluster.env,
        "PATH": f"{PROGRAMS}{os.pathsep}{cluster.env['PATH']}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
        "NO_COLOR": "1",
        **variables,
    }
    command = [str(PROGRAMS / "molecule"), "test", "--scenario-name", scenario]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-9000:]
    missing = [action for action in actions if f"{action}: Executed: Successful" not in said]
    assert missing == [], f"not said to have succeeded: {missing}\n{said[-9000:]}"
    return said
