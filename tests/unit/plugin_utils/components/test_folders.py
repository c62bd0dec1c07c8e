# SPDX-License-Identifier: Apache-2.0
"""Folders of Immich on volumes of their own: mounted, moved before the server starts, and moved back before one leaves."""

import json

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.passes.removal import removal
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import MOVE_FOLDERS
from support.instances import (
    a_claim,
    a_cr,
    an_instance_at_work,
    annotated,
    condition,
    container,
    found,
    has,
    notices,
    plan_for,
    report_for,
    seen_with,
    with_status,
    without,
)

NOTE = "media.rm3l.org/folders"


def apart(**folders):
    return a_cr({"immich": {"persistence": folders}})


def server(plan):
    return found(plan, "Deployment", "photos-server")


def mounted(plan):
    """{path: claim} of what Immich has below its library."""
    spec = server(plan)["spec"]["template"]["spec"]
    claims = {
        v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v
    }
    mounts = container(server(plan))["volumeMounts"]
    return {m["mountPath"]: claims[m["name"]] for m in mounts if m["mountPath"].startswith("/data/")}


def move_of(plan):
    """(what moves where, {path: volume}) of the container that moves; None if there is none."""
    inits = server(plan)["spec"]["template"]["spec"]["initContainers"]
    mover = next((c for c in inits if c["name"] == MOVE_FOLDERS), None)
    if mover is None:
        return None
    words = mover["command"][6:]
    return dict(zip(words[::3], words[1::3], strict=True)), {m["mountPath"]: m["name"] for m in mover["volumeMounts"]}


def a_pod(plan, *says, code=0):
    """A pod of the Deployment in a plan."""
    spec = server(plan)["spec"]["template"]["spec"]
    ended = {"terminated": {"exitCode": code, "message": "".join(f"{line}\n" for line in says)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "family", "labels": {"app.kubernetes.io/component": "server"}},
        "spec": spec,
        "status": {"phase": "Running", "initContainerStatuses": [{"name": MOVE_FOLDERS, "state": ended}]},
    }


def noted(plan):
    patches = [s["patch"]["metadata"]["annotations"] for s in plan.steps if s["verb"] == "merge"]
    return {key: value for patch in patches for key, value in patch.items() if key == NOTE}


def at_work(cr):
    work = an_instance_at_work(cr)
    return [annotated(o, noted(plan_for(cr, work))) if o["metadata"]["name"] == "photos-library" else o for o in work]


def test_without_the_fields_nothing_is_apart():
    plan = plan_for(a_cr())

    assert (mounted(plan), move_of(plan), noted(plan)) == ({}, None, {})
    assert not has(plan, "PersistentVolumeClaim", "photos-thumbs")


def test_each_folder_gets_its_claim_and_is_looked_at_and_moved_before_the_server_starts():
    plan = plan_for(apart(thumbs={}, encodedVideo={"size": "50Gi", "storageClass": "fast"}, profile={}, backups={}))

    assert mounted(plan) == {
        "/data/thumbs": "photos-thumbs",
        "/data/encoded-video": "photos-encoded-video",
        "/data/profile": "photos-profile",
        "/data/backups": "photos-backups",
    }
    inits = server(plan)["spec"]["template"]["spec"]["initContainers"]
    assert [c["name"] for c in inits][:2] == ["look-at-library", MOVE_FOLDERS]
    assert {m["mountPath"] for m in inits[0]["volumeMounts"]} == {"/data", *mounted(plan)}
    wanted, mounts = move_of(plan)
    assert wanted == dict.fromkeys(["thumbs", "encoded-video", "profile", "backups"], "volume")
    assert server(plan)["spec"]["template"]["spec"]["initContainers"][1]["command"][8::3] == ["yes", "yes", "no", "no"]
    assert mounts == {"/library": "library"} | {f"/volumes/{name}": f"folder-{name}" for name in wanted}
    spec = found(plan, "PersistentVolumeClaim", "photos-encoded-video")["spec"]
    assert (spec["resources"]["requests"]["storage"], spec["storageClassName"]) == ("50Gi", "fast")


@pytest.mark.parametrize(
    ("field", "name", "is_owned"),
    [
        ("thumbs", "thumbs", True),
        ("encodedVideo", "encoded-video", True),
        ("profile", "profile", False),
        ("backups", "backups", False),
    ],
)
def test_what_can_not_be_made_again_outlives_the_instance(field, name, is_owned):
    metadata = found(plan_for(apart(**{field: {}})), "PersistentVolumeClaim", f"photos-{name}")["metadata"]

    assert ("ownerReferences" in metadata) is is_owned
    assert ("helm.sh/resource-policy" in metadata.get("annotations", {})) is not is_owned


def test_a_removal_without_an_operator_keeps_what_can_not_be_made_again():
    cr = apart(thumbs={}, encodedVideo={}, profile={}, backups={})

    done = removal(cr, seen=seen_with(cr, an_instance_at_work(cr)))

    gone = {step["target"]["name"] for step in done["steps"] if step["target"]["kind"] == "PersistentVolumeClaim"}
    assert {"photos-thumbs", "photos-encoded-video"} <= gone
    assert {f"PersistentVolumeClaim photos-{name}" for name in ("library", "profile", "backups")} <= set(done["kept"])


def test_a_claim_of_the_users_is_used_as_it_is():
    plan = plan_for(apart(thumbs={"existingClaim": "ssd"}), [a_claim("ssd")])

    assert mounted(plan) == {"/data/thumbs": "ssd"}
    assert not has(plan, "PersistentVolumeClaim", "photos-thumbs")
    assert notices(plan_for(apart(thumbs={"existingClaim": "ssd"})), "explains") == [("server", "ClaimNotFound")]


def test_nothing_is_moved_while_immich_runs_with_the_folder_where_it_was():
    before = a_cr()
    work, old = at_work(before), a_pod(plan_for(before))
    after = apart(thumbs={})

    waiting, going = server(plan_for(after, work, pods=[old])), server(plan_for(after, work))

    assert waiting["spec"]["replicas"] == 0
    assert waiting["spec"]["strategy"] == {"type": "Recreate"}
    assert going["spec"]["replicas"] == 1
    ended = {**old, "status": {**old["status"], "phase": "Succeeded"}}
    assert server(plan_for(after, work, pods=[ended]))["spec"]["replicas"] == 1
    assert server(plan_for(after, work, pods=[a_pod(plan_for(after))]))["spec"]["replicas"] == 1


def test_where_it_is_stands_on_the_deployment_and_on_the_claim():
    cr = apart(thumbs={})

    told = server(plan_for(cr))["metadata"]["annotations"][NOTE]

    assert json.loads(told) == {"thumbs": "photos-thumbs"}
    assert noted(plan_for(cr, an_instance_at_work(cr))) == {NOTE: told}
    assert noted(plan_for(cr, at_work(cr))) == {}


def test_on_the_way_back_the_volume_stays_until_a_server_has_started_after_the_move():
    with_volume = apart(thumbs={})
    work = at_work(with_volume)
    going_back = plan_for(a_cr(), work)

    assert mounted(going_back) == {}
    assert move_of(going_back) == ({"thumbs": "library"}, {"/library": "library", "/volumes/thumbs": "folder-thumbs"})
    assert notices(going_back, "warns") == [("server", "FolderMovesBack")]
    assert server(plan_for(a_cr(), work, pods=[a_pod(plan_for(with_volume), "volume thumbs")]))["spec"]["replicas"] == 0

    done = a_pod(going_back, "library thumbs")
    for unfinished in (
        plan_for(a_cr(), work),
        plan_for(a_cr(), work, pods=[a_pod(going_back, "both thumbs", code=1)]),
        plan_for(
            a_cr(), with_status(work, "Deployment", "photos-server", readyReplicas=0, availableReplicas=0), pods=[done]
        ),
    ):
        assert move_of(unfinished) == move_of(going_back)
    finished = plan_for(a_cr(), work, pods=[done])
    assert (move_of(finished), mounted(finished), noted(finished)) == (None, {}, {NOTE: None})
    assert notices(finished, "warns") == []


@pytest.mark.parametrize("lost", ["Deployment", "note"])
def test_either_note_is_enough_for_the_way_back(lost):
    work = at_work(apart(thumbs={}))
    left = (
        without(work, "Deployment", "photos-server")
        if lost == "Deployment"
        else [a_claim("photos-library") if o["metadata"]["name"] == "photos-library" else o for o in work]
    )

    assert move_of(plan_for(a_cr(), left))[0] == {"thumbs": "library"}


def test_from_one_volume_to_another_it_does_not_move_at_once():
    work = [*at_work(apart(thumbs={})), a_claim("ssd")]

    plan = plan_for(apart(thumbs={"existingClaim": "ssd"}), work)

    assert mounted(plan) == {"/data/thumbs": "photos-thumbs"}
    assert notices(plan, "explains") == [("server", "FolderNotMoved")]


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"thumbs": 1, "upload": "x"}'])
def test_a_note_that_is_not_ours_says_nothing(text):
    work = [annotated(o, {NOTE: text}) if o["metadata"]["name"] == "photos-library" else o for o in at_work(a_cr())]

    assert move_of(plan_for(a_cr(), work)) is None


@pytest.mark.parametrize("why", ["both", "closed", "full", "differs", "uncopied"])
def test_why_a_folder_can_not_be_moved_is_why_the_server_does_not_start(why):
    cr = apart(thumbs={})
    work = with_status(at_work(cr), "Deployment", "photos-server", readyReplicas=0, availableReplicas=0)

    told = condition(report_for(cr, work, pods=[a_pod(plan_for(cr), f"{why} thumbs", code=1)]), "ServerReady")

    assert (told["status"], told["reason"]) == ("False", "FolderNotMoved")
    assert "folder thumbs can't be moved" in told["message"]
    assert "kubectl logs --namespace family deployment/photos-server -c move-folders" in told["message"]


def test_what_is_kept_of_the_former_copy_is_told_with_the_command_that_removes_it():
    cr = apart(thumbs={})

    plan = plan_for(cr, at_work(cr), pods=[a_pod(plan_for(cr), "volume thumbs", "kept thumbs-1", "kept ../x")])

    [told] = [n for n in plan.notices if n.effect == "warns"]
    assert told.reason == "OldCopyKept"
    assert "-- rm -r /data/.immich-operator/old/thumbs-1" in told.message
