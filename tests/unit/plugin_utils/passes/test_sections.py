# SPDX-License-Identifier: Apache-2.0
"""Each step of a plan is in the section of its component, by which a play chooses it, and a part is never told as a whole."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components import database_folder
from ansible_collections.media.immich.plugins.plugin_utils.passes import pairing
from ansible_collections.media.immich.plugins.plugin_utils.passes.removal import removal
from ansible_collections.media.immich.plugins.plugin_utils.passes.sections import in_sections
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from support.instances import a_claim, a_cr, an_instance_at_work, plan_for, results_of, seen_with

INGRESS = {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}
QUEUES_ELSEWHERE = {"valkey": {"enabled": False, "host": "valkey.example.com"}}


def sections(plan):
    """{(kind, name): section}"""
    found = {}
    for step in plan["steps"]:
        subject = step.get("target") or {"kind": step["object"]["kind"], **step["object"]["metadata"]}
        found[subject["kind"], subject["name"]] = step["section"]
    return found


def test_the_objects_of_a_component_are_in_its_section_but_for_ingress_and_route():
    found = sections(plan_for(a_cr({"server": {"ingress": INGRESS}}), route=True).as_dict())

    assert found["PersistentVolumeClaim", "photos-library"] == "library"
    assert found["ConfigMap", "photos-immich-config"] == "config"
    assert found["Secret", "photos-postgres-credentials"] == "postgres"
    assert found["Secret", "photos-checksum-key"] == "checksum-key"
    assert found["Service", "photos-valkey"] == "valkey"
    assert found["Deployment", "photos-machine-learning"] == "machine-learning"
    assert found["Service", "photos-server"] == found["Deployment", "photos-server"] == "server"
    assert found["Ingress", "photos-server"] == found["Route", "photos-server"] == "ingress"


def test_what_is_switched_off_is_cleaned_up_after_its_component_and_the_server():
    plan = plan_for(a_cr(QUEUES_ELSEWHERE), an_instance_at_work(a_cr())).as_dict()

    removed = {step["target"]["kind"]: step for step in plan["steps"] if step["verb"] == "delete"}

    assert removed.keys() >= {"Deployment", "Service"}
    assert {step["section"] for step in removed.values()} == {"clean-up"}
    assert {tuple(step["needs"]) for step in removed.values()} == {("valkey", "server")}


def test_a_removal_has_the_same_sections_and_takes_the_resource_only_once_the_data_is_safe():
    cr = a_cr()
    plan = removal(cr, seen=seen_with(cr, an_instance_at_work(cr)))

    assert sections(plan)["Deployment", "photos-server"] == "server"
    assert sections(plan)["StatefulSet", "photos-postgres"] == "postgres"
    [resource] = [step for step in plan["steps"] if step["target"]["kind"] == "Immich"]
    assert (resource["section"], resource["needs"]) == ("custom-resource", ["kept"])


@pytest.mark.parametrize("component", [pairing.COMPONENT, database_folder.COMPONENT])
def test_what_is_noted_on_a_claim_of_a_database_goes_with_the_database(component):
    [step] = in_sections([{"verb": "merge", "component": component, "target": a_claim("data-photos-postgres-0")}])

    assert step["section"] == "postgres"


def test_an_object_that_does_not_tell_its_component_is_cleaned_up():
    cr, live = a_cr(), an_instance_at_work(a_cr())
    for item in live:
        item["metadata"].get("labels", {}).pop("app.kubernetes.io/component", None)

    found = sections(removal(cr, seen=seen_with(cr, live)))

    assert found["Deployment", "photos-server"] == "clean-up"


def a_part(spec, done, live=()):
    """The report of an instance of which some sections were applied."""
    cr = a_cr(spec)
    plan = plan_for(cr, live)
    left = sorted({step["section"] for step in plan.as_dict()["steps"]} - set(done))
    outcome = {"results": results_of(plan), "done": list(done), "left": left}
    return report(plan.as_dict(), outcome, seen_with(cr, live))


def test_of_a_part_no_status_is_reported():
    told = a_part({}, ["server"], an_instance_at_work(a_cr()))

    assert (told["status"], told["events"], told["observed"], told["failures"]) == (None, [], None, [])
    assert told["left"] == ["config", "library", "machine-learning", "postgres", "valkey"]


LACKS_A_SECRET = {"machineLearning": {"envFrom": [{"secretRef": {"name": "gone"}}]}}
LACKS_THE_LIBRARY = {"immich": {"persistence": {"library": {"existingClaim": "gone"}}}}


@pytest.mark.parametrize(
    ("spec", "done", "is_told"),
    [
        pytest.param(LACKS_A_SECRET, ["machine-learning"], True, id="of-the-part"),
        pytest.param(LACKS_A_SECRET, ["server"], False, id="of-another-part"),
        pytest.param(LACKS_THE_LIBRARY, ["server"], True, id="of-what-the-server-waits-for"),
        pytest.param(LACKS_THE_LIBRARY, ["valkey"], False, id="of-what-others-do-not-wait-for"),
    ],
)
def test_what_keeps_the_part_from_being_applied_fails_the_play(spec, done, is_told):
    assert any("gone" in failure for failure in a_part(spec, done)["failures"]) == is_told
