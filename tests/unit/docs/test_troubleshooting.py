# SPDX-License-Identifier: Apache-2.0
"""From what people see to a reason, and from each reason to what to do: no way ends, and none is left out."""

from __future__ import annotations

import re

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import MORE_TO_READ
from ansible_collections.media.immich.plugins.plugin_utils.passes.troubles import TROUBLES
from hack.docs import conditions, reasons, troubleshooting
from hack.docs.blocks import DOCS, ROOT

CHAPTERS = reasons.chapters()
SYMPTOMS = troubleshooting.symptoms()
NO_TROUBLE = frozenset(CHAPTERS[reasons.FINE])
CONDITIONS = (DOCS / "reference" / "conditions.md").read_text(encoding="utf-8")


def section(reason: Reason) -> str:
    [found] = re.findall(rf"^### {reason}\n(.*?)(?=^##|\Z)", CONDITIONS, re.MULTILINE | re.DOTALL)
    return str(found)


def test_each_reason_has_a_section_whose_anchor_is_its_name_and_there_is_no_other() -> None:
    assert re.findall(r"^### (.*)$", CONDITIONS, re.MULTILINE) == list(Reason)
    assert len({reasons.anchor(reason) for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    means, remedy = section(reason).strip().split("\n\n")[:2]

    assert re.fullmatch(r"[A-Z`].*\.", means)
    assert re.fullmatch(r"\*\*What to do:\*\* [A-Z`\[].*\.", remedy)
    assert ".." not in (means + remedy).replace("(../", "(")


@pytest.mark.parametrize("reason", sorted(MORE_TO_READ))
def test_where_a_condition_sends_people_there_is_the_way_to_a_page_about_it(reason: Reason) -> None:
    assert re.search(r"\]\(\.\./how-to/[\w-]+\.md", section(reason))


@pytest.mark.parametrize("row", TROUBLES, ids=lambda row: row.sign)
def test_the_words_of_kubernetes_are_under_the_reason_that_the_operator_makes_of_them(row) -> None:
    assert f"`{row.sign}`" in section(row.reason)
    assert conditions.cell(row.advice[1:]) in section(row.reason)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in NO_TROUBLE])
def test_each_trouble_can_be_found_from_something_that_people_see(reason: Reason) -> None:
    assert any(reason in symptom.reasons for symptom in SYMPTOMS)


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.seen)
def test_what_people_see_leads_somewhere(symptom: troubleshooting.Symptom) -> None:
    assert symptom.reasons
    assert len(set(symptom.reasons)) == len(symptom.reasons)
    assert all(cell for row in symptom.rows for cell in row)


def test_the_headings_that_the_page_begins_with_are_those_of_its_sections() -> None:
    text = (DOCS / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [symptom.seen for symptom in SYMPTOMS]
    assert all(f"](#{troubleshooting.anchor(symptom)})" in text for symptom in SYMPTOMS)


@pytest.mark.parametrize(
    ("words", "source"),
    [
        pytest.param("the first play has not ended yet", "immich_operator/passes/conditions.py", id="announced"),
        pytest.param("name the file with the custom resource: -e cr=FILE", "playbooks/immich.yml", id="no-file"),
        pytest.param(
            "say which instance: set immich_name, immich_file or immich_cr",
            "plugins/plugin_utils/spec/custom_resources.py",
            id="no-instance",
        ),
        pytest.param("the Python package ", "plugins/plugin_utils/kube/packages.py", id="no-package"),
        pytest.param(
            "no usable connection to a Kubernetes API server",
            "plugins/plugin_utils/kube/client_pool.py",
            id="no-cluster",
        ),
        pytest.param(
            "Fail when it cannot work, or is not ready in time", "roles/immich/tasks/play.yml", id="name-of-a-task"
        ),
        pytest.param("look-at-library", "plugins/plugin_utils/spec/names.py", id="look-at-library"),
        pytest.param("look-at-volume", "plugins/plugin_utils/spec/names.py", id="look-at-volume"),
    ],
)
def test_words_of_ours_that_people_search_for_are_those_of_the_code(words: str, source: str) -> None:
    assert words in troubleshooting.SOURCE.read_text(encoding="utf-8").replace("\n    ", " ")
    assert words in (ROOT / source).read_text(encoding="utf-8")
