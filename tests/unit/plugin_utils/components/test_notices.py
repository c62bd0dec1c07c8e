# SPDX-License-Identifier: Apache-2.0
"""What planning tells the report goes through JSON between two tasks, and is of the same types behind it."""

import json

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components import registry
from ansible_collections.media.immich.plugins.plugin_utils.components.instance import Part
from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Effect, Notice, Reason
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import Component
from support.instances import a_cr, plan_for

TOLD = {
    "component": "machine-learning",
    "effect": "blocks",
    "reason": "SpecInvalid",
    "message": "spec.x is wrong; correct it",
    "retry": True,
}


def test_a_notice_is_read_back_with_the_words_of_its_lists():
    notice = Notice.from_dict(TOLD, registry.names())

    assert type(notice.component) is Component
    assert type(notice.effect) is Effect
    assert type(notice.reason) is Reason
    assert notice.as_dict() == TOLD


def test_a_notice_goes_through_json_and_stays_what_it_is():
    plan = plan_for(a_cr({"server": {"envFrom": [{"secretRef": {"name": "gone"}}]}, "postgres": {"host": "x"}}))
    travelled = json.loads(plan.as_text())["plan"]["notices"]

    assert {type(value) for notice in plan.notices for value in notice[:3]} == {Component, Effect, Reason}
    assert plan.notices
    assert [Notice.from_dict(notice, registry.names()) for notice in travelled] == plan.notices
    assert {type(value) for notice in plan.as_dict()["notices"] for value in notice.values()} == {str, bool}


@pytest.mark.parametrize("key", ["component", "effect", "reason"])
def test_a_word_that_nobody_knows_is_an_error(key):
    with pytest.raises(ValueError, match="'else'"):
        Notice.from_dict({**TOLD, key: "else"}, registry.names())


def test_a_part_that_is_no_component_tells_on_behalf_of_one():
    part = Part("pairing")

    part.blocks(Reason.DATABASE_LOST, "gone", component=Component.POSTGRES)

    assert part.notices == [Notice(Component.POSTGRES, Effect.BLOCKS, Reason.DATABASE_LOST, "gone")]
    with pytest.raises(TypeError, match="'pairing'"):
        part.warns(Reason.DATABASE_LOST, "gone")
