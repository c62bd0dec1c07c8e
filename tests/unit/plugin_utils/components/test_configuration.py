# SPDX-License-Identifier: Apache-2.0
"""Immich's configuration file: what is generated, what the user says, and in which kind of object it is kept."""

import base64

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components import configuration
from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.components.instance import Instance
from ansible_collections.media.immich.plugins.plugin_utils.kube.values import structure
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from support.instances import (
    PASSWORD,
    a_cr,
    a_secret,
    an_instance_at_work,
    condition,
    deletions,
    environment,
    found,
    has,
    notices,
    plan_for,
    pod_template,
    report_for,
    seen_with,
)

FILE = "immich-config.yaml"
BUILT_IN = "http://photos-machine-learning:3003"
OAUTH = {"oauth": {"clientId": "immich", "clientSecretRef": {"name": "login", "key": "secret"}}}
SMTP = {
    "notifications": {"smtp": {"transport": {"host": "mail", "passwordSecretRef": {"name": "mail", "key": "word"}}}}
}
SECRETS = [a_secret("login", secret="s3cr3t: #1"), a_secret("mail", word="pass word")]


def configured(configuration, **immich):
    return {"immich": {"configuration": configuration, **immich}}


def text_of(plan):
    for manifest in plan.objects:
        if manifest["metadata"]["name"] == "photos-immich-config":
            text = manifest["data"][FILE]
            return base64.b64decode(text).decode() if manifest["kind"] == "Secret" else text
    raise AssertionError("there is no file")


def settings_of(spec, objects=()):
    return yaml.safe_load(text_of(plan_for(a_cr(spec), objects)))


@pytest.mark.parametrize(
    ("machine_learning", "generated"),
    [
        pytest.param({}, {"enabled": True, "urls": [BUILT_IN]}, id="built-in"),
        pytest.param({"enabled": False}, {"enabled": False}, id="off"),
        pytest.param(
            {"enabled": False, "url": "http://gpu:3003"}, {"enabled": True, "urls": ["http://gpu:3003"]}, id="external"
        ),
        pytest.param(
            {"enabled": True, "url": "http://gpu:3003"}, {"enabled": True, "urls": [BUILT_IN]}, id="on-wins-over-url"
        ),
    ],
)
def test_immich_is_told_where_machine_learning_is(machine_learning, generated):
    assert settings_of({"machineLearning": machine_learning}) == {"machineLearning": generated}


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        pytest.param({"machineLearning": {"enabled": False}}, {"enabled": False, "urls": [BUILT_IN]}, id="user-wins"),
        pytest.param(
            {"machineLearning": {"urls": ["http://a", "http://b"]}},
            {"enabled": True, "urls": ["http://a", "http://b"]},
            id="lists-whole",
        ),
        pytest.param(
            {"machineLearning": {"some": []}},
            {"enabled": True, "urls": [BUILT_IN], "some": []},
            id="an-explicit-empty-list-survives",
        ),
        pytest.param(
            {"machineLearning": {"clip": {}}},
            {"enabled": True, "urls": [BUILT_IN], "clip": {}},
            id="an-explicit-empty-map-survives",
        ),
        pytest.param(
            {"machineLearning": {}}, {"enabled": True, "urls": [BUILT_IN]}, id="an-empty-map-takes-nothing-away"
        ),
        pytest.param(
            {"machineLearning": {"url": "http://a"}}, {"enabled": True, "urls": ["http://a"]}, id="url-becomes-urls"
        ),
        pytest.param(
            {"machineLearning": {"url": "http://a", "urls": ["http://b"]}},
            {"enabled": True, "urls": ["http://b"]},
            id="urls-win-over-url",
        ),
        pytest.param(
            {"machineLearning": {"clip": {"modelName": "ViT-B-32__openai"}}},
            {"enabled": True, "urls": [BUILT_IN], "clip": {"modelName": "ViT-B-32__openai"}},
            id="deep-merge",
        ),
    ],
)
def test_what_the_user_says_is_laid_over_what_is_generated(configuration, expected):
    assert settings_of(configured(configuration))["machineLearning"] == expected


def test_keys_and_values_reach_immich_exactly_as_written():
    configuration = {
        "storageTemplate": {"enabled": True, "template": "{{y}}/{{y}}-{{MM}}-{{dd}}/{{filename}}"},
        "ffmpeg": {"crf": 23, "targetVideoCodec": "h264", "acceptedAudioCodecs": [], "preset": "medium"},
        "aKeyOfTomorrow": {"camelCase": None, "snake_case": False, "zero": 0, "empty": ""},
    }

    settings = settings_of(configured(configuration))

    assert {key: settings[key] for key in configuration} == configuration


def test_referenced_secrets_become_immichs_own_keys():
    settings = settings_of(configured({**OAUTH, **SMTP}), SECRETS)

    assert settings["oauth"] == {"clientId": "immich", "clientSecret": "s3cr3t: #1"}
    assert settings["notifications"]["smtp"]["transport"] == {"host": "mail", "password": "pass word"}


def test_a_reference_wins_over_a_value_in_plain_text():
    oauth = {"oauth": {**OAUTH["oauth"], "clientSecret": "old"}}

    assert settings_of(configured(oauth), SECRETS)["oauth"]["clientSecret"] == "s3cr3t: #1"


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        pytest.param({}, "ConfigMap", id="default"),
        pytest.param(configured({}, configurationKind="ConfigMap"), "ConfigMap", id="config-map"),
        pytest.param(configured({}, configurationKind="Secret"), "Secret", id="secret"),
        pytest.param(configured(OAUTH, configurationKind="ConfigMap"), "Secret", id="oauth-secret-whatever-the-kind"),
        pytest.param(configured(SMTP), "Secret", id="mail-secret-whatever-the-kind"),
        pytest.param(configured({}, configurationKind="None"), None, id="no-file"),
    ],
)
def test_the_file_is_kept_where_it_has_to_be_and_the_server_reads_it_there(spec, kind):
    plan = plan_for(a_cr(spec), SECRETS)

    kept = {k for k in ("ConfigMap", "Secret") if has(plan, k, "photos-immich-config")}
    volumes = pod_template(found(plan, "Deployment", "photos-server"))["spec"]["volumes"]
    sources = [{key: value for key, value in v.items() if key != "name"} for v in volumes if v["name"] == "config"]

    assert kept == ({kind} if kind else set())
    assert (
        sources
        == {
            "ConfigMap": [{"configMap": {"name": "photos-immich-config"}}],
            "Secret": [{"secret": {"secretName": "photos-immich-config"}}],
            None: [],
        }[kind]
    )


@pytest.mark.parametrize(
    ("machine_learning", "variables"),
    [
        pytest.param({}, {"ENABLED": "true", "URL": BUILT_IN}, id="built-in"),
        pytest.param({"enabled": False}, {"ENABLED": "false"}, id="off"),
        pytest.param(
            {"enabled": False, "url": "http://gpu:3003"}, {"ENABLED": "true", "URL": "http://gpu:3003"}, id="external"
        ),
    ],
)
def test_without_a_file_machine_learning_is_told_by_environment(machine_learning, variables):
    spec = {**configured({}, configurationKind="None"), "machineLearning": machine_learning}

    env = environment(found(plan_for(a_cr(spec)), "Deployment", "photos-server"))

    assert "IMMICH_CONFIG_FILE" not in env
    assert {k: v for k, v in env.items() if k.startswith("IMMICH_MACHINE_LEARNING_")} == {
        f"IMMICH_MACHINE_LEARNING_{name}": value for name, value in variables.items()
    }


MISSING = [
    pytest.param([], "SecretNotFound", "Secret login named in {path} does not exist", id="no-secret"),
    pytest.param(
        [a_secret("login", other="x")],
        "SecretKeyNotFound",
        "Secret login named in {path} has no key secret",
        id="no-key",
    ),
    pytest.param(
        [{**a_secret("login"), "data": {"secret": "/w=="}}],
        "SecretKeyNotFound",
        "Secret login named in {path}: key secret is not text",
        id="no-text",
    ),
]


@pytest.mark.parametrize(("objects", "reason", "message"), MISSING)
def test_a_missing_secret_holds_back_file_and_server_but_not_the_rest(objects, reason, message):
    cr = a_cr(configured(OAUTH))

    plan = plan_for(cr, objects)
    result = report_for(cr, objects)

    assert ("config", reason) in notices(plan, "blocks")
    applied = {manifest["metadata"]["name"] for manifest in plan.objects}
    assert applied >= {"photos-postgres", "photos-valkey", "photos-machine-learning", "photos-library"}
    assert not applied & {"photos-server", "photos-immich-config"}
    server = condition(result, "ServerReady")
    assert (server["status"], server["reason"]) == ("False", reason)
    assert message.format(path="spec.immich.configuration.oauth.clientSecretRef") in server["message"]


def test_a_secret_that_may_not_be_read_holds_the_file_back_and_says_so():
    cr = a_cr(configured(OAUTH))
    seen = seen_with(cr)
    for reference in seen["references"]:
        reference["forbidden"] = reference["name"] == "login"

    [notice] = [
        n for n in plan(cr, seen=seen, images=DEFAULT_IMAGES, new_password=PASSWORD).notices if n.effect == "blocks"
    ]

    assert "allow the operator to get Secrets" in notice.message


def test_it_heals_when_the_secret_appears():
    cr = a_cr(configured(OAUTH))

    plan = plan_for(cr, SECRETS)

    assert has(plan, "Secret", "photos-immich-config")
    assert has(plan, "Deployment", "photos-server")
    assert notices(plan, "blocks") == []


@pytest.mark.parametrize(
    ("before", "after", "removed"),
    [
        pytest.param("ConfigMap", "Secret", [("ConfigMap", "photos-immich-config")], id="to-secret"),
        pytest.param("Secret", "ConfigMap", [("Secret", "photos-immich-config")], id="to-config-map"),
        pytest.param("ConfigMap", "None", [("ConfigMap", "photos-immich-config")], id="config-map-to-none"),
        pytest.param("Secret", "None", [("Secret", "photos-immich-config")], id="secret-to-none"),
        pytest.param("ConfigMap", "ConfigMap", [], id="no-change"),
    ],
)
def test_a_switch_of_kinds_removes_the_other_one(before, after, removed):
    live = an_instance_at_work(a_cr(configured({}, configurationKind=before)))

    plan = plan_for(a_cr(configured({}, configurationKind=after)), live)

    assert deletions(plan) == removed


def test_the_other_kind_stays_while_the_server_cannot_follow():
    live = an_instance_at_work(a_cr(configured({}, configurationKind="Secret")))
    waiting = a_cr(
        {
            **configured({}, configurationKind="ConfigMap"),
            "postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "absent", "key": "p"}},
        }
    )

    plan = plan_for(waiting, live)

    assert has(plan, "ConfigMap", "photos-immich-config")
    assert ("Secret", "photos-immich-config") not in deletions(plan)


def test_the_other_kind_is_removed_after_everything_else():
    live = an_instance_at_work(a_cr(configured({}, configurationKind="Secret")))

    plan = plan_for(a_cr(), live)

    [removal] = [step for step in plan.steps if step["verb"] == "delete"]
    assert all(removal["stage"] > step["stage"] for step in plan.steps if step["verb"] != "delete")


def test_settings_that_immich_does_not_know_are_passed_on_with_a_warning():
    cr = a_cr(configured({"noSuchSetting": 1, "ffmpeg": {"crf": None}, "oauth": {"clientSecret": "s3cr3t"}}))

    plan = plan_for(cr)

    reasons = [reason for _, reason in notices(plan, "warns")]
    assert reasons == ["InvalidSetting", "UnknownSetting", "SecretInPlainText"]
    assert notices(plan, "blocks") == []
    assert yaml.safe_load(text_of(plan))["noSuchSetting"] == 1


REFUSED = {"ffmpeg": {"crf": 99}, "machineLearning": {"facialRecognition": {"minScore": "high"}}}


def test_settings_that_immich_refuses_leave_the_running_server_and_its_file_as_they_are():
    live = an_instance_at_work(a_cr(configured({"trash": {"days": 3}})))
    cr = a_cr({**configured(REFUSED), "machineLearning": {"replicas": 2}})

    plan = plan_for(cr, live)
    result = report_for(cr, live)

    assert not has(plan, "Deployment", "photos-server")
    assert not has(plan, "ConfigMap", "photos-immich-config"), "a pod that starts again would read it"
    assert found(plan, "Deployment", "photos-machine-learning")["spec"]["replicas"] == 2
    assert deletions(plan) == []
    for kind in ("Degraded", "ServerReady"):
        told = condition(result, kind)
        assert (told["status"] == "True", told["reason"]) == (kind == "Degraded", "InvalidSetting")
        assert "spec.immich.configuration.ffmpeg.crf: 99 is not a whole number from 0 to 51" in told["message"]
        assert 'machineLearning.facialRecognition.minScore: "high" is not a number' in told["message"]
        assert told["message"].endswith("Until then the server keeps running with its previous settings")


def test_a_new_instance_with_settings_that_immich_refuses_is_not_started_and_says_so():
    cr = a_cr(configured(REFUSED))

    plan = plan_for(cr)

    assert not has(plan, "Deployment", "photos-server")
    assert has(plan, "StatefulSet", "photos-postgres")
    assert condition(report_for(cr), "ServerReady")["message"].endswith("Until then the server is not started")


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "None"])
def test_a_change_of_kind_waits_with_settings_that_immich_refuses(kind):
    live = an_instance_at_work(a_cr(configured({}, configurationKind="ConfigMap")))

    plan = plan_for(a_cr(configured(REFUSED, configurationKind=kind)), live)

    assert has(plan, "Deployment", "photos-server") is (kind == "None")
    assert deletions(plan) == ([("ConfigMap", "photos-immich-config")] if kind == "None" else [])


@pytest.mark.parametrize(
    ("image", "held_back"),
    [
        pytest.param("", True, id="the-operators"),
        pytest.param("ghcr.io/immich-app/immich-server:v3.1.2", True, id="verified"),
        pytest.param("localhost:5000/server:3.2.0@sha256:" + "0" * 64, True, id="verified-with-digest"),
        pytest.param("ghcr.io/immich-app/immich-server:v3.3.1", True, id="the-newest-that-was-seen"),
        pytest.param("ghcr.io/immich-app/immich-server:v3.4.0", False, id="newer"),
        pytest.param("ghcr.io/immich-app/immich-server:v2.4.1", False, id="older"),
        pytest.param("ghcr.io/immich-app/immich-server:v3", False, id="moving"),
        pytest.param("ghcr.io/immich-app/immich-server:v3.11", False, id="only-looks-like-it"),
        pytest.param("ghcr.io/immich-app/immich-server@sha256:" + "0" * 64, False, id="digest-alone"),
        pytest.param("localhost:31/server", False, id="port"),
    ],
)
def test_only_a_release_whose_checks_are_known_is_held_back_for_what_another_one_may_take(image, held_back):
    cr = a_cr({**configured(REFUSED), "server": {"image": image}, "machineLearning": {"image": image}})

    plan = plan_for(cr)

    assert has(plan, "Deployment", "photos-server") is not held_back
    assert notices(plan, "blocks") == ([("config", "InvalidSetting")] if held_back else [])
    assert notices(plan, "warns") == ([] if held_back else [("config", "InvalidSetting")] * 2)


@pytest.mark.parametrize(
    ("version", "effect"),
    [pytest.param("v3.1.0", "warns", id="ignored"), pytest.param("v3.2.0", "blocks", id="refused")],
)
def test_advice_about_a_key_is_that_for_the_version_that_runs(version, effect):
    image = {"image": f"ghcr.io/immich-app/immich-server:{version}"}
    images = {"server": image, "machineLearning": image}

    plan = plan_for(a_cr({**configured({"oauth": {"accountManagementUrl": 5}}), **images}))

    assert [component for component, _reason in notices(plan, effect)] == ["config"]
    assert ("Immich refuses to start" in str(plan.notices)) is (effect == "blocks")


def test_texts_of_the_former_operator_reach_immich_as_numbers_and_flags():
    learning = {
        "clip": {"enabled": "True"},
        "duplicateDetection": {"maxDistance": "0.01"},
        "facialRecognition": {"minScore": "0.7", "maxDistance": "0.5", "minFaces": "3"},
    }
    cr = a_cr(configured({"machineLearning": learning, "ffmpeg": {"crf": "23", "realtime": {"resolutions": ["480"]}}}))

    plan = plan_for(cr)
    settings = yaml.safe_load(text_of(plan))

    assert plan.notices == []
    assert settings["machineLearning"]["clip"] == {"enabled": True}
    assert settings["machineLearning"]["duplicateDetection"] == {"maxDistance": 0.01}
    assert settings["machineLearning"]["facialRecognition"] == {"minScore": 0.7, "maxDistance": 0.5, "minFaces": 3}
    assert settings["ffmpeg"] == {"crf": "23", "realtime": {"resolutions": [480]}}, (
        "Immich takes the text of crf itself"
    )


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_settings_may_be_nested_as_deep_as_anybody_could_mean():
    cr = a_cr(configured({}))
    cr["spec"]["immich"]["configuration"] = nested(100)  # as stored before the schema had a bound

    assert notices(plan_for(cr), "blocks") == []


@pytest.mark.parametrize("levels", [101, 900])
def test_settings_that_are_nested_deeper_leave_everything_as_it_is(levels):
    cr, live = a_cr(configured({})), an_instance_at_work(a_cr())
    cr["spec"]["immich"]["configuration"] = nested(levels)

    plan = plan_for(cr, live)

    assert notices(plan, "blocks") == [("config", "SpecInvalid")]
    assert not has(plan, "Deployment", "photos-server")
    assert not has(plan, "ConfigMap", "photos-immich-config")
    assert deletions(plan) == []
    assert structure(plan.as_text())["plan"]["state"] == "present"


def test_settings_without_a_file_are_ignored_with_a_warning():
    plan = plan_for(a_cr(configured({"trash": {"days": 3}}, configurationKind="None")))

    assert notices(plan, "warns") == [("config", "SettingIgnored")]


@pytest.mark.parametrize(
    "reference",
    ["text", 5, [], True, {"name": "s"}, {"key": "k"}, {"name": 5, "key": "k"}, {"name": {"a": 1}, "key": []}],
)
def test_a_reference_of_any_shape_is_reported_and_leaves_everything_as_it_is(reference):
    """The API server stores what stands in the settings without a look at it."""
    cr = a_cr(configured({"oauth": {"clientSecretRef": reference}}))

    plan = plan_for(cr, an_instance_at_work(a_cr()))

    assert notices(plan, "blocks") == [("config", "InvalidSetting")]
    assert not has(plan, "Deployment", "photos-server")
    assert all(isinstance(used.name, str) for used in configuration.used_secrets(Instance.from_cr(cr)))
