# SPDX-License-Identifier: Apache-2.0
"""A dead API server is one line at growing intervals, however many watches it had."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from immich_operator.process.logs import FieldLogger, fields_of
from immich_operator.watching.outage import LONGEST_S, Outage

SERVER = "https://cluster.example.com:6443"


class Listener(logging.Handler):
    """The lines as (message, fields)."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.now = 0.0
        log = FieldLogger("test", logging.DEBUG)
        log.addHandler(self)
        self.outage = Outage(SERVER, log, clock=lambda: self.now)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), fields_of(record)))


@pytest.fixture
def heard() -> Listener:
    return Listener()


def test_all_watches_together_are_one_line_with_the_address(heard: Listener) -> None:
    for kind in ("Immich", "Deployment", "Secret"):
        heard.outage.failed(kind, "no answer")

    assert heard.lines == [
        ("no connection to the API server, retrying", {"server": SERVER, "error": "no answer", "for_s": 0})
    ]


def test_while_it_lasts_it_is_said_again_at_growing_intervals(heard: Listener) -> None:
    for second in range(3600):
        heard.now = float(second)
        heard.outage.failed("Immich", "no answer")

    said = [fields["for_s"] for _, fields in heard.lines]
    assert said[:6] == [0, 2, 6, 14, 30, 62]
    assert [later - earlier for earlier, later in itertools.pairwise(said)][-1] == LONGEST_S


def test_it_is_over_when_all_that_failed_have_an_answer(heard: Listener) -> None:
    heard.outage.failed("Immich", "no answer")
    heard.outage.failed("Secret", "no answer")
    heard.now = 90.0

    heard.outage.answered("Immich")
    assert heard.outage.is_on()
    heard.outage.answered("Secret")

    assert not heard.outage.is_on()
    assert heard.lines[-1] == ("the API server answers again", {"server": SERVER, "after_s": 90})


def test_who_never_failed_says_nothing(heard: Listener) -> None:
    heard.outage.answered("Immich")

    assert heard.lines == []


def test_the_next_outage_is_told_at_once(heard: Listener) -> None:
    heard.outage.failed("Immich", "no answer")
    heard.outage.answered("Immich")
    heard.outage.failed("Immich", "no answer")

    assert [message for message, _ in heard.lines].count("no connection to the API server, retrying") == 2
