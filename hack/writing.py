# SPDX-License-Identifier: Apache-2.0
"""YAML as generated files have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from immich_operator.yaml_text import ManifestDumper

__all__ = ["kustomization", "yaml_text"]

KUSTOMIZATION = """\
---
{comment}apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
{resources}"""


class _Dumper(ManifestDumper):
    """Lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)


def yaml_text(content: Any) -> str:
    """One document, in the order of the content."""
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def kustomization(resources: Iterable[str], comment: str = "") -> str:
    """The text of a kustomization.yaml. `resources` are paths as it names them, `comment` is a line above it."""
    listed = "".join(f"  - {resource}\n" for resource in resources)
    return KUSTOMIZATION.format(comment=f"# {comment}\n" if comment else "", resources=listed)
