# SPDX-License-Identifier: Apache-2.0
"""The deployed operator: what it survives, and what survives it."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest
from e2e.conftest import ROOT, load_operator
from e2e.photos import Deployed, NoAnswer, Photos

from localcluster.testing import Cluster

PREVIOUS_IMAGE = "localhost/immich-operator:e2e-previous"


def test_an_operator_killed_in_the_middle_of_a_pass_finishes_it_with_the_next_pod(photos: Photos) -> None:
    for number in range(3):
        name = f"photos-{number}"
        photos.create(name=name)
        photos.wait("the first object", lambda name=name: photos.owned(name))
        photos.deployed.kill()
        photos.deployed.wait_at_work()

    for number in range(3):
        photos.wait_ready(f"photos-{number}")
        asset = photos.upload(b"a photo", f"photos-{number}")
        assert photos.has(asset, f"photos-{number}")


@pytest.mark.weekly
def test_instances_run_on_without_an_operator_and_are_not_touched_by_the_next(
    photos: Photos, operator: Deployed, new_image: str
) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset, before = photos.upload(photo), photos.pod_uids()

    operator.undeploy()
    try:
        assert photos.download(asset) == photo
        [pod] = photos.pods("server")
        photos.api.delete("Pod", pod["metadata"]["name"], photos.namespace)
        photos.wait("the server's next pod", lambda: photos.pod_uids()["server"] - before["server"])
        photos.wait("an answer of it", photos.answers)
        between = photos.pod_uids()
        mark = photos.cluster.audit.mark()
    finally:
        operator.deploy(new_image)
    photos.wait_ready()

    assert {c: between[c] == before[c] for c in before} == {c: c != "server" for c in before}
    assert photos.pod_uids() == between
    assert photos.download(asset) == photo
    writes = photos.cluster.audit.since(
        mark,
        user_agent_contains="immich-operator",
        verbs=("create", "update", "patch", "delete"),
        namespace=photos.namespace,
    )
    assert {entry.resource for entry in writes} <= {"immiches", "events"}, [str(entry) for entry in writes]


def test_an_upgrade_of_the_operator_keeps_photos_and_password(
    cluster: Cluster, photos: Photos, operator: Deployed, new_image: str, tmp_path: Path
) -> None:
    operator.deploy(_build_of_the_previous_commit(cluster, tmp_path))
    try:
        photo = secrets.token_bytes(50_000)
        photos.ready()
        asset, password = photos.upload(photo), photos.password()
    finally:
        operator.deploy(new_image)
    photos.change({"immich": {"configuration": {"trash": {"days": 3}}}})
    photos.wait("the new operator's pass", lambda: photos.answers() and _trash_days(photos) == 3)
    photos.wait_ready()

    assert photos.download(asset) == photo
    assert photos.password() == password


@pytest.mark.usefixtures("operator")
def test_the_operators_pod_passes_pod_security_restricted_and_has_no_write_access_to_its_image(
    cluster: Cluster,
) -> None:
    namespace = cluster.api.get("Namespace", Deployed.NAMESPACE)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    pod = Deployed(cluster).wait_at_work()

    found = cluster.kubectl(
        "exec", pod, "-n", Deployed.NAMESPACE, "--", "sh", "-c", "id -u; id -g; touch /x 2>&1 || true"
    ).splitlines()
    assert found[:2] == ["1001", "0"]
    assert "Read-only file system" in found[2]


def _trash_days(photos: Photos) -> int:
    try:
        return int(photos.get_json("server/config")["trashDays"])
    except NoAnswer:
        return -1


def _build_of_the_previous_commit(cluster: Cluster, folder: Path) -> str:
    """Its image, on the node; the build is one of a clean work tree of that commit."""
    tree = folder / "previous"
    known = subprocess.run(["git", "rev-parse", "--verify", "HEAD~1"], cwd=ROOT, capture_output=True, check=False)
    if known.returncode != 0:
        pytest.skip("the previous commit is not in this clone: fetch it with `git fetch --deepen=1`")
    subprocess.run(
        ["git", "worktree", "add", "--detach", str(tree), "HEAD~1"], cwd=ROOT, check=True, capture_output=True
    )
    try:
        return load_operator(cluster, tree, PREVIOUS_IMAGE, folder)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True, capture_output=True)
