# SPDX-License-Identifier: Apache-2.0
"""Times as Kubernetes writes them."""

from __future__ import annotations

import datetime


def seconds_of(text: object) -> float | None:
    """Unix time of an RFC 3339 text, None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def text_of(seconds: float) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute_of(seconds: float) -> str:
    """For people, such as "2026-11-29 12:28 UTC"."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
