# SPDX-License-Identifier: Apache-2.0
"""Names from a custom resource never lead to another address than that of the object they name."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ApiError, ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects


class NoServer:
    """Fails the test when a request is sent."""

    def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        raise AssertionError(f"{method} {path}")


@pytest.mark.parametrize("name", [".", "..", "../configmaps/x", "a/b", "..%2fx"])
def test_an_object_whose_name_is_a_step_in_an_address_is_not_there(name):
    assert ApiObjects(NoServer()).find(ObjectRef("v1", "Secret", name, "family")) is None


def test_nothing_is_written_to_a_namespace_that_is_a_step_in_an_address():
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": ".."}}

    with pytest.raises(ApiError, match=r"nothing can be named '\.\.'"):
        ApiObjects(NoServer()).apply(manifest)
