# SPDX-License-Identifier: Apache-2.0
"""Where everything that tests need has to be there, a skipped test is a failed one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

VARIABLE = "IMMICH_TESTS_SKIP_NOTHING"
"""Set to 1 in CI."""


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skip into a failure that says what is missing; an expected failure is none."""
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(VARIABLE) == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"{reason.removeprefix('Skipped: ')}; here {VARIABLE}=1 is set, so nothing may be skipped"
    return report
