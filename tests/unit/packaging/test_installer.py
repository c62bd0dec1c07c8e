# SPDX-License-Identifier: Apache-2.0
"""Image references, as people write them for `make deploy IMG=`."""

from __future__ import annotations

import pytest

from hack import installer

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "fields"),
    [
        pytest.param("immich-operator", {"newName": "immich-operator", "newTag": "latest"}, id="name"),
        pytest.param("op:dev", {"newName": "op", "newTag": "dev"}, id="tag"),
        pytest.param("host:5000/op", {"newName": "host:5000/op", "newTag": "latest"}, id="port"),
        pytest.param("host:5000/a/op:1.0", {"newName": "host:5000/a/op", "newTag": "1.0"}, id="port and tag"),
        pytest.param(f"h.io/op@{DIGEST}", {"newName": "h.io/op", "digest": DIGEST}, id="digest"),
        pytest.param(f"h.io/op:1@{DIGEST}", {"newName": "h.io/op", "digest": DIGEST}, id="digest wins over tag"),
    ],
)
def test_an_image_is_taken_apart_as_kustomize_wants_it(image: str, fields: dict[str, str]) -> None:
    assert installer.split_image(image) == fields


@pytest.mark.parametrize("image", ["", "a b", ":1", "op:", "op@sha256", "host/:1"])
def test_what_is_no_image_is_refused_with_an_example(image: str) -> None:
    with pytest.raises(installer.InstallerError, match=r"write it like registry\.example\.com/"):
        installer.split_image(image)
