# SPDX-License-Identifier: Apache-2.0
"""Checksums on pod templates tell nobody what is in a Secret, and are no reason to replace pods that an older version made."""

import base64
import copy
import hashlib
import hmac
import json

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.removal import removal
from support.instances import (
    NAME,
    NAMESPACE,
    PASSWORD,
    a_cr,
    a_secret,
    an_instance_at_work,
    annotated,
    as_live,
    deletions,
    found,
    has,
    plan_for,
    pod_template,
    seen_with,
    without,
    workloads,
)

KEY = f"{NAME}-checksum-key"
CONFIG, SECRETS = "media.rm3l.org/config-checksum", "media.rm3l.org/secrets-checksum"
EXTERNAL = {"postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}}}
HELM = {"app.kubernetes.io/managed-by": "Helm"}


def checksums(plan):
    """{workload: {annotation: checksum}}"""
    found = {w["metadata"]["name"]: pod_template(w)["metadata"].get("annotations", {}) for w in workloads(plan)}
    return {name: {k: v for k, v in each.items() if k in (CONFIG, SECRETS)} for name, each in found.items()}


def guessed(salt, content):
    """The checksum as everybody can compute it who has read the source."""
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    return hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


def in_base64(value):
    return base64.b64encode(value.encode()).decode()


def former(live, content=None):
    """The objects as an earlier version has left them: no key, and checksums that are made without one."""
    made = [copy.deepcopy(o) for o in without(live, "Secret", KEY)]
    files = {o["metadata"]["name"]: o["data"].get("immich-config.yaml") for o in made if o["kind"] == "ConfigMap"}
    for workload in made:
        if workload["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        annotations = pod_template(workload)["metadata"].get("annotations", {})
        if CONFIG in annotations:
            annotations[CONFIG] = guessed(f"{NAMESPACE}/{NAME}", files[f"{NAME}-immich-config"])
        if SECRETS in annotations:
            used = content or {f"Secret/{NAME}-postgres-credentials/password": in_base64(PASSWORD)}
            annotations[SECRETS] = guessed(f"{NAMESPACE}/{NAME}", used)
    return made


def rolled(live, plan):
    """The workloads whose pods the plan replaces."""
    before = {o["metadata"]["name"]: pod_template(o) for o in live if o["kind"] in {"Deployment", "StatefulSet"}}
    return {w["metadata"]["name"] for w in workloads(plan) if pod_template(w) != before[w["metadata"]["name"]]}


def test_a_six_digit_password_is_not_found_by_trying_all_of_them():
    password = "427193"
    live = [a_secret("db", p=password)]

    [found] = {checksums(plan_for(a_cr(EXTERNAL), live))[f"{NAME}-server"][SECRETS]}

    salts = (f"{NAMESPACE}/{NAME}", f" {NAMESPACE}/{NAME}", NAME, NAMESPACE, KEY, "")
    for salt in salts:
        digits = (f"{number:06}" for number in range(427000, 427400))  # it would be among these
        assert found not in {guessed(salt, {"Secret/db/p": in_base64(each)}) for each in digits}


def test_the_key_is_made_once_at_random_and_is_in_no_other_object():
    made = [plan(a_cr(), seen=seen_with(a_cr()), images=DEFAULT_IMAGES, new_password=p * 32) for p in "pq"]

    one, other = (found(each, "Secret", KEY)["data"]["key"] for each in made)
    again = plan_for(a_cr(), as_live(made[0]))

    assert one != other
    assert len(base64.b64decode(one)) == 64
    key = base64.b64decode(one).decode()
    rest = [o for o in made[0].objects if o["metadata"]["name"] != KEY]
    assert key not in json.dumps(rest)
    assert one not in json.dumps(rest)
    assert not has(again, "Secret", KEY)
    assert checksums(again) == checksums(made[0])


def test_a_key_does_not_tell_the_password_that_is_made_in_the_same_pass():
    key = base64.b64decode(found(plan_for(a_cr()), "Secret", KEY)["data"]["key"]).decode()

    assert PASSWORD not in key
    assert key != hashlib.sha256(PASSWORD.encode()).hexdigest()


def test_the_same_passwords_and_the_same_key_copied_elsewhere_make_other_checksums():
    there = [a_secret("db", p="427193"), a_secret(KEY, key="k" * 64), a_secret("pictures-checksum-key", key="k" * 64)]
    other = a_cr(EXTERNAL, name="pictures")

    one = checksums(plan_for(a_cr(EXTERNAL), there))[f"{NAME}-server"][SECRETS]

    assert checksums(plan_for(other, there))["pictures-server"][SECRETS] != one


def test_pods_wait_until_the_key_is_stored_so_that_they_are_not_replaced_for_another_one():
    plan = plan_for(a_cr()).as_dict()

    [key] = [step for step in plan["steps"] if step.get("object", {}).get("metadata", {}).get("name") == KEY]
    waiting = {s["object"]["metadata"]["name"] for s in plan["steps"] if key["component"] in s.get("after", ())}

    assert (key["verb"], key["alone"], key["stage"]) == ("create", True, 0)
    assert waiting == {f"{NAME}-server", f"{NAME}-postgres"}
    assert {s["stage"] for s in plan["steps"] if key["component"] in s.get("after", ())} == {2}


def test_a_restored_namespace_with_the_same_secrets_replaces_nothing():
    live = an_instance_at_work(a_cr())
    restored = [
        {**o, "metadata": {**o["metadata"], "uid": f"new-{i}", "resourceVersion": "9"}} for i, o in enumerate(live)
    ]

    assert rolled(live, plan_for(a_cr(), restored)) == set()


class TestPodsOfAnEarlierVersion:
    def test_keep_their_checksums_while_nothing_changes(self):
        live = former(an_instance_at_work(a_cr()))

        plan = plan_for(a_cr(), live)

        assert rolled(live, plan) == set()
        assert has(plan, "Secret", KEY)
        assert (
            rolled(live, plan_for(a_cr(), [*live, *(o for o in as_live(plan) if o["metadata"]["name"] == KEY)]))
            == set()
        )

    @pytest.mark.parametrize(
        ("spec", "name"),
        [
            pytest.param({"server": {"env": [{"name": "A", "value": "b"}]}}, f"{NAME}-server", id="server"),
            pytest.param({"postgres": {"image": "postgres:other"}}, f"{NAME}-postgres", id="database"),
        ],
    )
    def test_get_keyed_ones_as_soon_as_anything_else_replaces_them(self, spec, name):
        live = former(an_instance_at_work(a_cr()))
        before = {
            o["metadata"]["name"]: pod_template(o)["metadata"]
            for o in live
            if o["kind"] in ("Deployment", "StatefulSet")
        }

        plan = plan_for(a_cr(spec), live)

        assert rolled(live, plan) == {name}
        assert not set(checksums(plan)[name].values()) & set(before[name]["annotations"].values())

    @pytest.mark.parametrize(
        "spec",
        [
            pytest.param({"server": {"replicas": 2}}, id="replicas"),
            pytest.param({"immich": {"persistence": {"library": {"size": "20Gi"}}}}, id="size"),
            pytest.param(
                {"server": {"ingress": {"enabled": True, "hosts": [{"host": "a.b", "paths": [{}]}]}}}, id="ingress"
            ),
        ],
    )
    def test_keep_them_with_changes_that_replace_no_pod(self, spec):
        live = former(an_instance_at_work(a_cr()))

        assert rolled(live, plan_for(a_cr(spec), live)) == set()

    def test_keep_them_when_a_variable_is_only_taken_out_and_get_keyed_ones_with_the_next_change(self):
        spec = {"server": {"env": [{"name": "A", "value": "b"}]}}
        live = former(an_instance_at_work(a_cr(spec)))
        before = pod_template(next(o for o in live if o["metadata"]["name"] == f"{NAME}-server" and "spec" in o
                                   and "template" in o["spec"]))["metadata"]["annotations"]  # fmt: skip

        removed, changed = (plan_for(a_cr(s), live) for s in ({}, {"server": {"env": [{"name": "A", "value": "c"}]}}))

        assert rolled(live, removed) == rolled(live, changed) == {f"{NAME}-server"}
        assert checksums(removed)[f"{NAME}-server"] == before
        assert not set(checksums(changed)[f"{NAME}-server"].values()) & set(before.values())

    def test_get_keyed_ones_with_another_password(self):
        live = former(an_instance_at_work(a_cr()))
        changed = a_secret(f"{NAME}-postgres-credentials", password="another", username="immich", database="immich")

        plan = plan_for(a_cr(), [*without(live, "Secret", f"{NAME}-postgres-credentials"), changed])

        assert rolled(live, plan) == {f"{NAME}-server", f"{NAME}-postgres"}
        secret = {f"Secret/{NAME}-postgres-credentials/password": in_base64("another")}
        assert guessed(f"{NAMESPACE}/{NAME}", secret) not in str(checksums(plan))

    def test_are_not_replaced_because_a_policy_rewrites_fields_of_theirs(self):
        live = former(an_instance_at_work(a_cr()))
        for workload in live:
            if (workload["kind"], workload["metadata"]["name"]) == ("Deployment", f"{NAME}-server"):
                pod_template(workload)["spec"]["containers"][0]["image"] = "mirror.example.com/immich-server"
        marked = [annotated(o, {"media.rm3l.org/rewritten": "x"}) if o["kind"] == "Deployment" else o for o in live]

        plan = plan_for(a_cr(), marked)

        before = {o["metadata"]["name"]: o for o in live if o["kind"] == "Deployment"}
        assert checksums(plan)[f"{NAME}-server"] == pod_template(before[f"{NAME}-server"])["metadata"]["annotations"]


class TestAKeyThatIsNotOurs:
    def test_is_not_overwritten_and_holds_the_pods_back(self):
        theirs = a_secret(KEY, key="k" * 64)
        theirs["metadata"]["labels"] = HELM

        plan = plan_for(a_cr(), [theirs]).as_dict()

        [step] = [s for s in plan["steps"] if s.get("object", {}).get("metadata", {}).get("name") == KEY]
        assert step["verb"] == "apply", "which is refused for an object of somebody else"

    @pytest.mark.parametrize("value", [None, "", "%%", "/w=="], ids=["none", "empty", "no-base64", "no-text"])
    def test_or_ours_without_a_usable_value_gets_a_new_one(self, value):
        data = {"key": value} if value is not None else {}
        live = [{**o, "data": data} if o["metadata"]["name"] == KEY else o for o in an_instance_at_work(a_cr())]

        plan = plan_for(a_cr(), live)

        assert len(base64.b64decode(found(plan, "Secret", KEY)["data"]["key"])) == 64


def test_a_key_that_may_not_be_read_is_not_made_again_and_the_status_says_so():
    cr, live = a_cr(), without(an_instance_at_work(a_cr()), "Secret", KEY)
    seen = seen_with(cr, live)
    for reference in seen["references"]:
        reference["forbidden"] = reference["name"] == KEY

    made = plan(cr, seen=seen, images=DEFAULT_IMAGES, new_password=PASSWORD)

    assert not has(made, "Secret", KEY)
    assert {w["metadata"]["name"] for w in workloads(made)} == {f"{NAME}-valkey"}
    told = {(str(n.component), n.reason, n.retry) for n in made.notices if n.effect == "blocks"}
    assert told == {(c, "ReadFailed", True) for c in ("server", "postgres", "machine-learning")}
    assert all(f"Secret {KEY}" in n.message for n in made.notices if n.effect == "blocks")


def test_a_valkey_with_a_password_is_left_as_it_is_too_while_the_key_may_not_be_read():
    protected = a_cr({"valkey": {"auth": {"enabled": True}}})
    seen = seen_with(protected, without(an_instance_at_work(protected), "Secret", KEY))
    for reference in seen["references"]:
        reference["forbidden"] = reference["name"] == KEY

    made = plan(protected, seen=seen, images=DEFAULT_IMAGES, new_password=PASSWORD)

    assert workloads(made) == []


class TestTheKeyOfAnInstanceThatIsCreatedAgain:
    def key_of_the_former(self, **metadata):
        [key] = [o for o in an_instance_at_work(a_cr()) if o["metadata"]["name"] == KEY]
        return {**key, "metadata": {**key["metadata"], **metadata}}

    @pytest.mark.parametrize(
        "metadata", [pytest.param({}, id="not-collected-yet"), pytest.param({"ownerReferences": []}, id="orphaned")]
    )
    def test_is_applied_as_it_is_so_that_pods_wait_until_it_is_gone_or_the_instances(self, metadata):
        """A second controller is refused: the garbage collector is about to take the Secret, and its key, away."""
        former = self.key_of_the_former(**metadata)

        plan = plan_for(a_cr(uid="new"), [former]).as_dict()

        [step] = [s for s in plan["steps"] if s.get("object", {}).get("metadata", {}).get("name") == KEY]
        assert step["verb"] == "apply"
        assert step["object"]["data"] == former["data"]
        assert [owner["uid"] for owner in step["object"]["metadata"]["ownerReferences"]] == ["new"]
        waiting = {s["object"]["metadata"]["name"] for s in plan["steps"] if step["component"] in s.get("after", ())}
        assert waiting == {f"{NAME}-server", f"{NAME}-postgres"}

    def test_is_written_once(self):
        former = self.key_of_the_former(ownerReferences=[])
        made = as_live(plan_for(a_cr(uid="new"), [former]))

        assert not has(plan_for(a_cr(uid="new"), made), "Secret", KEY)

    def test_needs_no_owner_where_the_custom_resource_is_only_a_file(self):
        cr = a_cr()
        del cr["metadata"]["uid"]

        assert not has(plan_for(cr, [self.key_of_the_former(ownerReferences=[])]), "Secret", KEY)


def test_the_key_goes_with_the_instance_and_with_no_edit():
    cr = a_cr()

    steps = removal(cr, seen=seen_with(cr, an_instance_at_work(cr)))["steps"]

    assert KEY in [step["target"]["name"] for step in steps if step["verb"] == "delete"]
    assert ("Secret", KEY) not in deletions(plan_for(a_cr({"server": {"enabled": False}}), an_instance_at_work(cr)))
