# SPDX-License-Identifier: Apache-2.0
"""Adding a Deployment to a plan, with the one change of it that server-side apply can't make."""

from __future__ import annotations

from .instance import Part, Surroundings
from .names import Manifest
from .values import dig


def apply_deployment(part: Part, around: Surroundings, deployment: Manifest) -> None:
    """Apply a Deployment, switching the strategy of a live one first.

    Coming from RollingUpdate, the API server refuses `type: Recreate` by apply alone, with or without
    `rollingUpdate: null`: the defaulted field stays and is then not allowed. A merge patch takes it away.
    """
    live = around.live("Deployment", deployment["metadata"]["name"])
    if live and deployment["spec"]["strategy"]["type"] == "Recreate" and dig(live, "spec", "strategy", "rollingUpdate"):
        part.merge(live, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}, stage=1)
    part.apply(deployment, stage=2)
