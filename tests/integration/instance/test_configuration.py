# SPDX-License-Identifier: Apache-2.0
"""Immich's configuration file: what ends up in it, in which object, and what a change of it does."""

from __future__ import annotations

import json

from support.operating import environment

HELD = "photos-immich-config"
EXAMPLE = {
    "trash": {"enabled": True, "days": 30},
    "storageTemplate": {"enabled": True, "template": "{{y}}/{{y}}-{{MM}}-{{dd}}/{{filename}}"},
    "ffmpeg": {"crf": 23, "preset": "medium", "targetVideoCodec": "h264"},
    "machineLearning": {
        "clip": {"enabled": True, "modelName": "ViT-B-32__openai"},
        "facialRecognition": {"enabled": True, "modelName": "buffalo_l"},
    },
}
GENERATED = {"enabled": True, "urls": ["http://photos-machine-learning:3003"]}
MAIL = {
    "notifications": {
        "smtp": {
            "enabled": True,
            "from": "immich@example.com",
            "transport": {"host": "mail", "passwordSecretRef": {"name": "mail", "key": "password"}},
        }
    }
}


def where(instances):
    """The kinds of object that hold a file."""
    return {kind for kind in ("ConfigMap", "Secret") if instances.get(kind, HELD)}


def test_the_example_reaches_immich_as_written_beside_what_is_generated(instances):
    instances.create({"immich": {"configuration": EXAMPLE}})

    instances.wait_ready()

    machine_learning = {**GENERATED, **EXAMPLE["machineLearning"]}
    assert instances.configuration() == {**EXAMPLE, "machineLearning": machine_learning}
    assert where(instances) == {"ConfigMap"}
    server = instances.get("Deployment", "photos-server")
    assert environment(server)["IMMICH_CONFIG_FILE"] == "/config/immich-config.yaml"
    mount = next(
        m for m in server["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] if m["name"] == "config"
    )
    assert (mount["mountPath"], mount["readOnly"]) == ("/config", True)


ADDRESS = "http://CASE-machine-learning:3003"
TWO = {"urls": ["http://a", "http://b"]}
VERIFIED = {"storageTemplate": {"hashVerificationEnabled": True}}
NEWER = {"some": {"newKey": [1, "1", 1.5, True, "yes", None]}}
MERGED = {
    "empty-maps-stay": ({"oauth": {}, "library": {"watch": {}}}, {"oauth": {}, "library": {"watch": {}}}),
    "empty-lists-stay": ({"ffmpeg": {"acceptedVideoCodecs": []}}, {"ffmpeg": {"acceptedVideoCodecs": []}}),
    "lists-are-replaced-whole": ({"machineLearning": TWO}, {"machineLearning": {"enabled": True, **TWO}}),
    "the-user-wins": (
        {"machineLearning": {"enabled": False}},
        {"machineLearning": {"enabled": False, "urls": [ADDRESS]}},
    ),
    "url-becomes-urls": (
        {"machineLearning": {"url": "http://a"}},
        {"machineLearning": {"enabled": True, "urls": ["http://a"]}},
    ),
    "keys-keep-their-case": (VERIFIED, VERIFIED),
    "unknown-keys-and-types-stay": (NEWER, NEWER),
}
"""{name of an instance: (its settings, what Immich reads beside what is generated)}"""


def test_settings_are_merged_by_the_rules(instances):
    for name, (given, _) in MERGED.items():
        instances.create({"immich": {"configuration": given}}, name)

    for name, (_, expected) in MERGED.items():
        generated = {"machineLearning": {"enabled": True, "urls": [ADDRESS]}}
        whole = json.loads(json.dumps({**generated, **expected}).replace("CASE", name))
        assert instances.wait(f"the file of {name}", lambda name=name: instances.configuration(name)) == whole, name


def test_a_change_of_a_setting_replaces_the_servers_pods_alone(instances):
    instances.create({"immich": {"configuration": {"trash": {"days": 30}}}})
    instances.wait_ready()
    before = instances.pod_uids()

    instances.change({"immich": {"configuration": {"trash": {"days": 31}}}})

    instances.wait_rolled(before, "server")
    assert instances.configuration()["trash"] == {"days": 31}


def test_a_secret_in_the_settings_is_filled_in_and_the_file_becomes_a_secret(instances, operator):
    instances.secret("mail", password="hunter2", other="x")
    instances.create({"immich": {"configuration": MAIL, "configurationKind": "ConfigMap"}})
    instances.wait_ready()

    transport = instances.configuration()["notifications"]["smtp"]["transport"]
    assert transport == {"host": "mail", "password": "hunter2"}
    assert where(instances) == {"Secret"}
    before = instances.pod_uids()

    instances.secret("mail", password="hunter3", other="x")

    instances.wait_rolled(before, "server")
    assert instances.configuration()["notifications"]["smtp"]["transport"]["password"] == "hunter3"
    after = instances.pod_uids()
    instances.wait_settled()
    passes = len(operator.passes("photos", instances.namespace))

    instances.secret("mail", password="hunter3", other="y")

    instances.wait("a pass that saw it", lambda: len(operator.passes("photos", instances.namespace)) > passes)
    instances.wait_settled()
    assert instances.pod_uids() == after


def test_going_from_kind_to_kind_leaves_one_file_at_most(instances):
    instances.create({"immich": {"configuration": {"trash": {"days": 30}}}})
    instances.wait_ready()

    for kind, expected in (("Secret", {"Secret"}), ("None", set()), ("ConfigMap", {"ConfigMap"})):
        instances.change({"immich": {"configurationKind": kind}})
        instances.wait(f"the file as {kind}", lambda expected=expected: where(instances) == expected)
        instances.wait_ready()
        server = instances.get("Deployment", "photos-server")
        has_file = "IMMICH_CONFIG_FILE" in environment(server)
        assert has_file is bool(expected)
        if kind == "None":
            assert environment(server)["IMMICH_MACHINE_LEARNING_URL"] == "http://photos-machine-learning:3003"
            assert instances.condition("Warning")["reason"] == "SettingIgnored"
        else:
            assert instances.configuration()["trash"] == {"days": 30}


def test_a_setting_that_immich_does_not_know_or_misreads_is_a_warning(instances):
    instances.create(
        {"immich": {"configuration": {"trash": {"dayz": 30}, "ffmpeg": {"crf": ""}, "newerThanThis": {"a": 1}}}}
    )

    instances.wait_ready()

    warning = instances.condition("Warning")
    assert warning["status"] == "True"
    for path in ("trash.dayz", "ffmpeg.crf", "newerThanThis"):
        assert path in warning["message"]
    assert ("Warning", warning["reason"], warning["message"]) in instances.events()


def test_a_secret_that_the_settings_miss_holds_the_server_as_it_is(instances):
    instances.create({"immich": {"configuration": {"trash": {"days": 30}}}})
    instances.wait_ready()
    before = instances.pod_uids()
    file = instances.configuration()

    instances.change({"immich": {"configuration": {**MAIL, "trash": {"days": 1}}}, "machineLearning": {"replicas": 0}})
    condition = instances.wait_condition("ServerReady", "SecretNotFound")
    instances.wait("the rest goes on", lambda: not instances.pods("machine-learning"))

    assert (
        "Secret mail named in spec.immich.configuration.notifications.smtp.transport.passwordSecretRef"
        in condition["message"]
    )
    assert instances.pod_uids()["server"] == before["server"]
    assert instances.configuration() == file

    instances.secret("mail", wrong="x")
    condition = instances.wait_condition("ServerReady", "SecretKeyNotFound")
    assert "has no key password" in condition["message"]

    instances.secret("mail", wrong="x", password="hunter2")
    instances.wait_ready()
    assert instances.configuration()["trash"] == {"days": 1}


REFUSED = {"trash": {"days": "many"}}


def test_a_setting_that_immich_refuses_leaves_the_running_server_and_the_file_that_its_pods_read(instances):
    instances.create({"immich": {"configuration": {"trash": {"days": "30"}}}})
    instances.wait_ready()
    before, file = instances.pod_uids(), instances.configuration()
    assert file["trash"] == {"days": 30}, "the text is written as the number that it says"

    instances.change({"immich": {"configuration": REFUSED}, "machineLearning": {"replicas": 0}})

    told = instances.wait_condition("Degraded", "InvalidSetting")
    assert 'spec.immich.configuration.trash.days: "many" is not a whole number' in told["message"]
    instances.wait("the rest goes on", lambda: not instances.pods("machine-learning"))
    assert instances.pod_uids()["server"] == before["server"]
    assert instances.configuration() == file

    [pod] = instances.pods("server")
    instances.api.delete("Pod", pod["metadata"]["name"], instances.namespace)
    instances.wait(
        "a pod in its place", lambda: before["server"].isdisjoint(instances.pod_uids()["server"] or before["server"])
    )
    assert instances.configuration() == file

    instances.change({"immich": {"configuration": {"trash": {"days": 31}}}})
    instances.wait_ready()
    assert instances.configuration()["trash"] == {"days": 31}


def test_a_new_instance_with_a_setting_that_immich_refuses_gets_no_server_that_would_crash(instances):
    instances.create({"immich": {"configuration": REFUSED}})

    told = instances.wait_condition("ServerReady", "InvalidSetting")

    assert told["message"].endswith("Until then the server is not started")
    assert instances.get("Deployment", "photos-server") is None
    assert where(instances) == set()
    assert instances.get("StatefulSet", "photos-postgres")
