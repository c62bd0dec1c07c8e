# SPDX-License-Identifier: Apache-2.0
"""Requests of the admission tests: nothing is stored unless a test needs a previous object."""

from __future__ import annotations

import re
from typing import Any

from localcluster.errors import ApiError
from localcluster.testing import Cluster

__all__ = ["create", "field_messages", "replace"]

Manifest = dict[str, Any]

# One error follows "is invalid: " directly, several stand in brackets with commas between.
_FIELD = re.compile(r"(?:is invalid: \[?|, )(<nil>|metadata\.name|spec[^\s:]*): ")
_KEY = re.compile(r"\[([a-z][^\]]*)\]")
_UNKNOWN = re.compile(r'unknown field "([^"]+)"')
# Said beside the errors of the schema: rules run only on objects that are well-formed.
_SKIPPED = "some validation rules were not checked"


def create(cluster: Cluster, cr: Manifest, *, namespace: str = "default", dry_run: bool = True) -> Manifest:
    """POST with strict field validation, as kubectl does it; the object as the API server completed it."""
    query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
    return cluster.api.request("POST", _path(cr, namespace), body=cr, query=query)


def replace(cluster: Cluster, cr: Manifest, *, namespace: str) -> Manifest:
    """PUT as a dry run."""
    return cluster.api.request(
        "PUT", f"{_path(cr, namespace)}/{cr['metadata']['name']}", body=cr, query={"dryRun": "All"}
    )


def field_messages(error: ApiError) -> dict[str, str]:
    """{path of a field: what the API server says about it}. It writes keys of a map in two ways: `a.b` and `a[b]`."""
    if unknown := _UNKNOWN.findall(error.message):
        return dict.fromkeys(unknown, error.message)
    _, *parts = _FIELD.split(error.message)
    parts[::2] = [_KEY.sub(r".\1", path) for path in parts[::2]]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    if _SKIPPED in found.get("<nil>", ""):
        del found["<nil>"]
    return found


def _path(cr: Manifest, namespace: str) -> str:
    return f"/apis/{cr['apiVersion']}/namespaces/{namespace}/immiches"
