# SPDX-License-Identifier: Apache-2.0
"""Nothing gets into the image under a license that has not been read."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import distribution

import pytest

from hack import licenses


class Package:
    """What is read of a package."""

    def __init__(self, **metadata: str | list[str]) -> None:
        self.metadata = Message()
        for name, values in metadata.items():
            for value in [values] if isinstance(values, str) else values:
                self.metadata[name.replace("_", "-")] = value


@pytest.mark.parametrize("name", licenses.locked())
def test_each_package_of_the_lock_file_may_be_in_the_image(name: str) -> None:
    assert licenses.problems(name, licenses.license_of(distribution(name))) == []


@pytest.mark.parametrize(
    ("metadata", "expression"),
    [
        pytest.param({"License_Expression": "MIT AND PSF-2.0", "License": "x"}, "MIT AND PSF-2.0", id="expression"),
        pytest.param({"License": "Apache 2.0"}, "Apache-2.0", id="words"),
        pytest.param(
            {"License": "UNKNOWN", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT", id="classifier"
        ),
        pytest.param({"License": "MIT " * 100}, None, id="text"),
        pytest.param({"Classifier": "License :: OSI Approved :: BSD License"}, None, id="family"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_a_license_is_told_only_if_it_is_certain(metadata: dict[str, str], expression: str | None) -> None:
    assert licenses.license_of(Package(Name="some", **metadata)) == expression  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "expression", [None, "GPL-2.0-only", "MIT AND AGPL-3.0-only", "SSPL-1.0 OR GPL-2.0-only", "Apache 2"]
)
def test_a_package_under_another_license_is_refused_by_name(expression: str | None) -> None:
    [problem] = licenses.problems("new", expression)

    assert problem.startswith("new ")


@pytest.mark.parametrize("expression", ["MIT", "GPL-2.0-only OR MIT", "Apache-2.0 AND BSD-2-Clause"])
def test_one_of_several_licenses_is_enough_and_all_of_those_that_hold_together(expression: str) -> None:
    assert licenses.problems("new", expression) == []


def test_an_exception_holds_for_the_license_that_was_read_only() -> None:
    assert licenses.problems("ansible-core", "GPL-3.0-or-later") == []
    assert licenses.problems("ansible-core", "GPL-4.0-only") != []


def test_no_exception_outlives_its_package() -> None:
    assert licenses.EXCEPTIONS.keys() | licenses.READ_IN_THEIR_LICENSE.keys() <= set(licenses.locked())
