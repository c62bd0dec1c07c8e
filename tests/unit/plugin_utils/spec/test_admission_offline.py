# SPDX-License-Identifier: Apache-2.0
"""The offline checks give the answers of the API server, which runs the same table in tests/integration/admission."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from tests.unit.plugin_utils.spec.admission_case import Case, custom_resource
from tests.unit.plugin_utils.spec.admission_table import CASES


def rule_messages(schema: Any) -> Iterator[str]:
    """The messages of all CEL rules in a schema."""
    if isinstance(schema, dict):
        for rule in schema.get("x-kubernetes-validations", []):
            yield rule["message"]
        for child in schema.values():
            yield from rule_messages(child)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_offline_checks_name_the_same_fields_as_the_api_server(case: Case) -> None:
    _, problems = crd.complete(custom_resource(case))

    assert sorted(problem.path for problem in problems) == sorted(refusal.path for refusal in case.refusals)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES if case.refusals])
def test_rules_between_fields_have_the_words_of_the_crd(case: Case) -> None:
    messages = set(rule_messages(crd.open_api_schema()))

    _, problems = crd.complete(custom_resource(case))

    worded = {f"{problem.what}. {problem.remedy}" for problem in problems}
    assert {refusal.text for refusal in case.refusals if refusal.text in messages} == worded & messages


def test_every_rule_that_needs_no_previous_object_is_in_the_table() -> None:
    messages = {message for message in rule_messages(crd.open_api_schema()) if "existing" not in message}
    messages = {message for message in messages if "shrink" not in message and "so it stays where it is" not in message}

    assert messages == {refusal.text for case in CASES for refusal in case.refusals} & messages
