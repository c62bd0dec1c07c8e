# SPDX-License-Identifier: Apache-2.0
"""Replacing zygotes: one that never gets ready must not be the last, and none comes after the end."""

from __future__ import annotations

import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from immich_operator.engine import zygotes
from immich_operator.engine.zygotes import ZygoteDiedError, Zygotes


class FakeZygote:
    def __init__(self, *, slow: bool) -> None:
        self.slow, self.closed = slow, False
        self.stale, self.alive = False, True

    def wait_until_ready(self, *_: object) -> None:
        if self.slow:
            raise ZygoteDiedError("the zygote was not ready after 30 s")

    def refresh(self) -> None:
        assert not self.closed, "a closed zygote was used"

    def is_alive(self) -> bool:
        return self.alive

    def is_stale(self) -> bool:
        return self.stale

    def drain(self) -> None:
        assert not self.closed, "a closed zygote was used"

    def close(self) -> None:
        self.closed = True

    def start(self, request: object, _parking: object) -> object:
        assert not self.closed, "a closed zygote was used"
        return request


def test_after_a_zygote_that_did_not_get_ready_in_time_the_next_one_is_used(monkeypatch, tmp_path):
    made = [FakeZygote(slow=True), FakeZygote(slow=True), FakeZygote(slow=False)]
    spawned = iter(made)
    monkeypatch.setattr(Zygotes, "_spawn", lambda _self: next(spawned))
    monkeypatch.setattr(zygotes, "RETRY_S", 0.0)
    pool = Zygotes({}, roles=(), cwd=tmp_path, log=logging.getLogger("test"))

    with pytest.raises(ZygoteDiedError):
        pool.start({"play": 1})

    assert pool.start({"play": 1}) == {"play": 1}
    assert [zygote.closed for zygote in made] == [True, True, False]


def test_a_replaced_zygote_is_closed_once_its_last_play_has_ended(monkeypatch, tmp_path):
    made = [FakeZygote(slow=False), FakeZygote(slow=False)]
    spawned = iter(made)
    monkeypatch.setattr(Zygotes, "_spawn", lambda _self: next(spawned))
    pool = Zygotes({}, roles=(), cwd=tmp_path, log=logging.getLogger("test"))
    old, new = made
    old.stale = True

    pool.start({"play": 1})
    assert (old.closed, new.closed) == (False, False)
    old.alive = False
    pool.start({"play": 2})

    assert (old.closed, new.closed) == (True, False)


def test_a_closed_pool_starts_no_zygote_for_a_late_play(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(Zygotes, "_spawn", lambda _self: made.append(FakeZygote(slow=False)) or made[-1])
    pool = Zygotes({}, roles=(), cwd=tmp_path, log=logging.getLogger("test"))
    pool.close()

    with pytest.raises(ZygoteDiedError, match="closed"):
        pool.start({"play": 1})

    assert [zygote.closed for zygote in made] == [True]


def test_closing_waits_neither_for_a_zygote_that_loads_nor_for_the_plays_that_wait_for_it(monkeypatch, tmp_path):
    # Far longer than the test waits, so that nothing but the closing can end it in time.
    monkeypatch.setattr(zygotes, "READY_S", 20.0)
    monkeypatch.setattr(zygotes, "GRACE_S", 20.0)
    never_ready = tmp_path / "python"
    never_ready.write_text("#!/bin/sh\nexec sleep 600\n")
    never_ready.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(never_ready))
    made, waits, wait, spawn = [], threading.Event(), zygotes._Zygote.wait_until_ready, Zygotes._spawn

    def spawn_and_count(pool: Zygotes) -> Any:
        made.append(spawn(pool))
        return made[-1]

    def wait_and_tell(zygote: Any, *args: Any) -> None:
        waits.set()
        wait(zygote, *args)

    monkeypatch.setattr(Zygotes, "_spawn", spawn_and_count)
    monkeypatch.setattr(zygotes._Zygote, "wait_until_ready", wait_and_tell)
    pool = Zygotes({"PATH": os.environ["PATH"]}, roles=(), cwd=tmp_path, log=logging.getLogger("test"))

    with ThreadPoolExecutor(3) as threads:
        plays = [threads.submit(pool.start, {"play": number}) for number in range(2)]
        assert waits.wait(10)
        threads.submit(pool.close).result(10)
        reasons = [str(play.exception(10)) for play in plays]

    assert reasons == ["the engine is closed"] * 2
    assert len(made) == 1
    assert not made[0].is_alive()
