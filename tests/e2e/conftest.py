# SPDX-License-Identifier: Apache-2.0
"""A node that runs containers, and the operator deployed on it as its image. Needs root on Linux.

With LOCALCLUSTER_KEEP=1 the cluster stays; images and operator are brought up to date at each run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.images import build as images
from e2e.photos import Deployed, Photos

from localcluster.errors import KubectlError
from localcluster.nodes.real import RealNode
from localcluster.progress import Progress
from localcluster.testing import Cluster, session_cluster

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is said about the whole run comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One real node; its pods have Immich's images, which are stand-ins, under the names that an instance uses."""
    archives = images.ensure(Progress())
    with session_cluster(RealNode()) as running:
        running.local.load(sorted(set(archives.values())))
        yield running


@pytest.fixture(scope="session")
def new_image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The operator's image of this work tree, on the node."""
    return load_operator(cluster, ROOT, "localhost/immich-operator:e2e", tmp_path_factory.mktemp("image"))


def load_operator(cluster: Cluster, source: Path, image: str, folder: Path) -> str:
    """Build the image of a work tree as `make image` does, and load it."""
    archive = folder / "operator.tar"
    done = subprocess.run(
        ["hack/image/build.sh", image, str(archive)], cwd=source, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"hack/image/build.sh ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    cluster.local.load([archive])
    archive.unlink()
    return image


@pytest.fixture(scope="session")
def operator(cluster: Cluster, new_image: str) -> Deployed:
    """The operator in the cluster, as `make install deploy` puts it there."""
    deployed = Deployed(cluster)
    deployed.undeploy()  # one of a run before has the same image name, and another image
    deployed.make("install")
    cluster.api.wait_served("immiches.media.rm3l.org")
    deployed.deploy(new_image)
    return deployed


@pytest.fixture
def photos(cluster: Cluster, namespace: str, operator: Deployed) -> Photos:
    """An empty namespace for instances."""
    return Photos(cluster, namespace, operator)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Beside a failure: what the pods of its namespace say, before they go away, and the operator."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    if report.failed and "namespace" in arguments:
        for title, command in (
            ("pods", ("get", "pods", "-o", "wide", "-n", arguments["namespace"])),
            ("events", ("get", "events", "--sort-by=.lastTimestamp", "-n", arguments["namespace"])),
            ("instances", ("get", "immich", "-o", "yaml", "-n", arguments["namespace"])),
            (
                "operator",
                ("logs", "deployment/immich-operator-controller-manager", "--tail=40", "-n", Deployed.NAMESPACE),
            ),
        ):
            try:
                said = arguments["cluster"].kubectl(*command)
            except KubectlError as error:
                said = str(error)
            report.sections.append((title, said))
    return report
