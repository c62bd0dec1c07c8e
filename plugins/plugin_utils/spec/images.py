# SPDX-License-Identifier: Apache-2.0
"""What the name of an image says of the program in it."""

from __future__ import annotations

import re


def release_of(image: str) -> tuple[int, int] | None:
    """(major, minor) that the tag of an image names, such as (3, 1) for `v3.1.0`; None where it names none."""
    name = image.partition("@")[0].rpartition("/")[2]
    found = re.match(r"v?([0-9]{1,4})\.([0-9]{1,4})(?:[.+-]|$)", name.partition(":")[2])
    return (int(found[1]), int(found[2])) if found else None
