# SPDX-License-Identifier: Apache-2.0
"""What to say if a Python package is missing that this collection needs besides ansible-core."""

from __future__ import annotations

import sys

__all__ = ["INSTALL", "missing"]

INSTALL = "pip install kubernetes jsonschema pyyaml"
"""As in requirements.txt, without the versions."""


def missing(cause: ImportError) -> str:
    """One sentence with the package, the Python that lacks it, and the command that installs everything needed."""
    return f"the Python package {cause.name} is missing in {sys.executable}, which runs Ansible; install it: {INSTALL}"
