# SPDX-License-Identifier: Apache-2.0
"""A second custom resource with a role of its own works in a copy of this tree, with no more rights than are generated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.testing import Cluster
from support.operating import Operator
from support.second_kind import Tree, tree_with_a_toy
from tests.integration.operator.conftest import FLAGS


@pytest.fixture(scope="module")
def tree(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """The copy, its kinds installed."""
    copied = tree_with_a_toy(tmp_path_factory.mktemp("tree"))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(copied.folder / "crds"))
    for name in ("immiches.media.rm3l.org", "toys.media.rm3l.org"):
        cluster.api.wait_served(name)
    yield copied
    cluster.api.delete("CustomResourceDefinition", "toys.media.rm3l.org", wait=True)


@pytest.fixture
def operator(cluster: Cluster, namespace: str, tree: Tree, tmp_path: Path) -> Iterator[Operator]:
    """The operator of the copy, which may do in one namespace what the generated role allows."""
    role = yaml.safe_load(tree.text("config/rbac/manager_role.yaml"))
    name = {"name": "operator", "namespace": namespace}
    cluster.api.create({**role, "kind": "Role", "metadata": name})
    cluster.api.create(
        {
            "apiVersion": role["apiVersion"],
            "kind": "RoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        }
    )
    environment = {
        **tree.environment,
        "KUBECONFIG": str(cluster.kubeconfig_for("default", namespace, tmp_path)),
        "WATCH_NAMESPACE": namespace,
    }
    running = Operator(cluster, tmp_path, *FLAGS, environment=environment, watches=tree.folder / "watches.yaml")
    running.wait_line("passes begin")
    yield running
    running.end()


def test_a_pass_of_a_second_kind_makes_its_objects_and_writes_its_status(
    operator: Operator, cluster: Cluster, namespace: str
) -> None:
    cluster.api.create(a_toy(namespace, colour="green"))

    toy = cluster.api.wait_for("Toy", "robot", namespace, lambda found: bool(found.get("status")))

    assert toy["status"] == {"colour": "green", "isWound": False}
    assert cluster.api.find("ConfigMap", "robot-box", namespace)["data"] == {"colour": "green"}
    assert operator.wait_for("a pass over robot", lambda _: operator.passes("robot"))[0]["result"] == "successful"


def test_a_second_kind_gets_a_pass_for_what_it_names_and_for_what_it_is_made_of(
    operator: Operator, cluster: Cluster, namespace: str
) -> None:
    cluster.api.create(a_toy(namespace, key={"name": "key", "key": "metal"}))
    cluster.api.wait_for("Toy", "robot", namespace, lambda found: bool(found.get("status")))

    cluster.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": namespace}})
    cluster.api.wait_for("Toy", "robot", namespace, lambda found: found["status"]["isWound"])
    cluster.api.delete("ConfigMap", "robot-box", namespace)

    assert cluster.api.wait_for("ConfigMap", "robot-box", namespace, lambda _: True)


def a_toy(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "media.rm3l.org/v1alpha1",
        "kind": "Toy",
        "metadata": {"name": "robot", "namespace": namespace},
        "spec": spec,
    }
