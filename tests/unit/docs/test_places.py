# SPDX-License-Identifier: Apache-2.0
"""The pages that say where something is name only files and folders that exist."""

from __future__ import annotations

import re

import pytest

from hack.docs.blocks import DOCS, ROOT

PLACE = re.compile(r"`((?:plugins|immich_operator|roles|hack|config|crds)/[\w./-]*)`")


@pytest.mark.parametrize("page", ["explanation/architecture.md", "explanation/words.md"])
def test_every_place_that_a_page_names_exists(page: str) -> None:
    named = PLACE.findall((DOCS / page).read_text(encoding="utf-8"))

    assert named
    assert [place for place in named if not (ROOT / place).exists()] == []
