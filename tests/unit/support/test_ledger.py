# SPDX-License-Identifier: Apache-2.0
"""The table of a run of faults."""

from support.ledger import Ledger


def test_a_fault_is_one_line_with_what_was_tried_lost_and_how_long_it_took() -> None:
    ledger = Ledger()
    ledger.count("kill the loop", seconds=[1.0])
    ledger.count("kill the loop", tried=2, lost=1, seconds=[3.0, 8.0])
    ledger.count("full disk", tried=4)
    assert ledger.table() == [
        "fault          tried  lost  median s  longest s",
        "kill the loop      3     1       3.0        8.0",
        "full disk          4     0",
    ]


def test_without_a_fault_there_is_no_table() -> None:
    assert Ledger().table() == []
