# SPDX-License-Identifier: Apache-2.0
"""A changed Secret replaces exactly the pods that use it, and no value of one is ever shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from support.operating import WORKLOADS


def key_of(name):
    return {"name": name, "key": "value"}


def variable(name):
    return {"name": name.upper(), "valueFrom": {"secretKeyRef": key_of(name)}}


SPEC = {
    "postgres": {"passwordSecretRef": key_of("database")},
    "valkey": {"enabled": False, "host": "redis.external", "passwordSecretRef": key_of("queues")},
    "server": {"env": [variable("token")], "envFrom": [{"secretRef": {"name": "all"}}]},
    "machineLearning": {"env": [variable("models")]},
    "immich": {
        "configuration": {
            "oauth": {"enabled": False, "clientSecretRef": key_of("login")},
            "notifications": {"smtp": {"transport": {"host": "mail", "passwordSecretRef": key_of("mail")}}},
        }
    },
}
SECRETS = ("database", "queues", "token", "all", "models", "login", "mail", "unrelated")
ROLLED = {
    "database": {"server", "postgres"},
    "queues": {"server"},
    "token": {"server"},
    "all": {"server"},
    "models": {"machine-learning"},
    "login": {"server"},
    "mail": {"server"},
}
"""{Secret: the components that use it, by variables, all variables, or the settings file}"""


def test_a_changed_secret_replaces_the_pods_that_use_it_and_no_others(instances):
    for name in SECRETS:
        instances.secret(name, value="first", other="first")
    instances.create(SPEC)
    instances.wait_ready()

    for name, components in ROLLED.items():
        before = instances.pod_uids()

        instances.secret(name, value="second", other="first")

        instances.wait_rolled(before, *components)
    instances.wait_settled()
    expected = {"photos-server": 7, "photos-machine-learning": 2, "photos-postgres": 2}
    assert instances.templates() == expected, "each was rolled once for each Secret"


def test_a_key_that_nobody_uses_and_a_secret_that_nobody_names_replace_nothing(instances, operator):
    for name in SECRETS:
        instances.secret(name, value="first", other="first")
    instances.create(SPEC)
    instances.wait_ready()
    instances.wait_settled()
    before = instances.pod_uids()
    passes = len(operator.passes("photos", instances.namespace))

    instances.secret("unrelated", value="second", other="second")
    for name in ("database", "queues", "token", "models", "login", "mail"):
        instances.secret(name, value="first", other="second")

    instances.wait("a pass that saw it", lambda: len(operator.passes("photos", instances.namespace)) > passes)
    instances.wait_settled()
    assert instances.pod_uids() == before


def test_generated_credentials_that_are_rotated_replace_server_and_database(instances):
    instances.create()
    instances.wait_ready()
    before = instances.pod_uids()

    rotated = {"data": {"password": base64.b64encode(b"rotated").decode()}}
    instances.api.merge_patch("Secret", "photos-postgres-credentials", instances.namespace, rotated)

    instances.wait_rolled(before, "server", "postgres")
    instances.wait_settled()
    assert instances.templates()["photos-postgres"] == 2
    assert base64.b64decode(instances.get("Secret", "photos-postgres-credentials")["data"]["password"]) == b"rotated"


def test_the_first_pods_know_the_secrets_that_are_made_with_them(instances):
    instances.create()
    instances.wait_ready()
    instances.wait_settled()

    expected = ("photos-server", "photos-machine-learning", "photos-valkey", "photos-postgres")
    assert instances.templates() == dict.fromkeys(expected, 1)


def command_lines():
    """The arguments of every process on this machine."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_bytes()
        except OSError:  # it ended meanwhile
            continue


@pytest.mark.every_core
def test_no_secret_value_is_shown_anywhere(instances, operator):
    values = {name: f"TOP-SECRET-of-{name}-{instances.namespace[-6:]}" for name in SECRETS}
    forms = [form for v in values.values() for form in (v.encode(), base64.b64encode(v.encode())[:-4])]
    seen_in_processes = set()

    def ready_while_watching_processes():
        seen_in_processes.update(form for line in command_lines() for form in forms if form in line)
        return ((instances.get("Immich", "photos") or {}).get("status") or {}).get("ready")

    for name, value in values.items():
        instances.secret(name, value=value)
    plain = f"TOP-SECRET-in-the-cr-{instances.namespace[-6:]}"
    forms += [plain.encode(), base64.b64encode(plain.encode())[:-4]]
    queues = {"enabled": False, "host": "redis.external", "password": plain}
    instances.create({**SPEC, "valkey": queues, "machineLearning": {"env": [variable("models")], "replicas": 0}})
    instances.wait("ready", ready_while_watching_processes)
    instances.change({"server": {"image": "broken:crash-loop"}})
    instances.wait_condition("ServerReady", "CrashLooping")
    instances.change({"server": {"image": None}})
    instances.wait_ready()
    instances.wait_settled()

    assert seen_in_processes == set()
    cr = instances.get("Immich", "photos")
    pods = [pod for component in WORKLOADS for pod in instances.pods(component)]
    workloads = [item for (kind, _), item in instances.owned().items() if kind not in {"Secret"}]
    texts = {
        "status": json.dumps(cr["status"]).encode(),
        "events": json.dumps(instances.api.list("v1/Event", instances.namespace)).encode(),
        "objects": json.dumps([*workloads, *pods]).encode(),
        "log": operator.log.read_bytes(),
    }
    folder = operator.log.parent / "run"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any("artifacts" in path.parts for path in files), "the run folder is not where this test looks"
    texts |= {str(path.relative_to(folder)): path.read_bytes() for path in files}
    shown = {
        place: text[max(0, text.index(form) - 200) :][:300]
        for place, text in texts.items()
        for form in forms
        if form in text
    }
    assert shown == {}
