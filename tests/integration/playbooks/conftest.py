# SPDX-License-Identifier: Apache-2.0
"""A cluster without the CRD, for playbooks that don't need it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from localcluster import processes
from localcluster.cluster import LocalCluster
from localcluster.progress import Progress
from localcluster.state import Folder
from localcluster.testing import Cluster


@pytest.fixture(scope="session")
def bare_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    local = LocalCluster(Folder(tmp_path_factory.mktemp("clusters"), "bare"))
    local.up(owner=processes.identify(os.getpid()), progress=Progress())
    running = Cluster(local)
    yield running
    running.api.close()
    local.down()
