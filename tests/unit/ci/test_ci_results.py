# SPDX-License-Identifier: Apache-2.0
"""What is made of pytest's JUnit files at the end of .ci/run."""

from __future__ import annotations

from pathlib import Path

from hack.ci.results import read

RUN = """\
<testsuites><testsuite name="pytest">
<testcase classname="tests.unit.test_a" name="test_passes" time="1.5"/>
<testcase classname="tests.unit.test_a" name="test_fails[x]" time="0.5"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_b" name="test_skips" time="0.0"><skipped message="needs root"/></testcase>
<testcase classname="tests.unit.test_b" name="test_ends_badly" time="2.0"/>
<testcase classname="tests.unit.test_b" name="test_ends_badly" time="0.1"><error message="in its fixture"/></testcase>
</testsuite></testsuites>
"""


def test_each_test_counts_once_and_an_error_of_its_fixture_is_its_failure(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(RUN, encoding="utf-8")

    results = read([tmp_path / "unit.xml"])

    assert results.closing_line() == "1 passed, 2 failed, 1 skipped"
    assert results.failed == ["tests/unit/test_a.py::test_fails[x]", "tests/unit/test_b.py::test_ends_badly"]
    assert results.skipped == ["tests/unit/test_b.py::test_skips: needs root"]
    assert results.slowest(5) == [("tests/unit/test_b.py", 2.1), ("tests/unit/test_a.py", 2.0)]


def test_runs_are_added_up(tmp_path: Path) -> None:
    files = [tmp_path / "unit.xml", tmp_path / "e2e.xml"]
    for file in files:
        file.write_text(RUN, encoding="utf-8")

    assert read(files).closing_line() == "2 passed, 4 failed, 2 skipped"


def test_a_run_that_was_killed_while_it_wrote_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(RUN[:100], encoding="utf-8")

    results = read([tmp_path / "unit.xml"])

    assert results.closing_line() == "0 passed, 1 failed"
    assert results.failed[0].startswith("unit.xml: ")
