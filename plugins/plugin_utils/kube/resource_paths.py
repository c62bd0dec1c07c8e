# SPDX-License-Identifier: Apache-2.0
"""Where the API server keeps a kind: the names that discovery would return, for the kinds in `kinds.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from . import kinds
from .api_error import NotFound, ObjectRef

__all__ = ["BUILT_IN", "Resource", "group_path", "is_served", "path_of"]


class Resource(NamedTuple):
    """A kind as the API server serves it: its name in addresses, and whether it lives in namespaces."""

    plural: str
    namespaced: bool = True


BUILT_IN = {(row.api_version, row.kind): Resource(row.plural, row.namespaced) for row in kinds.KINDS}


def is_served(api_version: str, groups: Mapping[str, Sequence[str]]) -> bool:
    """Whether an API server that has these groups, {"apps": ["v1"], ...}, has that version of that group."""
    group, _unused, version = api_version.rpartition("/")
    return version in groups.get(group, ())


def path_of(ref: ObjectRef, resource: Resource, *, subresource: str = "") -> str:
    """The path of one object, or of all of its kind if `ref` has no name.

    Raises:
        NotFound: no object can have such a name or namespace; in an address it would lead to another object.
    """
    for name in (ref.name, ref.namespace):
        if name in {".", ".."} or "/" in name or "%" in name:
            raise NotFound(404, "NotFound", f"nothing can be named {name!r}", subject=str(ref))
    parts = _group(ref.api_version)
    if resource.namespaced and ref.namespace:
        parts += ["namespaces", ref.namespace]
    parts += [resource.plural, *filter(None, (ref.name, subresource))]
    return _joined(parts)


def group_path(api_version: str) -> str:
    """The address under which the API server lists its kinds of one version of a group."""
    return _joined(_group(api_version))


def _group(api_version: str) -> list[str]:
    return ["api" if "/" not in api_version else "apis", *api_version.split("/")]


def _joined(parts: Sequence[str]) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)
