# SPDX-License-Identifier: Apache-2.0
"""Changes of stored custom resources: volumes only grow, and what was stored before the rules stays writable."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from localcluster.errors import ApiError
from localcluster.testing import Cluster
from tests.integration.admission.api import create, field_messages, replace
from tests.integration.admission.conftest import serve, wait_for_answer
from tests.unit.plugin_utils.spec.admission_case import EXTERNAL_DATABASE, library

Spec = dict[str, Any]

SIZE = "a volume cannot shrink. Set its present size or a larger one"
CLASS = (
    "the storage class of an existing volume cannot change. Set it back, or move the data to a claim of your own and"
    " name that in existingClaim"
)
MODES = (
    "the access modes of an existing volume cannot change. Set them back, or move the data to a claim of your own and"
    " name that in existingClaim"
)


PATH = (
    "Immich knows the files of a library by their path, so it stays where it is. Set mountPath back, or give a library at"
    " another path another name"
)


def libraries(*entries: Spec) -> Spec:
    return {"immich": {"externalLibraries": [{"nfs": {"server": "nas", "path": "/a"}} | entry for entry in entries]}}


def component(name: str, persistence: Spec, **fields: Any) -> Spec:
    return {name: {"persistence": persistence} | fields}


def stored(cluster: Cluster, namespace: str, name: str, spec: Spec) -> dict[str, Any]:
    """The live object after creating it."""
    cr = {"apiVersion": crd.API_VERSION, "kind": crd.KIND, "metadata": {"name": name}, "spec": spec}
    return create(cluster, cr, namespace=namespace, dry_run=False)


def case_name(request: pytest.FixtureRequest) -> str:
    return f"c-{request.node.callspec.id}"[:43].rstrip("-")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(library(size="10Gi"), library(size="20Gi"), id="library-grows"),
        pytest.param(
            libraries({"name": "a"}, {"name": "b"}),
            libraries(
                {"name": "b"}, {"name": "a", "mountPath": "/mnt/external/a", "nfs": {"server": "new", "path": "/"}}
            ),
            id="external-libraries-in-another-order-and-on-another-server",
        ),
        pytest.param(libraries({"name": "a"}), libraries({"name": "b"}), id="another-external-library"),
        pytest.param(library(size="10Gi"), library(size="10240Mi"), id="size-in-another-unit"),
        pytest.param(library(size=1024), library(size="1Ki"), id="size-as-number-or-text"),
        pytest.param(library(size="0"), library(), id="size-zero-to-default"),
        pytest.param({}, library(storageClass="fast"), id="class-named-later"),
        pytest.param(library(accessModes=[]), library(accessModes=["ReadWriteOnce"]), id="no-mode-means-rwo"),
        pytest.param(
            library(accessModes=["ReadWriteOnce", "ReadOnlyMany"]),
            library(accessModes=["ReadOnlyMany", "ReadWriteOnce"]),
            id="modes-in-another-order",
        ),
        pytest.param(
            library(size="50Gi", storageClass="a"),
            library(size="1Gi", storageClass="b", existingClaim="nas"),
            id="to-a-claim-of-the-user",
        ),
        pytest.param(
            library(size="50Gi", existingClaim="nas"),
            library(size="1Gi", storageClass="b"),
            id="from-a-claim-of-the-user",
        ),
        pytest.param(
            component("postgres", {"size": "50Gi", "storageClass": "a"}),
            {"postgres": EXTERNAL_DATABASE},
            id="to-an-external-database",
        ),
        pytest.param(
            component("valkey", {"size": "5Gi"}), component("valkey", {"size": "1Gi"}), id="valkey-without-volume"
        ),
        pytest.param(
            component("machineLearning", {"size": "50Gi"}),
            component("machineLearning", {"enabled": False, "size": "1Gi"}),
            id="cache-volume-switched-off",
        ),
    ],
)
def test_a_change_that_leaves_volumes_usable_is_accepted(
    immiches: Cluster, volumes_namespace: str, request: pytest.FixtureRequest, before: Spec, after: Spec
) -> None:
    live = stored(immiches, volumes_namespace, case_name(request), before)

    changed = replace(immiches, live | {"spec": after}, namespace=volumes_namespace)

    assert changed["metadata"]["name"] == live["metadata"]["name"]


@pytest.mark.parametrize(
    ("before", "after", "path", "message"),
    [
        pytest.param(library(size="20Gi"), library(size="10Gi"), "immich.persistence.library.size", SIZE, id="library"),
        pytest.param(library(size="20Gi"), {}, "immich.persistence.library.size", SIZE, id="library-to-default"),
        pytest.param(
            libraries({"name": "a"}, {"name": "b"}),
            libraries({"name": "b", "mountPath": "/mnt/b"}, {"name": "a"}),
            "immich.externalLibraries[0].mountPath",
            PATH,
            id="external-library-at-another-path",
        ),
        pytest.param(
            library(size="1Gi"), library(size="1G"), "immich.persistence.library.size", SIZE, id="library-unit"
        ),
        pytest.param(
            component("postgres", {"size": "10Gi"}),
            component("postgres", {"size": "9Gi"}),
            "postgres.persistence.size",
            SIZE,
            id="database",
        ),
        pytest.param(
            component("machineLearning", {"size": "10Gi"}),
            component("machineLearning", {"size": "1Gi"}),
            "machineLearning.persistence.size",
            SIZE,
            id="cache",
        ),
        pytest.param(
            component("valkey", {"enabled": True, "size": "2Gi"}),
            component("valkey", {"enabled": True, "size": "1Gi"}),
            "valkey.persistence.size",
            SIZE,
            id="valkey",
        ),
        pytest.param(
            library(storageClass="a"),
            library(storageClass="b"),
            "immich.persistence.library.storageClass",
            CLASS,
            id="library-class",
        ),
        pytest.param(
            component("postgres", {"storageClass": "a"}),
            component("postgres", {}),
            "postgres.persistence.storageClass",
            CLASS,
            id="database-class-removed",
        ),
        pytest.param(
            library(),
            library(accessModes=["ReadWriteMany"]),
            "immich.persistence.library.accessModes",
            MODES,
            id="library-modes",
        ),
        pytest.param(
            component("machineLearning", {"accessModes": ["ReadWriteMany"]}),
            component("machineLearning", {"accessModes": []}),
            "machineLearning.persistence.accessModes",
            MODES,
            id="cache-modes-removed",
        ),
    ],
)
def test_a_change_that_a_volume_cannot_follow_is_refused(
    immiches: Cluster,
    volumes_namespace: str,
    request: pytest.FixtureRequest,
    before: Spec,
    after: Spec,
    path: str,
    message: str,
) -> None:
    live = stored(immiches, volumes_namespace, f"refused-{case_name(request)}", before)

    with pytest.raises(ApiError) as refusal:
        replace(immiches, live | {"spec": after}, namespace=volumes_namespace)

    messages = field_messages(refusal.value)
    assert list(messages) == [f"spec.{path}"]
    assert message in messages[f"spec.{path}"]


EARLIER_API = "earlier.example.com/v1alpha1"
EARLIER = {
    "name-that-became-too-long-for-objects-made-from-it": {},
    "name.with.dots": {},
    "incomplete-database": {"postgres": {"enabled": False}},
    "wrong-number": {"server": {"replicas": -1}},
    "library-moved": {"server": {"env": [{"name": "IMMICH_MEDIA_LOCATION", "value": "/srv"}]}},
    "metrics-moved": {
        "immich": {"metrics": {"enabled": True}},
        "server": {"env": [{"name": "IMMICH_API_METRICS_PORT", "value": "9090"}]},
    },
}


@pytest.fixture(scope="module")
def stored_earlier(cluster: Cluster) -> Iterator[str]:
    """The kind of objects that were stored under a CRD without rules, which our schema has replaced since.

    It has a name and a group of its own, so that no other test sees the CRD without rules.
    """
    ours = copy.deepcopy(crd.definition())
    ours["metadata"]["name"] = "earliers.earlier.example.com"
    ours["spec"]["group"] = "earlier.example.com"
    ours["spec"]["names"] = {"kind": "Earlier", "listKind": "EarlierList", "plural": "earliers", "singular": "earlier"}
    without_rules = copy.deepcopy(ours)
    without_rules["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    kind = f"{EARLIER_API}/Earlier"
    serve(cluster, without_rules)
    try:
        for name, spec in EARLIER.items():
            metadata = {"name": name, "namespace": "default", "finalizers": ["media.rm3l.org/finalizer"]}
            cluster.api.create({"apiVersion": EARLIER_API, "kind": "Earlier", "metadata": metadata, "spec": spec})
            cluster.api.merge_patch(kind, name, "default", {"status": {"ready": False}}, subresource="status")
        serve(cluster, ours)
        path = f"/apis/{EARLIER_API}/namespaces/default/earliers"
        invalid = {"apiVersion": EARLIER_API, "kind": "Earlier", "metadata": {"name": "x"}, "spec": {"server": 1}}
        wait_for_answer(cluster, "POST", path, body=invalid, status=422)
        yield kind
    finally:
        cluster.api.delete("CustomResourceDefinition", ours["metadata"]["name"], wait=True)


@pytest.mark.parametrize("name", EARLIER)
def test_an_object_stored_before_the_rules_can_still_lose_its_finalizer(
    cluster: Cluster, stored_earlier: str, name: str
) -> None:
    released = cluster.api.merge_patch(stored_earlier, name, "default", {"metadata": {"finalizers": []}})

    assert "finalizers" not in released["metadata"]


@pytest.mark.parametrize("name", EARLIER)
def test_an_object_stored_before_the_rules_still_shows_what_is_wrong(
    cluster: Cluster, stored_earlier: str, name: str
) -> None:
    status = {"status": {"ready": False, "url": "https://told.example.com"}}

    told = cluster.api.merge_patch(stored_earlier, name, "default", status, subresource="status")

    assert told["status"] == status["status"]
