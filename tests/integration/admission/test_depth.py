# SPDX-License-Identifier: Apache-2.0
"""No resource can be stored that the API server cannot read any more: it would take the kind away from everybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcluster.testing import Cluster
from support.hostile import Attacker, nested
from tests.unit.plugin_utils.spec.admission_case import LEVELS

STORABLE_ELSEWHERE = 9_993
"""Levels that were stored and could not be read any more while nothing bounded them."""
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@pytest.fixture
def attacker(cluster: Cluster) -> Iterator[Attacker]:
    with Attacker.of(cluster) as attacker:
        yield attacker


@pytest.fixture
def immiches_of(immiches: Cluster, volumes_namespace: str) -> str:
    return f"/apis/media.rm3l.org/v1alpha1/namespaces/{volumes_namespace}/immiches"


def an_immich(name: str, configuration: bytes, metadata: bytes = b"", status: bytes = b"{}") -> bytes:
    return (
        b'{"apiVersion":"media.rm3l.org/v1alpha1","kind":"Immich","metadata":{"name":"%b"%b},'
        b'"spec":{"immich":{"configuration":%b}},"status":%b}' % (name.encode(), metadata, configuration, status)
    )


@pytest.mark.parametrize("levels", [LEVELS + 1, 100, 1_100, 9_990, STORABLE_ELSEWHERE, 9_997, 50_000])
def test_what_is_too_deep_to_be_read_is_not_stored(levels: int, immiches_of: str, attacker: Attacker) -> None:
    deep = an_immich("deep", nested(levels))
    assert attacker.send("POST", immiches_of, an_immich("victim", nested(1)))[0] in {201, 409}

    answers = {
        "create": attacker.send("POST", immiches_of, deep)[0],
        "apply": attacker.send("PATCH", f"{immiches_of}/deep?fieldManager=x", deep, APPLY)[0],
    }
    if levels <= 1_100:  # of more the API server takes minutes to merge them, before it looks at the schema
        patch = b'{"spec":{"immich":{"configuration":%b}}}' % nested(levels)
        answers["merge"] = attacker.send("PATCH", f"{immiches_of}/victim", patch, MERGE)[0]

    assert all(400 <= status < 500 for status in answers.values()), answers
    assert [attacker.send("GET", path)[0] for path in (immiches_of, f"{immiches_of}/victim")] == [200, 200]


def test_what_nobody_describes_is_not_stored_at_any_depth(immiches_of: str, attacker: Attacker) -> None:
    """The API server drops it, together with its levels."""
    status, body = attacker.send("POST", immiches_of, an_immich("unknown", b'{}},"more":{"a":%b' % nested(5_000)))

    assert (status, b'"a":{"a"' in body) == (201, False)
    assert attacker.send("DELETE", f"{immiches_of}/unknown")[0] == 200


def test_levels_in_what_says_who_owns_a_field_harm_nobody(immiches_of: str, attacker: Attacker) -> None:
    """`managedFields` are no part of the schema, and whoever may write the resource may write them."""
    assert attacker.send("POST", immiches_of, an_immich("owned", nested(1)))[0] == 201
    stored = []
    for levels in (500, 9_990):
        fields = b'{"f:spec":%b{}%b}' % (b'{"f:a":' * levels, b"}" * levels)
        patch = (
            b'{"metadata":{"managedFields":[{"manager":"x","operation":"Update","apiVersion":"media.rm3l.org/v1alpha1",'
            b'"time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":%b}]}}' % fields
        )
        stored.append((levels, attacker.send("PATCH", f"{immiches_of}/owned", patch, MERGE)[0]))

        read = [attacker.send("GET", path)[0] for path in (f"{immiches_of}/owned", immiches_of)]

        assert read == [200, 200], f"with {levels} levels"
    assert stored[0] == (500, 200)
    assert attacker.send("DELETE", f"{immiches_of}/owned")[0] == 200, stored


def test_settings_of_any_name_and_type_are_kept_as_they_are(immiches: Cluster, volumes_namespace: str) -> None:
    settings = {
        "oauth": {"defaultStorageQuota": None, "enabled": True, "clientSecretRef": {"name": "s", "key": "k"}},
        "new": {"list": [1, 2.5, None, "x", True, {"a": [1]}], "empty": {}, "none": []},
        "machineLearning": {"url": "http://ml:3003"},
    }
    cr = {
        "apiVersion": "media.rm3l.org/v1alpha1",
        "kind": "Immich",
        "metadata": {"name": "kept", "namespace": volumes_namespace},
        "spec": {"immich": {"configuration": settings}},
    }

    assert immiches.api.create(cr)["spec"]["immich"]["configuration"] == settings
    more = {"spec": {"immich": {"configuration": {"oauth": {"buttonText": "x"}}}}}
    applied = immiches.api.apply({**cr, **more}, field_manager="second")

    kept = applied["spec"]["immich"]["configuration"]
    assert kept == {**settings, "oauth": {**settings["oauth"], "buttonText": "x"}}, "each field has its own owner"
