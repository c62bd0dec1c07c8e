# SPDX-License-Identifier: Apache-2.0
"""An operator per test that watches the test's own namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.testing import Cluster
from support.operating import Operator
from tests.integration.operator.widgets import HERE, a_widget, watches

FLAGS = (
    "--metrics-bind-address=127.0.0.1:0",
    "--health-probe-bind-address=127.0.0.1:0",
    "--retry-first=300ms",
    "--discovery-period=500ms",
)
StartOperator = Callable[..., Operator]


class Widgets:
    """The Widgets of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def create(self, name: str, spec: object = None, **metadata: Any) -> dict[str, Any]:
        return self._cluster.api.create(a_widget(name, self._namespace, spec, **metadata))

    def change(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        return self._cluster.api.merge_patch("Widget", name, self._namespace, patch)

    def delete(self, name: str) -> None:
        self._cluster.api.delete("Widget", name, self._namespace)

    def get(self, name: str) -> dict[str, Any] | None:
        return self._cluster.api.find("Widget", name, self._namespace)


@pytest.fixture(scope="session")
def widget_kind(cluster: Cluster) -> None:
    """The kind Widget on the session's cluster."""
    cluster.kubectl("apply", "-f", str(HERE / "widgets.yaml"))
    cluster.api.wait_served("widgets.test.media.rm3l.org")


@pytest.fixture
def widgets(cluster: Cluster, namespace: str, widget_kind: None) -> Widgets:
    return Widgets(cluster, namespace)


@pytest.fixture
def start(cluster: Cluster, namespace: str, widget_kind: None, tmp_path: Path) -> Iterator[StartOperator]:
    """Start an operator; several may run. All are ended with the test."""
    running: list[Operator] = []

    def begin(
        *args: str,
        name: str = "operator",
        env: dict[str, str] | None = None,
        passes: bool = True,
        entries: object = None,
    ) -> Operator:
        """`passes=False`: do not wait until passes may begin, because they may not. `entries` are of watches.yaml."""
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        file = folder / "watches.yaml"
        file.write_text(yaml.safe_dump(entries or watches()))
        environment = {"WATCH_NAMESPACE": namespace, **(env or {})}
        operator = Operator(cluster, folder, *FLAGS, *args, environment=environment, watches=file)
        running.append(operator)
        operator.wait_line("passes begin" if passes else "operator started")
        return operator

    yield begin
    for operator in running:
        operator.end()
