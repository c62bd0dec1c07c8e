# SPDX-License-Identifier: Apache-2.0
"""The manifests of a custom resource without a cluster: for reviews, GitOps diffs, and golden tests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ..components import configuration
from ..components.instance import Instance
from ..spec.references import MADE_ONCE, references
from .planning import Plan, plan


def offline_plan(cr: Mapping[str, Any], *, images: Mapping[str, str], password: str, route: bool = False) -> Plan:
    """The plan of an Immich for an empty namespace in which everything exists that it refers to.

    `cr` has its defaults. A value that only a Secret knows is written as `<key KEY of Secret NAME>`. `route` says
    that the cluster has OpenShift's Route API.
    """
    metadata = {"namespace": "default", **cr["metadata"]}
    cr = {**cr, "metadata": {key: metadata[key] for key in ("name", "namespace")}}
    instance = Instance.from_cr(cr)
    secrets: dict[str, dict[str, str]] = {}
    for used in configuration.used_secrets(instance):
        text = f"<key {used.key} of Secret {used.name}>"
        secrets.setdefault(used.name, {})[used.key or ""] = base64.b64encode(text.encode()).decode()
    ours = {name_of(instance.name) for functions in MADE_ONCE.values() for name_of in functions}
    seen = {
        "apis": {"route": route, "httproute": True},  # which is made only where it is asked for
        "objects": [],
        "references": [
            _as_if_there(reference, secrets) for reference in references(cr) if reference["name"] not in ours
        ],
    }
    return plan(cr, seen=seen, images=images, new_password=password)


def _as_if_there(reference: Mapping[str, str], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A reference as `observe` reports it: with made-up content, or as something that may not be read."""
    data = secrets.get(reference["name"]) if reference["kind"] == "Secret" else None
    found = {**reference, "metadata": {"name": reference["name"]}, "data": dict(data)} if data else None
    return {**reference, "object": found, "forbidden": found is None}
