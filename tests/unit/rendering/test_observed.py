# SPDX-License-Identifier: Apache-2.0
"""What a pass hands back, so that the loop knows when nothing has changed since."""

from __future__ import annotations

from support.instances import a_claim, a_cr, a_secret, an_instance_at_work, report_for


def versioned(objects):
    return [
        {**item, "metadata": {**item["metadata"], "resourceVersion": str(number)}}
        for number, item in enumerate(objects)
    ]


def test_the_versions_are_those_of_all_that_carries_our_labels_and_of_all_that_is_named():
    cr = a_cr(
        {
            "immich": {"persistence": {"library": {"existingClaim": "nas"}}},
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
