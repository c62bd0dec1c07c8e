# SPDX-License-Identifier: Apache-2.0
"""A live instance of the operator written in Go is taken over in place, and could be given back."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import documents
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import KEEP_ANNOTATIONS
from support.operating import ROOT, environment, pod_spec

FIXTURES = ROOT / "tests" / "fixtures"
FINALIZER = "media.rm3l.org/finalizer"
WORKLOADS = ("Deployment", "StatefulSet")
KEPT = {
    ("PersistentVolumeClaim", "photos-library"),
    ("PersistentVolumeClaim", "data-photos-postgres-0"),
    ("Secret", "photos-postgres-credentials"),
}
"""What outlives the custom resource."""
DEFAULTED = {
    "clusterIP": None, "clusterIPs": None, "ipFamilies": None, "ipFamilyPolicy": "SingleStack",
    "internalTrafficPolicy": "Cluster", "sessionAffinity": "None", "defaultMode": 420, "dnsPolicy": "ClusterFirst",
    "imagePullPolicy": "IfNotPresent", "podManagementPolicy": "OrderedReady", "progressDeadlineSeconds": 600,
    "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    "restartPolicy": "Always", "revisionHistoryLimit": 10, "scheme": "HTTP", "schedulerName": "default-scheduler",
    "securityContext": {}, "resources": {}, "successThreshold": 1,
    "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
    "terminationGracePeriodSeconds": 30, "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "partition": 0}, "type": "RollingUpdate"},
    "volumeMode": "Filesystem", "volumeName": None, "storageClassName": "hostpath", "status": None,
}  # fmt: skip
"""What the cluster had filled in beside what the Go operator sent; None: whatever the value is."""


def as_sent(value):
    """The value without what a cluster fills in by itself."""
    if isinstance(value, Mapping):
        return {
            key: as_sent(item)
            for key, item in value.items()
            if key not in DEFAULTED or DEFAULTED[key] not in (None, item)
        }
    return [as_sent(item) for item in value] if isinstance(value, list) else value


class Former:
    """The objects of a fixture, for one namespace."""

    def __init__(self, fixture, instances):
        self.instances = instances
        stored = documents((FIXTURES / fixture).read_text(encoding="utf-8"))
        [self.cr] = [document for document in stored if document["kind"] == "Immich"]
        # the StatefulSet's controller makes the database's claim
        self.objects = [d for d in stored if d is not self.cr and d["metadata"]["name"] != "data-photos-postgres-0"]

    def create_cr(self):
        metadata = {
            key: self.cr["metadata"][key]
            for key in ("name", "finalizers", "annotations", "labels")
            if key in self.cr["metadata"]
        }
        metadata["namespace"] = self.instances.namespace
        made = self.instances.api.create(
            {**{key: self.cr[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}
        )
        self.uid = made["metadata"]["uid"]
        return made

    def sent(self):
        """[(field manager, was it server-side apply, manifest)] as the Go operator sent them."""
        for live in self.objects:
            metadata = {
                key: live["metadata"][key] for key in ("name", "labels", "ownerReferences") if key in live["metadata"]
            }
            if live["kind"] == "Ingress":
                metadata["annotations"] = live["metadata"]["annotations"]
            metadata["namespace"] = self.instances.namespace
            if "ownerReferences" in metadata:
                metadata["ownerReferences"] = [{**owner, "uid": self.uid} for owner in metadata["ownerReferences"]]
            managers = {(entry["manager"], entry["operation"]) for entry in live["metadata"]["managedFields"]}
            content = {key: as_sent(item) for key, item in live.items() if key not in {"metadata", "status"}}
            yield ("immich-operator", "Apply") in managers, {**content, "metadata": metadata}

    def create_objects(self):
        api = self.instances.api
        for is_applied, manifest in self.sent():
            if is_applied:
                api.apply(manifest, field_manager="immich-operator")
            else:
                plural = {"Secret": "secrets", "PersistentVolumeClaim": "persistentvolumeclaims"}[manifest["kind"]]
                path = f"/api/v1/namespaces/{self.instances.namespace}/{plural}"
                api.request("POST", path, body=manifest, query={"fieldManager": "manager"})

    def is_running(self):
        live = [self.instances.get(o["kind"], o["metadata"]["name"]) for o in self.objects if o["kind"] in WORKLOADS]
        return all(w["status"].get("availableReplicas", 0) == w["spec"]["replicas"] for w in live)


@pytest.fixture
def former(request, apart):
    made = Former(request.param, apart)
    made.create_cr()
    made.create_objects()
    apart.wait("the pods of the Go operator", made.is_running)
    yield made
    apart.api.delete("Immich", "photos", apart.namespace)


both = pytest.mark.parametrize(
    "former",
    [
        pytest.param("instance-made-by-the-go-operator-minimal.yaml", id="minimal"),
        pytest.param("instance-made-by-the-go-operator-full.yaml", id="full"),
    ],
    indirect=True,
)


def uids(objects):
    return {key: manifest["metadata"]["uid"] for key, manifest in objects.items()}


def selectors(objects):
    return {key: manifest["spec"]["selector"] for key, manifest in objects.items() if key[0] in {*WORKLOADS, "Service"}}


def volumes(instances):
    """All there is to say of the claims, and of the claim template, that must stay."""
    claims = instances.api.list("PersistentVolumeClaim", instances.namespace)
    template = instances.get("StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"]
    return template, {c["metadata"]["name"]: (c["spec"], c["metadata"]["uid"], c["metadata"]["labels"]) for c in claims}


def mounts(objects):
    """{(kind, name): [(volume, source)]} of what each pod keeps its data on."""
    return {
        key: [v for v in pod_spec(manifest).get("volumes", []) if "persistentVolumeClaim" in v]
        for key, manifest in objects.items()
        if key[0] in WORKLOADS
    }


def includes(whole, part):
    """Whether every field of `part` has the same value in `whole`."""
    if isinstance(part, Mapping):
        return all(key in whole and includes(whole[key], item) for key, item in part.items())
    return whole == part


@both
def test_a_live_instance_is_taken_over_in_place(former, operated, apart):
    before = apart.owned()
    stored = apart.get("Immich", "photos")
    data = volumes(apart)
    secret = apart.get("Secret", "photos-postgres-credentials")
    assert includes(stored["spec"], former.cr["spec"])
    assert FINALIZER in stored["metadata"]["finalizers"]

    operated()
    cr = apart.wait_ready()
    apart.wait_settled()

    after = apart.owned()
    assert {key: uid for key, uid in uids(after).items() if key in before} == uids(before)
    assert set(before) <= set(after)
    assert selectors(after) == selectors(before)
    assert volumes(apart) == data
    assert mounts(after) == mounts(before)
    assert environment(after["StatefulSet", "photos-postgres"])["PGDATA"] == "/var/lib/postgresql/data"
    images = [pod_spec(o["StatefulSet", "photos-postgres"])["containers"][0]["image"] for o in (before, after)]
    assert images[0] == images[1], "no other major version can read its data"
    assert after["Secret", "photos-postgres-credentials"]["data"] == secret["data"]
    for key in KEPT:
        assert KEEP_ANNOTATIONS.items() <= after[key]["metadata"]["annotations"].items(), key
    assert max(apart.templates().values()) <= 2, "pods were replaced more than once"
    assert "finalizers" not in cr["metadata"]
    assert cr["spec"] == stored["spec"]
    assert cr["metadata"]["generation"] == stored["metadata"]["generation"]


@both
def test_the_way_back_is_open(former, operated, apart):
    instances = operated()
    instances.wait_ready()
    instances.wait_settled()
    assert instances.operator.stop() == 0
    instances.operator = None
    ours = instances.owned()
    data = volumes(instances)

    for is_applied, manifest in former.sent():
        live = ours[manifest["kind"], manifest["metadata"]["name"]]
        assert includes(live["metadata"]["labels"], manifest["metadata"]["labels"])
        assert live["metadata"].get("ownerReferences") == manifest["metadata"].get("ownerReferences")
        managers = {(e["manager"], e["operation"]) for e in live["metadata"]["managedFields"]}
        if is_applied:
            assert ("immich-operator", "Apply") in managers
            # what the Go operator would do in its next pass: refused if a field that can't change had changed
            instances.api.apply(manifest, field_manager="immich-operator")

    instances.wait("the pods as the Go operator wants them", former.is_running)
    now = instances.owned()
    assert uids(now) == uids(ours)
    assert selectors(now) == selectors(ours)
    assert volumes(instances) == data


def test_deleting_an_instance_that_was_taken_over_keeps_its_data(operated, apart):
    former = Former("instance-made-by-the-go-operator-minimal.yaml", apart)
    former.create_cr()
    former.create_objects()
    instances = operated()
    instances.wait_ready()
    _, claims = volumes(instances)

    instances.api.delete("Immich", "photos", instances.namespace, wait=True)

    instances.wait("only the data left", lambda: set(instances.owned()) == KEPT)
    now = {
        c["metadata"]["name"]: c["metadata"]["uid"]
        for c in instances.api.list("PersistentVolumeClaim", instances.namespace)
    }
    assert now == {name: uid for name, (_, uid, _) in claims.items() if name != "photos-ml-cache"}
