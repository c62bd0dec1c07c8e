# SPDX-License-Identifier: Apache-2.0
"""External libraries: mounted as asked, and kept mounted until somebody confirms that Immich need not find them any more."""

from __future__ import annotations

from support.operating import pod_spec

NAS = {"name": "nas", "nfs": {"server": "nas.example.com", "path": "/photos"}}
NOTE = "media.rm3l.org/external-libraries"


def libraries(*entries, confirm=()):
    return {"immich": {"externalLibraries": list(entries), "confirmRemovedLibraries": list(confirm)}}


def mounted(instances):
    """{path: kind of volume} of the external libraries that the server mounts."""
    server = instances.get("Deployment", "photos-server")
    spec = pod_spec(server) if server else {}
    kinds = {v["name"]: next(k for k in v if k != "name") for v in spec.get("volumes", ())}
    mounts = spec["containers"][0]["volumeMounts"] if spec else ()
    return {m["mountPath"]: kinds[m["name"]] for m in mounts if m["name"].startswith("external-")}


def noted(instances):
    claim = instances.get("PersistentVolumeClaim", "photos-library")
    return claim["metadata"].get("annotations", {}).get(NOTE)


def test_a_library_is_mounted_as_the_api_server_took_it_and_its_removal_waits_for_a_confirmation(instances):
    scans = {"name": "scans", "existingClaim": "scans", "mountPath": "/mnt/scans", "readOnly": False}
    both = {"/mnt/external/nas": "nfs", "/mnt/scans": "persistentVolumeClaim"}
    instances.claim("scans")
    instances.create(libraries(NAS, scans))
    instances.wait_ready()
    assert mounted(instances) == both
    instances.wait("a note on the claim", lambda: noted(instances))

    instances.change({"immich": {"externalLibraries": [NAS]}})
    told = instances.wait_condition("Degraded", "LibraryInUse")

    assert told["status"] == "True"
    assert "`confirmRemovedLibraries: [scans]`" in told["message"]
    assert mounted(instances) == both
    instances.wait_ready()

    instances.change({"immich": {"confirmRemovedLibraries": ["scans"]}})
    instances.wait("the library gone", lambda: mounted(instances) == {"/mnt/external/nas": "nfs"})
    instances.wait("nobody to act", lambda: instances.condition("Degraded")["status"] == "False")
    assert "scans" not in noted(instances)


def test_a_library_that_was_removed_while_the_server_was_off_is_mounted_again_with_it(instances):
    instances.create(libraries(NAS))
    instances.wait_ready()
    instances.wait("a note on the claim", lambda: noted(instances))
    instances.change({"server": {"enabled": False}})
    instances.wait("no server", lambda: instances.get("Deployment", "photos-server") is None)

    instances.change({"immich": {"externalLibraries": None}, "server": {"enabled": True}})

    instances.wait_condition("Degraded", "LibraryInUse")
    instances.wait("a server with it", lambda: mounted(instances) == {"/mnt/external/nas": "nfs"})


def test_a_missing_claim_of_a_library_is_named_and_its_coming_heals(instances):
    instances.create(libraries({"name": "nas", "existingClaim": "nas"}))

    told = instances.wait_condition("ServerReady", "ClaimNotFound")
    assert "PersistentVolumeClaim nas named in spec.immich.externalLibraries (nas)" in told["message"]

    instances.claim("nas")
    instances.wait_ready()
