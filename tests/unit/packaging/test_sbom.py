# SPDX-License-Identifier: Apache-2.0
"""The lists of parts name what is there, as tools for them read it, and are the same for the same parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import immich_operator
from hack import sbom
from hack.licenses import locked

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12+deb13u1
Description: GNU C Library
 Version: of no meaning here

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    site = tmp_path / "opt/immich-operator/lib/python3.13/site-packages/Some_Package-1.2.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.4\nName: Some_Package\nVersion: 1.2\nLicense-Expression: MIT\n")
    (tmp_path / "opt/immich-operator/pyvenv.cfg").write_text("home = /usr/local/bin\nversion = 3.13.15\n")
    (tmp_path / "var/lib/dpkg/status.d").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    (tmp_path / "var/lib/dpkg/status.d/tini").write_text("Package: tini\nArchitecture: amd64\nVersion: 0.19.0-3\n")
    return tmp_path


def written(folder: Path, *args: str) -> tuple[dict[str, Any], dict[str, Any]]:
    sbom.main(["--output", str(folder), *args])
    one, other = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.iterdir()))
    return one, other


def test_what_is_installed_in_an_image_is_listed_whoever_has_installed_it(image: Path) -> None:
    assert [part.purl for part in sbom.parts_of_image(image)] == [
        "pkg:deb/debian/libc6@2.41-12+deb13u1?arch=amd64",
        "pkg:generic/python@3.13.15",
        "pkg:pypi/some-package@1.2",
        "pkg:deb/debian/tini@0.19.0-3?arch=amd64",
    ]


def test_both_forms_name_the_same_parts_with_version_and_license(image: Path, tmp_path: Path) -> None:
    cyclonedx, spdx = written(tmp_path / "dist", "--root", str(image))

    assert (cyclonedx["bomFormat"], cyclonedx["specVersion"]) == ("CycloneDX", "1.6")
    assert spdx["spdxVersion"] == "SPDX-2.3"
    assert [c["purl"] for c in cyclonedx["components"]] == [
        p["externalRefs"][0]["referenceLocator"] for p in spdx["packages"]
    ]
    [ours] = [c for c in cyclonedx["components"] if c["name"] == "some-package"]
    assert (ours["version"], ours["licenses"]) == ("1.2", [{"expression": "MIT"}])
    assert {p["licenseDeclared"] for p in spdx["packages"]} == {"MIT", "NOASSERTION", "PSF-2.0"}
    assert len({p["SPDXID"] for p in spdx["packages"]}) == len(spdx["relationships"]) == 4


def test_the_same_parts_make_the_same_files_at_any_time(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")

    one, again = (written(tmp_path / name, "--root", str(image)) for name in ("one", "again"))

    assert one == again
    assert one[0]["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"


def test_the_list_of_the_runtime_is_that_of_the_lock_file_and_the_operator(tmp_path: Path) -> None:
    cyclonedx, _ = written(tmp_path)

    versions = {c["name"]: c["version"] for c in cyclonedx["components"]}
    assert versions.keys() == {*locked(), "immich-operator"}
    assert versions["immich-operator"] == immich_operator.__version__
