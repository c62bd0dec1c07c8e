# SPDX-License-Identifier: Apache-2.0
"""The key of the checksums on pod templates: made once, never a reason to replace pods that an older version has made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

KEY = "photos-checksum-key"
CONFIG, SECRETS = "media.rm3l.org/config-checksum", "media.rm3l.org/secrets-checksum"


def template_annotations(instances, kind, name):
    return instances.get(kind, name)["spec"]["template"]["metadata"]["annotations"]


def guessed(instances, content):
    """The checksum as an earlier version made it, and as everybody can compute it."""
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    return hmac.new(f"{instances.namespace}/photos".encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


def made_by_an_earlier_version(instances):
    """{(kind, name): annotations} that an instance of before has in its pod templates."""
    password = instances.get("Secret", "photos-postgres-credentials")["data"]["password"]
    secrets = {SECRETS: guessed(instances, {"Secret/photos-postgres-credentials/password": password})}
    file = instances.get("ConfigMap", "photos-immich-config")["data"]["immich-config.yaml"]
    return {
        ("StatefulSet", "photos-postgres"): secrets,
        ("Deployment", "photos-server"): {**secrets, CONFIG: guessed(instances, file)},
    }


def test_a_checksum_is_not_what_anybody_can_compute_from_a_guess(instances):
    instances.secret("db", password="427193")
    reference = {"name": "db", "key": "password"}
    instances.create({"postgres": {"enabled": False, "host": "db.example.com", "passwordSecretRef": reference}})

    instances.wait("the server", lambda: instances.get("Deployment", "photos-server"))

    guess = {"Secret/db/password": base64.b64encode(b"427193").decode()}
    assert template_annotations(instances, "Deployment", "photos-server")[SECRETS] != guessed(instances, guess)
    assert len(base64.b64decode(instances.get("Secret", KEY)["data"]["key"])) == 64


def test_a_new_version_of_a_secret_with_the_same_content_replaces_no_pod(instances):
    instances.secret("token", value="1")
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}]
    instances.create({"server": {"env": env}})
    instances.wait_ready()
    pods = instances.pod_uids()

    passes = len(instances.operator.passes("photos", instances.namespace))

    instances.api.merge_patch("Secret", "token", instances.namespace, {"metadata": {"labels": {"a": "b"}}})

    instances.wait("a pass over it", lambda: len(instances.operator.passes("photos", instances.namespace)) > passes)
    instances.wait_settled()
    assert instances.pod_uids() == pods


def test_an_instance_of_an_earlier_version_goes_on_with_its_pods_and_gets_keyed_checksums_with_the_next_ones(
    apart, operated
):
    instances = operated()
    instances.create()
    instances.wait_ready()
    instances.wait_settled()
    assert instances.operator.stop() == 0
    for (kind, name), former in made_by_an_earlier_version(instances).items():
        patch = {"spec": {"template": {"metadata": {"annotations": former}}}}
        instances.api.merge_patch(kind, name, instances.namespace, patch)
    instances.api.delete("Secret", KEY, instances.namespace)
    instances.wait("the pods of the earlier version", lambda: all_is_rolled_out(instances))
    pods, templates = instances.pod_uids(), instances.templates()

    operated()

    instances.wait("the key", lambda: instances.get("Secret", KEY))
    instances.wait_settled()
    instances.wait_ready()
    assert (instances.pod_uids(), instances.templates()) == (pods, templates)
    for (kind, name), former in made_by_an_earlier_version(instances).items():
        assert former.items() <= template_annotations(instances, kind, name).items()

    instances.change({"server": {"podAnnotations": {"a": "b"}}})

    instances.wait_rolled(pods, "server")
    former = made_by_an_earlier_version(instances)["Deployment", "photos-server"]
    assert not former.items() & template_annotations(instances, "Deployment", "photos-server").items()


def test_a_key_that_somebody_else_has_stored_is_not_overwritten_and_no_pod_starts_without_one(instances):
    metadata = {"name": KEY, "namespace": instances.namespace, "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    theirs = instances.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": "a2V5"}})

    instances.create()

    told = instances.wait_condition("ServerReady", "ApplyFailed")["message"]
    assert f"Deployment {instances.namespace}/photos-server: left as it is" in told
    assert f"Secret {instances.namespace}/{KEY} already exists" in instances.condition("Degraded")["message"]
    assert instances.get("Deployment", "photos-server") is None
    instances.api.delete("Secret", KEY, instances.namespace)

    instances.wait_ready()

    assert instances.get("Secret", KEY)["data"] != theirs["data"]


def all_is_rolled_out(instances):
    workloads = [instances.get(kind, name) for kind, name in made_by_an_earlier_version(instances)]
    return all(
        w["status"].get("observedGeneration") == w["metadata"]["generation"]
        and w["status"].get("updatedReplicas")
        == w["status"].get("availableReplicas")
        == w["status"].get("replicas")
        == 1
        for w in workloads
    )
