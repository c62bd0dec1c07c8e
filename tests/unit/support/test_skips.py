# SPDX-License-Identifier: Apache-2.0
"""In CI a test that finds something missing fails; elsewhere it is skipped, and says why."""

from __future__ import annotations

import pytest

from support import skips

MISSING = ("test_image.py", 12, "Skipped: Go is not installed")


def reported(longrepr: object, **fields: object) -> pytest.TestReport:
    """What becomes of the report of a skipped test."""
    skipped = pytest.TestReport("test_image.py::test_x", ("", 0, ""), {}, "skipped", longrepr, "call", **fields)
    wrapper = skips.pytest_runtest_makereport()
    next(wrapper)
    with pytest.raises(StopIteration) as returned:
        wrapper.send(skipped)
    report: pytest.TestReport = returned.value.value
    return report


def test_what_is_missing_fails_a_test_where_nothing_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(skips.VARIABLE, "1")

    report = reported(MISSING)

    assert report.failed
    assert report.longreprtext == f"Go is not installed; here {skips.VARIABLE}=1 is set, so nothing may be skipped"


def test_elsewhere_it_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(skips.VARIABLE, raising=False)

    report = reported(MISSING)

    assert (report.outcome, report.longrepr) == ("skipped", MISSING)


def test_a_failure_that_is_expected_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(skips.VARIABLE, "1")

    assert reported("a known fault", wasxfail="reason: a known fault").outcome == "skipped"


def test_the_tests_of_this_project_heed_it(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin("support.skips")
