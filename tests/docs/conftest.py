# SPDX-License-Identifier: Apache-2.0
"""A cluster that knows the kind Immich; everything else a page brings along."""

from __future__ import annotations

import pytest

from localcluster.testing import Cluster
from support.operating import install_crd


@pytest.fixture
def crd(cluster: Cluster) -> None:
    """The kind Immich, as `make install` installs it; for each test anew, because a page removes it."""
    install_crd(cluster)
