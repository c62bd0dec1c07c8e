# SPDX-License-Identifier: Apache-2.0
"""The samples in config/samples; tests/integration/admission gives them to an API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd

SAMPLES = Path(__file__).parents[4] / "config" / "samples"
FILES = sorted(SAMPLES.glob("media_*.yaml"))


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in FILES])
def test_a_sample_is_one_custom_resource_without_problems(file: Path) -> None:
    (cr,) = crd.documents(file.read_text(encoding="utf-8"))

    _, problems = crd.complete(cr)

    assert problems == []


def test_the_kustomization_lists_every_sample() -> None:
    kustomization = yaml.safe_load((SAMPLES / "kustomization.yaml").read_text(encoding="utf-8"))

    assert kustomization["resources"] == [file.name for file in FILES]
