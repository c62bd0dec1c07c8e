# SPDX-License-Identifier: Apache-2.0
"""Clusters in which nobody but the playbooks looks after instances."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcluster.testing import Cluster, another_cluster


@pytest.fixture(scope="session")
def bare_cluster() -> Iterator[Cluster]:
    """One without the CRD, which playbooks do not need."""
    with another_cluster("bare") as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One without the operator of the other tests, which would do part of the work."""
    with another_cluster("playbooks") as running:
        yield running
