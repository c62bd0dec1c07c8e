# SPDX-License-Identifier: Apache-2.0
"""What pytest's JUnit files say: how many tests, which were skipped and why, and which files took longest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["Results", "read"]


@dataclass
class Results:
    """The results of one or several runs of pytest."""

    counts: Counter[str] = field(default_factory=Counter)
    """{"passed" | "failed" | "skipped": number of tests}; an error in a fixture counts as failed."""
    seconds: dict[str, float] = field(default_factory=dict)
    """{test file: seconds of its tests, fixtures included}"""
    failed: list[str] = field(default_factory=list)
    """Names of the tests that failed, as file::test."""
    skipped: list[str] = field(default_factory=list)
    """file::test: reason."""

    def slowest(self, number: int) -> list[tuple[str, float]]:
        """[(test file, seconds)], the slowest first."""
        return sorted(self.seconds.items(), key=lambda entry: -entry[1])[:number]

    def closing_line(self) -> str:
        """The summary line, such as `12 passed, 0 failed, 1 skipped`."""
        line = f"{self.counts['passed']} passed, {self.counts['failed']} failed"
        return line + (f", {self.counts['skipped']} skipped" if self.counts["skipped"] else "")


def read(files: Iterable[Path]) -> Results:
    """The results in these JUnit files. A file that cannot be read, because pytest was killed, counts as a failure."""
    results = Results()
    for file in files:
        try:
            cases = ElementTree.parse(file).iter("testcase")  # noqa: S314
        except ElementTree.ParseError as error:
            results.counts["failed"] += 1
            results.failed.append(f"{file.name}: {error}")
            continue
        outcomes: dict[str, str] = {}  # a test that passed and whose fixture failed afterwards is listed twice
        for case in cases:
            module = case.get("classname", "").replace(".", "/") + ".py"
            name = f"{module}::{case.get('name')}"
            results.seconds[module] = results.seconds.get(module, 0.0) + float(case.get("time", 0))
            if case.find("failure") is not None or case.find("error") is not None:
                outcomes[name] = "failed"
            elif (skip := case.find("skipped")) is not None:
                outcomes[name] = "skipped"
                results.skipped.append(f"{name}: {skip.get('message')}")
            else:
                outcomes.setdefault(name, "passed")
        results.counts.update(outcomes.values())
        results.failed += [name for name, outcome in outcomes.items() if outcome == "failed"]
    return results
