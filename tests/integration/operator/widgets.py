# SPDX-License-Identifier: Apache-2.0
"""Widgets, a kind that only these tests know, and how an operator is told to look after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GROUP = "test.media.rm3l.org"


def a_widget(name: str, namespace: str, spec: object = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {} if spec is None else spec,
    }


def watches(**options: Any) -> list[dict[str, Any]]:
    """watches.yaml for Widgets; `options` replace keys."""
    entry = {
        "group": GROUP,
        "version": "v1",
        "kind": "Widget",
        "role": str(HERE / "roles/widget"),
        "manageStatus": False,
        "watchAnnotationsChanges": True,
        "maxRunnerArtifacts": 3,
        "dependents": {
            "selector": "app.kubernetes.io/managed-by=widget-operator",
            "kinds": [{"apiVersion": "v1", "kind": "ConfigMap"}, {"apiVersion": "apps/v1", "kind": "Deployment"}],
        },
        "references": [{"apiVersion": "v1", "kind": "Secret", "paths": ["spec.secretName"]}],
    }
    return [{**entry, **options}]
