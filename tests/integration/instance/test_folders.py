# SPDX-License-Identifier: Apache-2.0
"""Folders of Immich on volumes of their own. Simulated pods move nothing: the script's own tests, and real nodes, do."""

from __future__ import annotations

from support.operating import pod_spec

NOTE = "media.rm3l.org/folders"


def claims(instances):
    """{path: claim} of what the container of Immich has below its library."""
    spec = pod_spec(instances.get("Deployment", "photos-server"))
    by_name = {v["name"]: v.get("persistentVolumeClaim", {}).get("claimName") for v in spec["volumes"]}
    return {
        mount["mountPath"]: by_name[mount["name"]]
        for mount in spec["containers"][0]["volumeMounts"]
        if mount["mountPath"].startswith("/data/")
    }


def test_a_folder_gets_its_volume_while_no_server_runs_and_keeps_it_until_it_is_moved_back(instances):
    instances.create()
    instances.wait_ready()
    [before] = instances.pods("server")

    instances.change({"immich": {"persistence": {"thumbs": {"size": "20Gi"}, "profile": {}}}})
    instances.wait(
        "the folders on their volumes",
        lambda: claims(instances) == {"/data/thumbs": "photos-thumbs", "/data/profile": "photos-profile"},
    )
    instances.wait_ready()

    [after] = instances.pods("server")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    thumbs, profile = (instances.get("PersistentVolumeClaim", f"photos-{name}") for name in ("thumbs", "profile"))
    assert thumbs["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert [owner["kind"] for owner in thumbs["metadata"]["ownerReferences"]] == ["Immich"]
    assert "ownerReferences" not in profile["metadata"]
    library = instances.get("PersistentVolumeClaim", "photos-library")
    assert library["metadata"]["annotations"][NOTE] == '{"profile":"photos-profile","thumbs":"photos-thumbs"}'

    instances.change({"immich": {"persistence": {"thumbs": None}}})
    instances.wait_condition("Warning", "FolderMovesBack")
    instances.wait("thumbs in the library", lambda: claims(instances) == {"/data/profile": "photos-profile"})

    volumes = pod_spec(instances.get("Deployment", "photos-server"))["volumes"]
    assert {"name": "folder-thumbs", "persistentVolumeClaim": {"claimName": "photos-thumbs"}} in volumes, (
        "nothing has moved it"
    )
    assert instances.get("PersistentVolumeClaim", "photos-thumbs")
