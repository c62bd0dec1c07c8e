# SPDX-License-Identifier: Apache-2.0
"""The CRD on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from localcluster.errors import ApiError
from localcluster.testing import Cluster
from support.waiting import eventually


def serve(cluster: Cluster, definition: dict[str, Any]) -> None:
    """Apply a CRD and return when its objects can be listed."""
    cluster.api.apply(definition)
    cluster.api.wait_served(definition["metadata"]["name"])


def wait_for_answer(cluster: Cluster, method: str, path: str, *, status: int, body: Any = None) -> None:
    """Repeat a request (a dry run, if it writes) until its answer has this status."""
    answers = [0]

    def answered() -> bool:
        try:
            cluster.api.request(method, path, body=body, query={"dryRun": "All"} if body else None)
            answers.append(200)
        except ApiError as error:
            answers.append(error.status)
        return answers[-1] == status

    eventually(f"{method} {path} answered with {status}", answered, beside=lambda: f"the last answer: {answers[-1]}")


@pytest.fixture(scope="module")
def immiches(cluster: Cluster) -> Cluster:
    """The cluster of the session, with our CRD."""
    serve(cluster, crd.definition())
    return cluster


@pytest.fixture(scope="module")
def volumes_namespace(immiches: Cluster) -> Iterator[str]:
    """A namespace for tests that store objects; one for all, each test has its own name in it."""
    with immiches.namespace("admission") as name:
        yield name
