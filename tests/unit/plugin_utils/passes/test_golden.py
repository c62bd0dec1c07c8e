# SPDX-License-Identifier: Apache-2.0
"""Each folder in tests/golden is a custom resource and all objects it becomes. `make golden` writes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete, documents
from support.instances import NAMESPACE, UID, a_claim, a_secret, plan_for

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())
REFERRED = [
    a_secret("immich-postgres", password="database password", url="postgresql://immich:secret@db.example.com/photos"),
    a_secret("immich-redis", password="queue password"),
    a_secret("immich-oauth", clientSecret="oauth secret"),
    a_secret("immich-smtp", password="smtp password"),
    a_claim("nas-database", annotations={"media.rm3l.org/credentials": "photos-postgres-credentials"}),
]

NGINX = {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}
LOOKED_UP = [{"kind": "IngressClass", "namespace": "", "name": "nginx", "object": NGINX, "forbidden": False}]


@pytest.mark.parametrize("case", CASES)
def test_a_custom_resource_becomes_exactly_these_objects(case):
    folder = GOLDEN / case
    [written] = documents((folder / "cr.yaml").read_text(encoding="utf-8"))
    written["metadata"] |= {"namespace": NAMESPACE, "uid": UID, "generation": 1}
    cr, problems = complete(written)

    is_openshift = case.startswith("route")
    plan = plan_for(cr, REFERRED, route=is_openshift, openshift=is_openshift, http_route=True, looked_up=LOOKED_UP)

    assert problems == []
    objects = [step["object"] for step in plan.as_dict()["steps"]]
    if os.environ.get("GOLDEN") == "write":
        text = yaml.safe_dump_all(objects, sort_keys=False, width=120)
        (folder / "objects.yaml").write_text(text, encoding="utf-8")
    assert documents((folder / "objects.yaml").read_text(encoding="utf-8")) == json.loads(json.dumps(objects))


def test_every_case_is_planned_alike_twice():
    for case in CASES:
        [written] = documents((GOLDEN / case / "cr.yaml").read_text(encoding="utf-8"))
        cr, _ = complete(written)

        assert plan_for(cr, REFERRED).as_dict() == plan_for(cr, REFERRED).as_dict(), case
