# SPDX-License-Identifier: Apache-2.0
"""Each command, file and output of the documentation works as printed.

Real API server, simulated nodes, the real operator. What needs real containers is marked `real` on the pages and listed
in tests/unit/docs/test_blocks.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import documents
from hack.docs.blocks import DOCS, blocks, pages
from localcluster.testing import Cluster
from support.operating import Operator
from support.pages import ROUTE_CRD, PageRun

TRIED = frozenset({"run", "refused", "output", "file", "fragment"})
PAGES = [page for page in pages() if any(block.mark in TRIED for block in blocks(page))]
OPERATOR_NAMESPACE = "immich-operator-system"


class SharedOperator:
    """One operator for all pages, started when a page needs it and away while a page must be without."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._folder, self._starts = cluster, folder, 0
        self._running: Operator | None = None

    def start(self) -> None:
        if self._running:
            return
        self._starts += 1
        folder = self._folder / str(self._starts)
        folder.mkdir()
        self._running = Operator(self._cluster, folder, "--discovery-period=1s")

    def stop(self) -> None:
        if self._running:
            running, self._running = self._running, None
            assert running.stop() == 0, running.tail()


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedOperator]:
    shared = SharedOperator(cluster, tmp_path_factory.mktemp("operator"))
    yield shared
    shared.stop()


@contextmanager
def a_cluster_with_routes(run: PageRun) -> Iterator[None]:
    """OpenShift's Route as far as a page can tell."""
    run.cluster.kubectl("apply", "-f", "-", input=ROUTE_CRD)
    try:
        run.cluster.api.wait_served("routes.route.openshift.io")
        yield
    finally:
        run.cluster.kubectl("delete", "crd", "routes.route.openshift.io")


@contextmanager
def a_deployed_operator(run: PageRun) -> Iterator[None]:
    """The operator's Deployment, whose pod is simulated: the process beside it does the work."""
    manifests = run.shell("python hack/installer.py --image registry.example.com/immich-operator:0.1.0")
    assert manifests.returncode == 0, manifests.stderr
    run.cluster.kubectl("apply", "--server-side", "-f", "-", input=manifests.stdout)
    try:
        yield
    finally:
        run.shell("python hack/installer.py --without-crds | kubectl delete --ignore-not-found -f -")


@contextmanager
def nothing_deployed(run: PageRun) -> Iterator[None]:
    """For pages that install the operator themselves, or do without it."""
    try:
        yield
    finally:
        run.shell("python hack/installer.py --without-crds | kubectl delete --ignore-not-found -f -")


@contextmanager
def the_operator_written_in_go(run: PageRun) -> Iterator[None]:
    """A custom resource that it looked after, and its Deployment."""
    objects = [
        manifest
        for manifest in documents(
            Path("tests/fixtures/instance-made-by-the-go-operator-minimal.yaml").read_text(encoding="utf-8")
        )
        if manifest["kind"] == "Immich"
    ]
    for manifest in objects:
        metadata = {"name": manifest["metadata"]["name"], "namespace": run.namespace}
        metadata["finalizers"] = manifest["metadata"]["finalizers"]
        run.cluster.api.create({**manifest, "metadata": metadata})
    container = {"name": "manager", "image": "registry.example.com/immich-operator-in-go:0.1.0"}
    labels = {"control-plane": "controller-manager", "app.kubernetes.io/name": "immich-operator"}
    namespace = run.cluster.api.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}}
    )["metadata"]["name"]
    run.cluster.api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "immich-operator-controller-manager", "namespace": namespace, "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )
    try:
        yield
    finally:
        run.shell("python hack/installer.py --without-crds | kubectl delete --ignore-not-found -f -")


@contextmanager
def an_instance_in_trouble(run: PageRun) -> Iterator[None]:
    """It names a claim for its models that is not there."""
    models = {"persistence": {"existingClaim": "models"}}
    run.cluster.api.create(
        {
            "apiVersion": "media.rm3l.org/v1alpha1",
            "kind": "Immich",
            "metadata": {"name": "photos", "namespace": run.namespace},
            "spec": {"machineLearning": models},
        }
    )
    run.cluster.api.wait_for("PersistentVolumeClaim", "photos-library", run.namespace, lambda _: True)
    yield
    for command in COMMAND_TO_LOOK.findall((DOCS / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")):
        done = run.shell(command.replace("NAME", run.namespace))
        assert done.returncode == 0, f"{command}: {done.stderr}"


COMMAND_TO_LOOK = re.compile(r"`(kubectl (?:config get|describe|explain|get)[^`]*)`")
"""Commands in the text of a page, which change nothing."""


@contextmanager
def the_namespace_of_the_tutorial(run: PageRun) -> Iterator[None]:
    try:
        yield
    finally:
        run.cluster.kubectl("delete", "namespace", "photos", "--ignore-not-found", "--wait=false")


def is_deployed(run: PageRun) -> bool:
    """Whether there is a Deployment with this operator's image."""
    found = run.cluster.api.find("Deployment", "immich-operator-controller-manager", OPERATOR_NAMESPACE)
    containers = found["spec"]["template"]["spec"]["containers"] if found else []
    return any(container["image"].startswith("registry.example.com/immich-operator:") for container in containers)


BY_ITS_DEPLOYMENT = frozenset({"how-to/move-from-the-go-operator.md"})
"""Pages during which the operator runs while its Deployment is there, as it would on a cluster."""

WITHOUT_OPERATOR = frozenset(
    {"how-to/install.md", "how-to/operator-sdk.md", "how-to/without-an-operator.md", "index.md"}
)

SURROUNDINGS: dict[str, Callable[[PageRun], AbstractContextManager[None]]] = {
    "how-to/air-gapped.md": a_deployed_operator,
    "how-to/install.md": nothing_deployed,
    "how-to/move-from-the-go-operator.md": the_operator_written_in_go,
    "how-to/openshift.md": a_cluster_with_routes,
    "how-to/operator-sdk.md": nothing_deployed,
    "how-to/troubleshooting.md": an_instance_in_trouble,
    "how-to/uninstall.md": a_deployed_operator,
    "how-to/without-an-operator.md": nothing_deployed,
    "tutorials/first-instance.md": the_namespace_of_the_tutorial,
}
"""{page: what has to be there before its first command, and to be removed after its last}"""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_as_printed(
    page: str, cluster: Cluster, crd: None, operator: SharedOperator, tmp_path: Path
) -> None:
    if page in WITHOUT_OPERATOR | BY_ITS_DEPLOYMENT:
        operator.stop()
    else:
        operator.start()

    with ExitStack() as stack:
        run = PageRun(cluster, stack.enter_context(cluster.namespace("docs")), tmp_path)
        stack.callback(run.shell, "kubectl delete immich --all --wait=false")
        if page in SURROUNDINGS:
            stack.enter_context(SURROUNDINGS[page](run))
        for block in blocks(page):
            run.do(block)
            if page in BY_ITS_DEPLOYMENT:
                operator.start() if is_deployed(run) else operator.stop()
