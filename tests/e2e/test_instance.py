# SPDX-License-Identifier: Apache-2.0
"""Real pods of one instance: photos outlive all that happens to them, and the status tells what happens."""

from __future__ import annotations

import base64
import secrets
import threading

import pytest
from e2e.photos import NoAnswer, Photos

from ansible_collections.media.immich.plugins.plugin_utils.kube.readiness import is_ready
from support.operating import environment

COMPONENTS = ("server", "machine-learning", "valkey", "postgres")


def test_a_resource_without_spec_is_a_library_that_keeps_photos_over_deletion(photos: Photos) -> None:
    photo = secrets.token_bytes(200_000)
    photos.ready()
    asset = photos.upload(photo)
    starts = int(photos.query("select count(*) from server_start"))
    password = photos.password()

    photos.api.delete("Immich", "photos", photos.namespace)
    photos.wait("all pods gone", lambda: not photos.api.list("Pod", photos.namespace))
    assert not photos.get("StatefulSet", "photos-postgres")
    photos.ready()

    assert photos.download(asset) == photo
    assert int(photos.query("select count(*) from server_start")) == starts + 1
    assert photos.password() == password


def test_every_component_works_with_a_read_only_root(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    hardened = {"securityContext": {"readOnlyRootFilesystem": True}}

    photos.ready(dict.fromkeys(("server", "machineLearning", "valkey", "postgres"), hardened))

    assert photos.download(photos.upload(photo)) == photo


@pytest.mark.weekly
def test_a_killed_pod_comes_back_and_the_status_shows_it(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)

    for component in COMPONENTS:
        [pod] = photos.pods(component)
        _kill(photos, pod["metadata"]["name"])
        status = photos.wait_not_ready()
        photos.wait_ready()

        not_ready = {c["type"] for c in status["conditions"] if c["status"] == "False"} & {
            "ServerReady", "MachineLearningReady", "ValkeyReady", "PostgresReady",
        }  # fmt: skip
        assert not_ready == {_condition_of(component)}, component
    assert photos.download(asset) == photo


def test_while_the_database_hangs_the_status_says_so_and_everything_continues_afterwards(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)

    with photos.hanging("postgres"):
        status = photos.wait_not_ready()
        assert photos.answers(), "the server answers without its database, as Immich does"
        with pytest.raises(NoAnswer) as refusal:
            photos.download(asset)
        assert refusal.value.status in (0, 500)
    photos.wait("the server finds its database again", lambda: _serves(photos, asset))
    photos.wait_ready()

    assert {c["type"]: c["status"] for c in status["conditions"]}["PostgresReady"] == "False"
    assert photos.download(asset) == photo


@pytest.mark.weekly
def test_a_wrong_image_is_named_and_the_right_one_fixes_it(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)
    right = photos.pods("server")[0]["spec"]["containers"][0]["image"]
    wrong = f"{right.rpartition(':')[0]}:no-such-tag"

    photos.change({"server": {"image": wrong}})
    condition = photos.wait_condition("ServerReady", "ImagePullFailed")
    assert wrong in condition["message"]
    assert photos.condition("Degraded")["status"] == "True"
    photos.change({"server": {"image": None}})
    photos.wait_ready()

    assert photos.condition("Degraded")["status"] == "False"
    assert photos.download(asset) == photo


def test_a_change_of_immichs_settings_rolls_the_server_alone(photos: Photos) -> None:
    photos.ready({"immich": {"configuration": {"trash": {"days": 7}}}})
    assert photos.get_json("server/config")["trashDays"] == 7
    before = photos.pod_uids()

    photos.change({"immich": {"configuration": {"trash": {"days": 90}}}})

    photos.wait_rolled(before, "server")
    assert photos.get_json("server/config")["trashDays"] == 90


def test_a_new_password_in_the_secret_reaches_database_and_server(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset, old = photos.upload(photo), photos.password()
    before = photos.pod_uids()

    new = base64.b64encode(b"another-password-with-'quotes'-and-$").decode()
    photos.api.merge_patch("Secret", "photos-postgres-credentials", photos.namespace, {"data": {"password": new}})
    photos.wait_rolled(before, "server", "postgres")

    assert photos.download(asset) == photo
    assert photos.password() == new
    for encoded, accepted in ((old, False), (new, True)):
        assert _logs_in(photos, base64.b64decode(encoded).decode()) is accepted


def test_valkey_gets_a_password_and_loses_it_again_under_a_working_server(photos: Photos) -> None:
    def answer_to_strangers(*, asks: bool) -> str:
        def rolled() -> bool:
            valkey = photos.get("Deployment", "photos-valkey")
            return ("REDISCLI_AUTH" in environment(valkey)) is asks and is_ready(valkey)

        photos.wait(f"a Valkey that asks for a password: {asks}", rolled)
        return photos.run_in("deployment/photos-valkey", "sh", "-c", "unset REDISCLI_AUTH; valkey-cli ping")

    photos.ready()
    asset = photos.upload(secrets.token_bytes(50_000))

    photos.change({"valkey": {"auth": {"enabled": True}}})
    assert "NOAUTH" in answer_to_strangers(asks=True)
    photos.start_missing_jobs("thumbnailGeneration")
    assert photos.has(asset)

    photos.change({"valkey": {"auth": {"enabled": False}}})
    assert "PONG" in answer_to_strangers(asks=False)
    photos.wait("the Secret gone", lambda: photos.get("Secret", "photos-valkey-credentials") is None)
    photos.wait_ready()
    photos.start_missing_jobs("thumbnailGeneration")


def test_a_server_scaled_to_zero_and_back_keeps_everything(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)

    photos.change({"server": {"replicas": 0}})
    photos.wait_condition("ServerReady", "ScaledToZero")
    assert photos.pods("server") == []
    assert not photos.answers()
    photos.change({"server": {"replicas": 1}})
    photos.wait("a server that answers", photos.answers)
    photos.wait_ready()

    assert photos.download(asset) == photo


def test_a_library_grows_under_a_running_server(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready({"immich": {"persistence": {"library": {"size": "1Gi"}}}})
    asset, before = photos.upload(photo), photos.pod_uids()

    photos.change({"immich": {"persistence": {"library": {"size": "2Gi"}}}})
    photos.wait("the claim has grown", lambda: _capacity(photos, "photos-library") == "2Gi")
    photos.wait_ready()

    assert photos.pod_uids() == before
    assert photos.download(asset) == photo


def test_two_instances_in_one_namespace_share_nothing(photos: Photos) -> None:
    photos.create(name="photos")
    photos.create(name="scans")
    photos.wait_ready("photos")
    photos.wait_ready("scans")

    mine, theirs = photos.upload(b"a photo", "photos"), photos.upload(b"a scan", "scans")

    assert photos.has(mine, "photos")
    assert photos.has(theirs, "scans")
    assert not photos.has(mine, "scans")
    assert not photos.has(theirs, "photos")
    assert photos.password("photos") != photos.password("scans")


def test_the_documented_hardening_passes_pod_security_restricted(photos: Photos) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    photos.api.merge_patch("Namespace", photos.namespace, None, label)
    user = {
        "runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
        "fsGroupChangePolicy": "OnRootMismatch",
    }  # fmt: skip
    photos.ready({"server": {"podSecurityContext": user}, "machineLearning": {"podSecurityContext": user}})
    photo = secrets.token_bytes(50_000)

    asset = photos.upload(photo)

    assert photos.download(asset) == photo
    assert photos.run_in("deployment/photos-server", "id", "-u").strip() == "1000"


def test_photos_can_be_uploaded_while_passes_run(photos: Photos) -> None:
    photos.ready()
    before, stop = photos.pod_uids(), threading.Event()

    def nudge() -> None:
        number = 0
        while not stop.wait(0.2):
            number += 1
            mark = {"metadata": {"annotations": {"example.com/number": str(number)}}}
            photos.api.merge_patch("Immich", "photos", photos.namespace, mark)

    nudger = threading.Thread(target=nudge)
    nudger.start()
    try:
        uploaded = {photos.upload(photo): photo for photo in (secrets.token_bytes(10_000) for _ in range(30))}
    finally:
        stop.set()
        nudger.join()

    assert all(photos.download(asset) == photo for asset, photo in uploaded.items())
    assert photos.pod_uids() == before


def test_a_database_volume_that_was_emptied_is_reported_and_not_used_until_its_content_is_back(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)
    library, database, mark = "photos-library", "data-photos-postgres-0", "media.rm3l.org/database"
    known = photos.wait("the claims marked", lambda: _annotations(photos, database).get(mark))
    volume = photos.api.get("PersistentVolume", photos.get("PersistentVolumeClaim", database)["spec"]["volumeName"])
    folder = volume["spec"]["local"]["path"]
    photos.query("checkpoint")
    photos.cluster.local.on_node("mv", f"{folder}/pgdata", f"{folder}.kept")

    _kill(photos, "photos-postgres-0")

    told = photos.wait_condition("PostgresReady", "DatabaseLost")
    assert f"PersistentVolumeClaim {database} had no database on its volume" in told["message"]
    photos.wait("the new pod about to end", lambda: not photos.pods("postgres"))
    # While the image sets up a database, it ends only when the grace period is over.
    photos.wait("the new pod gone", lambda: _ended(photos, "photos-postgres-0"))
    assert photos.get("StatefulSet", "photos-postgres")["spec"]["replicas"] == 0
    assert mark not in _annotations(photos, database)
    assert _annotations(photos, library)[mark] == known

    photos.cluster.local.on_node("rm", "-rf", f"{folder}/pgdata")
    photos.cluster.local.on_node("mv", f"{folder}.kept", f"{folder}/pgdata")
    photos.cluster.kubectl("annotate", "pvc", database, "-n", photos.namespace, f"{mark}={known}")
    photos.wait_ready()

    assert photos.download(asset) == photo


def _kill(photos: Photos, pod: str) -> None:
    photos.cluster.kubectl("delete", "pod", pod, "-n", photos.namespace, "--grace-period=0", "--force")


def _ended(photos: Photos, name: str) -> bool:
    """Whether a pod is gone; what of it still runs is killed on the node."""
    pod = photos.get("Pod", name)
    if pod is None:
        return True
    for container in pod["status"].get("containerStatuses", ()):
        if "running" in container["state"]:
            task = container["containerID"].removeprefix("containerd://")
            kill = f"ctr --namespace k8s.io tasks kill --signal SIGKILL {task} || true"  # it may have ended meanwhile
            photos.cluster.local.on_node("sh", "-c", kill)
    return False


def _annotations(photos: Photos, claim: str) -> dict[str, str]:
    annotations: dict[str, str] = photos.get("PersistentVolumeClaim", claim)["metadata"].get("annotations", {})
    return annotations


def _serves(photos: Photos, asset: str) -> bool:
    try:
        return bool(photos.download(asset))
    except NoAnswer:
        return False


def _condition_of(component: str) -> str:
    return "".join(part.capitalize() for part in component.split("-")) + "Ready"


def _capacity(photos: Photos, claim: str) -> str:
    return str(photos.api.get("PersistentVolumeClaim", claim, photos.namespace)["status"]["capacity"]["storage"])


def _logs_in(photos: Photos, password: str) -> bool:
    """The database lets its user in with that password, over the network."""
    script = 'PGPASSWORD="$0" psql -w -h "$(hostname -i)" -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "select 1" || echo refused'
    answer = photos.run_in("statefulset/photos-postgres", "sh", "-c", script, password, container="postgres")
    return "refused" not in answer
