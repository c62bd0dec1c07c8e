# SPDX-License-Identifier: Apache-2.0
"""What a pass hands back, so that the loop knows when nothing has changed since."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from support.instances import (
    a_claim,
    a_cr,
    a_pod,
    a_secret,
    an_instance_at_work,
    deletions,
    plan_for,
    report_for,
    results_of,
    seen_with,
    with_status,
)

LIBRARY = {"immich": {"persistence": {"library": {"existingClaim": "nas"}}}}
DATABASE = {"postgres": {"persistence": {"existingClaim": "nas"}}}
QUEUES = {"valkey": {"persistence": {"enabled": True, "existingClaim": "nas"}}}
CACHE = {"machineLearning": {"persistence": {"existingClaim": "nas"}}}


def versioned(objects):
    return [
        {**item, "metadata": {**item["metadata"], "resourceVersion": str(number)}}
        for number, item in enumerate(objects)
    ]


def test_the_versions_are_those_of_all_that_carries_our_labels_and_of_all_that_is_named():
    cr = a_cr(
        {
            **CACHE,
            "server": {
                "envFrom": [{"secretRef": {"name": "extra"}}, {"secretRef": {"name": "missing", "optional": True}}]
            },
        }
    )
    others = [a_claim("nas", resourceVersion="70"), {**a_secret("extra", a="b")}]
    others[1]["metadata"]["resourceVersion"] = "71"
    live = versioned(an_instance_at_work(cr))

    observed = report_for(cr, [*live, *others])["observed"]

    assert observed["dependents"] == {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in live
    }
    assert observed["references"]["PersistentVolumeClaim/nas"] == "70"
    assert observed["references"]["Secret/extra"] == "71"
    assert observed["references"]["Secret/missing"] is None


def observed_after_writing(cr, live, kind):
    """What a pass hands back that has changed an object of this kind, or removed it."""
    made = plan_for(cr, live)
    results = [{**result, "changed": result["kind"] == kind} for result in results_of(made)]
    return report(made.as_dict(), {"results": results}, seen_with(cr, live))["observed"]


def test_a_pass_that_took_a_stateful_set_away_is_not_the_last_one():
    live = an_instance_at_work(a_cr(), [a_claim("nas")])
    assert deletions(plan_for(a_cr(DATABASE), live)) == [("StatefulSet", "photos-postgres")]

    assert observed_after_writing(a_cr(DATABASE), live, "StatefulSet") is None, "the next pass creates it again"


def test_a_mark_on_a_claim_calls_for_no_further_pass():
    live = [
        o if o["metadata"]["name"] != "photos-library" else a_claim("photos-library")
        for o in an_instance_at_work(a_cr())
    ]
    assert "merge" in [step["verb"] for step in plan_for(a_cr(), live).steps]
    made = plan_for(a_cr(), live)
    written = a_claim("photos-library", resourceVersion="written")
    results = [
        {**result, "changed": True, "object": written} if result["verb"] == "merge" else result
        for result in results_of(made)
    ]

    observed = report(made.as_dict(), {"results": results}, seen_with(a_cr(), live))["observed"]

    assert observed["references"]["PersistentVolumeClaim/photos-library"] == "written"


def test_a_pass_that_wrote_is_followed_by_one_that_looks_at_the_result():
    assert observed_after_writing(a_cr(), an_instance_at_work(a_cr()), "ConfigMap") is None


def test_an_instance_whose_stateful_set_lacks_a_pod_is_looked_at_again():
    live = with_status(an_instance_at_work(a_cr()), "StatefulSet", "photos-postgres", replicas=0)

    told = report_for(a_cr(), live)

    assert told["observed"] is None
    assert told["requeue_after"] == "15s", "the Event that says why comes when it comes"


def test_nothing_is_to_be_looked_for_once_it_is_known_why_a_pod_was_refused():
    live = with_status(an_instance_at_work(a_cr()), "StatefulSet", "photos-postgres", replicas=0)

    told = report_for(a_cr(), live, refusals={"photos-postgres": "exceeded quota"})

    assert (told["observed"], told["requeue_after"]) == (None, None)


def test_an_instance_whose_pod_is_there_and_not_ready_is_settled():
    live = with_status(an_instance_at_work(a_cr()), "StatefulSet", "photos-postgres", availableReplicas=0)

    told = report_for(a_cr(), live, pods=[a_pod("postgres", "ErrImagePull")])

    assert told["observed"] is not None
    assert told["requeue_after"] is None


@pytest.mark.parametrize("spec", [LIBRARY, DATABASE, QUEUES], ids=["library", "database", "queues"])
@pytest.mark.parametrize("is_mine", [True, False], ids=["named-here", "named-by-a-neighbour"])
def test_an_instance_in_whose_namespace_a_claim_is_named_is_looked_at_again(spec, is_mine):
    mine, theirs = (spec, {}) if is_mine else ({}, spec)
    cr, nas = a_cr(mine), [a_claim("nas")]

    result = report_for(cr, an_instance_at_work(cr, nas), neighbours=[a_cr(theirs, name="second")])

    assert result["observed"] is None, "the loop does not tell this one when another one comes, changes or goes"


@pytest.mark.parametrize("theirs", [{}, CACHE], ids=["plain", "a-cache-may-be-shared"])
def test_an_instance_among_others_that_name_no_claim_is_settled(theirs):
    cr = a_cr()

    result = report_for(cr, an_instance_at_work(cr), neighbours=[a_cr(theirs, name="second")])

    assert result["observed"] is not None
