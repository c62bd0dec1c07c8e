# SPDX-License-Identifier: Apache-2.0
"""Argo CD's own engine, tracking by label and pruning, leaves alone what an Immich of its Application's name consists of."""

from __future__ import annotations

import json
import subprocess

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.names import KEEP_ANNOTATIONS
from localcluster import build
from localcluster.progress import Progress
from support.operating import Instances

KEPT = {
    "PersistentVolumeClaim/photos-library",
    "PersistentVolumeClaim/data-photos-postgres-0",
    "Secret/photos-postgres-credentials",
}
"""What has the label of the instance and no owner."""
GIT = json.dumps({"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos"}})


class Argo:
    """Argo CD for one namespace, whose Git has the manifests that it is given."""

    def __init__(self, instances: Instances) -> None:
        self._program = build.ensure(["gitops"], Progress())["gitops"]
        self._instances = instances

    def sync(self, manifests: str) -> dict[str, str]:
        """{"Kind/name": what became of it} of one sync with prune, of an Application that is called photos."""
        command = [str(self._program), "photos", self._instances.namespace]
        env = self._instances.cluster.env
        done = subprocess.run(
            command, input=manifests, env=env, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        results = [json.loads(line) for line in done.stdout.splitlines()]
        return {f"{result['kind']}/{result['name']}": result["status"] for result in results}


@pytest.fixture
def argo(instances: Instances) -> Argo:
    return Argo(instances)


def _once_annotated(instances: Instances) -> dict[str, str]:
    """{"Kind/name": uid} of what is kept, once it says so to tools that prune."""

    def said() -> bool:
        owned = instances.owned()
        found = {f"{kind}/{name}": manifest for (kind, name), manifest in owned.items()}
        return all(
            KEEP_ANNOTATIONS.items() <= (found.get(key) or {"metadata": {}})["metadata"].get("annotations", {}).items()
            for key in KEPT
        )

    instances.wait("what is kept says so", said)
    return _kept(instances)


def _kept(instances: Instances) -> dict[str, str]:
    found = {f"{kind}/{name}": manifest for (kind, name), manifest in instances.owned().items()}
    return {
        key: found[key]["metadata"]["uid"]
        for key in KEPT
        if key in found and "deletionTimestamp" not in found[key]["metadata"]
    }


def _with(results: dict[str, str], status: str) -> set[str]:
    return {key for key, found in results.items() if found == status}


def test_a_sync_that_prunes_leaves_library_database_and_password_alone(argo, instances):
    assert argo.sync(GIT) == {"Immich/photos": "Synced"}
    instances.wait_ready()
    before = _once_annotated(instances)

    done = argo.sync(GIT)

    # The engine counts a claim to the StatefulSet that made it, as long as that is there.
    assert _with(done, "PruneSkipped") == KEPT - {"PersistentVolumeClaim/data-photos-postgres-0"}
    assert "Pruned" not in done.values()
    assert _kept(instances) == before


def test_an_immich_that_was_removed_from_git_goes_and_its_data_stays(argo, instances):
    argo.sync(GIT)
    instances.wait_ready()
    before = _once_annotated(instances)

    done = argo.sync("")

    assert _with(done, "Pruned") == {"Immich/photos"}
    instances.wait("only the data left", lambda: {f"{kind}/{name}" for kind, name in instances.owned()} == KEPT)
    assert _with(argo.sync(""), "PruneSkipped") == KEPT
    assert _kept(instances) == before


def test_without_the_annotations_it_would_be_pruned(argo, instances):
    """What the others show is the work of the annotations, and a user can say that pruning is wanted."""
    argo.sync(GIT)
    instances.wait_ready()
    _once_annotated(instances)
    wanted = {"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Prune=true"}}}
    instances.api.merge_patch("Secret", "photos-postgres-credentials", instances.namespace, wanted)
    instances.wait_settled()

    done = argo.sync(GIT)

    assert done["Secret/photos-postgres-credentials"] == "Pruned"
    assert done["PersistentVolumeClaim/photos-library"] == "PruneSkipped"
