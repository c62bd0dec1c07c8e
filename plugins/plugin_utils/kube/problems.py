# SPDX-License-Identifier: Apache-2.0
"""What a user has to change in a custom resource, as a value."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Problem"]


class Problem(NamedTuple):
    """A field that cannot be honoured, worded as the user reads it in a condition; holds no secret value.

    `path` is the field as the user wrote it (`spec.server.replicas`), `what` a clause without a full stop, `remedy`
    what to do about it, or an empty string if `what` already says so.
    """

    path: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        sentences = [f"{self.path}: {self.what}", self.remedy]
        return " ".join(text if text.endswith("?") else f"{text}." for text in sentences if text)
