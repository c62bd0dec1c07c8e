# SPDX-License-Identifier: Apache-2.0
"""`$(NAME)` in the values of variables, as the kubelet reads it.

It stands for a variable that comes before in the list or out of `envFrom`, anything else stays as it is written, and `$$`
is a dollar sign (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


def names_in(text: str) -> list[str]:
    """The names that a value refers to."""
    return [found[1] for found in _REFERENCE.finditer(text) if found[1] is not None]


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The value with what is known in the place of the references to it."""
    return _REFERENCE.sub(lambda found: values.get(found[1], found[0]) if found[1] else found[0], text)


def plain_values(env: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """{name: value} of the entries that have a value of their own, filled in as far as the list tells."""
    known: dict[str, str] = {}
    for entry in env:
        known.pop(entry["name"], None)
        if "valueFrom" not in entry:
            known[entry["name"]] = filled_in(entry.get("value") or "", known)
    return known
