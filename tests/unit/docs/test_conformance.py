# SPDX-License-Identifier: Apache-2.0
"""docs/reference/conformance.md, docs/explanation/security-model.md and reliability.md name only tests and fields that exist,
and every row names something."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings_schema import OPERATOR_SETTINGS
from hack.docs import fields
from hack.docs.blocks import DOCS, ROOT

PAGE = DOCS / "reference" / "conformance.md"
SECURITY = DOCS / "explanation" / "security-model.md"
RELIABILITY = DOCS / "explanation" / "reliability.md"
TESTS = ROOT / "tests"

_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_FIELD = re.compile(r"`((?:immich|server|machineLearning|valkey|postgres|status|imagePullSecrets)(?:\.\w+)*)`")

NOT_IN_THE_SPEC = frozenset({"machineLearning.urls"})
"""Looks like a field and is a setting of Immich."""

_FIELDS_OF_THE_DOCUMENT = """
imagePullSecrets
postgres.enabled postgres.image postgres.imagePullPolicy postgres.resources postgres.persistence.size
postgres.persistence.storageClass postgres.persistence.existingClaim postgres.passwordSecretRef.name
postgres.passwordSecretRef.key postgres.host postgres.port postgres.database postgres.username
postgres.urlSecretRef.name
immich.metrics.enabled immich.persistence.library.existingClaim immich.persistence.library.size
immich.persistence.library.storageClass immich.persistence.library.accessModes immich.configuration
immich.configurationKind
server.enabled server.image server.imagePullPolicy server.replicas server.resources server.ingress.enabled
server.ingress.ingressClassName server.ingress.hosts server.ingress.tls
machineLearning.enabled machineLearning.image machineLearning.imagePullPolicy machineLearning.replicas
machineLearning.resources machineLearning.persistence.enabled machineLearning.persistence.size machineLearning.url
valkey.enabled valkey.image valkey.imagePullPolicy valkey.resources valkey.persistence.enabled
valkey.persistence.size valkey.host valkey.port valkey.password valkey.passwordSecretRef valkey.dbIndex
status.ready status.serverReady status.machineLearningReady status.valkeyReady status.postgresReady status.conditions
"""
"""Each field in a table or example of the README that is implemented."""


def attacks() -> list[tuple[str, str]]:
    """(attack, what shows what happens) of every row of the tables of attacks."""
    return _promises(SECURITY, "Attack")


def faults() -> list[tuple[str, str]]:
    """(fault, what shows what happens) of every row of the tables of faults."""
    return _promises(RELIABILITY, "Fault")


def _promises(page: Path, what: str) -> list[tuple[str, str]]:
    tables = page.read_text(encoding="utf-8").split(f"| {what} | What happens | Shown by |\n|---|---|---|\n")[1:]
    lines = [line for table in tables for line in table.partition("\n\n")[0].splitlines()]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines]
    return [(said.strip(), shown) for said, _happens, shown in cells]


def rows() -> list[tuple[str, str]]:
    """(what is said, what shows it) of every table row."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not line.startswith("|---") and cells[1] not in {"Shown by", "Holds here"}:
            found.append((cells[0], cells[1]))
    return found


def named_tests() -> list[tuple[str, str]]:
    return sorted({match for _, shown in (*rows(), *attacks(), *faults()) for match in _TEST.findall(shown)})


@pytest.mark.parametrize(
    ("path", "name"), [pytest.param(path, name, id=f"{path}::{name}") for path, name in named_tests()]
)
def test_a_named_test_exists(path: str, name: str) -> None:
    assert name in _tests_of(TESTS / path)


def test_every_statement_names_a_test_or_says_what_holds() -> None:
    silent = [said for said, shown in rows() if not _TEST.search(shown) and len(shown.split()) < 4]

    assert silent == []


@pytest.mark.parametrize(("attack", "shown"), attacks())
def test_every_attack_names_a_test(attack: str, shown: str) -> None:
    assert _TEST.search(shown), attack


@pytest.mark.parametrize(("fault", "shown"), faults())
def test_every_fault_names_a_test(fault: str, shown: str) -> None:
    assert _TEST.search(shown), fault


@pytest.mark.parametrize("field", sorted({name for said, _ in rows() for name in _FIELD.findall(said)}))
def test_a_listed_field_is_in_the_crd(field: str) -> None:
    if field in NOT_IN_THE_SPEC:
        return
    path, _, setting = (field if field.startswith("status") else f"spec.{field}").partition(".configuration.")

    assert not setting or any(known.startswith(f"{setting}.") for known in OPERATOR_SETTINGS)
    assert fields.at(crd.open_api_schema(), path)


@pytest.mark.parametrize("field", _FIELDS_OF_THE_DOCUMENT.split())
def test_a_field_of_the_document_is_listed_with_a_test(field: str) -> None:
    shown = [shown for said, shown in rows() if field in _FIELD.findall(said)]

    assert any(_TEST.search(text) for text in shown)


def test_a_page_that_is_named_with_its_test_has_one() -> None:
    pages = {page for _, shown in rows() for page in re.findall(r"\(((?:how-to|tutorials)/[\w-]+\.md)\)", shown)}

    assert pages
    assert [page for page in pages if not (DOCS / page).exists()] == []


@functools.cache
def _tests_of(path: Path) -> set[str]:
    return set(_function_names(ast.parse(path.read_text(encoding="utf-8"))))


def _function_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
