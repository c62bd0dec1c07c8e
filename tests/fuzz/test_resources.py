# SPDX-License-Identifier: Apache-2.0
"""Custom resources made from the CRD's own schema, planned and reported without a cluster."""

from __future__ import annotations

import random
from typing import Any

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete
from support.generated import broken, resources
from support.instances import NAME
from tests.fuzz import properties


def test_a_resource_that_can_be_stored_gets_a_plan_and_a_pass_after_its_pass_changes_nothing(tries, number):
    def check(cr: dict[str, Any], count: Any) -> None:
        planned = properties.nothing_escapes(cr)
        full, problems = complete(cr)
        if problems or planned is None:
            return
        count("of these accepted")
        properties.order_does_not_matter(full, random.Random(number))  # noqa: S311 - repeatable, not secret
        properties.objects_are_well_formed(full, planned)
        if full["metadata"]["name"] == NAME:
            properties.a_pass_after_a_pass_changes_nothing(full)

    tries("resources from the schema", resources(), 3_500, check, in_processes=True)


def test_a_broken_resource_is_refused_with_a_message_and_ends_no_pass(tries):
    def check(cr: dict[str, Any], _count: Any) -> None:
        _full, problems = complete(cr)
        assert all(problem.path and problem.what for problem in problems)
        properties.nothing_escapes(cr)

    tries("broken resources", broken(), 1_500, check, in_processes=True)
