# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities by value, without loading the client."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

__all__ = ["quantity_value"]

PATTERN = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([eE][+-]?[0-9]{1,9})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?"
)
"""With an exponent of more digits a Decimal can't be made, and the API server's CRD takes three."""
FACTORS = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("n", "u", "m"), start=-3)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
}


def quantity_value(text: Any) -> Decimal | None:
    """The value of "10Gi", "500m", "1e3", 2 or 0.5; None for anything that is not a quantity."""
    if isinstance(text, bool):
        return None
    match = PATTERN.fullmatch(str(text))
    if not match:
        return None
    number, exponent, suffix = match.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * FACTORS.get(suffix, Decimal(1))
