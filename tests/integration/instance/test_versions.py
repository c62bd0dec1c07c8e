# SPDX-License-Identifier: Apache-2.0
"""Which Immich runs, as people see it, and what happens when they ask for one that it can't become."""

from __future__ import annotations

import re

from support.operating import pod_spec

SERVER = "ghcr.io/immich-app/immich-server"
LEARNING = "ghcr.io/immich-app/immich-machine-learning"


def both(tag):
    return {"server": {"image": f"{SERVER}:{tag}"}, "machineLearning": {"image": f"{LEARNING}:{tag}"}}


def columns(instances):
    """The row of `kubectl get immich -o wide` by its headers."""
    text = instances.cluster.kubectl("get", "immich", "photos", "-o", "wide", "-n", instances.namespace)
    header, row = text.splitlines()
    heads = list(re.finditer(r"\S+", header))
    ends = [*(head.start() for head in heads[1:]), None]
    return {head[0]: row[head.start() : end].strip() for head, end in zip(heads, ends, strict=True)}


def image_of(instances, component):
    return pod_spec(instances.get("Deployment", f"photos-{component}"))["containers"][0]["image"]


def test_the_columns_show_what_runs_while_another_version_is_on_its_way(instances):
    instances.create(
        {
            "server": {"image": f"{SERVER}:v3.2.2", "replicas": 2},
            "machineLearning": {"enabled": False},
            "immich": {"persistence": {"library": {"accessModes": ["ReadWriteMany"]}}},
        }
    )
    instances.wait_ready()
    instances.wait("its version", lambda: columns(instances)["VERSION"] == "3.2.2")

    instances.change({"server": {"image": "broken:never-ready"}})
    instances.wait_condition("ServerReady", "WaitingForRollout")

    shown = columns(instances)
    assert (shown["READY"], shown["VERSION"], shown["IMAGE"]) == ("false", "3.2.2", f"{SERVER}:v3.2.2")
    assert shown["REASON"] == "ComponentsNotReady"

    instances.change({"server": {"image": f"{SERVER}:v3.3.1"}})
    instances.wait_ready()

    instances.wait("the new version", lambda: columns(instances)["VERSION"] == "3.3.1")
    assert columns(instances)["IMAGE"] == f"{SERVER}:v3.3.1"


def test_an_older_version_is_held_back_until_it_is_confirmed(instances):
    instances.create(both("v3.3.1"))
    instances.wait_ready()
    instances.wait("its version", lambda: columns(instances)["VERSION"] == "3.3.1")
    pods = {pod["metadata"]["uid"] for pod in (*instances.pods("server"), *instances.pods("machine-learning"))}

    instances.change(both("v3.1.0"))
    told = instances.wait_condition("ServerReady", "VersionGoesBack")

    assert instances.condition("Degraded")["reason"] == "VersionGoesBack"
    assert (image_of(instances, "server"), image_of(instances, "machine-learning")) == (
        f"{SERVER}:v3.3.1",
        f"{LEARNING}:v3.3.1",
    )
    assert {p["metadata"]["uid"] for p in (*instances.pods("server"), *instances.pods("machine-learning"))} == pods
    assert {reason for kind, reason, _ in instances.events() if kind == "Warning"} == {"VersionGoesBack"}

    command = told["message"].partition("`kubectl ")[2].partition("`")[0]
    instances.cluster.kubectl(*command.split())
    instances.wait_ready()

    assert image_of(instances, "server") == f"{SERVER}:v3.1.0"
    instances.wait("its version", lambda: columns(instances)["VERSION"] == "3.1.0")
    instances.wait("no warning", lambda: instances.condition("Warning")["status"] == "False")


def test_a_skipped_waypoint_is_told_and_the_way_over_it_is_open(instances):
    instances.create(both("v1.131.3"))
    instances.wait_ready()
    instances.wait("its version", lambda: columns(instances)["VERSION"] == "1.131.3")

    instances.change(both("v3.3.1"))
    told = instances.wait_condition("ServerReady", "WaypointSkipped")

    assert "1.132.3" in told["message"]
    assert "2.7.5" in told["message"]
    assert image_of(instances, "server") == f"{SERVER}:v1.131.3"

    for tag in ("v1.132.3", "v2.7.5", "v3.3.1"):
        instances.change(both(tag))
        instances.wait(f"{tag} runs", lambda tag=tag: columns(instances)["VERSION"] == tag.removeprefix("v"))
    instances.wait_ready()


def test_different_versions_of_server_and_machine_learning_are_a_warning_and_an_event(instances):
    instances.create({"server": {"image": f"{SERVER}:v3.2.2"}})

    told = instances.wait_condition("Warning", "VersionsDiffer")
    instances.wait_ready()

    assert "spec.server.image asks for Immich 3.2.2" in told["message"]
    assert ("Warning", "VersionsDiffer") in [(kind, reason) for kind, reason, _ in instances.events()]
