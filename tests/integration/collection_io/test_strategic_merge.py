# SPDX-License-Identifier: Apache-2.0
"""Our strategic merge of pod templates is that of the API server: the same patches, on the same Deployment."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.strategic_merge import BadPatch, merged
from localcluster.errors import ApiError
from localcluster.testing import Cluster
from support.overlays import NO_PATCHES, PATCHES, TEMPLATE

STRATEGIC = "application/strategic-merge-patch+json"


class Live:
    """A Deployment that only dry runs change."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._api = cluster.api
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments/photos"
        self.stored = cluster.api.create(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "photos", "namespace": namespace},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "photos"}}, "template": TEMPLATE},
            }
        )

    def patched(self, patch: dict[str, Any]) -> dict[str, Any]:
        """The template that the API server makes of it; ApiError if it refuses."""
        return self._template("PATCH", {"spec": {"template": patch}}, headers={"Content-Type": STRATEGIC})

    def replaced(self, template: dict[str, Any]) -> dict[str, Any]:
        """The template as the API server would store it, with its defaults; ApiError if it refuses."""
        whole = copy.deepcopy(self.stored)
        whole["spec"]["template"] = template
        del whole["metadata"]["resourceVersion"]  # the controller writes the status meanwhile
        return self._template("PUT", whole)

    def _template(self, method: str, body: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        answer = self._api.request(method, self._path, body=body, query={"dryRun": "All"}, **kwargs)
        template: dict[str, Any] = answer["spec"]["template"]
        return template


@pytest.fixture(scope="module")
def live(cluster: Cluster) -> Iterator[Live]:
    with cluster.namespace("strategic") as namespace:
        yield Live(cluster, namespace)


@pytest.mark.parametrize("patch", [pytest.param(patch, id=name) for name, patch in PATCHES.items()])
def test_it_makes_of_a_patch_what_the_api_server_makes(live: Live, patch: dict[str, Any]) -> None:
    theirs = live.patched(patch)

    ours = merged(live.stored["spec"]["template"], patch)

    assert live.replaced(ours) == theirs


@pytest.mark.parametrize("patch", [pytest.param(case[0], id=name) for name, case in NO_PATCHES.items()])
def test_what_it_refuses_the_api_server_refuses(live: Live, patch: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        live.patched(patch)
    with pytest.raises(BadPatch):
        merged(live.stored["spec"]["template"], patch)


NAMES = st.sampled_from(["A", "B", "C"])
VARIABLE = st.fixed_dictionaries({"name": NAMES}, optional={"value": st.sampled_from(["1", "2"]) | st.none()})
GONE = NAMES.map(lambda name: {"name": name, "$patch": "delete"})
VARIABLES = st.lists(VARIABLE | GONE, max_size=4, unique_by=lambda entry: entry["name"])
CONTAINER = st.fixed_dictionaries(
    {"name": st.sampled_from(["main", "side", "new"]), "image": st.just("x")},
    optional={"env": VARIABLES, "args": st.lists(NAMES, max_size=2), "livenessProbe": st.none()},
)
CONTAINERS = st.lists(CONTAINER, max_size=3, unique_by=lambda entry: entry["name"])
POD = st.fixed_dictionaries(
    {},
    optional={
        "containers": CONTAINERS,
        "$setElementOrder/containers": st.permutations([{"name": "main"}, {"name": "side"}, {"name": "new"}]),
        "nodeSelector": st.dictionaries(NAMES, NAMES | st.none(), max_size=2),
        "tolerations": st.lists(st.fixed_dictionaries({"key": NAMES, "operator": st.just("Exists")}), max_size=2)
        | st.none(),
        "securityContext": st.fixed_dictionaries({}, optional={"runAsUser": st.integers(0, 9) | st.none()}) | st.none(),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(POD)
def test_it_is_the_same_for_any_patch(live: Live, pod: dict[str, Any]) -> None:
    try:
        theirs = live.patched({"spec": pod})
    except ApiError:
        assume(False)

    assert live.replaced(merged(live.stored["spec"]["template"], {"spec": pod})) == theirs
