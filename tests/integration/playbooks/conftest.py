# SPDX-License-Identifier: Apache-2.0
"""A cluster without the CRD, for playbooks that don't need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcluster.testing import Cluster, another_cluster


@pytest.fixture(scope="session")
def bare_cluster() -> Iterator[Cluster]:
    with another_cluster("bare") as running:
        yield running
