# SPDX-License-Identifier: Apache-2.0
"""Remove from an environment what the operator never imports: `python slim.py ENVIRONMENT`, while building the image.

Whole sub-packages that nothing else imports, and a program that needs one; the requirements that pip has checked
are still met.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

UNUSED = {
    "lib/python3*/site-packages/kubernetes/aio": "the client again, for asyncio: a fifth of the image",
    "lib/python3*/site-packages/ansible_test": "ansible-core's tool for testing collections",
    "bin/ansible-test": "the same",
    "lib/python3*/site-packages/websocket/tests": "tests of the package",
    "lib/python3*/site-packages/jsonschema/tests": "tests of the package",
}
"""Path in the environment: why it is not needed."""


def main(argv: Sequence[str]) -> int:
    """1 if a path does not exist: a package has changed, and the list has to follow."""
    [environment] = argv
    missing = False
    for pattern in UNUSED:
        found = list(Path(environment).glob(pattern))
        if not found:
            print(f"slim.py: {pattern} is not in {environment}; take it off the list", file=sys.stderr)
            missing = True
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
