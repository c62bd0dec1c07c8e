# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' way of writing times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.timestamps import seconds_of, text_of


@given(st.integers(min_value=0, max_value=4 * 10**9))
def test_times_survive_being_written_and_read(seconds):
    assert seconds_of(text_of(seconds)) == seconds


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "2026-01-01T00:00:00"])
def test_what_is_no_time_is_none(text):
    assert seconds_of(text) is None
