# SPDX-License-Identifier: Apache-2.0
"""Admission of external libraries."""

from __future__ import annotations

from typing import Any

from tests.unit.plugin_utils.spec.admission_case import MALFORMED, Spec, accepted, refused

PATH = "spec.immich.externalLibraries"
NFS = {"server": "nas.example.com", "path": "/photos"}
ONE_PLACE = "a library is in exactly one place. Give one of existingClaim, nfs, csi and hostPath"
ABSOLUTE = "a mount path is absolute, without :, $, //, .. and / at its end. Correct it"
OUTSIDE = (
    "a library is mounted outside of Immich's own folders and those of the system. Choose a path such as"
    " /mnt/external/photos"
)
APART = "two libraries are mounted at the same path, or one inside of another. Give each a mountPath of its own"
UPWARDS = "a path on the node is given without .. in it. Correct it"
NOT_BOTH = "a library is either mounted or removed. Take its name out of confirmRemovedLibraries"


def libraries(*entries: Any, **immich: Any) -> Spec:
    return {"immich": {"externalLibraries": list(entries)} | immich}


def nas(**fields: Any) -> dict[str, Any]:
    return {"name": "nas", "nfs": NFS} | fields


LIBRARIES = [
    accepted("no-libraries", libraries()),
    accepted("library-on-nfs", libraries(nas())),
    accepted("library-on-a-claim", libraries({"name": "a", "existingClaim": "photos", "readOnly": False})),
    accepted(
        "library-of-a-driver",
        libraries({"name": "a", "csi": {"driver": "smb.csi.k8s.io", "volumeAttributes": {"source": "//x/y"}}}),
    ),
    accepted(
        "library-in-a-folder-of-the-node",
        libraries({"name": "a", "hostPath": {"path": "/srv/..photos/a b"}, "allowEmpty": True}),
    ),
    accepted("library-at-paths", libraries(nas(mountPath="/photos"), nas(name="b", mountPath="/photos-2/a b.c"))),
    accepted("library-where-immich-once-had-it", libraries(nas(mountPath="/usr/src/app/external/nas"))),
    accepted("library-beside-immichs-folders", libraries(nas(mountPath="/database"))),
    accepted("library-with-empty-path-as-unset", libraries(nas(mountPath=""))),
    accepted("removed-library", libraries(nas(), confirmRemovedLibraries=["other"])),
    refused("library-nowhere", libraries({"name": "nas"}), (f"{PATH}[0]", ONE_PLACE)),
    refused("library-in-two-places", libraries(nas(existingClaim="photos")), (f"{PATH}[0]", ONE_PLACE)),
    refused("library-without-name", libraries({"nfs": NFS}), (f"{PATH}[0].name", "Required value")),
    refused("library-in-capitals", libraries(nas(name="NAS")), (f"{PATH}[0].name", MALFORMED)),
    refused(
        "export-without-slash",
        libraries(nas(nfs={"server": "nas", "path": "photos"})),
        (f"{PATH}[0].nfs.path", MALFORMED),
    ),
    refused(
        "export-without-server", libraries(nas(nfs={"path": "/photos"})), (f"{PATH}[0].nfs.server", "Required value")
    ),
    refused(
        "folder-of-the-node-upwards",
        libraries({"name": "a", "hostPath": {"path": "/srv/../etc"}}),
        (f"{PATH}[0].hostPath.path", UPWARDS),
    ),
    *(
        refused(f"library-at-{path}", libraries(nas(mountPath=path)), (f"{PATH}[0].mountPath", ABSOLUTE))
        for path in ("photos", "/photos/", "/", "//photos", "/a/../b", "/a/.", "/a:b", "/$(HOME)", "/a\nb")
    ),
    *(
        refused(f"library-at-{path}", libraries(nas(mountPath=path)), (f"{PATH}[0].mountPath", OUTSIDE))
        for path in (
            "/data",
            "/data/library",
            "/usr/src/app/upload",
            "/usr/src/app/externally",
            "/config",
            "/tmp/x",  # noqa: S108
            "/etc",
        )
    ),
    refused(
        "libraries-at-one-path", libraries(nas(mountPath="/photos"), nas(name="b", mountPath="/photos")), (PATH, APART)
    ),
    refused(
        "libraries-within-each-other", libraries(nas(), nas(name="b", mountPath="/mnt/external/nas/b")), (PATH, APART)
    ),
    refused(
        "library-removed-and-there",
        libraries(nas(), confirmRemovedLibraries=["nas"]),
        ("spec.immich.confirmRemovedLibraries", NOT_BOTH),
    ),
]
