# SPDX-License-Identifier: Apache-2.0
"""`python -m localcluster`."""

import sys

from localcluster.cli import main

sys.exit(main())
