# SPDX-License-Identifier: Apache-2.0
"""Volumes that come back otherwise than they were: without annotations, in another layout, with another owner."""

from __future__ import annotations

import secrets

import pytest
from e2e.photos import Photos

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES

LIBRARY, DATABASE = "photos-library", "data-photos-postgres-0"
FOLDER, MAJOR = "media.rm3l.org/pgdata", "media.rm3l.org/postgres-major"


def _without_its_pods(photos: Photos) -> None:
    photos.api.delete("Immich", "photos", photos.namespace)
    photos.wait("all pods gone", lambda: not photos.api.list("Pod", photos.namespace))


def _strip(photos: Photos) -> None:
    """Take off both claims what snapshots do not bring back."""
    for claim in (LIBRARY, DATABASE):
        found = photos.get("PersistentVolumeClaim", claim)["metadata"].get("annotations", {})
        gone = {"metadata": {"annotations": {key: None for key in found if key.startswith("media.rm3l.org/")}}}
        photos.api.merge_patch("PersistentVolumeClaim", claim, photos.namespace, gone)


def _on_node(photos: Photos, claim: str) -> str:
    """The folder of a claim's volume on the node."""
    volume = photos.api.get("PersistentVolume", photos.get("PersistentVolumeClaim", claim)["spec"]["volumeName"])
    path: str = volume["spec"]["local"]["path"]
    return path


def _annotation(photos: Photos, claim: str, key: str) -> str | None:
    found: str | None = photos.get("PersistentVolumeClaim", claim)["metadata"].get("annotations", {}).get(key)
    return found


@pytest.mark.parametrize("layout", ["pgdata", ".", "18/docker"])
def test_a_database_is_found_wherever_it_lies_on_a_volume_that_lost_its_annotations(
    photos: Photos, layout: str
) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset, password = photos.upload(photo), photos.password()
    _without_its_pods(photos)
    _strip(photos)
    folder, node = _on_node(photos, DATABASE), photos.cluster.local
    if layout == ".":
        node.on_node("sh", "-c", f"mv {folder}/pgdata/* {folder}/ && rmdir {folder}/pgdata")
        node.on_node("sh", "-c", f"chown 999:999 {folder} && chmod 0700 {folder}")
    elif layout != "pgdata":
        node.on_node("sh", "-c", f"mkdir -p {folder}/18 && mv {folder}/pgdata {folder}/{layout}")

    photos.ready()

    assert photos.download(asset) == photo
    assert photos.password() == password
    photos.wait("the claim says where", lambda: _annotation(photos, DATABASE, FOLDER) == layout)
    versions = node.on_node("find", folder, "-maxdepth", "3", "-name", "PG_VERSION", "-not", "-path", "*/base/*")
    assert versions.split() == [f"{folder}/{'' if layout == '.' else f'{layout}/'}PG_VERSION"], "no second database"


def test_a_library_of_another_user_is_used_as_that_user(photos: Photos) -> None:
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)
    _without_its_pods(photos)
    folder = _on_node(photos, LIBRARY)
    photos.cluster.local.on_node("sh", "-c", f"chown -R 1000:1000 {folder} && chmod -R u=rwX,go= {folder}")

    photos.ready()

    assert photos.download(asset) == photo
    assert _annotation(photos, LIBRARY, "media.rm3l.org/library-user") == "1000:1000"
    assert photos.run_in("deployment/photos-server", "id", "-u").strip() == "1000"
    again = secrets.token_bytes(50_000)
    assert photos.download(photos.upload(again)) == again


def test_a_database_of_another_user_is_run_as_that_user(photos: Photos) -> None:
    """Images built on Alpine run PostgreSQL as uid 70: so its files are after a move from one of those."""
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)
    _without_its_pods(photos)
    folder = _on_node(photos, DATABASE)
    photos.cluster.local.on_node("chown", "-R", "70:70", f"{folder}/pgdata")

    photos.ready()

    assert photos.download(asset) == photo
    assert photos.run_in("statefulset/photos-postgres", "id", "-u").strip() == "70"
    owner = photos.cluster.local.on_node("stat", "-c", "%u", f"{folder}/pgdata/PG_VERSION")
    assert owner.strip() == "70", "the files stay whose they were"


def test_data_of_another_major_version_are_recognised_and_left_as_they_are(photos: Photos) -> None:
    """PG_VERSION is what PostgreSQL itself goes by. There is only one major version here, so the file is made to lie."""
    photo = secrets.token_bytes(50_000)
    photos.ready()
    asset = photos.upload(photo)
    photos.wait("the claim says which", lambda: _annotation(photos, DATABASE, MAJOR) == "pgdata=17")
    _without_its_pods(photos)
    _strip(photos)
    folder, node = f"{_on_node(photos, DATABASE)}/pgdata", photos.cluster.local
    node.on_node("sh", "-c", f"echo 14 >{folder}/PG_VERSION")
    files = node.on_node("sh", "-c", f"cd {folder} && find . -type f -exec sha256sum {{}} + | sort")

    photos.create()
    photos.wait("what a pod has found", lambda: _annotation(photos, DATABASE, MAJOR) == "pgdata=14")
    photos.wait("the image for it", lambda: _database_image(photos) == DEFAULT_IMAGES["postgres14"])

    assert node.on_node("sh", "-c", f"cd {folder} && find . -type f -exec sha256sum {{}} + | sort") == files

    _without_its_pods(photos)
    _strip(photos)
    node.on_node("sh", "-c", f"echo 17 >{folder}/PG_VERSION")
    photos.ready()
    assert photos.download(asset) == photo


def _database_image(photos: Photos) -> str:
    containers = photos.get("StatefulSet", "photos-postgres")["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["image"])
