# SPDX-License-Identifier: Apache-2.0
"""One operator for all tests of the folder, and the instances of a test's own namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster.testing import Cluster, another_cluster
from support.operating import Instances, Operator, install_crd


@pytest.fixture(scope="session")
def crd(cluster: Cluster) -> None:
    """The kind Immich, as `make install` installs it."""
    install_crd(cluster)


@pytest.fixture(scope="session")
def operator(cluster: Cluster, crd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    running = Operator(cluster, tmp_path_factory.mktemp("operator"), "--log-level=debug")
    yield running
    assert running.process.poll() is None, f"the operator ended by itself:\n{running.tail()}"
    assert running.stop() == 0, running.tail()


@pytest.fixture
def instances(cluster: Cluster, namespace: str, operator: Operator) -> Iterator[Instances]:
    yield Instances(cluster, namespace, operator)
    for cr in cluster.api.list("Immich", namespace):
        cluster.api.delete("Immich", cr["metadata"]["name"], namespace)


@pytest.fixture(scope="session")
def second_cluster() -> Iterator[Cluster]:
    """A cluster without the operator of all other tests, for what must not disturb them: other settings, other APIs."""
    with another_cluster("second") as running:
        install_crd(running)
        yield running


@pytest.fixture
def apart(second_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Instances]:
    """The instances of a namespace that no operator watches yet."""
    with second_cluster.namespace(request.node.name.removeprefix("test_")) as namespace:
        yield Instances(second_cluster, namespace)


@pytest.fixture
def operated(apart: Instances, tmp_path: Path) -> Iterator[Callable[..., Instances]]:
    """Start an operator with settings of the test's own for the namespace of `apart`; returns these instances."""

    def start(*args: str, **environment: str) -> Instances:
        watching = {"WATCH_NAMESPACE": apart.namespace, **environment}
        apart.operator = Operator(apart.cluster, tmp_path, *args, environment=watching)
        return apart

    yield start
    if apart.operator:
        assert apart.operator.stop() == 0, apart.operator.tail()


@pytest.fixture
def running(operated: Callable[..., Instances]) -> Instances:
    """An operator that looks for new kinds of objects often."""
    return operated("--discovery-period=500ms")
