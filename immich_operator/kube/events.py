# SPDX-License-Identifier: Apache-2.0
"""Events of the loop itself; what a role has to tell it posts by its own means."""

from __future__ import annotations

from typing import Final

from immich_operator import NAME
from immich_operator.kube.resources import Manifest, metadata_of
from immich_operator.kube.timestamps import text_of

MAX_MESSAGE: Final = 1024  # the API server refuses longer ones
MAX_PREFIX: Final = 200  # the API server adds a random end to the name


def warning(involved: Manifest, reason: str, message: str, now: float) -> Manifest:
    """A core/v1 Event about an object."""
    metadata = metadata_of(involved)
    reference = {
        field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion") if field in metadata
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "generateName": f"{str(metadata.get('name'))[:MAX_PREFIX]}.",
            "namespace": metadata.get("namespace") or "default",
        },
        "involvedObject": {"apiVersion": involved.get("apiVersion"), "kind": involved.get("kind"), **reference},
        "type": "Warning",
        "reason": reason,
        "message": message[:MAX_MESSAGE],
        "source": {"component": NAME},
        "reportingComponent": NAME,
        "reportingInstance": NAME,
        "firstTimestamp": text_of(now),
        "lastTimestamp": text_of(now),
        "count": 1,
    }
