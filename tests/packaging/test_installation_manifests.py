# SPDX-License-Identifier: Apache-2.0
"""What `make install` and `make deploy` send is taken by a real API server, and gives the rights that it should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from hack import installer
from localcluster.errors import KubectlError
from localcluster.testing import Cluster
from tests.packaging.conftest import install_api

Manifest = dict[str, Any]
ALL = tuple(installer.COMPONENTS)
VARIANTS = [
    pytest.param("default", (), id="default"),
    pytest.param("default", ALL, id="default with all components"),
    pytest.param("namespaced", (), id="namespaced"),
    pytest.param("namespaced", ALL, id="namespaced with all components"),
]
SERVICE_MONITORS: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
ACCOUNT = "immich-operator-controller-manager"


def documents(overlay: str, namespace: str, components: tuple[str, ...] = (), *, crds: bool = True) -> list[Manifest]:
    text = installer.build(
        overlay, image="registry.example.com/op:1", namespace=namespace, components=components, crds=crds
    )
    return [document for document in crd.documents(text) if document]


def as_list(manifests: list[Manifest]) -> str:
    """What `kubectl apply -f -` takes."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})


@pytest.fixture(scope="module")
def apis(cluster: Cluster) -> None:
    """The Immich API, and a stand-in for the one of the Prometheus Operator."""
    install_api(cluster)
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(SERVICE_MONITORS))
    cluster.api.wait_served(SERVICE_MONITORS["metadata"]["name"])


@pytest.fixture
def confined(apis: None, cluster: Cluster, namespace: str) -> str:
    """A namespace with Pod Security `restricted` and the namespaced installation."""
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    manifests = as_list(documents("namespaced", namespace))
    cluster.kubectl("apply", "--server-side", "-f", "-", input=manifests)
    return namespace


def may(cluster: Cluster, namespace: str, verb: str, resource: str, *, of: str) -> bool:
    """Whether the operator's account in namespace `of` may do it."""
    account = f"system:serviceaccount:{of}:{ACCOUNT}"
    try:
        return "yes" in cluster.kubectl("auth", "can-i", verb, resource, "-n", namespace, "--as", account)
    except KubectlError:  # the answer no is exit status 1
        return False


@pytest.mark.parametrize(("overlay", "components"), VARIANTS)
def test_the_api_server_accepts_every_manifest(
    apis: None, cluster: Cluster, namespace: str, overlay: str, components: tuple[str, ...]
) -> None:
    manifests = documents(overlay, namespace, components)

    answer = cluster.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=as_list(manifests))

    assert answer.count("serverside-applied") == len(manifests)


@pytest.mark.parametrize("tag", ["1e3", "0x1F", "0o17", "007", "1_000", "1.10", "12", "true", "null", "no"])
def test_a_tag_that_reads_as_a_number_or_a_flag_is_the_images_tag(tag: str) -> None:
    text = installer.build("namespaced", image=f"registry.example.com/op:{tag}", namespace="photos", crds=False)

    [deployment] = [item for item in crd.documents(text) if item and item["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.com/op:{tag}"


@pytest.mark.parametrize("namespace", ["1e3", "123", "true", "null"])
def test_a_namespace_that_reads_as_a_number_or_a_flag_is_the_namespace(namespace: str) -> None:
    text = installer.build("namespaced", namespace=namespace, crds=False)

    lines = {line.strip() for line in text.splitlines() if line.strip().startswith("namespace:")}
    assert lines == {f'namespace: "{namespace}"'}


@pytest.mark.parametrize(("overlay", "components"), VARIANTS)
def test_everything_is_in_the_namespace_asked_for_and_every_binding_leads_somewhere(
    overlay: str, components: tuple[str, ...]
) -> None:
    manifests = documents(overlay, "photos", components)

    there = {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in manifests}
    assert {place for _, place, _ in there} <= {None, "photos"}
    bindings = [item for item in manifests if item["kind"].endswith("Binding")]
    assert bindings
    for binding in bindings:
        role = binding["roleRef"]
        role_namespace = binding["metadata"].get("namespace") if role["kind"] == "Role" else None
        assert (role["kind"], role_namespace, role["name"]) in there
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["namespace"], subject["name"]) in there


def test_an_installation_for_one_namespace_has_nothing_that_belongs_to_the_cluster() -> None:
    kinds = {item["kind"] for item in documents("namespaced", "photos", ALL)}

    assert kinds == {
        "ServiceAccount", "Role", "RoleBinding", "Deployment", "Service", "ServiceMonitor", "NetworkPolicy",
    }  # fmt: skip


def test_taking_the_operator_away_leaves_the_api_and_with_it_the_instances() -> None:
    with_api = {item["kind"] for item in documents("default", "photos")}

    without = {item["kind"] for item in documents("default", "photos", crds=False)}

    assert with_api - without == {"CustomResourceDefinition"}


@pytest.mark.parametrize(
    "way", [pytest.param((), id="client-side"), pytest.param(("--server-side",), id="server-side")]
)
def test_the_api_installs_both_ways(apis: None, cluster: Cluster, way: tuple[str, ...]) -> None:
    folder = str(installer.ROOT / "config" / "crd")

    answer = cluster.kubectl("apply", *way, "--dry-run=server", "-k", folder)

    assert re.search(r"immiches\.media\.rm3l\.org (configured|serverside-applied|unchanged)", answer)


def test_pod_security_restricted_accepts_the_operators_pod(cluster: Cluster, confined: str) -> None:
    [deployment] = [item for item in documents("namespaced", confined) if item["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "op"},
        "spec": template["spec"],
    }

    answer = cluster.kubectl("create", "--dry-run=server", "-n", confined, "-f", "-", input=json.dumps(pod))

    assert answer.startswith("pod/op created")


def test_pod_security_restricted_would_refuse_the_pod_with_one_right_more(cluster: Cluster, confined: str) -> None:
    [deployment] = [item for item in documents("namespaced", confined) if item["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0]["securityContext"]["capabilities"] = {}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "op"}, "spec": spec}

    with pytest.raises(KubectlError, match="violates PodSecurity"):
        cluster.kubectl("create", "--dry-run=server", "-n", confined, "-f", "-", input=json.dumps(pod))


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("elsewhere") as name:
        yield name


def test_the_rights_of_one_namespace_end_there(cluster: Cluster, confined: str, elsewhere: str) -> None:
    asked = [("patch", "deployments.apps"), ("get", "secrets"), ("list", "immiches"), ("patch", "immiches/status")]

    here = [may(cluster, confined, *question, of=confined) for question in asked]
    there = [may(cluster, elsewhere, *question, of=confined) for question in asked]

    assert here == [True] * len(asked)
    assert there == [False] * len(asked)


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        pytest.param("delete", "persistentvolumeclaims", id="data"),
        pytest.param("create", "pods", id="pods of its own"),
        pytest.param("create", "pods/exec", id="commands in pods"),
        pytest.param("delete", "immiches", id="instances"),
        pytest.param("create", "rolebindings", id="rights"),
    ],
)
def test_the_operator_may_not(cluster: Cluster, confined: str, verb: str, resource: str) -> None:
    assert not may(cluster, confined, verb, resource, of=confined)
