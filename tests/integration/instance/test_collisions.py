# SPDX-License-Identifier: Apache-2.0
"""Edits by other hands that, together with what the operator says, make an object that the API server refuses."""

from __future__ import annotations

import copy

import pytest

from support.operating import environment


def in_container(**fields):
    return lambda spec: spec["containers"][0].update(fields)


def with_plain_password(spec):
    entry = next(entry for entry in spec["containers"][0]["env"] if entry["name"] == "DB_PASSWORD")
    entry.pop("valueFrom")
    entry["value"] = "typed-by-hand"


def on_an_empty_volume(spec):
    next(volume for volume in spec["volumes"] if volume["name"] == "library").update(
        {"persistentVolumeClaim": None, "emptyDir": {}}
    )


def with_another_port(spec):
    spec["containers"][0]["ports"][0]["containerPort"] = 8080


EDITS = [
    pytest.param(on_an_empty_volume, id="source-of-a-volume"),
    pytest.param(in_container(readinessProbe={"exec": {"command": ["true"]}}), id="kind-of-probe"),
    pytest.param(with_plain_password, id="source-of-a-variable"),
    pytest.param(with_another_port, id="number-of-a-port"),
]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_collides_with_what_the_operator_says_is_undone(instances, edit):
    instances.create({"server": {"env": [{"name": "ONCE", "value": "x"}]}})
    instances.wait_ready()
    before = instances.get("Deployment", "photos-server")
    edited = copy.deepcopy(before)
    edit(edited["spec"]["template"]["spec"])

    instances.api.replace(edited)

    def undone():
        now = instances.get("Deployment", "photos-server")
        is_new = now["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
        return is_new and now["spec"] == before["spec"]

    instances.wait("the edit undone", undone)
    instances.wait_ready()

    instances.change({"server": {"env": None}})

    instances.wait("what is no longer wanted gone", lambda: "ONCE" not in variables(instances))
    instances.wait_ready()


def variables(instances):
    return environment(instances.get("Deployment", "photos-server"))
