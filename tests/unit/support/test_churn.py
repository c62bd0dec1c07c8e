# SPDX-License-Identifier: Apache-2.0
"""What a run of changes prints."""

from __future__ import annotations

from support.churn import Times


def test_each_kind_of_change_shows_how_many_there_were_and_how_long_they_took() -> None:
    times = Times()
    times.seconds["deleted"] = [float(number) for number in range(1, 201)]
    times.seconds["created"] = [2.0]
    times.overtaken["created"] = 3

    assert times.table() == [
        "change   number  p50 s  p99 s  longest s  overtaken",
        "created       1    2.0    2.0        2.0          3",
        "deleted     200  100.5  199.0      200.0          0",
    ]
