# SPDX-License-Identifier: Apache-2.0
"""Volumes of a real node: a folder for each claim, as `local` volumes, which can grow and get a pod's group.

The host-path volumes that kube-controller-manager can create belong to root, and kubelet does not set a group on them
(fsGroup), so a database that does not run as root cannot write there. Run as a process:
`python -m localcluster.nodes.volumes PROVISIONER KUBECONFIG FOLDER NODE`.
"""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from localcluster.api import Api
from localcluster.errors import LocalClusterError

__all__ = ["Provisioner"]

_WATCH_S = 60.0
_PAUSE_S = 1.0  # between two watches: the API server may be gone
_ANNOTATION = "pv.kubernetes.io/provisioned-by"


class Provisioner:
    """Creates, grows and deletes the volumes of all claims whose class names the provisioner `name`."""

    def __init__(self, name: str, api: Api, folder: Path, node: str) -> None:
        self._name, self._api, self._folder, self._node = name, api, folder, node

    def provision(self) -> None:
        """Look at all claims and volumes once, and do what is needed."""
        classes = {
            entry["metadata"]["name"]: entry
            for entry in self._api.list("StorageClass")
            if entry["provisioner"] == self._name
        }
        volumes = {entry["metadata"]["name"]: entry for entry in self._api.list("PersistentVolume")}
        for claim in self._api.list("PersistentVolumeClaim"):
            if claim["spec"].get("storageClassName") not in classes:
                continue
            volume = volumes.get(_volume_name(claim))
            if volume is None and claim["status"].get("phase") == "Pending" and not claim["spec"].get("volumeName"):
                self._create(claim, classes[claim["spec"]["storageClassName"]])
            elif volume is not None and claim["status"].get("phase") == "Bound":
                self._grow(claim, volume)
        for volume in volumes.values():
            if (
                volume["metadata"].get("annotations", {}).get(_ANNOTATION) == self._name
                and volume["status"].get("phase") == "Released"
                and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
            ):
                name = volume["metadata"]["name"]
                # If somebody has changed the path in the object, the files there are kept.
                if Path(volume["spec"]["local"]["path"]) == self._folder / name:
                    shutil.rmtree(self._folder / name, ignore_errors=True)
                self._api.delete("PersistentVolume", name)

    def _create(self, claim: dict[str, Any], storage_class: dict[str, Any]) -> None:
        name = _volume_name(claim)
        path = self._folder / name
        path.mkdir(mode=0o755, exist_ok=True)
        metadata = claim["metadata"]
        on_this_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [self._node]}
        self._api.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name, "annotations": {_ANNOTATION: self._name}},
                "spec": {
                    "accessModes": claim["spec"]["accessModes"],
                    "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                    "claimRef": {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        "namespace": metadata["namespace"],
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                    },
                    "local": {"path": str(path)},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_this_node]}]}},
                    "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
                    "storageClassName": storage_class["metadata"]["name"],
                },
            }
        )

    def _grow(self, claim: dict[str, Any], volume: dict[str, Any]) -> None:
        """The API server has checked that it is larger and that the class allows it."""
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        metadata = claim["metadata"]
        if wanted == claim["status"].get("capacity", {}).get("storage"):
            return
        size = {"storage": wanted}
        self._api.merge_patch("PersistentVolume", volume["metadata"]["name"], None, {"spec": {"capacity": size}})
        self._api.merge_patch(
            "PersistentVolumeClaim",
            metadata["name"],
            metadata["namespace"],
            {"status": {"capacity": size}},
            subresource="status",
        )

    def run(self) -> None:
        """Forever: look again whenever a claim or a volume has changed."""
        changed = threading.Event()
        for kind in ("PersistentVolumeClaim", "PersistentVolume"):
            threading.Thread(target=self._notice, args=(kind, changed), daemon=True).start()
        while True:
            changed.clear()
            # Refused: somebody else was faster; that event starts the next round.
            with suppress(LocalClusterError):
                self.provision()
            changed.wait(_WATCH_S)

    def _notice(self, kind: str, changed: threading.Event) -> None:
        while True:
            with suppress(LocalClusterError):
                for _ in self._events(kind):
                    changed.set()
            time.sleep(_PAUSE_S)

    def _events(self, kind: str) -> Iterator[object]:
        # From any version: it begins with the existing objects.
        return self._api.watch(kind, since="0", timeout=_WATCH_S)


def _volume_name(claim: dict[str, Any]) -> str:
    return f"pvc-{claim['metadata']['uid']}"


if __name__ == "__main__":
    own_name, kubeconfig, folder, node = sys.argv[1:]
    Provisioner(own_name, Api(Path(kubeconfig), user_agent="localcluster"), Path(folder), node).run()
