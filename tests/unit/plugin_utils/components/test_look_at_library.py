# SPDX-License-Identifier: Apache-2.0
"""A library that another user filled is used as that user; the look runs in the shell of this machine."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.library_user import FOLDER, LOOK_COMMAND
from support.instances import (
    a_claim,
    a_config_map,
    a_cr,
    a_secret,
    an_instance_at_work,
    annotated,
    condition,
    container,
    found,
    notices,
    plan_for,
    report_for,
    with_status,
    without,
)

CLAIM, USER = "photos-library", "media.rm3l.org/library-user"


class Look:
    """A library, and what the look says of it. What `closed` names may not be used."""

    def __init__(self, folder: Path) -> None:
        self.library, self.said, self.programs = folder / "data", folder / "said", folder / "programs"
        self.library.mkdir()
        self.programs.mkdir()
        self.owners: dict[str, str] = {}

    def folders(self, *names: str) -> None:
        for name in names:
            (self.library / name).mkdir(parents=True)

    def run(self, closed: dict[str, str] | None = None, open: dict[str, str] | None = None) -> tuple[int, list[str]]:
        """(exit code, lines of the message); both are {folder: owner}, with a `w` behind an owner if all may write."""
        closed = closed or {}
        cases = "".join(
            f'"{name}") echo "drwxr-xr{"w" if owner.endswith("w") else "-"}x $word {owner.rstrip("w")}" ;; '
            for name, owner in {**(open or {}), **closed}.items()
        )
        (self.programs / "stat").write_text(
            f'#!/bin/sh\nword=${{3#* }} word=${{word%% *}}; shift 3\nfor file; do case "$file" in {cases}esac; done\n'
        )
        (self.programs / "stat").chmod(0o755)
        script = self.script()
        # Whoever runs the tests may be root, whom no mode keeps out.
        assert "[[ -r $1 && -w $1 && -x $1 ]]" in script
        may_not = " && ".join(f'$1 != "{name}"' for name in closed) or '"" == ""'
        script = script.replace("-r $1 && -w $1 && -x $1", may_not)
        done = self.started(script)
        return done.returncode, self.said.read_text().splitlines()

    def run_as(self, user: int) -> tuple[int, list[str]]:
        """The same with the rights that this user has without any capability."""
        self.said.touch()
        self.said.chmod(0o666)
        done = self.started(self.script(), user=user, group=user, extra_groups=[])
        return done.returncode, self.said.read_text().splitlines()

    def script(self) -> str:
        return LOOK_COMMAND[-1].replace(FOLDER, str(self.library)).replace("/dev/termination-log", str(self.said))

    def started(self, script: str, **rights) -> subprocess.CompletedProcess[str]:
        env = {"PATH": f"{self.programs}:/usr/bin:/bin"}
        done = subprocess.run(
            [*LOOK_COMMAND[:-1], script], env=env, capture_output=True, text=True, check=False, cwd="/", **rights
        )
        assert done.stderr == ""
        return done


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Look(tmp_path)


def test_a_library_that_may_be_used_lets_the_server_start(look):
    look.folders("upload/someone", "library", "thumbs", "lost+found", "other")

    assert look.run() == (0, ["open"])
    assert look.run({"lost+found": "0:0", "other": "0:0", ".": "0:0"}) == (0, ["open"]), "Immich does not use these"


@pytest.mark.parametrize("folder", ["upload", "library", "thumbs", "encoded-video", "profile", "backups"])
def test_each_folder_of_immich_has_to_be_usable(look, folder):
    look.folders(folder)

    assert look.run({folder: "1000:100"}) == (1, ["closed", f"at {folder}", "owner 1000:100"])


def test_the_folders_of_users_keep_no_server_from_starting_but_are_reported(look):
    look.folders("upload/a b", "library/x")

    assert look.run({"upload/a b": "1000:1000", "library/x": "1001:1000"}) == (
        0,
        ["partly", "at upload/a?b", "at library/x", "owner 1001:1000", "owner 1000:1000"],
    )


def test_what_others_keep_in_the_library_is_not_looked_at(look):
    """A copy of the dumps, and what a disk of its own has."""
    look.folders("backups/offsite", "upload/lost+found", "upload/a")

    assert look.run({"backups/offsite": "1000:1000", "upload/lost+found": "0:0"}) == (0, ["open"])


def test_a_folder_with_whose_mark_immich_starts_keeps_no_server_from_starting(look):
    look.folders("profile")
    (look.library / "profile/.immich").touch()

    assert look.run({"profile": "1000:1000"}) == (0, ["partly", "at profile", "owner 1000:1000"])


def test_whose_the_other_folders_are_is_reported_unless_all_may_write_them(look):
    look.folders("upload/a", "upload/b", "library", "thumbs")

    assert look.run(
        {"upload": "1000:100", "upload/a": "1001:100"},
        {"upload/b": "1002:100w", "library": "0:0", "thumbs": "1003:100w"},
    ) == (1, ["closed", "at upload", "owner 1000:100", "other 1001:100", "other 0:0"])


def test_many_owners_do_not_hide_the_first(look):
    look.folders("upload", *(f"library/{number}" for number in range(40)))

    code, said = look.run({"upload": "1000:100"}, {f"library/{number}": f"{number}:0" for number in range(40)})

    assert (code, said[:3], len(said)) == (1, ["closed", "at upload", "owner 1000:100"], 12)


@pytest.fixture
def volume() -> Iterator[Look]:
    """A library with real owners and rights; pytest's own folders are closed to others."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield Look(folder)
    shutil.rmtree(folder)


def test_the_look_tells_what_the_system_would_refuse(volume):
    volume.folders("upload", "library", "thumbs", "profile/x")
    for folder, owner, mode in (("upload", 1000, 0o700), ("library", 1001, 0o755), ("thumbs", 1002, 0o777),
                                ("profile", 1001, 0o755), ("profile/x", 1000, 0o700)):  # fmt: skip
        os.chown(volume.library / folder, owner, 100)
        (volume.library / folder).chmod(mode)

    assert volume.run_as(1001) == (1, ["closed", "at upload", "owner 1000:100", "other 1001:100", "other 1000:100"])
    assert volume.run_as(1000) == (1, ["closed", "at library", "at profile", "owner 1001:100", "other 1000:100"])
    (volume.library / "upload").chmod(0o777)
    assert volume.run_as(1001) == (0, ["partly", "at profile/x", "owner 1000:100", "other 1001:100"])
    volume.library.chmod(0)
    assert volume.run_as(1001) == (1, ["closed", f"at {volume.library}", "owner 0:0"])


@pytest.mark.parametrize("there", [[], ["lost+found"]], ids=["nothing", "lost+found"])
def test_on_an_empty_volume_the_top_has_to_be_usable(look, there):
    look.folders(*there)

    assert look.run({".": "1000:1000"}) == (1, ["closed", "at .", "owner 1000:1000"])


def a_server_pod(*says, user=None):
    ended = {"terminated": {"exitCode": 1, "message": "".join(f"{line}\n" for line in says)}}
    status = {
        "name": "look-at-library",
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": ended,
    }
    volumes = [{"name": "library", "persistentVolumeClaim": {"claimName": CLAIM}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "photos-server-x",
            "namespace": "family",
            "labels": {"app.kubernetes.io/component": "server"},
        },
        "spec": {"volumes": volumes, **({"securityContext": {"runAsUser": user}} if user else {})},
        "status": {"initContainerStatuses": [status]},
    }


CLOSED = a_server_pod("closed", "at upload", "owner 1000:100")


def context(plan):
    spec = found(plan, "Deployment", "photos-server")["spec"]["template"]["spec"]
    return {key: value for key, value in spec["securityContext"].items() if key != "seccompProfile"}


def noted(plan):
    patches = [
        s["patch"]["metadata"]["annotations"]
        for s in plan.steps
        if s["verb"] == "merge" and s["target"]["name"] == CLAIM
    ]
    return [patch[USER] for patch in patches if USER in patch]


def test_the_server_looks_first_with_its_own_user_and_rights():
    spec = found(plan_for(a_cr()), "Deployment", "photos-server")["spec"]["template"]["spec"]
    [look, *_] = spec["initContainers"]

    assert look["name"] == "look-at-library"
    assert look["volumeMounts"] == [{"name": "library", "mountPath": "/data"}]
    assert look["securityContext"] == container({"spec": {"template": {"spec": spec}}})["securityContext"]


def test_the_server_runs_as_the_owner_of_its_library_and_the_claim_says_so():
    first = plan_for(a_cr(), an_instance_at_work(a_cr()), pods=[CLOSED])

    assert context(first) == {"runAsUser": 1000, "runAsGroup": 100}
    assert noted(first) == ["1000:100"]
    assert notices(first, "explains") == []

    work = [
        annotated(o, {USER: "1000:100"}) if o["metadata"]["name"] == CLAIM else o for o in an_instance_at_work(a_cr())
    ]
    again = plan_for(a_cr(), work, pods=[CLOSED, a_server_pod("open", user=1000)])
    assert context(again) == {"runAsUser": 1000, "runAsGroup": 100}
    assert noted(again) == []


@pytest.mark.parametrize(
    ("spec", "pod", "kept"),
    [
        ({"server": {"podSecurityContext": {"runAsUser": 2000}}}, CLOSED, {"runAsUser": 2000}),
        ({"server": {"securityContext": {"runAsUser": 2000}}}, CLOSED, {}),
        ({}, a_server_pod("closed", "at upload", "owner 1000:1000", "owner 1001:1001"), {}),
        ({}, a_server_pod("closed", "at upload", "owner 1000:1000", "other 0:0"), {}),
        ({"server": {"podSecurityContext": {"runAsUser": 1000}}}, a_server_pod("closed", "at upload", "owner 0:0", user=1000),
         {"runAsUser": 1000}),
    ],
    ids=["users-pod-context", "users-container-context", "several-owners", "other-files-of-root", "root"],
)  # fmt: skip
def test_where_a_person_has_to_decide_the_condition_says_whose_the_folders_are(spec, pod, kept):
    cr = a_cr(spec)
    work = with_status(an_instance_at_work(cr), "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)

    plan, told = plan_for(cr, work, pods=[pod]), condition(report_for(cr, work, pods=[pod]), "ServerReady")

    assert context(plan) == kept
    assert noted(plan) == []
    assert (told["status"], told["reason"]) == ("False", "LibraryClosed")
    assert f"PersistentVolumeClaim {CLAIM}: the server can't read and write upload, which belongs to" in told["message"]
    assert "spec.server.podSecurityContext" in told["message"]


def test_on_openshift_the_platform_says_who_runs_the_server():
    plan = plan_for(a_cr(), an_instance_at_work(a_cr()), pods=[CLOSED], openshift=True)

    assert context(plan) == {}
    assert [n.reason for n in plan.notices] == ["LibraryClosed"]


def test_root_may_be_given_the_right_to_use_all():
    cr = a_cr({"server": {"securityContext": {"capabilities": {"add": ["DAC_OVERRIDE"]}}}})

    server = container(found(plan_for(cr), "Deployment", "photos-server"))

    assert server["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}


def test_a_user_who_switches_off_the_check_of_immich_gets_none_of_ours():
    cr = a_cr({"server": {"env": [{"name": "IMMICH_IGNORE_MOUNT_CHECK_ERRORS", "value": "true"}]}})

    spec = found(plan_for(cr), "Deployment", "photos-server")["spec"]["template"]["spec"]

    assert "look-at-library" not in [entry["name"] for entry in spec["initContainers"]]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_the_check_may_be_switched_off_with_envfrom_too(kind):
    make, key = (a_config_map, "configMapRef") if kind == "ConfigMap" else (a_secret, "secretRef")
    cr = a_cr({"server": {"envFrom": [{key: {"name": "mine"}}]}})

    plan = plan_for(cr, [make("mine", IMMICH_IGNORE_MOUNT_CHECK_ERRORS="true")])

    spec = found(plan, "Deployment", "photos-server")["spec"]["template"]["spec"]
    assert "look-at-library" not in [entry["name"] for entry in spec["initContainers"]]


def at_work_as_noted(cr):
    return [annotated(o, {USER: "1000:100"}) if o["metadata"]["name"] == CLAIM else o for o in an_instance_at_work(cr)]


def test_an_owner_that_the_claim_says_and_that_is_wrong_is_named_with_the_command_that_removes_it():
    plan = plan_for(
        a_cr(), at_work_as_noted(a_cr()), pods=[a_server_pod("closed", "at upload", "owner 0:0", user=1000)]
    )

    [message] = [n.message for n in plan.notices if n.reason == "LibraryClosed"]
    assert "It runs as 1000:100, because the claim says so in its annotation media.rm3l.org/library-user" in message
    assert f"kubectl annotate persistentvolumeclaim --namespace family {CLAIM} media.rm3l.org/library-user-" in message


@pytest.mark.parametrize("right", ["DAC_OVERRIDE", "CAP_DAC_OVERRIDE", "ALL"])
def test_root_that_may_use_all_needs_no_owner(right):
    cr = a_cr({"server": {"securityContext": {"capabilities": {"add": [right]}}}})
    former = a_server_pod("closed", "at upload", "owner 0:0", user=1000)

    plan = plan_for(cr, at_work_as_noted(cr), pods=[former])

    assert context(plan) == {}
    assert notices(plan, "explains") == [], "that pod is about to go"
    assert noted(plan_for(cr, an_instance_at_work(cr), pods=[CLOSED])) == []


def test_folders_that_immich_starts_without_are_a_warning_and_no_reason_for_another_user():
    pod = a_server_pod("partly", "at upload/a", "owner 1000:1000")

    plan = plan_for(a_cr(), an_instance_at_work(a_cr()), pods=[pod])

    assert (context(plan), noted(plan), notices(plan, "explains")) == ({}, [], [])
    [message] = [n.message for n in plan.notices if n.reason == "LibraryClosed"]
    assert "can't read and write upload/a, which belongs to 1000:1000" in message
    told = report_for(a_cr(), an_instance_at_work(a_cr()), pods=[pod])
    assert condition(told, "ServerReady")["status"] == "True"
    assert condition(told, "Warning")["reason"] == "LibraryClosed"


def test_another_claim_tells_nothing_of_this_library():
    elsewhere = {**CLOSED, "spec": {"volumes": [{"name": "library", "persistentVolumeClaim": {"claimName": "other"}}]}}
    work = [*without(an_instance_at_work(a_cr()), "PersistentVolumeClaim", "other"), a_claim("other")]

    assert context(plan_for(a_cr(), work, pods=[elsewhere])) == {}
