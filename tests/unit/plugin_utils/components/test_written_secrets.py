# SPDX-License-Identifier: Apache-2.0
"""Pods start once with the Secrets that are written together with them."""

from __future__ import annotations

from support.instances import a_cr, an_instance_at_work, found, plan_for, pod_template

EXTERNAL = {"enabled": False, "host": "valkey.example.com"}


def annotations(plan):
    return pod_template(found(plan, "Deployment", "photos-server"))["metadata"]["annotations"]


def test_a_plain_password_changes_the_servers_pods_in_the_pass_that_stores_it_and_in_no_other():
    cr = a_cr({"valkey": {**EXTERNAL, "password": "one"}})
    changed = a_cr({"valkey": {**EXTERNAL, "password": "two"}})
    live = an_instance_at_work(cr)

    first, again, after_the_change = plan_for(cr), plan_for(cr, live), plan_for(changed, live)

    assert annotations(again) == annotations(first)
    assert annotations(after_the_change) != annotations(first)
