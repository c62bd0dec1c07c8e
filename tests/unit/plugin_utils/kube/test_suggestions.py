# SPDX-License-Identifier: Apache-2.0
"""What somebody may have meant by a word that is unknown."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.suggestions import LONGEST, closest

KNOWN = ["replicas", "imagePullPolicy", "persistence"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("replica", "replicas", id="a-letter-too-few"),
        pytest.param("REPLICAS", "replicas", id="another-case"),
        pytest.param("imagepullpolcy", "imagePullPolicy", id="both"),
        pytest.param("colour", None, id="nothing-alike"),
        pytest.param("", None, id="empty"),
        pytest.param("replicas" + "s" * LONGEST, None, id="too-long"),
    ],
)
def test_the_most_similar_word_is_meant_if_it_is_similar_enough(word: str, meant: str | None) -> None:
    assert closest(word, KNOWN) == meant


def test_a_word_as_long_as_a_book_is_answered_at_once() -> None:
    assert closest("a" * 10_000_000, ["a" * 1000]) is None


def test_where_there_is_nothing_nothing_is_meant() -> None:
    assert closest("replicas", []) is None
