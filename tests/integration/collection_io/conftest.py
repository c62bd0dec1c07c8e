# SPDX-License-Identifier: Apache-2.0
"""A client of the session's cluster, made as the actions make theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import Transport, connect
from localcluster.testing import Cluster


@pytest.fixture(scope="session")
def transport(cluster: Cluster) -> Iterator[Transport]:
    with connect(ConnectionSettings(kubeconfig=str(cluster.kubeconfig)), {}) as transport:
        yield transport


@pytest.fixture(scope="session")
def objects(transport: Transport) -> ApiObjects:
    return ApiObjects(transport)
