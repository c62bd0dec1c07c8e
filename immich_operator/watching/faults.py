# SPDX-License-Identifier: Apache-2.0
"""Objects of which nothing could be made, because this program has a fault that they bring to light."""

from __future__ import annotations

import logging
from typing import Final

from immich_operator.kube.client import in_one_line
from immich_operator.kube.resources import NamespacedName

NAMED: Final = 100
"""Objects that are named at a time. Whoever makes one that has to be named could make any number of them."""


class Faults:
    """Tells of each object once, until it has been well again. For one thread; `kind` is for the log."""

    def __init__(self, kind: str, log: logging.Logger) -> None:
        self._kind = kind
        self._log = log
        self._named: set[NamespacedName | None] = set()

    def failed(self, ref: NamespacedName | None, exc: Exception) -> None:
        """Something was raised that nobody expected; `ref` None stands for any object without a name."""
        if ref in self._named or len(self._named) >= NAMED:
            return
        self._named.add(ref)
        self._log.error(
            "an object is ignored until it changes; please report this as a fault of the operator",
            exc_info=exc,
            extra={
                "kind": self._kind,
                **(ref._asdict() if ref else {}),
                "error": in_one_line(f"{type(exc).__name__}: {exc}"),
            },
        )
        if len(self._named) == NAMED:
            self._log.error("no more such objects are named", extra={"kind": self._kind, "count": NAMED})

    def succeeded(self, ref: NamespacedName | None) -> None:
        """It was taken in."""
        self._named.discard(ref)
