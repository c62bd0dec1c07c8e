# SPDX-License-Identifier: Apache-2.0
"""The CRD on a real API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils import crd
from localcluster.errors import ApiError
from localcluster.testing import Cluster

SERVED_WITHIN_S = 30.0


def serve(cluster: Cluster, definition: dict[str, Any]) -> None:
    """Apply a CRD and return when its objects can be listed."""
    cluster.api.apply(definition)
    cluster.api.wait_served(definition["metadata"]["name"])


def wait_for_answer(cluster: Cluster, method: str, path: str, *, status: int, body: Any = None) -> None:
    """Repeat a request (a dry run, if it writes) until its answer has this status."""
    deadline = time.monotonic() + SERVED_WITHIN_S
    pause = threading.Event()
    answer = 0
    while answer != status:
        if time.monotonic() > deadline:
            raise AssertionError(f"{method} {path} answered {answer} for {SERVED_WITHIN_S:.0f} s, not {status}")
        try:
            cluster.api.request(method, path, body=body, query={"dryRun": "All"} if body else None)
            answer = 200
        except ApiError as error:
            answer = error.status
        pause.wait(0.0 if answer == status else 0.05)


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
