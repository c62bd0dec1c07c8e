# SPDX-License-Identifier: Apache-2.0
"""No server starts without an external library that Immich knows photos in; the look runs in the shell of this machine."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.external_libraries import LOOK_COMMAND
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import LOOK_AT_EXTERNAL_LIBRARIES
from support.instances import (
    a_claim,
    a_cr,
    an_instance_at_work,
    annotated,
    as_live,
    as_ready,
    condition,
    container,
    found,
    notices,
    plan_for,
    report_for,
    with_status,
    without,
)

NOTE = "media.rm3l.org/external-libraries"
NAS = {"name": "nas", "nfs": {"server": "nas.example.com", "path": "/photos"}}
SCANS = {"name": "scans", "existingClaim": "scans", "mountPath": "/mnt/scans", "readOnly": False}


class Look:
    def __init__(self, folder: Path) -> None:
        self.top, self.said = folder / "external", folder / "said"
        self.top.mkdir()

    def library(self, name: str, *files: str) -> Path:
        folder = self.top / name
        folder.mkdir()
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        return folder

    def run(self, *libraries: tuple[str, str], **rights) -> tuple[int, list[str]]:
        """(exit code, what it says) about (name, may it be empty)."""
        shell, flag, script, zero = LOOK_COMMAND
        script = script.replace("/dev/termination-log", str(self.said))
        arguments = [word for name, empty in libraries for word in (name, empty, str(self.top / name))]
        done = subprocess.run(
            [shell, flag, script, zero, *arguments], capture_output=True, text=True, check=False, timeout=20, **rights
        )
        return done.returncode, self.said.read_text().splitlines() if self.said.is_file() else []


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Look(tmp_path)


def test_libraries_with_files_let_the_server_start(look):
    look.library("nas", "2019/summer/a photo.jpg")
    look.library("scans", "b.jpg")

    assert look.run(("nas", "no"), ("scans", "no")) == (0, ["full nas", "full scans"])


@pytest.mark.parametrize(
    "left", [(), ("lost+found/x",), (".snapshot/photo.jpg",), (".DS_Store",), ("@eaDir/a.jpg",), ("#recycle/a.jpg",)]
)
def test_a_library_without_a_file_keeps_the_server_from_starting(look, left):
    look.library("nas", *left)
    look.library("scans", "b.jpg")

    assert look.run(("nas", "no"), ("scans", "no")) == (1, ["empty nas", "full scans"])
    assert look.run(("scans", "no"), ("nas", "no"))[0] == 1, "wherever it stands"


def test_folders_alone_are_no_content(look):
    """As the places at which inner shares are mounted, when they are not."""
    (look.library("nas") / "2019" / "summer").mkdir(parents=True)

    assert look.run(("nas", "no")) == (1, ["empty nas"])


def test_a_library_that_is_not_there_keeps_the_server_from_starting_even_if_it_may_be_empty(look):
    assert look.run(("nas", "no")) == (1, ["missing nas"])
    assert look.run(("nas", "yes")) == (1, ["missing nas"])


def test_a_library_that_may_be_empty_lets_the_server_start_and_says_so(look):
    look.library("nas")

    assert look.run(("nas", "yes")) == (0, ["empty nas"])


@pytest.mark.parametrize("closed", ["", "2019"])
def test_what_can_not_be_read_is_not_taken_for_empty(closed):
    rights = {"user": 1000, "group": 1000, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        Path(folder).chmod(0o755)
        look = Look(Path(folder))
        look.said.touch()
        look.said.chmod(0o666)
        (look.library("nas", "2019/a.jpg") / closed).chmod(0)

        seen = look.run(("nas", "yes"), **rights)

        (look.top / "nas" / closed).chmod(0o755)
    assert seen == (1, ["closed nas"])


def test_a_look_that_can_not_say_anything_refuses(look):
    look.library("nas", "a.jpg")
    look.said.mkdir()

    assert look.run(("nas", "no"))[0] != 0


def the_server(plan):
    return found(plan, "Deployment", "photos-server")


def mounts(plan):
    """{path: (its volume, whether it is read-only)} of the container that runs Immich, but for what each instance has."""
    spec = the_server(plan)["spec"]["template"]["spec"]
    volumes = {volume["name"]: {k: v for k, v in volume.items() if k != "name"} for volume in spec["volumes"]}
    return {
        mount["mountPath"]: (volumes[mount["name"]], mount.get("readOnly", False))
        for mount in container(the_server(plan))["volumeMounts"]
        if mount["mountPath"] not in ("/data", "/config")
    }


def look_of(plan):
    spec = the_server(plan)["spec"]["template"]["spec"]
    return next((c for c in spec["initContainers"] if c["name"] == LOOK_AT_EXTERNAL_LIBRARIES), None)


def with_libraries(*libraries, confirm=(), **spec):
    immich = {"externalLibraries": list(libraries)} | ({"confirmRemovedLibraries": list(confirm)} if confirm else {})
    return a_cr({**spec, "immich": {**spec.get("immich", {}), **immich}})


def at_work(cr):
    """What is there after the pass that has started the server, and the next one, which notes on the claim."""
    work = an_instance_at_work(cr, [a_claim("scans")])
    return [annotated(o, noted(plan_for(cr, work))) if o["metadata"]["name"] == "photos-library" else o for o in work]


def noted(plan):
    patches = [
        step["patch"]["metadata"]["annotations"]
        for step in plan.steps
        if step["verb"] == "merge" and step["target"]["name"] == "photos-library"
    ]
    return {key: value for patch in patches for key, value in patch.items() if key == NOTE}


def test_each_source_is_mounted_outside_of_the_library_and_read_only_unless_said_otherwise():
    smb = {
        "driver": "smb.csi.k8s.io",
        "volumeAttributes": {"source": "//nas/x"},
        "nodePublishSecretRef": {"name": "nas"},
    }
    disk = {"name": "disk", "hostPath": {"path": "/srv/photos"}}

    plan = plan_for(with_libraries(NAS, SCANS, {"name": "smb", "csi": smb}, disk), [a_claim("scans")])

    assert mounts(plan) == {
        "/mnt/external/nas": ({"nfs": {"server": "nas.example.com", "path": "/photos", "readOnly": True}}, True),
        "/mnt/scans": ({"persistentVolumeClaim": {"claimName": "scans"}}, False),
        "/mnt/external/smb": ({"csi": {**smb, "readOnly": True}}, True),
        "/mnt/external/disk": ({"hostPath": {"path": "/srv/photos", "type": "Directory"}}, True),
    }
    assert notices(plan, "explains") == notices(plan, "warns") == []


def test_the_look_comes_before_the_server_sees_all_libraries_and_gets_paths_as_arguments_only():
    plan = plan_for(with_libraries(NAS, {**SCANS, "allowEmpty": True}), [a_claim("scans")])

    look = look_of(plan)

    assert look["command"][len(LOOK_COMMAND) :] == ["nas", "no", "/mnt/external/nas", "scans", "yes", "/mnt/scans"]
    assert look["command"][: len(LOOK_COMMAND)] == LOOK_COMMAND
    assert {(mount["mountPath"], mount["readOnly"]) for mount in look["volumeMounts"]} == {
        ("/mnt/external/nas", True), ("/mnt/scans", True),
    }  # fmt: skip
    assert look["image"] == container(the_server(plan))["image"]


def test_nothing_that_switches_off_immichs_own_check_switches_off_the_look():
    env = [{"name": "IMMICH_IGNORE_MOUNT_CHECK_ERRORS", "value": "true"}]

    assert look_of(plan_for(with_libraries(NAS, server={"env": env})))


def test_what_is_mounted_stands_on_the_deployment_at_once_and_on_the_claim_before_the_next_change():
    cr = with_libraries(NAS)
    first = plan_for(cr)
    told = the_server(first)["metadata"]["annotations"][NOTE]

    second = plan_for(cr, an_instance_at_work(cr))
    step = next(s for s in second.steps if s["verb"] == "merge" and NOTE in s["patch"]["metadata"]["annotations"])

    assert json.loads(told) == {
        "nas": {"mountPath": "/mnt/external/nas", "readOnly": True, "allowEmpty": False, "nfs": NAS["nfs"]}
    }
    assert noted(second) == {NOTE: told}
    assert step["component"] == "server", "so the Deployment waits if it can't be noted"
    assert step["stage"] < next(s["stage"] for s in second.steps if s.get("object", {}).get("kind") == "Deployment"
                                and s["object"]["metadata"]["name"] == "photos-server")  # fmt: skip
    assert noted(plan_for(cr, at_work(cr))) == {}, "once"


def test_the_note_on_a_deployment_replaces_no_pods():
    assert NOTE not in the_server(plan_for(with_libraries(NAS)))["spec"]["template"]["metadata"]["annotations"]


def test_a_library_that_is_taken_out_stays_mounted_as_it_was_and_the_condition_says_how_to_go_on():
    before = with_libraries(NAS, SCANS)
    work = at_work(before)

    after = with_libraries(NAS)
    plan, told = plan_for(after, work), condition(report_for(after, work), "Degraded")

    assert mounts(plan) == mounts(plan_for(before, work))
    assert look_of(plan) == look_of(plan_for(before, work)), "it is looked at as before"
    assert notices(plan, "explains") == [("server", "LibraryInUse")]
    assert (told["status"], told["reason"]) == ("True", "LibraryInUse")
    assert "external library scans stays mounted at /mnt/scans" in told["message"]
    assert "`confirmRemovedLibraries: [scans]`" in told["message"]


@pytest.mark.parametrize("lost", ["Deployment", "claim's note"])
def test_either_of_the_two_notes_is_enough(lost):
    before = with_libraries(NAS)
    work = at_work(before)
    left = (
        without(work, "Deployment", "photos-server")
        if lost == "Deployment"
        else [as_ready(o) if o["metadata"]["name"] != "photos-library" else a_claim("photos-library") for o in work]
    )

    plan = plan_for(a_cr(), left)

    assert mounts(plan) == mounts(plan_for(before))
    assert look_of(plan) == look_of(plan_for(before))


def test_a_confirmed_removal_is_carried_out_and_forgotten():
    work = at_work(with_libraries(NAS, SCANS))

    plan = plan_for(with_libraries(NAS, confirm=["scans"]), work)

    assert list(mounts(plan)) == ["/mnt/external/nas"]
    assert notices(plan, "explains") == []
    assert json.loads(noted(plan)[NOTE]).keys() == {"nas"}


def test_without_any_library_there_is_no_look_and_no_note():
    work = at_work(with_libraries(NAS))

    plan = plan_for(with_libraries(confirm=["nas"]), work)

    assert (mounts(plan), look_of(plan), noted(plan)) == ({}, None, {NOTE: None})
    assert NOTE not in the_server(plan)["metadata"].get("annotations", {})


def test_a_library_of_another_name_at_the_same_path_takes_its_place():
    work = at_work(with_libraries(NAS))
    renamed = {**NAS, "name": "photos", "mountPath": "/mnt/external/nas"}

    plan = plan_for(with_libraries(renamed), work)

    assert list(mounts(plan)) == ["/mnt/external/nas"]
    assert notices(plan, "explains") == []


def test_a_library_may_move_to_another_server_but_not_to_another_path():
    """The API server refuses another path; a resource that was deleted and made again gets past it."""
    work = at_work(with_libraries(NAS))
    moved = {**NAS, "nfs": {"server": "new.example.com", "path": "/photos"}}

    assert mounts(plan_for(with_libraries(moved), work)) == mounts(plan_for(with_libraries(moved)))
    plan = plan_for(with_libraries({**moved, "mountPath": "/mnt/elsewhere"}), work)
    assert mounts(plan) == mounts(plan_for(with_libraries(NAS)))
    assert notices(plan, "explains") == [("server", "LibraryInUse")]


def test_while_it_is_not_known_what_is_in_use_the_server_is_left_as_it_is():
    work = [
        annotated(o, {NOTE: "[" * 100_000}) if o["metadata"]["name"] == "photos-library" else o
        for o in an_instance_at_work(a_cr())
    ]

    assert notices(plan_for(a_cr(), work), "blocks") == [("server", "LibraryInUse")]


def test_a_claim_that_two_instances_share_says_nothing_of_either():
    cr = a_cr({"immich": {"persistence": {"library": {"existingClaim": "both"}}}})
    other = {"metadata": {"name": "other"}, "spec": cr["spec"]}
    claim = annotated(
        a_claim("both"), {NOTE: json.dumps({"nas": {"mountPath": "/mnt/external/nas", "nfs": NAS["nfs"]}})}
    )

    assert mounts(plan_for(cr, [claim], neighbours=[other])) == {}
    assert list(mounts(plan_for(cr, [claim]))) == ["/mnt/external/nas"]


def a_pod(*says, code=1):
    status = {
        "name": LOOK_AT_EXTERNAL_LIBRARIES,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": code, "message": "".join(f"{line}\n" for line in says)}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "family", "labels": {"app.kubernetes.io/component": "server"}},
        "spec": {},
        "status": {"phase": "Pending", "initContainerStatuses": [status]},
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("empty nas", ["external library nas has no file in it", "NFS export nas.example.com:/photos", "`allowEmpty: true`"]),
        ("missing nas", ["external library nas is not there", "/mnt/external/nas"]),
        ("closed nas", ["external library nas can't be read by the server", "spec.server.podSecurityContext"]),
    ],
)  # fmt: skip
def test_what_a_pod_has_seen_is_why_the_server_does_not_start(line, words):
    cr = with_libraries(NAS)
    work = with_status(at_work(cr), "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)

    told = condition(report_for(cr, work, pods=[a_pod(line)]), "ServerReady")

    assert (told["status"], told["reason"]) == ("False", "LibraryMissing")
    for each in words:
        assert each in told["message"]


def test_what_a_pod_has_seen_of_a_library_that_may_now_be_empty_or_is_gone_is_past():
    pods = [a_pod("empty nas", "empty gone", "nonsense", "empty")]

    assert notices(plan_for(with_libraries({**NAS, "allowEmpty": True}), pods=pods), "explains") == []


def test_a_library_that_has_files_by_now_is_no_longer_to_be_let_pass_empty():
    plan = plan_for(with_libraries({**NAS, "allowEmpty": True}), pods=[a_pod("full nas", code=0)])

    assert notices(plan, "warns") == [("server", "LibraryNotGuarded")]


@pytest.mark.parametrize("trash", [{"enabled": False}, {"days": 0}])
def test_without_immichs_trash_a_failing_file_server_is_warned_of(trash):
    immich = {"configuration": {"trash": trash}}

    assert notices(plan_for(with_libraries(NAS, immich=immich)), "warns") == [("server", "LibraryNotGuarded")]
    assert notices(plan_for(a_cr({"immich": immich})), "warns") == []


def test_a_claim_of_a_library_that_is_not_there_or_being_deleted_is_named():
    read_only = {**SCANS, "readOnly": True}
    gone = a_claim("scans", deletionTimestamp="2026-01-01T00:00:00Z")

    assert notices(plan_for(with_libraries(SCANS)), "explains") == [("server", "ClaimNotFound")]
    assert notices(plan_for(with_libraries(read_only), [gone]), "blocks") == [("server", "ClaimBeingDeleted")]
    live = [*as_live(plan_for(with_libraries(SCANS), [a_claim("scans")])), gone]
    assert ("library", "ClaimBeingDeleted") in notices(plan_for(with_libraries(SCANS), live), "blocks")
