# SPDX-License-Identifier: Apache-2.0
"""A cluster that knows the kind Immich; everything else a page brings along."""

from __future__ import annotations

import pytest

from localcluster.testing import Cluster
from support.operating import CRD
from support.pages import wait_established


@pytest.fixture
def crd(cluster: Cluster) -> None:
    """The kind Immich, as `make install` installs it; for each test anew, because a page removes it."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    wait_established(cluster, "immiches.media.rm3l.org")
