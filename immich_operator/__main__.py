# SPDX-License-Identifier: Apache-2.0
"""`python -m immich_operator` is the command `immich-operator`."""

import sys

from immich_operator.cli import main

sys.exit(main())
