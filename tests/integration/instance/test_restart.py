# SPDX-License-Identifier: Apache-2.0
"""A new operator knows what the one before has settled."""

from __future__ import annotations

import base64
import re

import pytest

from support.operating import WRITES, Instances


def test_a_new_operator_runs_no_play_for_an_instance_that_needs_nothing(apart: Instances, operated) -> None:
    _settle(apart, operated)
    mark = apart.cluster.audit.mark()

    _start(apart, operated)
    apart.wait("the instance is looked at", lambda: apart.operator.skipped("photos", apart.namespace))

    assert apart.operator.passes("photos", apart.namespace) == []
    assert apart.cluster.audit.since(mark, user_agent_contains="immich-operator", verbs=WRITES) == []


def test_a_new_operator_looks_after_what_changed_while_there_was_none(apart: Instances, operated) -> None:
    _settle(apart, operated)
    apart.api.delete("Deployment", "photos-valkey", apart.namespace, wait=True)

    _start(apart, operated)
    apart.wait("the queues are back", lambda: apart.get("Deployment", "photos-valkey"))

    apart.wait_ready()


def test_an_operator_with_other_default_images_looks_at_every_instance(apart: Instances, operated) -> None:
    _settle(apart, operated)

    _start(apart, operated, RELATED_IMAGE_valkey="registry.example.com/valkey:9")
    apart.wait("the new image", lambda: "registry.example.com" in str(apart.get("Deployment", "photos-valkey")))


def _start(apart: Instances, operated, **environment: str) -> None:
    operated(f"--leader-election-namespace={apart.namespace}", "--log-level=debug", **environment)


def _settle(apart: Instances, operated) -> None:
    """An instance that needs nothing any more, and no operator."""
    _start(apart, operated)
    apart.create()
    apart.wait_ready()
    apart.wait_settled()
    assert apart.operator.stop() == 0


FORGED = [
    pytest.param(
        lambda data: {"settled": re.sub(r'\["\w{24}"', f'["{"1" * 24}"', data["settled"])}, id="another-digest"
    ),
    pytest.param(
        lambda _: {"settled": '{"immich-v1alpha1-controller": {"a/b": ["1", 1e999]}}'},
        id="no-number",
        marks=pytest.mark.weekly,
    ),
    pytest.param(lambda _: {"settled": "[" * 900_000}, id="huge-and-nested"),
    pytest.param(lambda _: {"seal": None}, id="older-version", marks=pytest.mark.weekly),
]


@pytest.mark.parametrize("forge", FORGED)
def test_a_new_operator_believes_nobody_else_about_what_is_settled(apart: Instances, operated, forge) -> None:
    _settle(apart, operated)
    written = apart.get("ConfigMap", "immich-operator-settled")["data"]
    apart.api.merge_patch("ConfigMap", "immich-operator-settled", apart.namespace, {"data": forge(written)})

    _start(apart, operated)
    apart.operator.wait_line("what was settled was not written by this operator; every resource gets a pass")
    apart.wait("the instance gets a pass", lambda: apart.operator.passes("photos", apart.namespace))
    apart.wait_settled()
    assert apart.operator.stop() == 0

    _start(apart, operated)
    apart.wait("the next one believes it again", lambda: apart.operator.skipped("photos", apart.namespace))
    assert apart.operator.passes("photos", apart.namespace) == []


def test_who_may_not_read_the_key_cannot_seal(apart: Instances, operated) -> None:
    _settle(apart, operated)

    key = apart.get("Secret", "immich-operator-settled")

    assert len(base64.b64decode(key["data"]["key"])) == 32
    assert key["data"]["key"] not in str(apart.get("ConfigMap", "immich-operator-settled"))
