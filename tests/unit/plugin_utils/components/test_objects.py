# SPDX-License-Identifier: Apache-2.0
"""What an instance consists of: names, labels, owners, ports, paths and variables that users and live clusters rely on."""

import pytest

from support.instances import (
    NAME,
    NAMESPACE,
    UID,
    a_cr,
    a_secret,
    container,
    environment,
    found,
    has,
    plan_for,
    pod_template,
    workloads,
)

EVERYTHING = {
    "immich": {"metrics": {"enabled": True}},
    "server": {"ingress": {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}},
    "valkey": {"persistence": {"enabled": True}},
}
OWNED = [
    ("Secret", "photos-checksum-key"),
    ("ConfigMap", "photos-immich-config"),
    ("StatefulSet", "photos-postgres"),
    ("Service", "photos-postgres"),
    ("Deployment", "photos-valkey"),
    ("Service", "photos-valkey"),
    ("PersistentVolumeClaim", "photos-valkey-data"),
    ("Deployment", "photos-machine-learning"),
    ("Service", "photos-machine-learning"),
    ("PersistentVolumeClaim", "photos-ml-cache"),
    ("Deployment", "photos-server"),
    ("Service", "photos-server"),
    ("Ingress", "photos-server"),
    ("Route", "photos-server"),
]
OUTLIVING = [("PersistentVolumeClaim", "photos-library"), ("Secret", "photos-postgres-credentials")]


def selector_labels(component):
    return {
        "app.kubernetes.io/name": "immich",
        "app.kubernetes.io/instance": NAME,
        "app.kubernetes.io/component": component,
    }


def all_labels(component):
    others = {"app.kubernetes.io/managed-by": "immich-operator", "app.kubernetes.io/part-of": "immich"}
    return selector_labels(component) | others


@pytest.fixture(scope="module")
def everything():
    return plan_for(a_cr(EVERYTHING), route=True)


def test_an_instance_consists_of_exactly_these_objects(everything):
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in everything.objects]

    assert sorted(names) == sorted([*OWNED, *OUTLIVING])


@pytest.mark.parametrize(("kind", "name"), [pytest.param(*entry, id="/".join(entry)) for entry in OWNED])
def test_what_goes_with_the_instance_is_controlled_by_it(everything, kind, name):
    [owner] = found(everything, kind, name)["metadata"]["ownerReferences"]

    assert owner == {
        "apiVersion": "media.rm3l.org/v1alpha1",
        "kind": "Immich",
        "name": NAME,
        "uid": UID,
        "controller": True,
        "blockOwnerDeletion": True,
    }


@pytest.mark.parametrize(("kind", "name"), [pytest.param(*entry, id="/".join(entry)) for entry in OUTLIVING])
def test_what_outlives_the_instance_has_no_owner(everything, kind, name):
    assert "ownerReferences" not in found(everything, kind, name)["metadata"]


def test_the_database_volume_has_no_owner_either(everything):
    [template] = found(everything, "StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"]

    assert template["metadata"]["name"] == "data"
    assert "ownerReferences" not in template["metadata"]


def test_a_custom_resource_without_uid_owns_nothing():
    cr = a_cr()
    del cr["metadata"]["uid"]

    plan = plan_for(cr)

    assert all("ownerReferences" not in manifest["metadata"] for manifest in plan.objects)


@pytest.mark.parametrize(
    ("kind", "name", "component"),
    [
        pytest.param("PersistentVolumeClaim", "photos-library", "library", id="library"),
        pytest.param("ConfigMap", "photos-immich-config", "config", id="config"),
        pytest.param("Secret", "photos-postgres-credentials", "postgres", id="credentials"),
        pytest.param("StatefulSet", "photos-postgres", "postgres", id="postgres"),
        pytest.param("PersistentVolumeClaim", "photos-valkey-data", "valkey", id="valkey-data"),
        pytest.param("Deployment", "photos-valkey", "valkey", id="valkey"),
        pytest.param("PersistentVolumeClaim", "photos-ml-cache", "machine-learning", id="ml-cache"),
        pytest.param("Deployment", "photos-machine-learning", "machine-learning", id="machine-learning"),
        pytest.param("Deployment", "photos-server", "server", id="server"),
        pytest.param("Ingress", "photos-server", "server", id="ingress"),
        pytest.param("Route", "photos-server", "server", id="route"),
    ],
)
def test_every_object_carries_the_five_labels(everything, kind, name, component):
    manifest = found(everything, kind, name)

    assert manifest["metadata"]["labels"] == all_labels(component)
    assert manifest["metadata"]["namespace"] == NAMESPACE


@pytest.mark.parametrize("component", ["server", "machine-learning", "valkey"])
def test_deployments_and_their_services_select_by_three_labels(everything, component):
    deployment, service = (found(everything, kind, f"photos-{component}") for kind in ("Deployment", "Service"))

    assert deployment["spec"]["selector"] == {"matchLabels": selector_labels(component)}
    assert service["spec"]["selector"] == selector_labels(component)


def test_the_database_is_selected_by_all_five_labels(everything):
    stateful_set, service = (found(everything, kind, "photos-postgres") for kind in ("StatefulSet", "Service"))

    assert stateful_set["spec"]["selector"] == {"matchLabels": all_labels("postgres")}
    assert service["spec"]["selector"] == all_labels("postgres")
    assert stateful_set["spec"]["serviceName"] == "photos-postgres"


def test_each_pod_has_the_labels_that_its_selectors_ask_for(everything):
    for workload in workloads(everything):
        labels = pod_template(workload)["metadata"]["labels"]

        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items(), workload["metadata"]["name"]


@pytest.mark.parametrize(
    ("component", "ports"),
    [
        pytest.param("postgres", [("postgres", 5432)], id="postgres"),
        pytest.param("valkey", [("redis", 6379)], id="valkey"),
        pytest.param("machine-learning", [("http", 3003)], id="machine-learning"),
        pytest.param("server", [("http", 2283), ("metrics-api", 8081), ("metrics-ms", 8082)], id="server"),
    ],
)
def test_services_lead_to_the_named_ports_of_the_containers(everything, component, ports):
    kind = "StatefulSet" if component == "postgres" else "Deployment"
    service, workload = (found(everything, k, f"photos-{component}") for k in ("Service", kind))

    assert service["spec"]["type"] == "ClusterIP"
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == ports
    assert [(port["targetPort"], port["protocol"]) for port in service["spec"]["ports"]] == [
        (n, "TCP") for n, _ in ports
    ]
    assert [(port["name"], port["containerPort"]) for port in container(workload)["ports"]] == ports


@pytest.mark.parametrize(
    ("kind", "name", "mounts", "claims"),
    [
        pytest.param(
            "StatefulSet",
            "photos-postgres",
            {"data": "/var/lib/postgresql/data", "shm": "/dev/shm"},  # noqa: S108 - a path in the container
            {},
            id="postgres",
        ),
        pytest.param("Deployment", "photos-valkey", {"data": "/data"}, {"data": "photos-valkey-data"}, id="valkey"),
        pytest.param(
            "Deployment",
            "photos-machine-learning",
            {"cache": "/cache"},
            {"cache": "photos-ml-cache"},
            id="machine-learning",
        ),
        pytest.param(
            "Deployment",
            "photos-server",
            {"library": "/data", "config": "/config"},
            {"library": "photos-library"},
            id="server",
        ),
    ],
)
def test_volumes_are_mounted_where_the_programs_look(everything, kind, name, mounts, claims):
    workload = found(everything, kind, name)
    volumes = pod_template(workload)["spec"]["volumes"]
    from_claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}

    assert {mount["name"]: mount["mountPath"] for mount in container(workload)["volumeMounts"]} == mounts
    assert from_claims == claims


def test_the_configuration_is_mounted_read_only(everything):
    server = found(everything, "Deployment", "photos-server")

    [mount] = [mount for mount in container(server)["volumeMounts"] if mount["name"] == "config"]
    [volume] = [volume for volume in pod_template(server)["spec"]["volumes"] if volume["name"] == "config"]

    assert mount["readOnly"] is True
    assert volume == {"name": "config", "configMap": {"name": "photos-immich-config"}}
    assert environment(server)["IMMICH_CONFIG_FILE"] == "/config/immich-config.yaml"


def test_the_database_has_128_mib_of_shared_memory(everything):
    volumes = pod_template(found(everything, "StatefulSet", "photos-postgres"))["spec"]["volumes"]

    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}} in volumes


def test_the_database_gets_these_variables_in_this_order(everything):
    stateful_set = found(everything, "StatefulSet", "photos-postgres")

    assert list(environment(stateful_set).items()) == [
        ("POSTGRES_USER", "immich"),
        ("POSTGRES_DB", "immich"),
        ("POSTGRES_INITDB_ARGS", "--data-checksums"),
        ("POSTGRES_PASSWORD", "photos-postgres-credentials/password"),
        ("PGDATA", "/var/lib/postgresql/data/pgdata"),
    ]


@pytest.mark.parametrize(
    ("spec", "variables"),
    [
        pytest.param(
            {},
            {
                "REDIS_HOSTNAME": "photos-valkey",
                "REDIS_PORT": "6379",
                "REDIS_DBINDEX": "0",
                "DB_HOSTNAME": "photos-postgres",
                "DB_PORT": "5432",
                "DB_DATABASE_NAME": "immich",
                "DB_USERNAME": "immich",
                "DB_PASSWORD": "photos-postgres-credentials/password",
                "IMMICH_CONFIG_FILE": "/config/immich-config.yaml",
            },
            id="built-in",
        ),
        pytest.param(
            {
                "postgres": {
                    "enabled": False,
                    "host": "db.example.com",
                    "port": 6432,
                    "database": "pictures",
                    "username": "ana",
                    "passwordSecretRef": {"name": "db", "key": "word"},
                },
                "valkey": {
                    "enabled": False,
                    "host": "redis.example.com",
                    "port": 6380,
                    "dbIndex": 3,
                    "passwordSecretRef": {"name": "queue", "key": "word"},
                },
            },
            {
                "REDIS_HOSTNAME": "redis.example.com",
                "REDIS_PORT": "6380",
                "REDIS_DBINDEX": "3",
                "REDIS_PASSWORD": "queue/word",
                "DB_HOSTNAME": "db.example.com",
                "DB_PORT": "6432",
                "DB_DATABASE_NAME": "pictures",
                "DB_USERNAME": "ana",
                "DB_PASSWORD": "db/word",
                "IMMICH_CONFIG_FILE": "/config/immich-config.yaml",
            },
            id="external",
        ),
        pytest.param(
            {
                "postgres": {"enabled": False, "urlSecretRef": {"name": "db", "key": "url"}},
                "valkey": {"enabled": False, "host": "redis.example.com", "password": "plain"},
                "immich": {"metrics": {"enabled": True}, "configurationKind": "None"},
                "machineLearning": {"enabled": False, "url": "http://gpu:3003"},
            },
            {
                "REDIS_HOSTNAME": "redis.example.com",
                "REDIS_PORT": "6379",
                "REDIS_DBINDEX": "0",
                "REDIS_PASSWORD": "photos-valkey-credentials/password",
                "DB_URL": "db/url",
                "IMMICH_MACHINE_LEARNING_ENABLED": "true",
                "IMMICH_MACHINE_LEARNING_URL": "http://gpu:3003",
                "IMMICH_TELEMETRY_INCLUDE": "all",
            },
            id="by-url-without-file",
        ),
    ],
)
def test_the_server_gets_these_variables_in_this_order(spec, variables):
    plan = plan_for(a_cr(spec), [a_secret("db", word="x", url="postgresql://x"), a_secret("queue", word="x")])

    assert list(environment(found(plan, "Deployment", "photos-server")).items()) == list(variables.items())


def test_machine_learning_keeps_all_downloads_on_its_volume(everything):
    variables = environment(found(everything, "Deployment", "photos-machine-learning"))

    assert set(variables) == {"TRANSFORMERS_CACHE", "HF_HOME", "HF_XET_CACHE", "MPLCONFIGDIR"}
    assert all(value == "/cache" or value.startswith("/cache/") for value in variables.values())


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        pytest.param({}, "PersistentVolumeClaim", "photos-valkey-data", id="queues-are-not-kept-by-default"),
        pytest.param(
            {"machineLearning": {"persistence": {"enabled": False}}},
            "PersistentVolumeClaim",
            "photos-ml-cache",
            id="cache-off",
        ),
        pytest.param(
            {"immich": {"persistence": {"library": {"existingClaim": "nas"}}}},
            "PersistentVolumeClaim",
            "photos-library",
            id="own-library",
        ),
        pytest.param({}, "Ingress", "photos-server", id="no-ingress-by-default"),
        pytest.param({}, "Route", "photos-server", id="no-route-without-its-api"),
        pytest.param({"immich": {"configurationKind": "None"}}, "ConfigMap", "photos-immich-config", id="no-file"),
    ],
)
def test_what_is_not_wanted_is_not_made(spec, kind, name):
    assert not has(plan_for(a_cr(spec)), kind, name)


def test_metrics_are_off_by_default():
    plan = plan_for(a_cr())

    assert [port["name"] for port in found(plan, "Service", "photos-server")["spec"]["ports"]] == ["http"]
    assert "IMMICH_TELEMETRY_INCLUDE" not in environment(found(plan, "Deployment", "photos-server"))


def test_volumes_that_are_not_kept_are_made_with_the_pod():
    plan = plan_for(a_cr({"machineLearning": {"persistence": {"enabled": False}}}))

    for name in ("photos-machine-learning", "photos-valkey"):
        [volume] = pod_template(found(plan, "Deployment", name))["spec"]["volumes"]
        assert volume["emptyDir"] == {}, name
