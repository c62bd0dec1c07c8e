# SPDX-License-Identifier: Apache-2.0
"""Each folder in tests/golden is a custom resource and all objects it becomes. `make golden` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.crd import complete
from support.instances import NAMESPACE, UID, a_claim, a_secret, plan_for

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())
REFERRED = [
    a_secret("immich-postgres", password="database password", url="postgresql://immich:secret@db.example.com/photos"),
    a_secret("immich-redis", password="queue password"),
    a_secret("immich-oauth", clientSecret="oauth secret"),
    a_secret("immich-smtp", password="smtp password"),
    a_claim("nas-database", annotations={"media.rm3l.org/credentials": "photos-postgres-credentials"}),
]


@pytest.mark.parametrize("case", CASES)
def test_a_custom_resource_becomes_exactly_these_objects(case):
    folder = GOLDEN / case
    written = yaml.safe_load((folder / "cr.yaml").read_text(encoding="utf-8"))
    written["metadata"] |= {"namespace": NAMESPACE, "uid": UID, "generation": 1}
    cr, problems = complete(written)

    plan = plan_for(cr, REFERRED, route=case.startswith("route"), openshift=case.startswith("route"))

    assert problems == []
    objects = plan.as_dict()["steps"]
    text = yaml.safe_dump_all([step["object"] for step in objects], sort_keys=False, width=120)
    if os.environ.get("GOLDEN") == "write":
        (folder / "objects.yaml").write_text(text, encoding="utf-8")
    assert list(yaml.safe_load_all((folder / "objects.yaml").read_text(encoding="utf-8"))) == list(
        yaml.safe_load_all(text)
    )


def test_every_case_is_planned_alike_twice():
    for case in CASES:
        cr, _ = complete(yaml.safe_load((GOLDEN / case / "cr.yaml").read_text(encoding="utf-8")))

        assert plan_for(cr, REFERRED).as_dict() == plan_for(cr, REFERRED).as_dict(), case
