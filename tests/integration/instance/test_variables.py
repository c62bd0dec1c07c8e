# SPDX-License-Identifier: Apache-2.0
"""Variables that would move the library, the ports or the models: photos never land beside the volume."""

from __future__ import annotations

import pytest

from localcluster.errors import ApiError
from support.operating import environment

MOVED = "/usr/src/app/upload"


def config_map(instances, name, **data):
    metadata = {"name": name, "namespace": instances.namespace}
    instances.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def test_what_moves_the_library_is_refused_with_the_field_to_use(instances):
    with pytest.raises(ApiError, match=r"IMMICH_MEDIA_LOCATION has to be /data .* spec\.immich\.persistence\.library"):
        instances.create({"server": {"env": [{"name": "IMMICH_MEDIA_LOCATION", "value": MOVED}]}})


def test_a_new_instance_is_not_started_with_photos_beside_the_library_and_heals_with_the_config_map(instances):
    config_map(instances, "common", TZ="UTC", IMMICH_MEDIA_LOCATION=MOVED)
    instances.create({"server": {"envFrom": [{"configMapRef": {"name": "common"}}]}})

    told = instances.wait_condition("ServerReady", "SpecInvalid")

    assert "spec.server.envFrom[0] (key IMMICH_MEDIA_LOCATION of ConfigMap common)" in told["message"]
    assert instances.get("Deployment", "photos-server") is None
    assert instances.condition("Ready")["status"] == "False"
    assert instances.condition("Degraded")["status"] == "True"

    config_map(instances, "common", TZ="UTC")

    instances.wait_ready()
    assert environment(instances.get("Deployment", "photos-server"))["IMMICH_MEDIA_LOCATION"] == "/data"


def test_a_secret_that_comes_to_move_the_library_neither_replaces_the_pods_nor_reaches_new_ones(instances):
    instances.secret("all", TOKEN="x")
    instances.create({"server": {"envFrom": [{"secretRef": {"name": "all"}}]}})
    instances.wait_ready()
    before = instances.pod_uids()

    instances.secret("all", TOKEN="x", IMMICH_MEDIA_LOCATION="/srv/elsewhere")

    told = instances.wait_condition("ServerReady", "SpecInvalid")
    server = instances.get("Deployment", "photos-server")
    assert environment(server)["IMMICH_MEDIA_LOCATION"] == "/data", "for pods that start before anybody looks"
    assert "/srv/elsewhere" not in str(told)
    instances.secret("all", TOKEN="x")
    instances.wait_ready()
    assert instances.pod_uids() == before
