# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions shipped with this collection, applied to custom resources without an API server."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..kube import bounded_yaml, schema
from ..kube.problems import Problem
from ..kube.values import DEEPEST, cut, is_deeper
from . import checks
from .custom_kinds import CUSTOM_KINDS
from .names import API_VERSION, KIND

__all__ = ["API_VERSION", "KIND", "KINDS", "complete", "definition", "documents", "open_api_schema"]

KINDS = {row.kind: row for row in CUSTOM_KINDS}
"""Our kinds by their names."""
_FOLDER = Path(__file__).resolve().parents[3] / "crds"
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where PyYAML has libyaml
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class _KubernetesLoader(_Loader):  # type: ignore[misc]
    """Reads YAML as kubectl does: what looks like a date is text, as JSON has no dates, and no key is there twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and shape are PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _Loader.yaml_implicit_resolvers.items()
    }

    def construct_document(self, node: yaml.Node) -> Any:
        for key in _repeated_keys(node):
            raise yaml.MarkedYAMLError(
                problem=f"the key {cut(key.value, 60)} is there twice", problem_mark=key.start_mark
            )
        return super().construct_document(node)


def _repeated_keys(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Keys that their mapping has already. Those that `<<` brings are not in the tree yet, and may be overridden."""
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    if (key.tag, key.value) in keys:
                        yield key
                    keys.add((key.tag, key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


@functools.cache
def definition(kind: str = KIND) -> dict[str, Any]:
    """The whole CustomResourceDefinition of one of KINDS; read once per process. Do not change what it returns."""
    row = KINDS[kind]
    text = (_FOLDER / f"{row.group}_{row.plural}.yaml").read_text(encoding="utf-8")
    (loaded,) = yaml.load_all(text, Loader=_KubernetesLoader)
    return dict(loaded)


def documents(text: str) -> list[Any]:
    """The documents in a YAML text, None for an empty one; yaml.YAMLError if it is not YAML, or is TooLarge."""
    return bounded_yaml.documents(text, _KubernetesLoader)


@functools.cache
def open_api_schema(kind: str = KIND) -> dict[str, Any]:
    """The structural schema of the version in KINDS. Do not change what it returns."""
    versions = {version["name"]: version for version in definition(kind)["spec"]["versions"]}
    found: dict[str, Any] = versions[KINDS[kind].version]["schema"]["openAPIV3Schema"]
    return found


def complete(cr: Mapping[str, Any], kind: str = "") -> tuple[dict[str, Any], list[Problem]]:
    """(the custom resource with all defaults, what keeps it from working): what the API server would store or refuse.

    Metadata and status are taken as they are, apart from the name. `kind` is the only one accepted, "" for that of the
    resource; an unknown one is checked as an Immich.
    """
    own = cr.get("kind")
    row = KINDS[kind or (own if isinstance(own, str) and own in KINDS else KIND)]
    if is_deeper(cr, DEEPEST):
        return dict(cr), [Problem("spec", f"is nested more than {DEEPEST} levels deep", "Make it flatter")]
    full = schema.with_defaults(open_api_schema(row.kind), cr)
    found = [
        Problem(field, f"must be {wanted}", f"Set {field}: {wanted}")
        for field, wanted in (("apiVersion", row.api_version), ("kind", row.kind))
        if full.get(field) != wanted
    ]
    between_fields = checks.check(full) if row.kind == KIND else []
    return full, [*found, *schema.problems(_user_schema(row.kind), full), *between_fields]


@functools.cache
def _user_schema(kind: str) -> dict[str, Any]:
    """The schema of what users write: metadata is the API server's own business, the status the operator's."""
    whole = open_api_schema(kind)
    return whole | {"properties": whole["properties"] | {"metadata": _OPEN, "status": {}}}
