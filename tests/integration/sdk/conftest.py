# SPDX-License-Identifier: Apache-2.0
"""One process of the Operator SDK's runtime for all tests of the folder, with the rights that config/rbac gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import yaml

from hack import installer
from localcluster.audit import Mark
from localcluster.testing import Cluster, another_cluster
from support import operator_sdk
from support.operating import Instances, install_crd
from support.operator_sdk import OperatorSdk

NAMESPACE = "immich-operator-system"
ACCOUNT = "immich-operator-controller-manager"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One without the operator of the other tests, which would do the work of the runtime that is looked at here."""
    with another_cluster("sdk") as running:
        yield running


@pytest.fixture(scope="session")
def since_start(cluster: Cluster) -> Mark:
    """The place in the audit log before the runtime starts."""
    return cluster.audit.mark()


@pytest.fixture(scope="session")
def sdk(cluster: Cluster, since_start: Mark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorSdk]:
    install_crd(cluster)
    manifests = yaml.safe_load_all(installer.build(crds=False))
    wanted = [item for item in manifests if item["kind"] != "Deployment"]
    cluster.kubectl("apply", "--server-side", "-f", "-", input=yaml.safe_dump_all(wanted))
    folder = tmp_path_factory.mktemp("sdk")
    with operator_sdk.ports():
        running = OperatorSdk(cluster.kubeconfig_for(ACCOUNT, NAMESPACE, folder), folder, operator_sdk.environment())
        try:
            yield running
            assert running.process.poll() is None, f"the operator ended by itself:\n{running.tail()}"
        finally:
            running.stop()


Start = Callable[..., Instances]


@pytest.fixture(scope="module")
def start(cluster: Cluster, sdk: OperatorSdk) -> Iterator[Start]:
    """Make a namespace with one Immich, named photos; what has to be there before is made by `first`."""
    count = itertools.count()
    with ExitStack() as stack:

        def started(
            spec: Mapping[str, Any] | None = None, first: Callable[[Instances], None] | None = None
        ) -> Instances:
            instances = Instances(cluster, stack.enter_context(cluster.namespace(f"sdk-{next(count)}")), sdk)
            if first:
                first(instances)
            instances.create(spec)
            return instances

        yield started
