# SPDX-License-Identifier: Apache-2.0
"""Replacing zygotes: one that never gets ready must not be the last."""

from __future__ import annotations

import logging

import pytest

from immich_operator.engine import zygotes
from immich_operator.engine.zygotes import ZygoteDiedError, Zygotes


class FakeZygote:
    def __init__(self, *, slow: bool) -> None:
        self.slow, self.closed = slow, False

    def wait_until_ready(self) -> None:
        if self.slow:
            raise ZygoteDiedError("the zygote was not ready after 30 s")

    def refresh(self) -> None:
        assert not self.closed, "a closed zygote was used"

    def is_alive(self) -> bool:
        return not self.closed

    def is_stale(self) -> bool:
        return False

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
