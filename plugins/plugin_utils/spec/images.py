# SPDX-License-Identifier: Apache-2.0
"""What the name of an image says of the program in it, and which Immich is the default."""

from __future__ import annotations

import re
from typing import TypeAlias

IMMICH = "v3.3.1"
"""The tag of server and machine learning, which belong together."""

Version: TypeAlias = tuple[int, ...]
"""As far as it is known: (3, 1, 0), (3, 1), (3,), or () for nothing."""

_LARGEST = 10**4
"""More than any number that is taken for a part of a version."""


def known_version(image: str) -> Version:
    """What the tag of an image says: (3, 1, 0) for `v3.1.0` and `v3.1.0-cuda`, (3,) for `v3`, () for `release` and digests.

    A number alone, without the v that Immich's tags have, may stand for anything.
    """
    found = re.match(r"(v?)([0-9]{1,4})(?:\.([0-9]{1,4}))?(?:\.([0-9]{1,4}))?(?:[.+-]|$)", _tag(image))
    if not found or not (found[1] or found[3]):
        return ()
    return tuple(int(part) for part in found.groups()[1:] if part)


VARIANTS = ("cuda", "openvino", "rocm", "armnn", "rknn")
"""What the tags of images of machine learning end in: the accelerator that they are built for."""


def variant_of(image: str) -> str:
    """The accelerator that an image of machine learning is built for, by the end of its tag; "none" without one."""
    ending = _tag(image).rpartition("-")[2]
    return ending if ending in VARIANTS else "none"


def with_variant(image: str, variant: str) -> str:
    """The image of that variant, such as `...:v3.3.1-cuda`; what has a digest, no tag, or a variant already stays as it is.

    "none" stands for the image as it is.
    """
    is_chosen = variant == "none" or variant_of(image) != "none"
    return image if is_chosen or "@" in image or not _tag(image) else f"{image}-{variant}"


def version_of(image: str) -> str:
    """What the tag of an image says, such as "3.1.0" for `v3.1.0` or `v3.1.0-cuda`; "" where it names no version."""
    version = known_version(image)
    return dotted(version) if len(version) > 1 else ""


def release_of(image: str) -> tuple[int, int] | None:
    """(major, minor) that the tag of an image names, such as (3, 1) for `v3.1.0`; None where it names none."""
    version = known_version(image)
    return (version[0], version[1]) if len(version) > 1 else None


def dotted(version: Version) -> str:
    """3.1.0"""
    return ".".join(map(str, version))


def is_older(one: Version, other: Version) -> bool:
    """Whether that is certain: `v2` is older than 3.1.0, but nobody knows that of `v3`, or of what names no version."""
    return bool(one and other) and (*one, *[_LARGEST] * 3)[:3] < (*other, 0, 0)[:3]


def postgres_major(image: str) -> int | None:
    """17 for tags such as `17-vectorchord0.5.3`, `17.6`, `pg17-v1.1.1` and `0.8.1-pg17`, None for what names none.

    A number that no release of PostgreSQL has counts something else, such as the year and the month in `25.11.2`.
    """
    tag = _tag(image)
    found = re.search(r"(?:^|[.-])pg([0-9]{2})(?=[.-]|$)", tag) or re.match(r"([0-9]{2})(?=[.-]|$)", tag)
    return int(found[1]) if found and is_postgres_major(int(found[1])) else None


def is_postgres_major(number: int) -> bool:
    """Whether a version that Immich runs on may have that number."""
    return OLDEST_POSTGRES <= number <= NEWEST_POSTGRES


OLDEST_POSTGRES = 14
"""Source: Immich v3.1.0, `server/src/constants.ts`."""

NEWEST_POSTGRES = 20
"""Two more than the newest release; there is one a year."""


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]
