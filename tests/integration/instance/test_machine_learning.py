# SPDX-License-Identifier: Apache-2.0
"""Machine learning: built-in, off, elsewhere, and the cache of several replicas."""

from __future__ import annotations

from support.operating import environment, pod_spec

NAME = "photos-machine-learning"


def cache(instances):
    [volume] = pod_spec(instances.get("Deployment", NAME))["volumes"]
    return {key: value for key, value in volume.items() if key != "name"}


def strategy(instances):
    return instances.get("Deployment", NAME)["spec"]["strategy"]["type"]


def test_built_in_machine_learning_is_what_the_server_asks(instances):
    instances.create({"machineLearning": {"persistence": {"size": "20Gi"}}})
    instances.wait_ready()

    container = pod_spec(instances.get("Deployment", NAME))["containers"][0]
    claim = instances.get("PersistentVolumeClaim", "photos-ml-cache")

    assert instances.configuration()["machineLearning"] == {"enabled": True, "urls": [f"http://{NAME}:3003"]}
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {
        "/ping"
    }
    assert cache(instances) == {"persistentVolumeClaim": {"claimName": "photos-ml-cache"}}
    assert container["volumeMounts"][0]["mountPath"] == "/cache"
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert claim["metadata"]["ownerReferences"][0]["kind"] == "Immich"


def test_without_machine_learning_immich_knows_it_and_is_ready(instances):
    instances.create({"machineLearning": {"enabled": False}})

    cr = instances.wait_ready()

    assert instances.configuration()["machineLearning"] == {"enabled": False}
    assert not [name for _, name in instances.owned() if name in (NAME, "photos-ml-cache")]
    assert cr["status"]["machineLearningReady"] is True
    assert instances.condition("MachineLearningReady")["reason"] == "Disabled"


def test_external_machine_learning_is_what_the_server_asks(instances):
    instances.create({"machineLearning": {"enabled": False, "url": "http://gpu.example.com:3003"}})

    instances.wait_ready()

    assert instances.configuration()["machineLearning"] == {"enabled": True, "urls": ["http://gpu.example.com:3003"]}
    assert instances.get("Deployment", NAME) is None
    assert instances.condition("MachineLearningReady")["reason"] == "External"


def test_replicas_that_share_a_cache_of_one_node_are_warned_of(instances):
    instances.create({"machineLearning": {"replicas": 2}})
    instances.wait_ready()

    warning = instances.condition("Warning")
    assert (warning["status"], warning["reason"]) == ("True", "VolumeNotShared")
    for words in (NAME, "photos-ml-cache", "ReadWriteMany", "spec.machineLearning.persistence.enabled"):
        assert words in warning["message"]
    assert strategy(instances) == "Recreate"

    instances.change({"machineLearning": {"persistence": {"enabled": False}}})
    instances.wait_ready()

    assert instances.condition("Warning")["status"] == "False"
    assert cache(instances) == {"emptyDir": {}}
    assert strategy(instances) == "RollingUpdate"
    assert instances.get("PersistentVolumeClaim", "photos-ml-cache"), "no edit removes a claim"


def test_a_live_deployment_goes_from_rolling_update_to_recreate_and_back(instances):
    instances.create({"machineLearning": {"persistence": {"enabled": False}}})
    instances.wait_ready()
    uid = instances.get("Deployment", NAME)["metadata"]["uid"]
    assert strategy(instances) == "RollingUpdate"

    instances.change({"machineLearning": {"persistence": {"enabled": True}}})
    instances.wait_ready()
    assert strategy(instances) == "Recreate"

    instances.change({"machineLearning": {"persistence": {"enabled": False}}})
    instances.wait_ready()
    assert strategy(instances) == "RollingUpdate"
    assert instances.get("Deployment", NAME)["metadata"]["uid"] == uid


def test_variables_of_the_users_replace_ours_of_the_same_name(instances):
    instances.secret("models", token="x")
    instances.create(
        {
            "machineLearning": {
                "env": [{"name": "HF_HOME", "value": "/elsewhere"}, {"name": "MACHINE_LEARNING_WORKERS", "value": "2"}],
                "envFrom": [{"secretRef": {"name": "models"}}],
            }
        }
    )

    instances.wait_ready()

    variables = environment(instances.get("Deployment", NAME))
    assert variables["HF_HOME"] == "/elsewhere"
    assert variables["MACHINE_LEARNING_WORKERS"] == "2"
    assert variables["TRANSFORMERS_CACHE"] == "/cache"
    assert pod_spec(instances.get("Deployment", NAME))["containers"][0]["envFrom"] == [
        {"secretRef": {"name": "models"}}
    ]
