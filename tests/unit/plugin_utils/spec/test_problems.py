# SPDX-License-Identifier: Apache-2.0
"""How problems read: path, what is wrong, what to do, and never a secret."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.problems import Problem
from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from tests.unit.plugin_utils.spec.admission_case import EXTERNAL_DATABASE, LEVELS, library, nested, server


def problems_of(spec: Any, **more: Any) -> list[str]:
    cr = {"apiVersion": crd.API_VERSION, "kind": crd.KIND, "metadata": {"name": "photos"}, "spec": spec} | more
    _, problems = crd.complete(cr)
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        pytest.param(Problem("spec.a", "is wrong", "Mend it"), "spec.a: is wrong. Mend it.", id="remedy"),
        pytest.param(Problem("spec.a", "is wrong"), "spec.a: is wrong.", id="no-remedy"),
        pytest.param(Problem("spec.a", "is wrong", "Is it b?"), "spec.a: is wrong. Is it b?", id="question"),
    ],
)
def test_a_problem_reads_as_sentences(problem: Problem, text: str) -> None:
    assert str(problem) == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param(
            server(replica=2),
            "spec.server.replica: there is no such field. Did you mean spec.server.replicas?",
            id="typo",
        ),
        pytest.param(
            library(storageclass="x"),
            "spec.immich.persistence.library.storageclass: there is no such field."
            " Did you mean spec.immich.persistence.library.storageClass?",
            id="wrong-case",
        ),
        pytest.param({"ollama": {}}, "spec.ollama: there is no such field. Remove it.", id="unknown"),
        pytest.param(
            server(replicas="3"),
            'spec.server.replicas: must be a whole number, not "3". Write a whole number, without quotes.',
            id="number-in-quotes",
        ),
        pytest.param(
            server(podAnnotations={"example.com/a.b": True}),
            'spec.server.podAnnotations["example.com/a.b"]: must be text, not a boolean. Put it in quotes.',
            id="annotation",
        ),
        pytest.param(
            server(imagePullPolicy="always"),
            'spec.server.imagePullPolicy: must be one of Always, IfNotPresent, Never, not "always".'
            " Did you mean Always?",
            id="choice",
        ),
        pytest.param(
            server(resources={"limits": {"cpu": 0.5}}),
            "spec.server.resources.limits.cpu: must be text or a whole number, not 0.5. Put it in quotes.",
            id="cpu-as-fraction",
        ),
        pytest.param(
            library(size="10 GB"),
            "spec.immich.persistence.library.size: a quantity is a number with a unit, such as 500m, 2 or 10Gi, without"
            " blanks, comma, minus sign and B. Correct it.",
            id="quantity",
        ),
        pytest.param(
            {"valkey": {"dbIndex": 16}},
            "spec.valkey.dbIndex: must be at most 15, not 16. Correct the number.",
            id="bound",
        ),
        pytest.param(
            server(replicas=2**31),
            "spec.server.replicas: must fit in int32, which 2147483648 does not. Correct the number.",
            id="format",
        ),
        pytest.param(server(env=[{"value": "x"}]), "spec.server.env[0].name: is required. Set it.", id="required"),
        pytest.param(
            server(env=[{"name": []}]),
            "spec.server.env[0].name: must be text, not a list. Write text.",
            id="name-of-a-variable",
        ),
        pytest.param(
            server(env=[{"name": "IMMICH_PORT", "value": 2283}]),
            "spec.server.env[0].value: must be text, not a number. Put it in quotes.",
            id="value-of-a-variable",
        ),
        pytest.param(
            {"postgres": EXTERNAL_DATABASE | {"host": "h" * 254}},
            "spec.postgres.host: has 254 characters, at most 253 are allowed. Shorten it.",
            id="length",
        ),
    ],
)
def test_each_kind_of_mistake_says_what_to_do(spec: Any, text: str) -> None:
    assert problems_of(spec) == [text]


def test_all_required_fields_that_are_missing_are_named() -> None:
    lines = problems_of({"postgres": {"passwordSecretRef": {}}})

    assert lines == [
        "spec.postgres.passwordSecretRef.name: is required. Set it.",
        "spec.postgres.passwordSecretRef.key: is required. Set it.",
    ]


def test_problems_come_in_the_order_of_the_document() -> None:
    spec = {"valkey": {"port": -1}, "server": {"replicas": -1, "env": [{"name": "A"}, {"name": ""}]}}

    paths = [line.split(":")[0] for line in problems_of(spec)]

    assert paths == ["spec.valkey.port", "spec.server.replicas", "spec.server.env[1].name"]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"postgres": {"passwordSecretRef": "hunter2"}}, id="password-instead-of-reference"),
        pytest.param({"postgres": {"passwordSecretRef": {"name": "db", "key": ["hunter2"]}}}, id="list"),
        pytest.param({"valkey": {"password": ["hunter2"]}}, id="password-as-list"),
        pytest.param({"valkey": {"password": {"value": "hunter2"}}}, id="password-as-mapping"),
        pytest.param({"valkey": {"passwort": "hunter2"}}, id="misspelt-password"),
        pytest.param({"postgres": {"urlSecretRef": "postgres://u:hunter2@db"}}, id="url"),
        pytest.param(server(env=[{"name": "DB_PASSWORD", "value": {"hunter2": 1}}]), id="environment-value"),
        pytest.param(server(route={"tls": {"key": ["hunter2"]}}), id="private-key"),
    ],
)
def test_a_value_that_may_be_a_secret_is_not_quoted(spec: Any) -> None:
    lines = problems_of(spec)

    assert lines
    assert "hunter2" not in "".join(lines)


def test_metadata_and_status_are_left_to_the_api_server() -> None:
    metadata = {"name": "photos", "uid": "1", "managedFields": [{"manager": "x"}]}

    assert problems_of({}, metadata=metadata, status={"version": 1}) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"kind": "Immish"}, "kind: must be Immich. Set kind: Immich.", id="kind"),
        pytest.param(
            {"apiVersion": "v1"},
            "apiVersion: must be media.rm3l.org/v1alpha1. Set apiVersion: media.rm3l.org/v1alpha1.",
            id="version",
        ),
        pytest.param({"metadata": {}}, "metadata.name: an Immich needs a name. Set it.", id="name"),
        pytest.param({"specs": {}}, "specs: there is no such field. Did you mean spec?", id="top-level-typo"),
    ],
)
def test_mistakes_outside_the_spec_are_found(change: dict[str, Any], text: str) -> None:
    assert problems_of({}, **change) == [text]


@pytest.mark.parametrize("levels", [150, 5_000, 50_000])
def test_what_is_too_deep_to_be_looked_at_is_a_problem_like_others(levels: int) -> None:
    assert problems_of({"immich": {"configuration": nested(levels)}}) == [
        "spec: is nested more than 100 levels deep. Make it flatter."
    ]


def test_what_is_deeper_than_the_schema_is_told_where() -> None:
    where = f"spec.immich.configuration{'.a' * LEVELS}"

    assert problems_of({"immich": {"configuration": nested(LEVELS + 1)}}) == [
        f"{where}: is nested too deep. Make it flatter."
    ]
