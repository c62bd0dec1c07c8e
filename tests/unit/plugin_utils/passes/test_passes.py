# SPDX-License-Identifier: Apache-2.0
"""What a pass does by the state of the custom resource, and what it tells besides."""

import base64
import re

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.media.immich.plugins.filter.plan import plan as plan_filter
from ansible_collections.media.immich.plugins.filter.removal import removal as removal_filter
from ansible_collections.media.immich.plugins.filter.report import report as report_filter
from ansible_collections.media.immich.plugins.filter.summary import summary as summary_filter
from ansible_collections.media.immich.plugins.plugin_utils.components import keeping
from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.kube.values import structure, text
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.passes.status import report
from support.instances import PASSWORD, a_claim, a_cr, a_secret, found, notices, plan_for, seen_with

FORMER = "media.rm3l.org/finalizer"


def finalizer_patches(plan):
    return [step["patch"] for step in plan.steps if step.get("target", {}).get("kind") == "Immich"]


def test_nothing_is_done_for_a_custom_resource_that_is_gone():
    seen = {**seen_with(a_cr()), "cr": None}

    result = plan(a_cr(), seen=seen, images=DEFAULT_IMAGES, new_password=PASSWORD)

    assert (result.state, result.steps, result.notices) == ("gone", [], [])
    assert report(result.as_dict(), {"results": []}, seen) == {
        "status": None,
        "events": [],
        "observed": None,
        "requeue_after": None,
        "failures": [],
        "changed": [],
        "current": None,
    }


def test_nothing_is_done_for_a_custom_resource_that_is_being_deleted():
    result = plan_for(a_cr(deletionTimestamp="2026-11-24T10:00:00Z"))

    assert (result.state, result.steps) == ("deleting", [])


@pytest.mark.parametrize("live", [None, a_cr(generation=2)], ids=["nothing-read", "custom-resource-read"])
def test_nothing_is_planned_while_it_is_not_known_what_there_is(live):
    result = plan(a_cr(), seen={"problem": "no answer", "cr": live}, images=DEFAULT_IMAGES, new_password=PASSWORD)

    assert (result.state, result.steps, result.notices) == ("unread", [], [])
    assert result.cr == (live or a_cr())


def test_the_live_custom_resource_wins_over_the_one_that_started_the_pass():
    asked, live = a_cr({"server": {"replicas": 1}}), a_cr({"server": {"replicas": 2}}, generation=2)

    result = plan(asked, seen=seen_with(live), images=DEFAULT_IMAGES, new_password=PASSWORD)

    assert found(result, "Deployment", "photos-server")["spec"]["replicas"] == 2
    assert result.cr["metadata"]["generation"] == 2


def test_a_file_that_no_cluster_knows_is_applied_as_it_is():
    cr = a_cr()
    del cr["metadata"]["uid"]

    result = plan(cr, seen={**seen_with(cr), "cr": None}, images=DEFAULT_IMAGES, new_password=PASSWORD)

    assert result.state == "present"
    assert found(result, "Deployment", "photos-server")


@pytest.mark.parametrize("deleting", [False, True], ids=["present", "deleting"])
@pytest.mark.parametrize(
    ("finalizers", "patches"),
    [
        pytest.param([], [], id="none"),
        pytest.param([FORMER], [[]], id="of-the-former-operator"),
        pytest.param(
            ["example.com/mine", FORMER, "foregroundDeletion"],
            [["example.com/mine", "foregroundDeletion"]],
            id="others-stay",
        ),
        pytest.param(["example.com/mine"], [], id="only-others"),
    ],
)
def test_the_finalizer_of_the_former_operator_is_taken_off(finalizers, patches, deleting):
    cr = a_cr(
        finalizers=finalizers,
        resourceVersion="7",
        **({"deletionTimestamp": "2026-11-24T10:00:00Z"} if deleting else {}),
    )

    result = plan_for(cr)

    assert finalizer_patches(result) == [{"metadata": {"finalizers": rest, "resourceVersion": "7"}} for rest in patches]


def test_a_custom_resource_goes_only_after_what_is_to_outlive_it_has_lost_its_owner():
    result = plan_for(a_cr(finalizers=[FORMER]))

    [step] = [step for step in result.steps if step.get("target", {}).get("kind") == "Immich"]
    assert step["after"] == [keeping.COMPONENT]


def test_a_file_that_no_cluster_knows_has_no_finalizer_to_take_off():
    cr = a_cr(finalizers=[FORMER])
    del cr["metadata"]["uid"]

    assert finalizer_patches(plan_for(cr)) == []


IGNORED = [
    pytest.param({"postgres": {"host": "db"}}, "postgres", "spec.postgres.host", id="database-host"),
    pytest.param(
        {"postgres": {"urlSecretRef": {"name": "a", "key": "b"}}},
        "postgres",
        "spec.postgres.urlSecretRef",
        id="database-url",
    ),
    pytest.param({"valkey": {"host": "redis"}}, "valkey", "spec.valkey.host", id="queue-host"),
    pytest.param({"valkey": {"password": "word"}}, "valkey", "spec.valkey.password", id="queue-password"),
    pytest.param(
        {"valkey": {"passwordSecretRef": {"name": "a", "key": "b"}}},
        "valkey",
        "spec.valkey.passwordSecretRef",
        id="queue-secret",
    ),
    pytest.param(
        {"machineLearning": {"url": "http://gpu"}},
        "machine-learning",
        "spec.machineLearning.url",
        id="machine-learning-url",
    ),
    pytest.param(
        {
            "valkey": {
                "enabled": False,
                "host": "redis",
                "password": "word",
                "passwordSecretRef": {"name": "a", "key": "b"},
            }
        },
        "valkey",
        "spec.valkey.password",
        id="queue-password-beside-a-secret",
    ),
]


@pytest.mark.parametrize(("spec", "component", "path"), IGNORED)
def test_a_setting_that_has_no_effect_is_reported(spec, component, path):
    result = plan_for(a_cr(spec), [a_secret("a", b="x")])

    [notice] = [notice for notice in result.notices if notice.effect == "warns"]
    assert (notice.component, notice.reason) == (component, "SettingIgnored")
    assert notice.message.startswith(f"{path} is not used, because ")
    assert "word" not in notice.message.replace("password", "")


@pytest.mark.parametrize(
    ("there", "told"), [([], ["SecretNotFound"]), ([a_secret("registry")], [])], ids=["missing", "there"]
)
def test_a_missing_pull_secret_is_reported_and_holds_nothing_back(there, told):
    result = plan_for(a_cr({"imagePullSecrets": [{"name": "registry"}]}), there)

    assert [reason for _, reason in notices(result, "warns")] == told
    assert notices(result, "blocks") == []


MISSING = [
    pytest.param(
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "a"}}}]},
        [],
        "SecretNotFound",
        id="secret",
    ),
    pytest.param(
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "a"}}}]},
        [a_secret("x")],
        "SecretKeyNotFound",
        id="key",
    ),
    pytest.param({"envFrom": [{"secretRef": {"name": "x"}}]}, [], "SecretNotFound", id="whole-secret"),
    pytest.param(
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "a"}}}]},
        [],
        "ConfigMapNotFound",
        id="config-map",
    ),
    pytest.param({"envFrom": [{"configMapRef": {"name": "x"}}]}, [], "ConfigMapNotFound", id="whole-config-map"),
]


@pytest.mark.parametrize(
    ("key", "component"), [("server", "server"), ("machineLearning", "machine-learning")], ids=["server", "ml"]
)
@pytest.mark.parametrize(("settings", "objects", "reason"), MISSING)
def test_what_the_environment_lacks_is_explained_and_applied_all_the_same(key, component, settings, objects, reason):
    result = plan_for(a_cr({key: settings}), objects)

    assert notices(result, "explains") == [(component, reason)]
    assert found(result, "Deployment", f"photos-{component}")
    [notice] = [notice for notice in result.notices if notice.effect == "explains"]
    assert f" x named in spec.{key}.env" in notice.message


def test_what_the_environment_may_lack_is_no_problem():
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "a", "optional": True}}}]

    result = plan_for(a_cr({"server": {"env": env, "envFrom": [{"configMapRef": {"name": "y", "optional": True}}]}}))

    assert result.notices == []


def test_a_custom_resource_stored_before_there_were_rules_holds_back_what_it_is_about():
    cr = a_cr()
    cr["spec"]["postgres"] = {"enabled": False}

    result = plan_for(cr)

    assert ("postgres", "SpecInvalid") in notices(result, "blocks")
    applied = {manifest["metadata"]["name"] for manifest in result.objects}
    assert "photos-server" not in applied
    assert applied >= {"photos-library", "photos-valkey", "photos-machine-learning"}


def test_an_object_that_may_not_be_read_is_given_the_benefit_of_the_doubt():
    cr = a_cr({"immich": {"persistence": {"library": {"storageClass": "fast"}}}})
    seen = seen_with(cr)
    for reference in seen["references"]:
        reference["forbidden"] = reference["kind"] == "StorageClass"

    assert plan(cr, seen=seen, images=DEFAULT_IMAGES, new_password=PASSWORD).notices == []


def as_told(cr):
    return text({"given": cr, **seen_with(cr)})


def planned(cr, images, **options):
    return structure(plan_filter(as_told(cr), images, **options))["plan"]


def test_the_filter_gives_a_new_password_each_time_of_32_letters_and_digits():
    cr = a_cr()

    plans = [planned(cr, DEFAULT_IMAGES) for _ in range(2)]

    made = [[s["object"]["data"] for s in p["steps"] if s["verb"] == "create"] for p in plans]
    [one], [other] = ([data["password"] for data in each if "password" in data] for each in made)
    assert one != other
    assert re.fullmatch(r"[A-Za-z0-9]{32}", base64.b64decode(one).decode())


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: plan_filter(seen_with(a_cr())), id="plan-no-text"),
        pytest.param(lambda: plan_filter(" {}"), id="plan-nothing-seen"),
        pytest.param(lambda: plan_filter(" {"), id="plan-no-json"),
        pytest.param(lambda: removal_filter(seen_with(a_cr())), id="removal-no-text"),
        pytest.param(lambda: report_filter(" {}", " {}"), id="report-no-plan"),
        pytest.param(lambda: report_filter(' {"plan": {}}', None), id="report-nothing-seen"),
        pytest.param(lambda: report_filter({"plan": {}}, " {}"), id="report-no-text"),
        pytest.param(lambda: plan_filter(text(seen_with({**a_cr(), "kind": "Toy"}))), id="plan-another-kind"),
        pytest.param(lambda: removal_filter(text(seen_with({**a_cr(), "kind": "Toy"}))), id="removal-another-kind"),
        pytest.param(lambda: summary_filter({}, "photos", "family"), id="summary-no-text"),
    ],
)
def test_misuse_of_a_filter_is_an_error_that_names_it(call):
    with pytest.raises(AnsibleFilterError, match=r"^media\.immich\.\w+: "):
        call()


def test_in_a_play_default_images_fill_what_neither_the_play_nor_the_environment_names(monkeypatch):
    monkeypatch.setenv("RELATED_IMAGE_immich", "of the environment")
    monkeypatch.setenv("RELATED_IMAGE_postgres", "of the environment")
    cr = a_cr()

    result = planned(cr, {"server": "of the play", "valkey": ""}, default_images=True)

    images = {
        step["object"]["metadata"]["name"]: step["object"]["spec"]["template"]["spec"]["containers"][0]["image"]
        for step in result["steps"]
        if "template" in step.get("object", {}).get("spec", {})
    }
    assert images == {
        "photos-server": "of the play",
        "photos-postgres": "of the environment",
        "photos-valkey": DEFAULT_IMAGES["valkey"],
        "photos-machine-learning": DEFAULT_IMAGES["machine-learning"],
    }


def test_under_a_runtime_a_missing_image_stays_a_condition_that_names_the_variable(monkeypatch):
    monkeypatch.delenv("RELATED_IMAGE_valkey", raising=False)
    cr = a_cr()

    result = planned(cr, {})

    assert any("set RELATED_IMAGE_valkey" in notice["message"] for notice in result["notices"])


def test_what_a_filter_returns_is_marked_as_data():
    cr = a_cr({"immich": {"configuration": {"storageTemplate": {"template": "{{y}}"}}}})

    result = plan_filter(as_told(cr), DEFAULT_IMAGES)

    assert "{{y}}" in result
    assert type(result).__name__ == "AnsibleUnsafeText" or not is_trusted(result)


def is_trusted(text):
    """From ansible-core 2.19 on only text with a mark is a template."""
    from ansible.template import is_trusted_as_template  # noqa: PLC0415 - not in 2.18

    return is_trusted_as_template(text)


def test_every_step_says_its_stage_and_component():
    result = plan_for(a_cr(finalizers=[FORMER]), [a_claim("photos-library")])

    for step in result.as_dict()["steps"]:
        assert isinstance(step["stage"], int)
        assert step["component"]
