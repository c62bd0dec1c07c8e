# SPDX-License-Identifier: Apache-2.0
"""Each case of tests/cases gets the verdict that stands beside it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete
from support.instances import UID, an_instance_at_work, found, plan_for, report_for, with_status
from support.verdicts import CASES, ROOT, SUFFIX, Case, cases, differences, untold


def _parameter(case: Case) -> object:
    marks = [pytest.mark.xfail(strict=True, reason=case.verdict["not_yet"])] if "not_yet" in case.verdict else []
    return pytest.param(case, id=case.name, marks=marks)


NOW = datetime(2020, 1, 1, 1, tzinfo=UTC).timestamp()
"""An hour after the pods of the verdicts were made."""

PLANNED = [_parameter(case) for case in cases() if "shown_by" not in case.verdict]
SHOWN = [_parameter(case) for case in cases() if "shown_by" in case.verdict]


def test_every_case_has_a_verdict():
    inputs = {path.name.removesuffix(".yaml") for path in CASES.iterdir() if not path.name.endswith(SUFFIX)}

    assert inputs == {case.name for case in cases()}


@pytest.mark.parametrize("case", PLANNED)
def test_a_case_gets_its_verdict(case):
    written = case.immich
    written["metadata"] |= {"uid": UID, "generation": 1}
    cr, problems = complete(written)
    verdict, refused = case.verdict, "\n".join(map(str, problems))

    if "refused" in verdict:
        assert [text for text in verdict["refused"] if text not in refused] == [], refused
        return
    assert refused == ""
    plan = plan_for(cr, case.others)
    told = report_for(cr, _found_by_the_pass(cr, case), pods=verdict.get("pods", ()), now=NOW)["status"]

    wrong = list(untold(verdict.get("conditions", {}), told["conditions"]))
    wrong += differences(verdict.get("status", {}), told, "status")
    for key, wanted in verdict.get("objects", {}).items():
        wrong += differences(wanted, found(plan, *key.split("/")), key)
    assert wrong == []


def _found_by_the_pass(cr, case):
    """An instance at work, whose server is not ready where the verdict says what its pods are like."""
    at_work = an_instance_at_work(cr, case.others)
    if "pods" not in case.verdict:
        return at_work
    return with_status(at_work, "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)


@pytest.mark.parametrize("case", SHOWN)
def test_a_case_that_takes_more_than_a_plan_has_a_test_of_its_own(case):
    path, _unused, name = case.verdict["shown_by"].partition("::")

    assert (ROOT / path).exists()
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
