# SPDX-License-Identifier: Apache-2.0
"""Fields that admission makes something else of, at each write: policies, webhooks, clusters that size pods themselves.

To write them again changes nothing and never ends. So an object of which some were rewritten gets an annotation with the
checksum of what was applied and of what became of it. While both are still so, and the fields are recorded as ours,
nobody but admission has touched them: whoever changes a field takes it over, see difference.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .difference import differing_fields, needs_apply
from .values import FIELD_MANAGER, Manifest, dig

__all__ = ["ANNOTATION", "is_left", "marked"]

ANNOTATION = "media.rm3l.org/rewritten"


def marked(wanted: Manifest, live: Mapping[str, Any]) -> Manifest:
    """The manifest with the annotation that says that just this was applied, and that the live object came of it."""
    metadata = wanted["metadata"]
    text = json.dumps([wanted, differing_fields(wanted, live)], sort_keys=True)
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: hashlib.sha256(text.encode()).hexdigest()[:16]}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def is_left(wanted: Manifest, live: Mapping[str, Any] | None, *, field_manager: str = FIELD_MANAGER) -> bool:
    """Whether just this was applied before, and what differs since is the work of admission.

    False where the API server keeps no record of who wrote a field, as then anybody may have.
    """
    if (
        not (dig(live, "metadata", "annotations", ANNOTATION) and dig(live, "metadata", "managedFields"))
        or live is None
    ):
        return False
    ours = marked(wanted, live)
    if ours["metadata"]["annotations"][ANNOTATION] != live["metadata"]["annotations"][ANNOTATION]:
        return False
    as_wanted = {**ours, "metadata": {**ours["metadata"], "managedFields": live["metadata"].get("managedFields")}}
    return not needs_apply(ours, as_wanted, field_manager=field_manager)
