# SPDX-License-Identifier: Apache-2.0
"""Licenses of what the operator runs with: what packages say of themselves, as identifiers of SPDX."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["ALLOWED", "EXCEPTIONS", "files", "license_of", "locked", "problems"]

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "runtime.txt"
PAGE = ROOT / "docs" / "reference" / "licenses.md"

ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0", "Python-2.0", "Unlicense"}
)
"""May be in one image with a program under Apache-2.0, without a condition beyond that their notices stay in it."""
EXCEPTIONS: Mapping[str, tuple[str, str]] = {
    "ansible-core": (
        "GPL-3.0-or-later",
        "A program of its own; the image has its source, without the tool for tests (`hack/image/slim.py`), and PyPI all of "
        "it. The action and filter plugins in `plugins/` run in it, and Apache-2.0 is compatible with version 3 of the GPL",
    ),
    "certifi": ("MPL-2.0", "An unchanged list of certificate authorities; its source is what is in the image"),
}
"""{package: (its license, why it may be there)}"""

IN_WORDS = {
    "apache 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license, version 2.0": "Apache-2.0",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
"""Names that packages use, of licenses of which there is one version."""
READ_IN_THEIR_LICENSE = {"jinja2": "BSD-3-Clause"}
"""Packages that name no more than a family of licenses: which one the file says that they ship."""
LICENSE_FIELD_MAX = 60
"""Characters; some packages put the text of the license into the field for its name."""


def locked() -> list[str]:
    """The names of the packages in the lock file of the runtime."""
    return sorted(set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)))


def license_of(package: Distribution) -> str | None:
    """An SPDX expression; None if the package names no license, or none that is known here."""
    metadata = package.metadata
    name = str(metadata["Name"]).lower().replace("_", "-")
    if expression := _field(package, "License-Expression"):
        return str(expression)
    if name in READ_IN_THEIR_LICENSE:
        return READ_IN_THEIR_LICENSE[name]
    classifiers = [
        text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier") or [] if text.startswith("License")
    ]
    said = [text for text in (_field(package, "License"), *classifiers) if text and len(text) <= LICENSE_FIELD_MAX]
    for text in said:
        if text in ALLOWED:
            return str(text)
        if known := IN_WORDS.get(text.lower()):
            return known
    return None


def _field(package: Distribution, name: str) -> str | None:
    # Not `metadata[name]`: newer releases of Python warn there where the field is missing.
    values = package.metadata.get_all(name)
    return str(values[0]) if values else None


def problems(name: str, expression: str | None) -> list[str]:
    """Why a package may not be in the image; nothing if it may."""
    if name in EXCEPTIONS:
        expected = EXCEPTIONS[name][0]
        return [] if expression == expected else [f"{name} was {expected} and is {expression} now; read it again"]
    if expression is None:
        return [f"{name} names no license that is known; read the one that it ships, and name it in hack/licenses.py"]
    # One of those that are joined by OR is enough, all of those joined by AND are needed.
    choices = [re.split(r"\s+AND\s+", choice.strip(" ()")) for choice in re.split(r"\s+OR\s+", expression)]
    if any({term.strip(" ()") for term in choice} <= ALLOWED for choice in choices):
        return []
    return [f"{name} is under {expression}, which is not among the licenses that may be in the image"]


def files() -> dict[Path, str]:
    """The page that lists them.

    Raises:
        ValueError: a package of the lock file is not installed, or may not be in the image.
    """
    rows, wrong = [], []
    for name in locked():
        try:
            expression = license_of(distribution(name))
        except PackageNotFoundError:
            raise ValueError(f"{name} of {LOCK.name} is not installed; run `make setup`") from None
        wrong += problems(name, expression)
        rows.append(f"| {name} | {expression} | {EXCEPTIONS[name][1] if name in EXCEPTIONS else ''} |")
    if wrong:
        raise ValueError("; ".join(wrong))
    return {PAGE: PAGE_TEXT.format(rows="\n".join(rows))}


PAGE_TEXT = """\
# Licenses

<!-- Written by `make generate` from hack/licenses.py and what the packages say of themselves; do not edit. -->

This operator is licensed under the Apache License 2.0; the wheel, the collection and the image have its text in them.

The image also has the Python packages below, as they are on PyPI but for what is never imported
(`hack/image/slim.py`), each with the text of its license in its folder `*.dist-info`, or where the package has none, its
name; Python itself, under PSF-2.0; and the packages of its base image, Debian, with their licenses in
`/usr/share/doc/PACKAGE/copyright`. What versions they have is in the list of parts that `make sbom` writes.

| Package | License | Note |
|---|---|---|
{rows}
"""
