# SPDX-License-Identifier: Apache-2.0
"""The samples, given to an API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from localcluster.testing import Cluster
from tests.integration.admission.api import create

FILES = sorted((Path(__file__).parents[3] / "config" / "samples").glob("media_*.yaml"))


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in FILES])
def test_a_sample_is_accepted(immiches: Cluster, file: Path) -> None:
    (cr,) = crd.documents(file.read_text(encoding="utf-8"))

    stored = create(immiches, cr)

    offline, _ = crd.complete(cr)
    assert stored["spec"] == offline["spec"]
