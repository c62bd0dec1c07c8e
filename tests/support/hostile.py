# SPDX-License-Identifier: Apache-2.0
"""What somebody sends to an API server who means no good: bytes, because Python writes no JSON that is so deep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import Transport, connect
from localcluster.testing import Cluster

__all__ = ["Attacker", "nested"]


def nested(levels: int) -> bytes:
    """JSON of so many mappings in each other, a number in the last."""
    return b'{"a":' * levels + b"1" + b"}" * levels


class Attacker:
    """Requests to a path; each returns the status code and the body of the answer."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    @contextmanager
    def of(cls, cluster: Cluster) -> Iterator[Attacker]:
        """One with all rights in the cluster."""
        with connect(ConnectionSettings(kubeconfig=str(cluster.kubeconfig)), {}) as transport:
            yield cls(transport)

    def send(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "Content-Type": content_type, **self._transport._authorization(path)}
        answer = self._transport.pool.request(
            method, f"{self._transport.server}{path}", body=body, headers=headers, retries=False, redirect=False
        )
        return answer.status, answer.data
