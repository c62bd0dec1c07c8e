# SPDX-License-Identifier: Apache-2.0
"""Manifests of other projects, from their Go modules: pinned, checked, and kept in Go's own cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

SUMS = {
    "sigs.k8s.io/gateway-api@v1.6.1": "h1:mock6phZbI6rvZerwrVNk7hVNymQgHo+6sJ81Ia7ftY=",
    "github.com/cert-manager/cert-manager@v1.21.2": "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
}
"""Checksums as in a go.sum file."""


def module_folder(module: str) -> Path:
    """The folder of a module such as `example.com/name@v1.2.3`, downloaded if need be; AssertionError if it is another one."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", module], capture_output=True, text=True, check=False, cwd="/"
    )
    answer: dict[str, str] = json.loads(done.stdout or "{}")
    assert answer.get("Sum") == SUMS[module], f"{module}: {answer.get('Error') or done.stderr or answer.get('Sum')}"
    return Path(answer["Dir"])


def crds(module: str, folder: str, *kinds: str) -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of these kinds among the manifests of a folder of the module."""
    found = {
        document["spec"]["names"]["kind"]: document
        for file in sorted((module_folder(module) / folder).glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        if document and document["kind"] == "CustomResourceDefinition"
    }
    return [found[kind] for kind in kinds]
