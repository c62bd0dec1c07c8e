# SPDX-License-Identifier: Apache-2.0
"""Fields that admission makes something else of, at each write: policies, webhooks, clusters that size pods themselves.

To write them again changes nothing and never ends. So an object of which some were rewritten gets an annotation with the
checksum of what was applied and of what became of it. While both are still so, and the fields are recorded as ours,
nobody but admission has touched them: whoever changes a field takes it over, see difference.py.

A policy can go, which nothing tells. So once the last write is TRIED_AGAIN_AFTER_S old, a pass asks the API server what it
would make of the next one, without storing it, and writes only if that is something else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .difference import differing_fields, needs_apply
from .timestamps import seconds_of
from .values import FIELD_MANAGER, Manifest, dig

__all__ = ["ANNOTATION", "is_due", "left", "marked"]

ANNOTATION = "media.rm3l.org/rewritten"
TRIED_AGAIN_AFTER_S = 600.0
"""Longer than most rollouts, whose many passes thus ask nothing."""


def marked(wanted: Manifest, rewritten: Mapping[str, Any]) -> Manifest:
    """The manifest with the annotation that says that just this was applied, and what of it was rewritten to what.

    `rewritten` is {path: value} as `difference.differing_fields` gives it.
    """
    metadata = wanted["metadata"]
    text = json.dumps([wanted, rewritten], sort_keys=True)
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: hashlib.sha256(text.encode()).hexdigest()[:16]}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def left(wanted: Manifest, live: Mapping[str, Any], *, field_manager: str = FIELD_MANAGER) -> dict[str, Any]:
    """{path: live value} of the fields that admission has made something else of when just this was applied.

    {} if anything else may have changed them; also where the API server keeps no record of who wrote a field, as then
    anybody may have.
    """
    mark, record = dig(live, "metadata", "annotations", ANNOTATION), dig(live, "metadata", "managedFields")
    if not (mark and record):
        return {}
    rewritten = differing_fields(wanted, live)
    ours = marked(wanted, rewritten)
    if ours["metadata"]["annotations"][ANNOTATION] != mark:
        return {}
    as_wanted = {**ours, "metadata": {**ours["metadata"], "managedFields": record}}
    return {} if needs_apply(ours, as_wanted, field_manager=field_manager) else rewritten


def is_due(live: Mapping[str, Any], now: float, *, field_manager: str = FIELD_MANAGER) -> bool:
    """True if our last apply that changed something is so old that the policy may be gone; `now` is in seconds since the
    epoch."""
    times = [
        seconds_of(entry.get("time"))
        for entry in dig(live, "metadata", "managedFields", default=[])
        if entry.get("manager") == field_manager and entry.get("operation") == "Apply"
    ]
    return any(time is not None and now - time >= TRIED_AGAIN_AFTER_S for time in times)
