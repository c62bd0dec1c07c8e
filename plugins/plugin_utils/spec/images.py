# SPDX-License-Identifier: Apache-2.0
"""What the name of an image says of the program in it."""

from __future__ import annotations

import re


def version_of(image: str) -> str:
    """What the tag of an image says, such as "3.1.0" for `v3.1.0` or `v3.1.0-cuda`; "" where it names no version."""
    found = re.match(r"v?([0-9]{1,4}(?:\.[0-9]{1,4}){1,2})(?:[+-]|$)", _tag(image))
    return found[1] if found else ""


def release_of(image: str) -> tuple[int, int] | None:
    """(major, minor) that the tag of an image names, such as (3, 1) for `v3.1.0`; None where it names none."""
    found = re.match(r"v?([0-9]{1,4})\.([0-9]{1,4})(?:[.+-]|$)", _tag(image))
    return (int(found[1]), int(found[2])) if found else None


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]
