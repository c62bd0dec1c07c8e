# SPDX-License-Identifier: Apache-2.0
"""The same custom resources, given to a real API server: most of them as a dry run, some to an operator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ApiError, ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
from ansible_collections.media.immich.plugins.plugin_utils.kube.applying import explained
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.difference import without_nulls
from ansible_collections.media.immich.plugins.plugin_utils.kube.status_merge import wanted_status
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import Transport, connect
from ansible_collections.media.immich.plugins.plugin_utils.kube.values import visible
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import Plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import API_VERSION, complete
from localcluster.audit import WRITES
from localcluster.testing import Cluster
from support.generated import broken, resources
from support.instances import NAME, plan_for, results_of, seen_with
from support.operating import Instances, Operator, install_crd
from tests.fuzz.properties import NOW, REFERRED

Manifest = dict[str, Any]

STORED = "stored"
"""Name of the Immich whose status is written. All others are never stored."""


class Server:
    """Writes of one namespace that are not stored, by the client of the passes."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self._transport, self._namespace = transport, namespace
        self._objects = ApiObjects(transport, dry_run=True)
        self._path = f"/apis/{API_VERSION}/namespaces/{namespace}/immiches"

    def create(self, cr: Manifest) -> Manifest | None:
        """What would be stored, None if it is refused; any other answer is an ApiError."""
        body = {**cr, "metadata": {"name": cr["metadata"]["name"], "namespace": self._namespace}}
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        try:
            return self._transport.request("POST", self._path, body=body, query=query)
        except ApiError as error:
            if error.status_code in (400, 413, 422):
                return None
            raise

    def refusals(self, planned: Plan) -> dict[tuple[str, str], str]:
        """{(kind, name): what a pass says of it} of the objects that the API server would not store."""
        answers = self._transport.parallel([lambda m=m: self._refusal(m) for m in planned.objects])
        return {
            (manifest["kind"], manifest["metadata"]["name"]): said
            for manifest, said in zip(planned.objects, answers, strict=True)
            if said
        }

    def _refusal(self, manifest: Manifest) -> str:
        wanted = without_nulls({**manifest, "metadata": {**manifest["metadata"], "namespace": self._namespace}})
        try:
            self._objects.apply(wanted)
        except ApiError as error:
            if error.status_code == 422 and error.fields:
                return explained(error, ObjectRef.of(wanted))
            raise
        return ""

    def write_status(self, status: Manifest) -> None:
        """Of the stored Immich; ApiError if the schema has something against it."""
        content_type = "application/merge-patch+json"
        path, body = f"{self._path}/{STORED}/status", {"status": status}
        self._transport.request("PATCH", path, body=body, query={"dryRun": "All"}, content_type=content_type)


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[str]:
    """A namespace with one stored Immich."""
    install_crd(cluster)
    with cluster.namespace("fuzz") as namespace:
        cluster.api.create(Instances(cluster, namespace).cr(name=STORED))
        yield namespace


@pytest.fixture
def server(cluster: Cluster, home: str) -> Iterator[Server]:
    with connect(ConnectionSettings(kubeconfig=str(cluster.kubeconfig)), {}) as transport:
        yield Server(transport, home)


def test_the_api_server_judges_as_the_offline_checks_do_and_what_it_does_not_take_a_condition_tells(tries, server):
    def check(cr: Manifest, count: Any) -> None:
        full, problems = complete(cr)
        stored = server.create(cr)
        assert (stored is None) == bool(problems), (
            f"{'refused' if stored is None else 'taken'}, and offline: {problems}"
        )
        if stored is None:
            return
        assert json.loads(json.dumps(stored["spec"])) == full["spec"]
        planned = plan_for(full, REFERRED)
        refused = server.refusals(planned)
        count("their objects", len(planned.objects))
        count("of these refused, and told", len(refused))
        told = report(planned.as_dict(), {"results": results_of(planned, errors=refused)}, seen_with(full, REFERRED))
        server.write_status(wanted_status({}, told["status"], None, now=NOW))
        assert {visible(said) for said in refused.values()} <= set(told["failures"])
        if refused:
            [degraded] = [one for one in told["status"]["conditions"] if one["type"] == "Degraded"]
            assert not told["status"]["ready"] and degraded["status"] == "True"
            assert any(name in degraded["message"] for _kind, name in refused)

    tries("resources given to an API server", resources(), 200, check)


def test_the_api_server_refuses_what_is_broken_and_no_answer_is_an_error_of_its_own(tries, server):
    def check(cr: Manifest, _count: Any) -> None:
        stored = server.create(cr)
        assert (stored is None) == bool(complete(cr)[1])

    tries("broken resources given to an API server", broken(), 100, check)


def test_the_second_of_two_passes_over_an_instance_writes_nothing(tries, server, cluster, tmp_path: Path):
    operator = Operator(cluster, tmp_path)
    number = 0

    def check(cr: Manifest, count: Any) -> None:
        nonlocal number
        full, problems = complete(cr)
        assume(not problems and not server.refusals(plan_for(full, REFERRED)))
        number += 1
        with cluster.namespace(f"fuzz-{number}") as namespace:
            instances = Instances(cluster, namespace, operator)
            for manifest in REFERRED:
                cluster.api.create(
                    {**manifest, "metadata": {"name": manifest["metadata"]["name"], "namespace": namespace}}
                )
            instances.create(cr["spec"])
            instances.wait_settled()
            passes = len(operator.passes(NAME, namespace))
            mark = cluster.audit.mark()
            cluster.kubectl("annotate", f"immich/{NAME}", "look=again", "-n", namespace)
            instances.wait("one more pass", lambda: len(operator.passes(NAME, namespace)) > passes)
            entries = cluster.audit.since(mark, user_agent_contains="immich-operator", namespace=namespace)
            assert [(entry.verb, entry.resource) for entry in entries if entry.verb in WRITES] == []
            count("instances that had two passes")
            cluster.api.delete("Immich", NAME, namespace)

    try:
        tries("resources looked through for instances", resources(), 6, check, shrink=False)
    finally:
        assert operator.stop() == 0, operator.tail()
