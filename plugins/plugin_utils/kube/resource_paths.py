# SPDX-License-Identifier: Apache-2.0
"""Where the API server keeps a kind: the names that discovery would tell, for the kinds of `kinds.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from . import kinds
from .api_error import ApiError, ObjectRef

__all__ = ["BUILT_IN", "Resource", "is_served", "path_of"]


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
    """The address of one object, or of all of its kind when `ref` has no name.

    Raises:
        ApiError: 404, as no object can have such a name or namespace; in an address it would lead to another object.
    """
    for name in (ref.name, ref.namespace):
        if name in {".", ".."} or "/" in name or "%" in name:
            raise ApiError(404, "NotFound", f"nothing can be named {name!r}", subject=str(ref))
    parts = ["api" if "/" not in ref.api_version else "apis", *ref.api_version.split("/")]
    if resource.namespaced and ref.namespace:
        parts += ["namespaces", ref.namespace]
    parts += [resource.plural, *filter(None, (ref.name, subresource))]
    return "/" + "/".join(quote(part, safe="") for part in parts)
