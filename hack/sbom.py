# SPDX-License-Identifier: Apache-2.0
"""Write the list of parts of the runtime or of an image (SBOM), as CycloneDX 1.6 and SPDX 2.3.

    python -m hack.sbom --output dist                    the packages of the lock file, from this environment
    python -m hack.sbom --output dist --root FOLDER      those of an image that is unpacked there, Debian's too

It reads what package managers have written down, the metadata of Python packages and the status of dpkg, and runs nothing of
the image. The time in it is SOURCE_DATE_EPOCH, so that the same parts make the same files.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from hack.collection import EPOCH
from hack.licenses import license_of, locked
from immich_operator import __version__

__all__ = ["Part", "cyclonedx", "main", "parts_of_image", "parts_of_runtime", "spdx"]

NAMESPACE = uuid.UUID("6f0c2c5e-6b0b-5a5d-9d0b-0f6e5d0c7d11")
"""Of the identifiers of documents, which follow from what is in them (RFC 4122, version 5)."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A package. `purl`: its package URL, which says of what kind it is."""

    name: str
    version: str
    purl: str
    license: str | None = None


def _python(packages: Iterable[Distribution]) -> list[Part]:
    found = []
    for package in packages:
        name = re.sub(r"[-_.]+", "-", str(package.metadata["Name"])).lower()
        found.append(Part(name, package.version, f"pkg:pypi/{name}@{package.version}", license_of(package)))
    return found


def _debian(root: Path) -> list[Part]:
    """The installed packages. One file for each in status.d: those of which an image has a part, without dpkg's work."""
    files = [root / "var/lib/dpkg/status", *sorted((root / "var/lib/dpkg/status.d").glob("*"))]
    found = []
    for file in files:
        for paragraph in file.read_text(encoding="utf-8").split("\n\n") if file.is_file() else ():
            fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
            if fields.get("Status", "install ok installed").endswith(" installed") and "Package" in fields:
                name, version, arch = (fields[key] for key in ("Package", "Version", "Architecture"))
                found.append(Part(name, version, f"pkg:deb/debian/{name}@{version}?arch={arch}"))
    return found


def parts_of_runtime() -> list[Part]:
    """The packages of the lock file that this environment has, and the operator."""
    names = set(locked())
    operator = Part("immich-operator", __version__, f"pkg:pypi/immich-operator@{__version__}", "Apache-2.0")
    return sorted({operator, *(part for part in _python(distributions()) if part.name in names)})


def parts_of_image(root: Path) -> list[Part]:
    """Python, its packages and those of Debian in the image at `root`."""
    [site] = (root / "opt/immich-operator/lib").glob("python3*/site-packages")
    settings = (root / "opt/immich-operator/pyvenv.cfg").read_text(encoding="utf-8")
    [version] = re.findall(r"^version\s*=\s*(\S+)", settings, re.MULTILINE)
    python = Part("python", version, f"pkg:generic/python@{version}", "PSF-2.0")
    return sorted({python, *_python(distributions(path=[str(site)])), *_debian(root)})


def cyclonedx(name: str, parts: Sequence[Part]) -> dict[str, Any]:
    """See https://cyclonedx.org/docs/1.6/json/"""
    components = [
        {
            "type": "library",
            "bom-ref": part.purl,
            "name": part.name,
            "version": part.version,
            "purl": part.purl,
            **({"licenses": [{"expression": part.license}]} if part.license else {}),
        }
        for part in parts
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{_identity(name, parts)}",
        "version": 1,
        "metadata": {
            "timestamp": _time(),
            "component": {"type": "application", "bom-ref": name, "name": name, "version": __version__},
        },
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [part.purl for part in parts]}],
    }


def spdx(name: str, parts: Sequence[Part]) -> dict[str, Any]:
    """See https://spdx.github.io/spdx-spec/v2.3/"""
    packages = [
        {
            "SPDXID": f"SPDXRef-{number}",
            "name": part.name,
            "versionInfo": part.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": part.license or "NOASSERTION",
            "copyrightText": "NOASSERTION",
            "externalRefs": [
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": part.purl}
            ],
        }
        for number, part in enumerate(parts, start=1)
    ]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{name} {__version__}",
        "documentNamespace": f"urn:uuid:{_identity(name, parts)}",
        "creationInfo": {"created": _time(), "creators": ["Tool: immich-operator-hack.sbom"]},
        "packages": packages,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": package["SPDXID"],
            }
            for package in packages
        ],
    }


def _identity(name: str, parts: Sequence[Part]) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, "\n".join([name, *(part.purl for part in parts)]))


def _time() -> str:
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or EPOCH)
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the paths of the two files."""
    parser = argparse.ArgumentParser(prog="python -m hack.sbom", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where to write the two files")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="an unpacked image; without it, the runtime")
    args = parser.parse_args(argv)
    name, parts = ("sbom-image", parts_of_image(args.root)) if args.root else ("sbom", parts_of_runtime())
    args.output.mkdir(parents=True, exist_ok=True)
    for form, document in (("cdx", cyclonedx(name, parts)), ("spdx", spdx(name, parts))):
        file = args.output / f"{name}.{form}.json"
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
