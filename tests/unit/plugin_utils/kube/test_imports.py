# SPDX-License-Identifier: Apache-2.0
"""What is slow to import is imported where it is paid for once."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ACTIONS = "ansible_collections.media.immich.plugins.action"


@pytest.mark.parametrize("action", ["observe", "apply", "k8s_status"])
def test_an_action_brings_the_kubernetes_client_along(action: str) -> None:
    """ansible-playbook loads it, then forks a worker for each task, which would otherwise import the client anew."""
    code = f"import sys, {ACTIONS}.{action}; print('kubernetes.client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "True\n", done.stderr


KUBE = "ansible_collections.media.immich.plugins.plugin_utils.kube"
CONNECTING = {"client_pool", "route_client"}
"""Modules that are imported only to connect."""


def imported_by(code: str) -> set[str]:
    """Which of these packages a fresh Python has imported after that code."""
    look = f"{code}; import sys; print(*{{'ansible', 'kubernetes'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_passes_and_loop_share_needs_neither_ansible_nor_before_it_connects_the_kubernetes_client() -> None:
    folder = Path(importlib.import_module(KUBE).__file__ or "").parent
    modules = sorted({file.stem for file in folder.glob("*.py")} - CONNECTING)

    assert "transport" in modules
    assert imported_by(f"import {', '.join(f'{KUBE}.{name}' for name in modules)}") == set()


def test_the_loop_imports_no_ansible_and_the_kubernetes_client_when_it_connects(tmp_path: Path) -> None:
    assert imported_by("import immich_operator.process.runtime") == set()

    target = tmp_path / "config"
    target.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c"}}],
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
            }
        )
    )
    code = f"from immich_operator.kube.connection import connect; connect({str(target)!r}, '', {{}})"
    assert imported_by(code) == {"kubernetes"}


def test_rendering_does_without_it() -> None:
    code = "import sys, immich_operator.commands.render; print('kubernetes.client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "False\n", done.stderr
