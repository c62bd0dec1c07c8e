# SPDX-License-Identifier: Apache-2.0
"""What is slow to import is imported where it is paid for once."""

from __future__ import annotations

import subprocess
import sys

import pytest

ACTIONS = "ansible_collections.media.immich.plugins.action"


@pytest.mark.parametrize("action", ["observe", "apply", "k8s_status"])
def test_an_action_brings_the_kubernetes_client_along(action: str) -> None:
    """ansible-playbook loads it, then forks a worker for each task, which would otherwise import the client anew."""
    code = f"import sys, {ACTIONS}.{action}; print('kubernetes.client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "True\n", done.stderr


def test_rendering_does_without_it() -> None:
    code = "import sys, immich_operator.commands.render; print('kubernetes.client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "False\n", done.stderr
