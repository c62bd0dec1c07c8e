# SPDX-License-Identifier: Apache-2.0
"""What a page shows as output, compared with what commands print."""

from __future__ import annotations

import pytest

from support.pages import expected, normalised


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        pytest.param("photos   true", "photos true\n", id="widths"),
        pytest.param("NAME AGE\nphotos 60s", "NAME     AGE\nphotos   2m31s\n", id="ages"),
        pytest.param("photos ... 1", "photos anything at all 1\n", id="any-text"),
        pytest.param("...\nb\n...\nd", "a1\na2\nb\nd\n", id="any-lines-or-none"),
        pytest.param("Degraded:", "Degraded: \n", id="blank-at-the-end"),
    ],
)
def test_output_is_as_shown(shown: str, printed: str) -> None:
    assert expected(shown).fullmatch(normalised(printed))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        pytest.param("photos true", "photos false\n", id="another-word"),
        pytest.param("photos", "photos\nmore\n", id="a-line-more"),
        pytest.param("a\nb", "a\n", id="a-line-less"),
        pytest.param("photos ... 1", "photos a\n1\n", id="text-within-a-line-stays-there"),
        pytest.param("size 100Gi", "size 10Gi\n", id="a-size-is-no-age"),
        pytest.param("a.b", "axb\n", id="a-dot-is-a-dot"),
    ],
)
def test_output_is_not_as_shown(shown: str, printed: str) -> None:
    assert not expected(shown).fullmatch(normalised(printed))
